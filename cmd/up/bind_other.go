//go:build !linux

package main

import "syscall"

// bind does nothing: only Linux ends children with their parent.
func bind(*syscall.SysProcAttr) {}
