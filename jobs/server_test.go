package jobs

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/job"
	"exporthub/pkg/testkit"
)

func succeed(ctx context.Context, r *testRun) (none, error) {
	for i, s := range []job.Stage{"start", "writing_file", "before_upload"} {
		if err := r.Advance(ctx, s, 10*i, none{}); err != nil {
			return none{}, err
		}
	}
	return none{}, nil
}

func TestJobRunsThroughTheQueue(t *testing.T) {
	pass := func(t *testing.T, db *database.DB, client redis.UniversalClient) {
		p := newParts(t, db, client, succeed)
		p.serve()
		j := p.accept()
		p.await(j.UUID, job.StateSuccess)
		want := []string{"queued", "starting", "start", "writing_file", "before_upload", "success"}
		testkit.Eventually(t, 5*time.Second, func() bool { return slices.Equal(p.bus.of(j.UUID), want) },
			"%v, got %v", want, lazy(func() string { return fmt.Sprint(p.bus.of(j.UUID)) }))
		testkit.Eventually(t, 5*time.Second, func() bool {
			state, err := NewQueue(client, DefaultQueue).State(t.Context(), job.Task{UUID: j.UUID, Attempt: 1})
			return err == nil && state == job.TaskAbsent
		}, "no trace of the task")
	}
	t.Run("SQLite", func(t *testing.T) {
		redises(t, func(t *testing.T, client redis.UniversalClient) { pass(t, dbtest.SQLite(t, job.Migrations), client) })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		redises(t, func(t *testing.T, client redis.UniversalClient) { pass(t, dbtest.Postgres(t, job.Migrations), client) })
	})
}

// lazy is formatted when it is needed.
type lazy func() string

func (l lazy) String() string { return l() }

func TestEmptiedRedisLosesNothing(t *testing.T) {
	redises(t, func(t *testing.T, client redis.UniversalClient) {
		p := newParts(t, dbtest.SQLite(t, job.Migrations), client, succeed)
		var jobs []job.Job
		for range 20 {
			jobs = append(jobs, p.accept())
		}
		queue := NewQueue(client, DefaultQueue)
		last := job.Task{UUID: jobs[len(jobs)-1].UUID, Attempt: 1}
		waiting := func() bool {
			state, err := queue.State(t.Context(), last)
			return err == nil && state == job.TaskPending
		}
		testkit.Eventually(t, 5*time.Second, waiting)
		if err := client.FlushDB(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		testkit.Eventually(t, 5*time.Second, waiting, "the last task again")
		p.serve()
		for _, j := range jobs {
			if got := p.await(j.UUID, job.StateSuccess); got.Attempt != 1 {
				t.Errorf("attempt %d, want 1", got.Attempt)
			}
		}
	})
}

func TestRedisAwayAtEnqueue(t *testing.T) {
	server := testkit.OwnRedis(t)
	p := newParts(t, dbtest.Postgres(t, job.Migrations), connect(t, server.URL()), succeed)
	stop := p.serve()
	first := p.accept()
	p.await(first.UUID, job.StateSuccess)
	for name, away := range map[string]struct{ down, up func() }{
		"killed": {server.Kill, server.Restart},
		"frozen": {server.Freeze, server.Thaw},
	} {
		away.down()
		began := time.Now()
		j := p.accept()
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s: accepting took %s", name, took)
		}
		away.up()
		p.await(j.UUID, job.StateSuccess)
		testkit.Eventually(t, 5*time.Second, func() bool {
			told := p.bus.of(j.UUID)
			return len(told) > 0 && told[len(told)-1] == "success"
		})
	}
	stop()
}

// Redis is emptied under a running job: its task is gone, the job does not notice.
func TestRedisLostUnderARunningJob(t *testing.T) {
	server := testkit.OwnRedis(t)
	finish := make(chan struct{})
	var runs atomic.Int32
	p := newParts(t, dbtest.SQLite(t, job.Migrations), connect(t, server.URL()), func(ctx context.Context, r *testRun) (none, error) {
		runs.Add(1)
		<-finish
		return none{}, nil
	})
	p.serve()
	j := p.accept()
	p.await(j.UUID, job.StateRunning)
	server.Kill()
	server.Restart()
	next := p.accept()
	p.await(next.UUID, job.StateRunning)
	close(finish)
	p.await(j.UUID, job.StateSuccess)
	p.await(next.UUID, job.StateSuccess)
	if runs.Load() != 2 {
		t.Errorf("%d runs of two jobs", runs.Load())
	}
}

func TestServerStartsWithoutRedis(t *testing.T) {
	server := testkit.OwnRedis(t)
	server.Kill()
	p := newParts(t, dbtest.SQLite(t, job.Migrations), connect(t, server.URL()), succeed)
	p.serve()
	j := p.accept()
	server.Restart()
	p.await(j.UUID, job.StateSuccess)
}

