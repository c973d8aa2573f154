//go:build !linux

package server

import (
	"os/exec"
	"syscall"
)

// startBound starts a child. Only Linux can bind its life to ours; elsewhere a killed test run
// leaves it behind.
func startBound(cmd *exec.Cmd, _ syscall.Signal) error { return cmd.Start() }

func unbind() {}
