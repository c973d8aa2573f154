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

// DefaultQueue is the asynq queue of tasks.
const DefaultQueue = "jobs"

// TypeRun is the type of task that wakes a worker for a job.
const TypeRun = "job:run"

// TaskType is a type of task in the queue.
type TaskType struct {
	Name    string
	Payload string // its JSON, by example
	ID      string // its form
	// MaxRetry is at least 1: asynq archives a task without retries when its worker crashes, and
	// what is archived never runs.
	MaxRetry int
	// Timeout is how long asynq lets a handler run. It is explicit, since none means 30 minutes,
	// and long, since the row's lease is what ends an attempt.
	Timeout time.Duration
}

// TaskTypes is everything we put into the queue.
var TaskTypes = []TaskType{{
	Name:     TypeRun,
	Payload:  `{"uuid":"00000000-0000-4000-8000-000000000001","attempt":1}`,
	ID:       "<uuid>:<attempt>, another one <uuid>:<attempt>:<n>",
	MaxRetry: 1,
	Timeout:  24 * time.Hour,
}}

// runPayload is the payload of TypeRun. Its keys are read by the workers of other releases.
type runPayload struct {
	UUID    string `json:"uuid"`
	Attempt int    `json:"attempt"`
}

// taskID names a task. The second task of an attempt has another name, since the first may be held
// by a dead worker, and asynq keeps a name until its task has ended.
func taskID(t job.Task) string {
	id := t.UUID + ":" + strconv.Itoa(t.Attempt)
	if t.N > 0 {
		id += ":" + strconv.Itoa(t.N)
	}
	return id
}

func newTask(t job.Task, queue string) (*asynq.Task, error) {
	payload, err := json.Marshal(runPayload{UUID: t.UUID, Attempt: t.Attempt})
	if err != nil {
		return nil, fmt.Errorf("encode task: %w", err)
	}
	kind := TaskTypes[0]
	return asynq.NewTask(kind.Name, payload, asynq.TaskID(taskID(t)), asynq.Queue(queue), asynq.MaxRetry(kind.MaxRetry),
		asynq.Timeout(kind.Timeout)), nil
}

func parseTask(t *asynq.Task) (runPayload, error) {
	var p runPayload
	if t.Type() != TypeRun {
		return p, fmt.Errorf("task type %q is unknown", t.Type())
	}
	if err := json.Unmarshal(t.Payload(), &p); err != nil {
		return p, fmt.Errorf("decode task: %w", err)
	}
	if p.UUID == "" || p.Attempt < 1 {
		return p, errors.New("the task names no job or no attempt")
	}
	return p, nil
}
