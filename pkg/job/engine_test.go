package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
	"exporthub/pkg/testkit"
)

func TestJobPassesThroughEveryState(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		e := w.engine(testKind(succeed), nil)
		w.queue.deliverTo(e)
		accepted := w.accept(e)
		told := w.awaitTold(accepted.UUID, "success 100")
		want := []string{"queued 0", "starting 1", "start 3", "writing_file 23", "before_upload 43", "uploading 63", "success 100"}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		for i, event := range w.bus.of(accepted.UUID) {
			if want := uint64(1_000_001 + i); event.Seq != want || event.Final != (i == 6) || !slices.Equal(event.Streams, []string{"/test/7"}) {
				t.Errorf("event %d: %+v, want seq %d", i, event, want)
			}
		}
		j := w.job(accepted.UUID)
		if j.State != StateSuccess || j.Seq() != 1_000_007 || string(j.detail) != `{"count":3}` || string(j.end) != `{"file":"a.xlsx"}` || j.LeaseOwner != "" ||
			!j.LeaseUntil.IsZero() || j.StartedAt.IsZero() || j.FinishedAt.Before(j.StartedAt) {
			t.Errorf("the row at the end: %+v", j)
		}
		if got := w.ends(j.UUID); !slices.Equal(got, []string{"success"}) {
			t.Errorf("ended as %v, want success once", got)
		}
	})
}

func TestManyTasksAreOneRun(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		var runs atomic.Int32
		e := w.engine(testKind(func(ctx context.Context, r *testRun) (testEnd, error) {
			runs.Add(1)
			return succeed(ctx, r)
		}), nil)
		j := w.accept(e)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if err := e.Handle(t.Context(), j.UUID, 1); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if runs.Load() != 1 || w.job(j.UUID).State != StateSuccess {
			t.Errorf("%d runs, state %s; want one and success", runs.Load(), w.job(j.UUID).State)
		}
	})
}

func TestStaleTasks(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		e := w.engine(testKind(func(context.Context, *testRun) (testEnd, error) {
			t.Error("ran")
			return nil, nil
		}), nil)
		j := w.accept(e)
		w.exec("UPDATE jobs SET attempt = 2 WHERE uuid = ?", j.UUID)
		for name, d := range map[string]Task{
			"an earlier attempt": {UUID: j.UUID, Attempt: 1},
			"a later attempt":    {UUID: j.UUID, Attempt: 3},
			"no such job":        {UUID: uuid.NewString(), Attempt: 1},
		} {
			if err := e.Handle(t.Context(), d.UUID, d.Attempt); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.exec("UPDATE jobs SET run_at = run_at + 3600000000 WHERE uuid = ?", j.UUID)
		if err := e.Handle(t.Context(), j.UUID, 2); err != nil {
			t.Errorf("not due yet: %v", err)
		}
		if got := w.job(j.UUID); got.State != StateQueued {
			t.Errorf("state %s, want queued", got.State)
		}
	})
}

