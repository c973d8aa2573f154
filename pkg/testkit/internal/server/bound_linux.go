package server

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// The kernel signals a child when the thread that started it dies, not the process. So all children
// are started by one goroutine that keeps its thread for as long as there are children.
var binder struct {
	mu       sync.Mutex
	children int
	requests chan bindRequest
	ended    chan struct{}
}

type bindRequest struct {
	cmd    *exec.Cmd
	result chan error
}

// startBound starts a child that gets the signal when this process dies, however it dies. Each
// success is followed by one unbind after the child's end.
func startBound(cmd *exec.Cmd, onDeath syscall.Signal) error {
	cmd.SysProcAttr.Pdeathsig = onDeath
	binder.mu.Lock()
	defer binder.mu.Unlock()
	if binder.children == 0 {
		binder.requests, binder.ended = make(chan bindRequest), make(chan struct{})
		go runBinder(binder.requests, binder.ended)
	}
	binder.children++
	request := bindRequest{cmd, make(chan error, 1)}
	binder.requests <- request
	err := <-request.result
	if err != nil {
		unbindLocked()
	}
	return err
}

func unbind() {
	binder.mu.Lock()
	defer binder.mu.Unlock()
	unbindLocked()
}

// unbindLocked ends the goroutine with the last child, so that no leak is seen after a test.
func unbindLocked() {
	binder.children--
	if binder.children == 0 {
		close(binder.requests)
		<-binder.ended
	}
}

func runBinder(requests <-chan bindRequest, ended chan<- struct{}) {
	defer close(ended)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for r := range requests {
		r.result <- r.cmd.Start()
	}
}
