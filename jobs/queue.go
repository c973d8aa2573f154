package jobs

import (
	"context"
	"errors"
	"fmt"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"exporthub/pkg/job"
)

// Queue brings tasks to workers through a queue of asynq's in Redis.
type Queue struct {
	redis   redis.UniversalClient
	inspect *asynq.Inspector
	name    string
	crew    crew
}

var _ job.Queue = (*Queue)(nil)

// NewQueue returns the queue of that name. The client is the caller's to close.
func NewQueue(client redis.UniversalClient, name string) *Queue {
	return &Queue{
		redis:   client,
		inspect: asynq.NewInspectorFromRedisClient(client),
		name:    name,
	}
}

// Enqueue puts the task into the queue. One that is there already, pending or taken, is left alone;
// one that asynq has archived is replaced, since archived tasks never run.
func (q *Queue) Enqueue(ctx context.Context, t job.Task) error {
	err := q.enqueue(ctx, t)
	if !errors.Is(err, asynq.ErrTaskIDConflict) {
		return err
	}
	if state, err := q.state(t); err != nil || state != job.TaskAbsent {
		return err
	}
	if err := q.inspect.DeleteTask(q.name, taskID(t)); err != nil && !isGone(err) {
		return fmt.Errorf("replace the task of job %s: %w", t.UUID, err)
	}
	if err := q.enqueue(ctx, t); !errors.Is(err, asynq.ErrTaskIDConflict) {
		return err
	}
	return nil // another process was faster
}

func (q *Queue) enqueue(ctx context.Context, t job.Task) error {
	task, err := newTask(t, q.name)
	if err != nil {
		return err
	}
	// A client for each call: a client registers its queue once and never again, so that after
	// Redis has been emptied a queue used by an old client stays unknown to inspectors
	// (hibiken/asynq#1036).
	if _, err := asynq.NewClientFromRedisClient(q.redis).EnqueueContext(ctx, task); err != nil {
		return fmt.Errorf("enqueue a task for job %s: %w", t.UUID, err)
	}
	return nil
}

// State returns where the task is. asynq's inspector takes no context: the client's timeouts bound
// the call.
func (q *Queue) State(ctx context.Context, t job.Task) (job.TaskState, error) {
	if err := ctx.Err(); err != nil {
		return job.TaskAbsent, err
	}
	return q.state(t)
}

func (q *Queue) state(t job.Task) (job.TaskState, error) {
	info, err := q.inspect.GetTaskInfo(q.name, taskID(t))
	if isGone(err) {
		return job.TaskAbsent, nil
	}
	if err != nil {
		return job.TaskAbsent, fmt.Errorf("ask for the task of job %s: %w", t.UUID, err)
	}
	switch info.State {
	case asynq.TaskStateActive:
		return job.TaskTaken, nil
	case asynq.TaskStateArchived, asynq.TaskStateCompleted:
		return job.TaskAbsent, nil // no worker will be given it
	}
	// Scheduled and retried tasks count as pending: asynq brings them back by itself.
	return job.TaskPending, nil
}

func isGone(err error) bool {
	return errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound)
}
