package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hibiken/asynq"

	"exporthub/pkg/job"
)

// DefaultQueue is the asynq queue of doorbells.
const DefaultQueue = "jobs"

// TypeRun is the task type of doorbells.
const TypeRun = "job:run"

// TaskType is a sort of task in the queue.
type TaskType struct {
	Name    string
	Payload string // its JSON, by example
	ID      string // its form
	// MaxRetry is at least 1: asynq archives a task without retries when its worker crashes, and what is archived
	// never runs.
	MaxRetry int
	// Timeout is how long asynq lets a handler run. It is explicit, since none means 30 minutes, and long, since the
	// row's lease is what ends an attempt.
	Timeout time.Duration
}

// TaskTypes is everything we put into the queue.
var TaskTypes = []TaskType{{
	Name:     TypeRun,
	Payload:  `{"uuid":"00000000-0000-4000-8000-000000000001","attempt":1}`,
	ID:       "<uuid>:<attempt>, rung anew <uuid>:<attempt>:<n>",
	MaxRetry: 1,
	Timeout:  24 * time.Hour,
}}

// doorbell is the payload of TypeRun.
type doorbell struct {
	UUID    string `json:"uuid"`
	Attempt int    `json:"attempt"`
}

// taskID names a ring. A doorbell that is rung anew is another task, since the first may be held by a dead worker.
func taskID(d job.Doorbell) string {
	id := d.UUID + ":" + strconv.Itoa(d.Attempt)
	if d.N > 0 {
		id += ":" + strconv.Itoa(d.N)
	}
	return id
}

func newTask(d job.Doorbell, queue string) (*asynq.Task, error) {
	payload, err := json.Marshal(doorbell{d.UUID, d.Attempt})
	if err != nil {
		return nil, fmt.Errorf("encode doorbell: %w", err)
	}
	t := TaskTypes[0]
	return asynq.NewTask(t.Name, payload, asynq.TaskID(taskID(d)), asynq.Queue(queue), asynq.MaxRetry(t.MaxRetry),
		asynq.Timeout(t.Timeout)), nil
}

func parseTask(t *asynq.Task) (doorbell, error) {
	var d doorbell
	if t.Type() != TypeRun {
		return d, fmt.Errorf("task type %q is unknown", t.Type())
	}
	if err := json.Unmarshal(t.Payload(), &d); err != nil {
		return d, fmt.Errorf("decode doorbell: %w", err)
	}
	if d.UUID == "" || d.Attempt < 1 {
		return d, errors.New("doorbell names no job or no attempt")
	}
	return d, nil
}
