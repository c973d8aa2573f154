package job

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
	"exporthub/pkg/testkit"
)

func TestCancel(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		e := w.engine(testKind(untilStopped), nil)
		queued := w.accept(e)
		got, err := e.Cancel(t.Context(), queued.UUID)
		if err != nil || got.State != StateCancelled {
			t.Fatalf("Cancel of a queued job = %+v, %v", got, err)
		}
		w.awaitTold(queued.UUID, "cancelled 0")
		if _, err := e.Cancel(t.Context(), queued.UUID); err != nil {
			t.Errorf("Cancel again: %v", err)
		}
		if err := e.Handle(t.Context(), queued.UUID, 1); err != nil {
			t.Errorf("its task: %v", err)
		}
		if _, err := e.Cancel(t.Context(), uuid.NewString()); !errs.Is(err, errs.NotFound) {
			t.Errorf("Cancel of an unknown job: %v", err)
		}
		done := w.accept(e)
		w.exec("UPDATE jobs SET state = 'success' WHERE uuid = ?", done.UUID)
		if _, err := e.Cancel(t.Context(), done.UUID); !errs.Is(err, errs.Conflict) {
			t.Errorf("Cancel of a job that is over: %v, want Conflict", err)
		}
		if got := w.ends(queued.UUID); !slices.Equal(got, []string{"cancelled"}) {
			t.Errorf("ended as %v, want cancelled once", got)
		}
	})
}

// TestCancelWinsOverSuccess: the request to cancel was answered with yes.
func TestCancelWinsOverSuccess(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		api := w.idleEngine(testKind(untilStopped), nil)
		worker := w.engine(testKind(func(ctx context.Context, r *testRun) (testEnd, error) {
			_, err := api.Cancel(context.WithoutCancel(ctx), r.Job().UUID)
			return nil, err
		}), nil)
		w.queue.deliverTo(worker)
		j := w.accept(worker)
		w.awaitTold(j.UUID, "cancelled 1")
		if got := w.ends(j.UUID); !slices.Equal(got, []string{"cancelled"}) {
			t.Errorf("ended as %v, want cancelled once", got)
		}
	})
}

func TestCancelReachesTheWorker(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		worker := w.engine(testKind(untilStopped), nil)
		api := w.idleEngine(testKind(untilStopped), nil)
		for name, by := range map[string]*testEngine{"its own process": worker, "another process": api} {
			j := w.accept(worker)
			w.queue.handled.Go(func() { _ = worker.Handle(context.Background(), j.UUID, 1) })
			w.awaitStage(j.UUID, stageStarting)
			got, err := by.Cancel(t.Context(), j.UUID)
			if err != nil || !got.CancelRequested || got.State != StateRunning || got.Stage != stageStarting {
				t.Fatalf("%s: Cancel = %+v, %v", name, got, err)
			}
			w.awaitTold(j.UUID, "cancelled 1")
			if got := w.ends(j.UUID); !slices.Equal(got, []string{"cancelled"}) {
				t.Errorf("%s: ended as %v, want cancelled once", name, got)
			}
		}
	})
}

func TestEnqueueRefuses(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		e := w.engine(testKind(succeed), nil)
		known := w.accept(e)
		for name, c := range map[string]struct {
			n    New
			kind errs.Kind
		}{
			"an unknown kind":  {New{kind: "other"}, errs.Internal},
			"a bad uuid":       {New{kind: "test", UUID: "x"}, errs.Invalid},
			"another spelling": {New{kind: "test", UUID: strings.ToUpper(known.UUID)}, errs.Invalid},
			"a taken uuid":     {New{kind: "test", UUID: known.UUID}, errs.Conflict},
		} {
			err := w.db.Write(t.Context(), func(ctx context.Context, tx *database.Tx) error {
				_, err := e.Enqueue(ctx, tx, c.n)
				return err
			})
			if !errs.Is(err, c.kind) {
				t.Errorf("%s: %v, want %s", name, err, c.kind)
			}
		}
		undone := errors.New("undone")
		var j Job
		err := w.db.Write(t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
			if j, err = e.Enqueue(ctx, tx, New{kind: "test"}); err != nil {
				return err
			}
			return undone
		})
		if !errors.Is(err, undone) {
			t.Fatal(err)
		}
		after := w.accept(e)
		testkit.Eventually(t, 5*time.Second, func() bool {
			return slices.Contains(w.queue.tasks(), Task{UUID: after.UUID, Attempt: 1})
		})
		if slices.Contains(w.queue.tasks(), Task{UUID: j.UUID, Attempt: 1}) || len(w.bus.told(j.UUID)) != 0 {
			t.Error("a job that was rolled back was published")
		}
	})
}

func TestWait(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		e := w.engine(testKind(untilStopped), func(o *Options) { o.MaxWaiters = 2 })
		j := w.accept(e)
		if got, err := e.Wait(t.Context(), j.UUID, 0); err != nil || got.Seq() != j.Seq() {
			t.Errorf("Wait for what has been = %+v, %v", got, err)
		}
		if _, err := e.Wait(t.Context(), uuid.NewString(), 0); !errs.Is(err, errs.NotFound) {
			t.Errorf("Wait for an unknown job: %v", err)
		}
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if got, err := e.Wait(short, j.UUID, j.Seq()); err != nil || got.Seq() != j.Seq() {
			t.Errorf("Wait in vain = %+v, %v; want the current record", got, err)
		}
		type answer struct {
			j   Job
			err error
		}
		answers := make(chan answer, 2)
		for range 2 {
			go func() {
				j, err := e.Wait(t.Context(), j.UUID, j.Seq())
				answers <- answer{j, err}
			}()
		}
		testkit.Eventually(t, 5*time.Second, func() bool { return e.waiters.Load() == 2 })
		if _, err := e.Wait(t.Context(), j.UUID, 0); !errs.Is(err, errs.TooMany) {
			t.Errorf("one Wait too many: %v", err)
		}
		if _, err := e.Cancel(t.Context(), j.UUID); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if a := <-answers; a.err != nil || a.j.State != StateCancelled {
				t.Errorf("Wait = %+v, %v; want the cancelled job", a.j, a.err)
			}
		}
	})
}
