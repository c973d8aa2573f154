package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"

	"exporthub/pkg/event"
)

// Why the context of a run is done: context.Cause returns one of these.
var (
	// ErrCancelled means that the job's cancellation was requested.
	ErrCancelled = errors.New("job: cancelled")
	// ErrReleased means that this process is ending and another shall take the job.
	ErrReleased = errors.New("job: released")
	// ErrLost means that the attempt is no longer this run's: nothing it does counts.
	ErrLost = errors.New("job: attempt lost")
)

// Engine accepts jobs and tells of them. It runs none: that is the Runner's, which it makes once
// every kind is registered.
type Engine struct {
	opts    Options
	store   *Store
	log     *slog.Logger
	out     *outbox
	waiters atomic.Int64

	mu     sync.RWMutex // guards what registration writes
	kinds  map[string]*kind
	sealed bool // Runner has been called: no kind can come in any more

	running *runs
}

// NewEngine makes an engine without kinds. It starts nothing.
func NewEngine(opts Options) (*Engine, error) {
	opts = opts.withDefaults()
	if err := opts.check(); err != nil {
		return nil, fmt.Errorf("job engine: %w", err)
	}
	e := &Engine{
		opts:    opts,
		store:   NewStore(opts.DB),
		log:     opts.Logger,
		kinds:   map[string]*kind{},
		running: newRuns(),
	}
	e.out = newOutbox(e)
	return e, nil
}

// Register adds kinds of jobs. It comes before Runner.
func (e *Engine) Register(kinds ...Kind) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sealed {
		return errors.New("job engine: kinds are registered before the runner is made")
	}
	for _, k := range kinds {
		if e.kinds[k.Name()] != nil {
			return fmt.Errorf("job engine: kind %s is registered twice", k.Name())
		}
		e.kinds[k.Name()] = k.kind()
	}
	return nil
}

// Runner ends the registration and returns what runs jobs. It refuses when a kind of the given
// names is missing, or one is registered that they don't hold: a worker that lacks a kind would
// leave its jobs waiting, and nothing would say so.
func (e *Engine) Runner(names ...string) (*Runner, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.sealed {
		return nil, errors.New("job engine: the runner is made once")
	}
	expected := map[string]bool{}
	var problems []error
	for _, name := range names {
		expected[name] = true
		if e.kinds[name] == nil {
			problems = append(problems, fmt.Errorf("kind %s is not registered", name))
		}
	}
	for name := range e.kinds {
		if !expected[name] {
			problems = append(problems,
				fmt.Errorf("kind %s is registered, but not among %s", name, strings.Join(names, ", ")))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("job engine: %w", err)
	}
	e.sealed = true
	return newRunner(e), nil
}

// kindOf returns the kind of that name, nil when it is not registered here: a row that a newer or
// an older release wrote.
func (e *Engine) kindOf(name string) *kind {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.kinds[name]
}

// Store returns the jobs for reading.
func (e *Engine) Store() *Store { return e.store }

// Event renders the job's current state; it equals the last published event. It reports false for
// a kind that is not registered, or whose Render panics or returns what JSON can't hold.
func (e *Engine) Event(j Job) (ev event.Event, ok bool) {
	kind := e.kindOf(j.Kind)
	if kind == nil {
		e.log.Error("job of a kind unknown here", "job", j.UUID, "kind", j.Kind)
		return event.Event{}, false
	}
	ev = event.Event{Key: j.UUID, Seq: j.Seq(), Final: j.State.Ended()}
	err := guard(func() (err error) {
		var data any
		if data, ev.Streams = kind.render(j); len(ev.Streams) == 0 {
			return nil
		}
		ev.Data, err = json.Marshal(data)
		return err
	})
	if err != nil {
		e.log.Error("job can't be rendered", "job", j.UUID, "kind", j.Kind, "error", err)
		return event.Event{}, false
	}
	return ev, true
}

// publish puts the event of the job's current state into the outbox, with the task that follows it.
func (e *Engine) publish(j Job, m message) {
	m.event, _ = e.Event(j) // a task has to leave even where there is no event
	m.event.Key = j.UUID
	e.out.put(m)
}

// panicError is a panic in a kind's code, kept from ending the process.
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
