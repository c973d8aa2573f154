package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Why the context of a Run is done: context.Cause returns one of these.
var (
	// ErrCancelled means somebody asked for the job to be cancelled.
	ErrCancelled = errors.New("job: cancelled")
	// ErrHandBack means this process is ending and another shall take the job.
	ErrHandBack = errors.New("job: handed back")
	// ErrLost means the attempt is no longer this run's: nothing it does counts.
	ErrLost = errors.New("job: attempt lost")
)

// Engine runs jobs: it accepts them, runs the attempts whose doorbells it is given, keeps their leases and, when it
// leads, looks after everybody's.
type Engine struct {
	o       Options
	kinds   map[string]*Kind
	store   *Store
	log     *slog.Logger
	out     *outbox
	slots   chan struct{} // nil without a bound
	waiters atomic.Int64
	running atomic.Bool // Run has begun

	mu       sync.Mutex
	runs     map[*Run]struct{}
	inside   int           // calls of Handle that may still take or run a job
	draining chan struct{} // closed when nothing new is taken
	drained  bool          // draining is closed
	handBack bool          // running jobs have been told to hand back
	idle     chan struct{} // closed and replaced when inside falls to 0
}

// NewEngine makes an engine. It starts nothing; Run does.
func NewEngine(o Options) (*Engine, error) {
	o = o.withDefaults()
	kinds, err := o.check()
	if err != nil {
		return nil, fmt.Errorf("job engine: %w", err)
	}
	e := &Engine{
		o: o, kinds: kinds, store: NewStore(o.DB), log: o.Logger, runs: map[*Run]struct{}{},
		draining: make(chan struct{}), idle: make(chan struct{}),
	}
	if o.Concurrency > 0 {
		e.slots = make(chan struct{}, o.Concurrency)
	}
	e.out = newOutbox(e)
	return e, nil
}

// Store returns the jobs for reading.
func (e *Engine) Store() *Store { return e.store }

// Event tells a job as it stands, the way its latest event told it. It reports false for a kind this engine does not
// know, or whose Render panics.
func (e *Engine) Event(j Job) (event Event, ok bool) {
	kind := e.kinds[j.Kind]
	if kind == nil {
		e.log.Error("job of a kind unknown here", "job", j.UUID, "kind", j.Kind)
		return Event{}, false
	}
	event = Event{Key: j.UUID, Seq: j.Seq(), Final: j.State.Ended()}
	err := guard(func() error {
		event.Data, event.Streams = kind.Render(j)
		return nil
	})
	if err != nil {
		e.log.Error("job can't be told", "job", j.UUID, "kind", j.Kind, "error", err)
		return Event{}, false
	}
	return event, true
}

// tell puts the event of a job as it stands into the outbox, and the doorbell after it.
func (e *Engine) tell(j Job, p parcel) {
	p.event, _ = e.Event(j) // without it the doorbell still counts
	p.event.Key = j.UUID
	e.out.put(p)
}

// Run delivers events and doorbells, reconciles, and waits. When ctx ends it stops reconciling, drains within
// DrainTimeout, delivers what is left and returns once everything it and Handle started has ended. It runs once; every
// process that accepts or runs jobs needs it.
func (e *Engine) Run(ctx context.Context) error {
	if e.running.Swap(true) {
		return errors.New("job engine: Run called twice")
	}
	var out, loops sync.WaitGroup
	stop := make(chan struct{})
	e.out.start(&out, stop)
	r := newReconciler(e)
	loops.Go(func() { r.lead(ctx) })
	loops.Go(func() { r.ring(ctx) })
	<-ctx.Done()
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.o.DrainTimeout)
	defer cancel()
	err := e.Drain(bound)
	loops.Wait()
	close(stop)
	out.Wait()
	return err
}

// Drain takes no more jobs, lets the running ones finish until ctx ends, then tells them to hand back and waits
// HandBackWait for them. It may be called more than once and side by side; the engine stays drained. A run that did not
// stop is an error: its job goes to another worker when its lease ends.
func (e *Engine) Drain(ctx context.Context) error {
	e.mu.Lock()
	if !e.drained {
		e.drained = true
		close(e.draining)
	}
	e.mu.Unlock()
	if e.waitIdle(ctx) {
		return nil
	}
	e.mu.Lock()
	e.handBack = true
	for r := range e.runs {
		r.cancel(ErrHandBack)
	}
	e.mu.Unlock()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.o.HandBackWait)
	defer cancel()
	if e.waitIdle(grace) {
		return nil
	}
	return fmt.Errorf("job engine: not every running job handed back within %s", e.o.HandBackWait)
}

// waitIdle waits until no call of Handle is inside, and reports false when ctx ended first.
func (e *Engine) waitIdle(ctx context.Context) bool {
	for {
		e.mu.Lock()
		inside, idle := e.inside, e.idle
		e.mu.Unlock()
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

// enter admits a call of Handle unless the engine drains.
func (e *Engine) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.drained {
		return false
	}
	e.inside++
	return true
}

func (e *Engine) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.inside--; e.inside == 0 {
		close(e.idle)
		e.idle = make(chan struct{})
	}
}

// panicError is a panic in what others gave us, kept from ending the process.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", p.value, p.stack) }

// guard turns a panic of fn into an error.
func guard(fn func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value, debug.Stack()}
		}
	}()
	return fn()
}

// encode is how payloads and details are stored. nil is none.
func encode(what string, v any) (json.RawMessage, error) {
	if v == nil {
		return nil, nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", what, err)
	}
	return raw, nil
}
