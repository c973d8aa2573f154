package job

import (
	"context"
	"errors"
	"time"
)

// Task is the delivery of a queued row to a worker. It says which job and which attempt, and
// nothing else. N tells apart the tasks of one attempt, where one was lost with its worker.
type Task struct {
	UUID    string
	Attempt int
	N       int
}

// TaskState is where a task is.
type TaskState uint8

// The states of a task.
const (
	TaskAbsent  TaskState = iota // the queue does not know it
	TaskPending                  // no worker has taken it yet
	TaskTaken                    // a worker has it, or has had it
)

// Queue brings tasks to workers. The rows are the truth: a queue may lose tasks or deliver them
// twice.
type Queue interface {
	// Enqueue puts a task into the queue. One that is there already is no error.
	Enqueue(ctx context.Context, t Task) error
	// State returns where a task is.
	State(ctx context.Context, t Task) (TaskState, error)
}

// ErrQueueReadOnly is the error of a queue that answers and takes no tasks.
var ErrQueueReadOnly = errors.New("the queue answers and takes no writes")

// Workers is who takes tasks from a queue, as they have said within the last seconds.
type Workers struct {
	Alive int // processes that take tasks
	Slots int // tasks that they answer at once
	Busy  int // tasks that they are answering
	// GoneSince is when the last process was found to be gone. It is zero while there are some, and
	// when nobody asked while there were.
	GoneSince time.Time
}
