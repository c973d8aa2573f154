package job

import (
	"context"
	"sync"
)

// runs are the attempts under way in this process, and whether more may begin.
type runs struct {
	mu       sync.Mutex
	all      map[*attempt]struct{}
	inside   int           // calls of Handle that may still take or run a job
	draining chan struct{} // closed when no more are taken
	drained  bool          // draining is closed
	released bool          // running attempts have been asked to release their jobs
	idle     chan struct{} // closed and replaced when inside falls to 0
}

func newRuns() *runs {
	return &runs{
		all:      map[*attempt]struct{}{},
		draining: make(chan struct{}),
		idle:     make(chan struct{}),
	}
}

// enter admits a call of Handle unless the process drains.
func (r *runs) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.drained {
		return false
	}
	r.inside++
	return true
}

func (r *runs) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inside--; r.inside == 0 {
		close(r.idle)
		r.idle = make(chan struct{})
	}
}

// add counts an attempt in. One that was taken while the process was already releasing its jobs is
// asked to release its own at once.
func (r *runs) add(a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all[a] = struct{}{}
	if r.released {
		a.cancel(ErrReleased)
	}
}

func (r *runs) remove(a *attempt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, a)
}

// drain takes no more from now on. It may be called again.
func (r *runs) drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.drained {
		r.drained = true
		close(r.draining)
	}
}

// release asks every attempt to release its job.
func (r *runs) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.released = true
	for a := range r.all {
		a.cancel(ErrReleased)
	}
}

// cancel spares an attempt of this process the wait for its heartbeat.
func (r *runs) cancel(j Job) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for a := range r.all {
		if have := a.current(); have.UUID == j.UUID && have.Attempt == j.Attempt {
			a.cancel(ErrCancelled)
		}
	}
}

// waitIdle waits until no call of Handle is inside, and reports false when ctx ended first.
func (r *runs) waitIdle(ctx context.Context) bool {
	for {
		r.mu.Lock()
		inside, idle := r.inside, r.idle
		r.mu.Unlock()
		if inside == 0 {
			return true
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return false
		}
	}
}