func TestOutcomes(t *testing.T) {
	transient := errs.New(errs.Unavailable, "存储暂时不可用")
	for name, c := range map[string]struct {
		run      func(ctx context.Context, r *testRun) (testEnd, error)
		state    State
		attempt  int
		failures int
		failure  *Failure
		last     []string // how the events end
	}{
		"a transient failure is tried again": {
			run: func(_ context.Context, r *testRun) (testEnd, error) {
				if r.Job().Attempt < 3 {
					return nil, transient
				}
				return nil, nil
			},
			state: StateSuccess, attempt: 3, failures: 2,
			last: []string{"queued 0 unavailable", "starting 1", "success 100"},
		},
		"and gives up": {
			run:   func(context.Context, *testRun) (testEnd, error) { return nil, transient },
			state: StateFailure, attempt: 5, failures: 5,
			failure: &Failure{"unavailable", "unavailable", "存储暂时不可用"},
			last:    []string{"queued 0 unavailable", "starting 1", "failure 1 unavailable"},
		},
		"a permanent failure ends it": {
			run: func(ctx context.Context, r *testRun) (testEnd, error) {
				if err := r.Advance(ctx, stageStart, 3, nil); err != nil {
					return nil, err
				}
				return nil, errs.New(errs.Invalid, "第 3 行有误")
			},
			state: StateFailure, attempt: 1, failure: &Failure{"invalid", "invalid", "第 3 行有误"},
			last: []string{"starting 1", "start 3", "failure 3 invalid"},
		},
		"a panic ends it": {
			run:   func(context.Context, *testRun) (testEnd, error) { panic("boom") },
			state: StateFailure, attempt: 1, failure: RetryPolicy{}.engineFailure(CodePanic), last: []string{"starting 1", "failure 1 panic"},
		},
		"nothing follows upload_failure but failure": {
			run: func(ctx context.Context, r *testRun) (testEnd, error) {
				for _, s := range []Stage{stageStart, stageWriting, stageBeforeUpload, stageUploadFailure} {
					if err := r.Advance(ctx, s, 90, nil); err != nil {
						return nil, err
					}
				}
				return nil, transient
			},
			state: StateFailure, attempt: 1, failure: &Failure{"unavailable", "unavailable", "存储暂时不可用"},
			last: []string{"before_upload 90", "upload_failure 90", "failure 90 unavailable"},
		},
		"success where there can't be any is a fault": {
			run: func(ctx context.Context, r *testRun) (testEnd, error) {
				return nil, errors.Join(r.Advance(ctx, stageStart, 3, nil), r.Advance(ctx, stageWriting, 3, nil))
			},
			state: StateFailure, attempt: 1, failure: &Failure{"internal", "internal", DefaultRules[errs.Internal].Message},
			last: []string{"writing_file 3", "failure 3 internal"},
		},
		"a detail that is no JSON is a fault": {
			run:   func(context.Context, *testRun) (testEnd, error) { return func() {}, nil },
			state: StateFailure, attempt: 1, failure: &Failure{"internal", "internal", DefaultRules[errs.Internal].Message},
			last: []string{"failure 1 internal"},
		},
		"a step out of turn is refused": {
			run: func(ctx context.Context, r *testRun) (testEnd, error) {
				if err := r.Advance(ctx, stageUploading, 50, nil); err == nil {
					t.Error("advanced from starting to uploading")
				}
				if err := r.Advance(ctx, "success", 50, nil); err == nil {
					t.Error("advanced to an end")
				}
				return nil, nil
			},
			state: StateSuccess, attempt: 1, last: []string{"starting 1", "success 100"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			engines(t, func(t *testing.T, w *world) {
				e := w.engine(testKind(c.run), nil)
				w.queue.deliverTo(e)
				id := w.accept(e).UUID
				told := w.awaitTold(id, c.last[len(c.last)-1])
				if tail := told[len(told)-len(c.last):]; !slices.Equal(tail, c.last) {
					t.Errorf("events end with %q, want %q", tail, c.last)
				}
				j := w.job(id)
				if j.State != c.state || j.Attempt != c.attempt || j.Failures != c.failures || cmp.Diff(c.failure, j.Failure) != "" {
					t.Errorf("job: %s, attempt %d, %d failures, %+v", j.State, j.Attempt, j.Failures, j.Failure)
				}
				if got := w.ends(id); !slices.Equal(got, []string{string(c.state)}) {
					t.Errorf("ended as %v, want %s once", got, c.state)
				}
			})
		})
	}
}

func TestBackoffIsKeptByTheRow(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		kind := testKind(func(context.Context, *testRun) (testEnd, error) { return nil, errors.New("boom") })
		var asked []int
		kind.Retry.Backoff = func(n int) time.Duration {
			asked = append(asked, n)
			return time.Hour
		}
		e := w.engine(kind, nil)
		j := w.accept(e)
		if err := e.Handle(t.Context(), j.UUID, 1); err != nil {
			t.Fatal(err)
		}
		got := w.job(j.UUID)
		if got.State != StateQueued || got.Attempt != 2 || got.RunAt.Sub(got.UpdatedAt).Round(time.Millisecond) != time.Hour || !slices.Equal(asked, []int{1}) {
			t.Errorf("after a failure: %+v, back-off asked for %v", got, asked)
		}
		if slices.Contains(w.queue.tasks(), Task{UUID: j.UUID, Attempt: 2}) {
			t.Error("enqueued before it is due")
		}
	})
}

