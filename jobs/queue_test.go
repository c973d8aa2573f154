package jobs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"exporthub/pkg/job"
	"exporthub/pkg/testkit"
)

const someUUID = "00000000-0000-4000-8000-000000000001"

func TestGoldenTaskTypes(t *testing.T) {
	var b strings.Builder
	for _, tt := range TaskTypes {
		fmt.Fprintf(&b, "%s\n  payload  %s\n  id       %s\n  retries  %d\n  timeout  %s\n", tt.Name, tt.Payload, tt.ID, tt.MaxRetry, tt.Timeout)
		task := asynq.NewTask(tt.Name, []byte(tt.Payload))
		if d, err := parseTask(task); err != nil || d != (runPayload{someUUID, 1}) {
			t.Errorf("the example of %s reads as %+v, %v", tt.Name, d, err)
		}
		if tt.MaxRetry < 1 || tt.Timeout < 1 {
			t.Errorf("%s has no retry or no timeout", tt.Name)
		}
	}
	testkit.Golden(t, "testdata/tasks.golden", b.String())
}

func TestParseTaskRefuses(t *testing.T) {
	for name, task := range map[string]*asynq.Task{
		"another type": asynq.NewTask("job:walk", []byte(`{"uuid":"x","attempt":1}`)),
		"no JSON":      asynq.NewTask(TypeRun, []byte("x")),
		"no payload":   asynq.NewTask(TypeRun, nil),
		"no job":       asynq.NewTask(TypeRun, []byte(`{"attempt":1}`)),
		"no attempt":   asynq.NewTask(TypeRun, []byte(`{"uuid":"x"}`)),
	} {
		if _, err := parseTask(task); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestQueue(t *testing.T) {
	redises(t, func(t *testing.T, client redis.UniversalClient) {
		queue := NewQueue(client, DefaultQueue)
		inspect := asynq.NewInspectorFromRedisClient(client)
		state := func(d job.Task, want job.TaskState) {
			t.Helper()
			if got, err := queue.State(t.Context(), d); err != nil || got != want {
				t.Errorf("State(%v) = %v, %v; want %v", d, got, err, want)
			}
		}
		enqueue := func(d job.Task) {
			t.Helper()
			if err := queue.Enqueue(t.Context(), d); err != nil {
				t.Errorf("Enqueue(%v): %v", d, err)
			}
		}
		pending := func(want int) {
			t.Helper()
			if info, err := inspect.GetQueueInfo(DefaultQueue); err != nil || info.Pending != want {
				t.Errorf("queue: %+v, %v; want %d pending", info, err, want)
			}
		}
		first, anew := job.Task{UUID: someUUID, Attempt: 1}, job.Task{UUID: someUUID, Attempt: 1, N: 1}
		state(first, job.TaskAbsent)
		enqueue(first)
		state(first, job.TaskPending)
		enqueue(first)
		pending(1)
		state(anew, job.TaskAbsent)
		enqueue(anew)
		pending(2)

		info, err := inspect.GetTaskInfo(DefaultQueue, someUUID+":1")
		if err != nil || info.Type != TypeRun || info.MaxRetry != 1 || info.Timeout != TaskTypes[0].Timeout ||
			string(info.Payload) != `{"uuid":"`+someUUID+`","attempt":1}` || info.Retention != 0 {
			t.Errorf("the task: %+v, %v", info, err)
		}

		// What asynq has put aside is as good as gone, and is enqueued again.
		if err := inspect.ArchiveTask(DefaultQueue, someUUID+":1"); err != nil {
			t.Fatal(err)
		}
		state(first, job.TaskAbsent)
		enqueue(first)
		state(first, job.TaskPending)

		// An emptied Redis: the queue is known again after one task (hibiken/asynq#1036).
		if err := client.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		state(first, job.TaskAbsent)
		enqueue(first)
		state(first, job.TaskPending)
		pending(1)
		if queues, err := inspect.Queues(); err != nil || len(queues) != 1 {
			t.Errorf("queues: %v, %v", queues, err)
		}
	})
}

func TestQueueReportsARedisThatIsAway(t *testing.T) {
	queue := NewQueue(connect(t, "redis://127.0.0.1:1"), DefaultQueue)
	d := job.Task{UUID: someUUID, Attempt: 1}
	if err := queue.Enqueue(t.Context(), d); err == nil {
		t.Error("Enqueue without a Redis = nil")
	}
	if _, err := queue.State(t.Context(), d); err == nil {
		t.Error("State without a Redis = nil")
	}
}
