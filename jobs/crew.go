package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"exporthub/pkg/job"
)

// healthKey is what CheckWrite writes. It is one for all processes, so that Redis keeps one and
// not one a process.
const healthKey = "exporthub:health"

// CheckWrite reports whether Redis takes writes, which tasks are. One that is out of memory, a
// replica, or unable to save its snapshot answers PING and refuses this.
func (q *Queue) CheckWrite(ctx context.Context) error {
	return q.redis.Set(ctx, healthKey, 1, time.Minute).Err()
}

// crew is what was last known of a queue's workers.
type crew struct {
	mu      sync.Mutex
	asked   time.Time
	seen    time.Time // when there were some last
	workers job.Workers
	err     error
}

const (
	// crewKept is how long an answer serves further calls. Workers report every 5 s, so that asking
	// more often would bring nothing new.
	crewKept = 2 * time.Second
	// crewAsked bounds the question: records of waiting jobs are answered while Redis stalls.
	crewAsked = 2 * time.Second
	// crewSeen is how long ago workers may have been seen for their absence to be new.
	crewSeen = time.Minute
)

// Workers returns who takes tasks from this queue. A killed process counts until asynq misses its
// report, for 10 s. The error is ErrQueueReadOnly when Redis answers and takes no writes.
func (q *Queue) Workers(ctx context.Context) (job.Workers, error) {
	c := &q.crew
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.asked.IsZero() && time.Since(c.asked) < crewKept {
		return c.workers, c.err
	}
	// The caller may leave; the answer serves others too.
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), crewAsked)
	defer cancel()
	workers, err := q.countWorkers(bound)
	now := time.Now()
	switch {
	case err != nil:
	case workers.Alive > 0:
		c.seen = now
	case !c.workers.GoneSince.IsZero():
		workers.GoneSince = c.workers.GoneSince
	case now.Sub(c.seen) < crewSeen:
		workers.GoneSince = now
	}
	c.workers, c.err, c.asked = workers, err, now
	return workers, err
}

// countWorkers asks Redis.
func (q *Queue) countWorkers(ctx context.Context) (job.Workers, error) {
	if err := q.CheckWrite(ctx); err != nil {
		var refusal redis.Error
		if errors.As(err, &refusal) {
			return job.Workers{}, fmt.Errorf("%w: %w", job.ErrQueueReadOnly, err)
		}
		return job.Workers{}, fmt.Errorf("write to the queue: %w", err)
	}
	type answer struct {
		servers []*asynq.ServerInfo
		err     error
	}
	got := make(chan answer, 1)
	// asynq's inspector takes no context. The client's timeouts end what is given up here.
	go func() {
		servers, err := q.inspect.Servers()
		got <- answer{servers, err}
	}()
	select {
	case <-ctx.Done():
		return job.Workers{}, fmt.Errorf("ask for the queue's workers: %w", ctx.Err())
	case a := <-got:
		if a.err != nil {
			return job.Workers{}, fmt.Errorf("ask for the queue's workers: %w", a.err)
		}
		return q.sum(a.servers), nil
	}
}

// sum counts the servers that take this queue's tasks. One that drains takes none any more.
func (q *Queue) sum(servers []*asynq.ServerInfo) (w job.Workers) {
	for _, s := range servers {
		if _, ok := s.Queues[q.name]; !ok || s.Status != "active" {
			continue
		}
		w.Alive++
		w.Slots += s.Concurrency
		w.Busy += len(s.ActiveWorkers)
	}
	return w
}