func TestEndedIsCommittedOnce(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		kind := testKind(succeed)
		note := kind.Ended
		var calls atomic.Int32
		kind.Ended = func(ctx context.Context, tx *database.Tx, j testRecord) error {
			if j.State != StateSuccess || j.Progress != 100 || j.FinishedAt.IsZero() {
				t.Errorf("Ended was given %+v", j)
			}
			if err := note(ctx, tx, j); err != nil {
				return err
			}
			if calls.Add(1) == 1 {
				return &pgconn.PgError{Code: "40001", Message: "could not serialize access"}
			}
			return nil
		}
		e := w.engine(kind, nil)
		j := w.accept(e)
		if err := e.Handle(t.Context(), j.UUID, 1); err != nil {
			t.Fatal(err)
		}
		if got := w.ends(j.UUID); calls.Load() != 2 || !slices.Equal(got, []string{"success"}) {
			t.Errorf("ended as %v in %d tries; want success once in 2", got, calls.Load())
		}
	})
}

func TestAdmission(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		kind := testKind(func(context.Context, *testRun) (testEnd, error) {
			t.Error("ran")
			return nil, nil
		})
		var refusal error
		kind.Admit = func(_ context.Context, _ *database.Tx, j testRecord) (Admission, error) {
			if j.State != StateRunning || j.Stage != stageStarting {
				t.Errorf("Admit was given a job in %s %s", j.State, j.Stage)
			}
			return Admission{}, refusal
		}
		e := w.engine(kind, nil)
		j := w.accept(e)
		refusal = errs.New(errs.Unavailable, "")
		if err := e.Handle(t.Context(), j.UUID, 1); !errs.Is(err, errs.Unavailable) || w.job(j.UUID).State != StateQueued {
			t.Errorf("Handle = %v, state %s; want Unavailable and queued", err, w.job(j.UUID).State)
		}
		refusal = errs.New(errs.Forbidden, "没有权限")
		if err := e.Handle(t.Context(), j.UUID, 1); err != nil {
			t.Errorf("Handle of a refused job = %v", err)
		}
		told := w.awaitTold(j.UUID, "failure 0 forbidden")
		if got := w.ends(j.UUID); !slices.Equal(told, []string{"queued 0", "failure 0 forbidden"}) || !slices.Equal(got, []string{"failure"}) {
			t.Errorf("told %q, ended as %v", told, got)
		}
	})
}

func TestNewEngineReportsEveryProblem(t *testing.T) {
	_, err := NewEngine(Options{Owner: strings.Repeat("x", 101), Concurrency: -1, Lease: time.Second, RenewEvery: time.Second})
	for _, want := range []string{"DB is", "Queue is", "Owner: want", "Concurrency: want", "RenewEvery: want"} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q is not reported in:\n%v", want, err)
		}
	}
}

func TestRunOnce(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		e := w.engine(testKind(succeed), nil)
		testkit.Eventually(t, 5*time.Second, e.started.Load)
		if err := e.Run(t.Context()); err == nil {
			t.Error("Run twice = nil")
		}
	})
}

func TestPanickingRender(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		kind := testKind(succeed)
		e := w.engine(kind, nil)
		if _, ok := e.Event(Job{Kind: "other"}); ok {
			t.Error("an unknown kind was rendered")
		}
		e.kinds["test"].render = nil
		if _, ok := e.Event(Job{Kind: "test"}); ok {
			t.Error("a panic was rendered")
		}
		e.kinds["test"].render = func(Job) (any, []string) { return func() {}, []string{"/test/7"} }
		if _, ok := e.Event(Job{Kind: "test"}); ok {
			t.Error("what JSON can't hold was rendered")
		}
	})
}