func TestServerEndsWithoutRedis(t *testing.T) {
	server := testkit.OwnRedis(t)
	p := newParts(t, dbtest.SQLite(t, job.Migrations), connect(t, server.URL()), func(ctx context.Context, _ *testRun) (none, error) {
		<-ctx.Done()
		return none{}, ctx.Err()
	})
	s, err := NewServer(Options{Redis: p.client, Engine: p.runner, Logger: quiet, DrainTimeout: 50 * time.Millisecond, ShutdownTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, s.Run)
	j := p.accept()
	p.await(j.UUID, job.StateRunning)
	server.Kill()
	stop()
	if got := p.await(j.UUID, job.StateQueued); got.Attempt != 2 || got.Failures != 0 {
		t.Errorf("released: %+v", got)
	}
}

func TestTaskIsDeliveredAgainWhileTheDatabaseIsAway(t *testing.T) {
	redises(t, func(t *testing.T, client redis.UniversalClient) {
		engine := &fakeEngine{answers: []error{errAway, errAway, errAway}}
		s, err := NewServer(Options{Redis: client, Engine: engine, Logger: quiet, RetryDelay: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		stop := start(t, s.Run)
		if err := NewQueue(client, DefaultQueue).Enqueue(t.Context(), job.Task{UUID: someUUID, Attempt: 4}); err != nil {
			t.Fatal(err)
		}
		// More often than MaxRetry: what went wrong was not the task's.
		testkit.Eventually(t, 15*time.Second, func() bool { return engine.calls() == 4 })
		stop()
		for _, d := range engine.handled {
			if d != (runPayload{someUUID, 4}) {
				t.Errorf("handled %+v", d)
			}
		}
		if !engine.drained {
			t.Error("the engine was not drained")
		}
	})
}

func TestServerDropsWhatItCanNotRead(t *testing.T) {
	redises(t, func(t *testing.T, client redis.UniversalClient) {
		engine := &fakeEngine{}
		var log syncBuffer
		s, err := NewServer(Options{Redis: client, Engine: engine, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		stop := start(t, s.Run)
		queue := asynq.NewClientFromRedisClient(client)
		for _, task := range []*asynq.Task{asynq.NewTask("job:walk", nil), asynq.NewTask(TypeRun, []byte("x"))} {
			if _, err := queue.Enqueue(task, asynq.Queue(DefaultQueue)); err != nil {
				t.Fatal(err)
			}
		}
		testkit.Eventually(t, 10*time.Second, func() bool { return strings.Count(log.String(), "task dropped") == 2 })
		testkit.Eventually(t, 10*time.Second, func() bool {
			info, err := asynq.NewInspectorFromRedisClient(client).GetQueueInfo(DefaultQueue)
			return err == nil && info.Size == 0
		}, "an empty queue")
		stop()
		if engine.calls() != 0 {
			t.Errorf("handled %v", engine.handled)
		}
	})
}

func TestRunTwice(t *testing.T) {
	s, err := NewServer(Options{Redis: connect(t, testkit.Redis(t)), Engine: &fakeEngine{}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, s.Run)
	testkit.Eventually(t, 5*time.Second, s.running.Load)
	if err := s.Run(t.Context()); err == nil {
		t.Error("Run twice = nil")
	}
	stop()
}

func TestNewServerReportsEveryProblem(t *testing.T) {
	_, err := NewServer(Options{Queue: " ", Concurrency: -1})
	for _, want := range []string{"Redis and Engine", "Concurrency: want", "option Queue"} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q is not reported in: %v", want, err)
		}
	}
}

func TestRetryDelay(t *testing.T) {
	s, err := NewServer(Options{Redis: connect(t, "redis://127.0.0.1:1"), Engine: &fakeEngine{}})
	if err != nil {
		t.Fatal(err)
	}
	if d := s.retryDelay(3, asynq.ErrLeaseExpired, nil); d != 0 {
		t.Errorf("after a lost worker: %s, want 0", d)
	}
	for range 100 {
		if d := s.retryDelay(3, errAway, nil); d < 500*time.Millisecond || d > 1500*time.Millisecond {
			t.Fatalf("without a database: %s, want about 1 s", d)
		}
	}
}

func TestLoggers(t *testing.T) {
	var log syncBuffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	a := asynqLogger{logger}
	a.Debug("d1")
	a.Info("i1")
	a.Warn("w1")
	a.Error("e1")
	a.Fatal("f1")
	redisLogger{logger}.Printf(t.Context(), "lost %d", 3)
	got := log.String()
	for _, want := range []string{"level=WARN msg=asynq text=w1", "level=ERROR msg=asynq text=e1", "level=ERROR msg=asynq text=f1", `msg=redis text="lost 3"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in:\n%s", want, got)
		}
	}
	if strings.Contains(got, "d1") || strings.Contains(got, "i1") {
		t.Errorf("everyday news in the log:\n%s", got)
	}
}

// syncBuffer is a buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
