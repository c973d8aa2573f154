package job

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Runner runs jobs: it runs the attempts whose tasks it is given, keeps their leases and, while it
// leads, takes over the jobs of lost workers and enqueues lost tasks again. Engine.Runner makes it.
type Runner struct {
	e       *Engine
	slots   chan struct{} // nil without a bound
	started atomic.Bool   // Run has begun
}

func newRunner(e *Engine) *Runner {
	r := &Runner{e: e}
	if e.opts.Concurrency > 0 {
		r.slots = make(chan struct{}, e.opts.Concurrency)
	}
	return r
}

// Run delivers events and tasks, reconciles, and waits. When ctx ends it stops reconciling, drains
// within DrainTimeout, delivers what is left and returns once everything that it and Handle started
// has ended. It runs once; every process that accepts or runs jobs needs it.
func (r *Runner) Run(ctx context.Context) error {
	if r.started.Swap(true) {
		return errors.New("job runner: Run called twice")
	}
	var out, loops sync.WaitGroup
	stop := make(chan struct{})
	r.e.out.start(&out, stop)
	rec := newReconciler(r.e)
	loops.Go(func() { rec.lead(ctx) })
	loops.Go(func() { rec.enqueueLost(ctx) })
	<-ctx.Done()
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.e.opts.DrainTimeout)
	defer cancel()
	err := r.Drain(bound)
	loops.Wait()
	// The outbox is last: the ends of drained jobs still have to leave.
	close(stop)
	out.Wait()
	return err
}

// Drain takes no more jobs, lets the running ones finish until ctx ends, then asks them to release
// their jobs and waits ReleaseWait for them. It may be called more than once and side by side; the
// runner stays drained. A run that did not stop is an error: its job goes to another worker when
// its lease ends.
func (r *Runner) Drain(ctx context.Context) error {
	running := r.e.running
	running.drain()
	if running.waitIdle(ctx) {
		return nil
	}
	running.release()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.e.opts.ReleaseWait)
	defer cancel()
	if running.waitIdle(grace) {
		return nil
	}
	return fmt.Errorf("job runner: not every running job was released within %s", r.e.opts.ReleaseWait)
}

// Handle answers a task: it takes the job if it still waits in that attempt, runs it to the
// attempt's end, and returns nil then, as for a task that is stale or came while the runner drains.
// An error means that the job could not be taken because the database can't be reached, and the
// task should be delivered again.
//
// ctx ends the waiting for a free slot, and the taking; a job that was taken runs on whatever
// becomes of ctx, held by its lease.
func (r *Runner) Handle(ctx context.Context, uuid string, attempt int) error {
	if !r.e.running.enter() {
		return nil
	}
	defer r.e.running.leave()
	if r.slots != nil {
		select {
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		case <-r.e.running.draining:
			return nil
		case <-ctx.Done():
			return nil // the row still waits; the reconciler enqueues it again
		}
	}
	a, err := r.e.take(ctx, uuid, attempt)
	if err != nil {
		return fmt.Errorf("take job %s, attempt %d: %w", uuid, attempt, err)
	}
	if a != nil {
		r.e.work(context.WithoutCancel(ctx), a)
	}
	return nil
}
