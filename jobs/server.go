package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// Engine is what answers tasks; *job.Runner is one.
type Engine interface {
	// Handle runs the attempt that a task names, if it is still to be run. An error asks for
	// another delivery.
	Handle(ctx context.Context, uuid string, attempt int) error
	// Drain takes no more, lets what runs finish until ctx ends, then has it released.
	Drain(ctx context.Context) error
}

// Options are what a Server is made of. Redis and Engine are required.
type Options struct {
	Redis  redis.UniversalClient
	Engine Engine
	Queue  string // default DefaultQueue
	// Concurrency is how many tasks are answered at once; default 4.
	Concurrency int
	// TaskCheckInterval is the time between an idle server's polls, and so most of the wait of a
	// job on an idle worker; default 15 ms. The in-process Redis deserves 100 ms.
	TaskCheckInterval time.Duration
	// RetryDelay is about how long a task waits that could not be answered because the database was
	// away; default 1 s, which is also how often asynq polls for such tasks.
	RetryDelay time.Duration
	// DrainTimeout is how long running jobs may finish once Run's context ends, before they are
	// released; default 20 s.
	DrainTimeout time.Duration
	// ShutdownTimeout is how long asynq waits for handlers after that; default 2 s.
	ShutdownTimeout time.Duration
	Logger          *slog.Logger // default slog.Default()
}

// Server takes tasks from the queue and has the engine answer them.
type Server struct {
	opts    Options
	running atomic.Bool
}

// NewServer makes a server. It starts nothing; Run does.
func NewServer(opts Options) (*Server, error) {
	opts.Queue = cmp.Or(opts.Queue, DefaultQueue)
	opts.Concurrency = cmp.Or(opts.Concurrency, 4)
	opts.TaskCheckInterval = cmp.Or(opts.TaskCheckInterval, 15*time.Millisecond)
	opts.RetryDelay = cmp.Or(opts.RetryDelay, time.Second)
	opts.DrainTimeout = cmp.Or(opts.DrainTimeout, 20*time.Second)
	opts.ShutdownTimeout = cmp.Or(opts.ShutdownTimeout, 2*time.Second)
	opts.Logger = cmp.Or(opts.Logger, slog.Default())
	var problems []error
	if opts.Redis == nil || opts.Engine == nil {
		problems = append(problems, errors.New("options Redis and Engine are required"))
	}
	if opts.Concurrency < 0 {
		problems = append(problems, fmt.Errorf("option Concurrency: want 1 or more, got %d", opts.Concurrency))
	}
	if strings.TrimSpace(opts.Queue) == "" {
		// asynq would ignore it and serve its default queue.
		problems = append(problems, fmt.Errorf("option Queue: want a name, got %q", opts.Queue))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("job server: %w", err)
	}
	return &Server{opts: opts}, nil
}

// Run answers tasks until ctx ends; then it takes no more, drains the engine, and returns when
// asynq has stopped. A Redis that can't be reached, now or later, is no error: the server keeps
// trying. It runs once.
func (s *Server) Run(ctx context.Context) error {
	if s.running.Swap(true) {
		return errors.New("job server: Run called twice")
	}
	srv := asynq.NewServerFromRedisClient(s.opts.Redis, asynq.Config{
		Concurrency:              s.opts.Concurrency,
		Queues:                   map[string]int{s.opts.Queue: 1},
		TaskCheckInterval:        s.opts.TaskCheckInterval,
		DelayedTaskCheckInterval: s.opts.RetryDelay,
		RetryDelayFunc:           s.retryDelay,
		// Nothing uses up a retry: a task is repeated until it has been answered, and the row knows
		// the rest.
		IsFailure:       func(error) bool { return false },
		ShutdownTimeout: s.opts.ShutdownTimeout,
		Logger:          asynqLogger{s.opts.Logger},
		LogLevel:        asynq.InfoLevel,
	})
	if err := srv.Start(asynq.HandlerFunc(s.handle)); err != nil {
		return fmt.Errorf("job server: %w", err)
	}
	<-ctx.Done()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		srv.Stop() // waits for the poll under way, which a stalled Redis delays
	}()
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.DrainTimeout)
	defer cancel()
	select {
	case <-stopped:
	case <-time.After(time.Second):
		// A stalled Redis must not use up the time that running jobs have to finish.
	}
	err := s.opts.Engine.Drain(bound)
	<-stopped
	srv.Shutdown()
	return err
}

// handle answers one task. One that can't be read is dropped: no delivery will mend it, and a row
// without a task gets a new one.
func (s *Server) handle(ctx context.Context, t *asynq.Task) error {
	p, err := parseTask(t)
	if err != nil {
		s.opts.Logger.Error("task dropped", "type", t.Type(), "error", err)
		return nil
	}
	if err := s.opts.Engine.Handle(ctx, p.UUID, p.Attempt); err != nil {
		s.opts.Logger.Warn("task not answered; it will be delivered again",
			"job", p.UUID, "attempt", p.Attempt, "error", err)
		return err
	}
	return nil
}

// retryDelay is 0 for a task whose worker is gone, and RetryDelay, give or take a half, for one
// that found no database.
func (s *Server) retryDelay(_ int, err error, _ *asynq.Task) time.Duration {
	if errors.Is(err, asynq.ErrLeaseExpired) {
		return 0
	}
	return s.opts.RetryDelay/2 + rand.N(s.opts.RetryDelay)
}
