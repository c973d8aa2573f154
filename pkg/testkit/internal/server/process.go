package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// process is a running child with its output and its end.
type process struct {
	cmd  *exec.Cmd
	out  *tail
	done chan struct{} // closed when it has ended and was waited for
}

// start runs a command in a process group of its own, so that a Ctrl-C at the terminal stops the
// tests and not the servers under them. onDeath is what it gets when this process dies.
func start(cmd *exec.Cmd, onDeath syscall.Signal) (*process, error) {
	p := &process{cmd: cmd, out: &tail{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true // a terminal sends Ctrl-C to its whole foreground group
	if err := startBound(cmd, onDeath); err != nil {
		return nil, err
	}
	go func() {
		_ = cmd.Wait() // how it ended is in its output; tests kill it on purpose
		unbind()
		close(p.done)
	}()
	return p, nil
}

// stop sends a signal and waits for the end; a process that does not go within the grace is killed.
func (p *process) stop(signal syscall.Signal, grace time.Duration) {
	_ = p.cmd.Process.Signal(signal) // fails only when it has ended
	select {
	case <-p.done:
		return
	case <-time.After(grace):
		// PostgreSQL under heavy load may take longer to end than a test may wait.
	}
	_ = p.cmd.Process.Kill()
	<-p.done
}

// ready asks again and again whether the server answers, until it does, has ended, or the time is
// up.
func (p *process) ready(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		// Asked before the end is looked at: another server on the same port would answer too, but
		// then ours has ended at once, and the next question finds that.
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended at once: %w\n%s", p.cmd.Path, errEnded, p.out)
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w\n%s", p.cmd.Path, err, p.out)
		case <-ticker.C:
		}
	}
}

// errEnded is how a server that lost the race for its port looks.
var errEnded = errors.New("process ended")

// tail keeps the last 8 KiB of a process's output. A server that runs for a whole test run logs
// without end, and only its last words explain why it ended.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - tailSize; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.buf))
}
