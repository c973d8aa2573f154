package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"exporthub/pkg/job"
)

// Bell rings doorbells through a queue in Redis.
type Bell struct {
	redis   redis.UniversalClient
	inspect *asynq.Inspector
	queue   string
}

var _ job.Bell = (*Bell)(nil)

// NewBell returns the bell of a queue. The client is the caller's to close.
func NewBell(client redis.UniversalClient, queue string) *Bell {
	return &Bell{redis: client, inspect: asynq.NewInspectorFromRedisClient(client), queue: queue}
}

// Ring puts the doorbell into the queue. One that is there already, waiting or taken, is left as it is; one that asynq
// has put aside for good is rung anew.
func (b *Bell) Ring(ctx context.Context, d job.Doorbell) error {
	err := b.enqueue(ctx, d)
	if !errors.Is(err, asynq.ErrTaskIDConflict) {
		return err
	}
	if state, err := b.state(d); err != nil || state != job.BellAbsent {
		return err
	}
	if err := b.inspect.DeleteTask(b.queue, taskID(d)); err != nil && !isGone(err) {
		return fmt.Errorf("ring anew for job %s: %w", d.UUID, err)
	}
	if err := b.enqueue(ctx, d); !errors.Is(err, asynq.ErrTaskIDConflict) {
		return err
	}
	return nil // somebody else rang in between
}

func (b *Bell) enqueue(ctx context.Context, d job.Doorbell) error {
	task, err := newTask(d, b.queue)
	if err != nil {
		return err
	}
	// A client of its own for each ring: a client registers its queue once and never again, so that after Redis has
	// been emptied a queue rung by an old client stays unknown to inspectors (hibiken/asynq#1036).
	if _, err := asynq.NewClientFromRedisClient(b.redis).EnqueueContext(ctx, task); err != nil {
		return fmt.Errorf("ring for job %s: %w", d.UUID, err)
	}
	return nil
}

// State tells where the doorbell is. asynq's inspector takes no context: the client's timeouts bound the call.
func (b *Bell) State(ctx context.Context, d job.Doorbell) (job.BellState, error) {
	if err := ctx.Err(); err != nil {
		return job.BellAbsent, err
	}
	return b.state(d)
}

func (b *Bell) state(d job.Doorbell) (job.BellState, error) {
	info, err := b.inspect.GetTaskInfo(b.queue, taskID(d))
	if isGone(err) {
		return job.BellAbsent, nil
	}
	if err != nil {
		return job.BellAbsent, fmt.Errorf("look for the doorbell of job %s: %w", d.UUID, err)
	}
	switch info.State {
	case asynq.TaskStateActive:
		return job.BellTaken, nil
	case asynq.TaskStateArchived, asynq.TaskStateCompleted:
		return job.BellAbsent, nil // nobody will be given it
	}
	return job.BellWaiting, nil
}

func isGone(err error) bool {
	return errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound)
}
