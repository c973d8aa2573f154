package main

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// part is one program of the system. It is started again whenever it ends by itself, as compose and
// orchestrators do.
type part struct {
	name  string
	cmd   func() *exec.Cmd            // a fresh command; its output goes to the part's log
	quit  syscall.Signal              // asks it to end
	grace time.Duration               // how long it may take to
	ready func(context.Context) error // nil once it answers
}

// layer is parts that start and end together. Redis and the database are one layer, the programs
// that use them another, which is started later and ended first: a worker releases its jobs with
// the database still there.
type layer struct {
	s      settings
	log    *slog.Logger
	starts chan<- start
	ctx    context.Context
	stop   context.CancelFunc
	parts  sync.WaitGroup
}

// newLayer returns a layer without parts. It has to be closed, also after a start that failed.
func newLayer(s settings, log *slog.Logger, starts chan<- start) *layer {
	// Not the supervisor's context: layers are stopped one after the other.
	ctx, stop := context.WithCancel(context.Background())
	return &layer{s: s, log: log, starts: starts, ctx: ctx, stop: stop}
}

// close stops the layer's parts and waits for their end.
func (l *layer) close() {
	l.stop()
	l.parts.Wait()
}

const (
	startLimit   = time.Minute // a first start makes the database and the demo rows before this
	restartPause = time.Second
)

// run keeps the parts running until the layer is closed, and returns when all answer or ctx has
// ended.
func (l *layer) run(ctx context.Context, parts ...part) error {
	// All are started before one is waited for: PostgreSQL and Redis need not wait for each other.
	for _, p := range parts {
		l.parts.Go(func() { l.keep(p) })
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for _, p := range parts {
		if p.ready == nil {
			continue
		}
		if err := poll(ctx, p.ready); err != nil {
			return fmt.Errorf("%s: %w; its log:\n%s", p.name, err, tailOf(filepath.Join(l.s.Data, "logs", p.name+".log")))
		}
	}
	return nil
}

// keep runs one part, and again when it ends by itself.
func (l *layer) keep(p part) {
	for {
		err := l.once(p)
		if l.ctx.Err() != nil {
			return
		}
		l.log.Warn("a part ended and is started again", "part", p.name, "error", err)
		select {
		case <-l.ctx.Done():
			return
		case <-time.After(restartPause): // so that one that can't start does not fill the machine
		}
	}
}

// once runs a part to its end, or ends it when the layer is closed: politely first, and by kill
// after its grace.
func (l *layer) once(p part) error {
	logs, err := openLog(l.s, p.name)
	if err != nil {
		return err
	}
	defer logs.Close()
	cmd := p.cmd()
	cmd.Stdout, cmd.Stderr = logs, logs
	request := start{cmd, make(chan error, 1)}
	// Started by the goroutine of startAll, whose thread lives as long as this program.
	l.starts <- request
	if err := <-request.result; err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-l.ctx.Done():
	}
	_ = cmd.Process.Signal(p.quit) // fails only when it has ended
	select {
	case err := <-ended:
		return err
	// Longer than the part promises to take, so this is a bug of the part's.
	case <-time.After(p.grace):
		l.log.Error("a part did not end and is killed", "part", p.name, "after", p.grace)
		_ = cmd.Process.Kill()
		return <-ended
	}
}

// start is a command to be started, with a channel of one for the outcome so that startAll never
// waits for who asked.
type start struct {
	cmd    *exec.Cmd
	result chan error
}

// startAll starts commands until requests is closed. On Linux a child can be made to end with its
// parent, but the kernel goes by the thread that started it: this goroutine keeps its own for as
// long as the program runs.
func startAll(requests <-chan start) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for r := range requests {
		if r.cmd.SysProcAttr == nil {
			r.cmd.SysProcAttr = &syscall.SysProcAttr{}
		}
		r.cmd.SysProcAttr.Setpgid = true // signals are passed on in order, not sent to all at once
		bind(r.cmd.SysProcAttr)
		r.result <- r.cmd.Start()
	}
}
