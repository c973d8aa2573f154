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

// Engine is what answers doorbells.
type Engine interface {
	// Handle runs the attempt that a doorbell names, if it is still to be run. An error asks for another delivery.
	Handle(ctx context.Context, uuid string, attempt int) error
	// Drain takes no more, lets what runs finish until ctx ends, then has it handed back.
	Drain(ctx context.Context) error
}

// Options are what a Server is made of. Redis and Engine are required.
type Options struct {
	Redis  redis.UniversalClient
	Engine Engine
	Queue  string // default DefaultQueue
	// Concurrency is how many doorbells are answered at once; default 4.
	Concurrency int
	// TaskCheckInterval is how often an idle server looks for doorbells, and so most of the wait of a job on an idle
	// worker; default 15 ms. The in-process Redis deserves 100 ms.
	TaskCheckInterval time.Duration
	// RetryDelay is about how long a doorbell waits that could not be answered because the database was away; default
	// 1 s, which is also how often asynq looks for such.
	RetryDelay time.Duration
	// DrainTimeout is how long running jobs may finish once Run's context ends, before they are handed back; default
	// 20 s.
	DrainTimeout time.Duration
	// ShutdownTimeout is how long asynq waits for handlers after that; default 2 s.
	ShutdownTimeout time.Duration
	Logger          *slog.Logger // default slog.Default()
}

// Server takes doorbells from the queue and has the engine answer them.
type Server struct {
	o       Options
	running atomic.Bool
}

// NewServer makes a server. It starts nothing; Run does.
func NewServer(o Options) (*Server, error) {
	o.Queue = cmp.Or(o.Queue, DefaultQueue)
	o.Concurrency = cmp.Or(o.Concurrency, 4)
	o.TaskCheckInterval = cmp.Or(o.TaskCheckInterval, 15*time.Millisecond)
	o.RetryDelay = cmp.Or(o.RetryDelay, time.Second)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, 20*time.Second)
	o.ShutdownTimeout = cmp.Or(o.ShutdownTimeout, 2*time.Second)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	var problems []error
	if o.Redis == nil || o.Engine == nil {
		problems = append(problems, errors.New("options Redis and Engine are required"))
	}
	if o.Concurrency < 0 {
		problems = append(problems, fmt.Errorf("option Concurrency is %d, want 1 or more", o.Concurrency))
	}
	if strings.TrimSpace(o.Queue) == "" {
		// asynq would pass over it and serve its default queue.
		problems = append(problems, fmt.Errorf("queue name %q is blank", o.Queue))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("job server: %w", err)
	}
	return &Server{o: o}, nil
}

// Run answers doorbells until ctx ends; then it takes no more, drains the engine, and returns when asynq has stopped.
// A Redis that can't be reached, now or later, is no error: the server keeps trying. It runs once.
func (s *Server) Run(ctx context.Context) error {
	if s.running.Swap(true) {
		return errors.New("job server: Run called twice")
	}
	srv := asynq.NewServerFromRedisClient(s.o.Redis, asynq.Config{
		Concurrency:              s.o.Concurrency,
		Queues:                   map[string]int{s.o.Queue: 1},
		TaskCheckInterval:        s.o.TaskCheckInterval,
		DelayedTaskCheckInterval: s.o.RetryDelay,
		RetryDelayFunc:           s.retryDelay,
		// Nothing uses up a retry: a doorbell is repeated until it has been answered, and the row knows the rest.
		IsFailure:       func(error) bool { return false },
		ShutdownTimeout: s.o.ShutdownTimeout,
		Logger:          asynqLogger{s.o.Logger},
		LogLevel:        asynq.InfoLevel,
	})
	if err := srv.Start(asynq.HandlerFunc(s.handle)); err != nil {
		return fmt.Errorf("job server: %w", err)
	}
	<-ctx.Done()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		srv.Stop() // waits for the poll under way, which a stalled Redis holds up
	}()
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.DrainTimeout)
	defer cancel()
	select {
	case <-stopped:
	case <-time.After(time.Second):
	}
	err := s.o.Engine.Drain(bound)
	<-stopped
	srv.Shutdown()
	return err
}

// handle answers one doorbell. What can't be read is dropped: no delivery will mend it, and a row without a doorbell
// gets a new one.
func (s *Server) handle(ctx context.Context, t *asynq.Task) error {
	d, err := parseTask(t)
	if err != nil {
		s.o.Logger.Error("task dropped", "type", t.Type(), "error", err)
		return nil
	}
	if err := s.o.Engine.Handle(ctx, d.UUID, d.Attempt); err != nil {
		s.o.Logger.Warn("doorbell not answered; it will be delivered again", "job", d.UUID, "attempt", d.Attempt, "error", err)
		return err
	}
	return nil
}

// retryDelay is 0 for a task whose worker is gone, and RetryDelay, give or take a half, for one that found no database.
func (s *Server) retryDelay(_ int, err error, _ *asynq.Task) time.Duration {
	if errors.Is(err, asynq.ErrLeaseExpired) {
		return 0
	}
	return s.o.RetryDelay/2 + rand.N(s.o.RetryDelay)
}
