package job

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
	"exporthub/pkg/testkit"
)

// step lets a test drive a run: what it sends is done inside Spec.Run, one after another.
type step func(ctx context.Context, r *testRun) error

func driven(steps <-chan step, done chan<- error) testSpec {
	return testKind(func(ctx context.Context, r *testRun) (testEnd, error) {
		for s := range steps {
			done <- s(ctx, r)
		}
		return nil, ctx.Err()
	})
}

// driver runs a job whose kind does what the test says.
type driver struct {
	steps chan step
	done  chan error
	job   Job
}

func (w *world) drive(change func(*Options)) *driver {
	w.t.Helper()
	return w.driveKind(func(*testSpec) {}, change)
}

// driveKind is drive with a change to the kind.
func (w *world) driveKind(with func(*testSpec), change func(*Options)) *driver {
	w.t.Helper()
	d := &driver{steps: make(chan step), done: make(chan error)}
	kind := driven(d.steps, d.done)
	with(&kind)
	e := w.engine(kind, change)
	d.job = w.accept(e)
	w.queue.handled.Go(func() { _ = e.Handle(context.Background(), d.job.UUID, 1) })
	return d
}

func (d *driver) do(s step) error {
	d.steps <- s
	return <-d.done
}

func (d *driver) progress(percent int) {
	_ = d.do(func(ctx context.Context, r *testRun) error {
		r.Progress(percent, testDetail{"rows": percent})
		return nil
	})
}

func (d *driver) advance(to Stage, percent int) error {
	return d.do(func(ctx context.Context, r *testRun) error { return r.Advance(ctx, to, percent, nil) })
}

func TestProgressIsThrottledAndNeverGoesBack(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		clock := testkit.NewClock(time.Now())
		// No heartbeat comes in between: it would tell what was held back.
		d := w.drive(func(o *Options) { o.Now, o.RenewEvery = clock.Now, time.Second })
		w.awaitTold(d.job.UUID, "starting 1")
		d.progress(10) // within 100 ms of the last event
		clock.Advance(100 * time.Millisecond)
		d.progress(10) // the percentage waited for its time
		w.awaitTold(d.job.UUID, "starting 10")
		clock.Advance(time.Second)
		d.progress(10)
		d.progress(5)
		d.progress(-1)
		d.progress(11)
		w.awaitTold(d.job.UUID, "starting 11")
		d.progress(12) // too soon; the next state takes it along
		if err := d.advance(stageStart, 3); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Second)
		d.progress(1000)
		w.awaitTold(d.job.UUID, "start 100")
		close(d.steps)
		told := w.awaitTold(d.job.UUID, "success 100")
		want := []string{"queued 0", "starting 1", "starting 10", "starting 11", "start 12", "start 100", "success 100"}
		if !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		for i, event := range w.bus.of(d.job.UUID) {
			if event.Seq != uint64(1_000_001+i) {
				t.Errorf("event %d has seq %d", i, event.Seq)
			}
		}
		if j := w.job(d.job.UUID); string(j.detail) != `{"rows":1000}` || j.Step != 7 {
			t.Errorf("the row: step %d, detail %s", j.Step, j.detail)
		}
	})
}

func TestHeartbeatStoresProgressAndPublishesWhatWasHeldBack(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		d := w.drive(func(o *Options) { o.ProgressEvery = 50 * time.Millisecond })
		d.progress(10)
		w.awaitTold(d.job.UUID, "starting 10")
		j := w.await(d.job.UUID, "progress in the row", func(j Job) bool { return j.Progress == 10 && j.Step == 3 })
		if string(j.detail) != `{"rows":10}` || j.Stage != stageStarting {
			t.Errorf("the row: %+v", j)
		}
		w.await(d.job.UUID, "a renewed lease", func(now Job) bool { return now.LeaseUntil.After(j.LeaseUntil) })
		close(d.steps)
		w.awaitState(d.job.UUID, StateSuccess)
	})
}

func TestSilentWhileTheLeaseIsUncertain(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		clock := testkit.NewClock(time.Now())
		d := w.drive(func(o *Options) {
			o.Now, o.RenewEvery, o.ProgressEvery, o.Lease = clock.Now, 10*time.Second, time.Millisecond, 30*time.Second
		})
		w.awaitTold(d.job.UUID, "starting 1")
		clock.Advance(31 * time.Second) // as after a long SIGSTOP; no heartbeat has come since
		d.progress(10)
		d.progress(20)
		var run *attempt
		_ = d.do(func(_ context.Context, r *testRun) error { run = r.a; return nil })
		if run.holds() {
			t.Fatal("the run is sure of a lease that may have ended")
		}
		if told := w.bus.told(d.job.UUID); told[len(told)-1] != "starting 1" {
			t.Errorf("told %q by a run whose lease may have ended", told)
		}
		run.beat(t.Context()) // no worker has taken it: it is this run's again
		if !run.holds() {
			t.Error("a renewed lease does not hold")
		}
		clock.Advance(time.Second)
		d.progress(30)
		w.awaitTold(d.job.UUID, "starting 30")
		close(d.steps)
		w.awaitTold(d.job.UUID, "success 100")
	})
}

func TestAdvanceInItsOwnState(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		d := w.drive(nil)
		for i := range 2 {
			if err := d.advance(stageStart, 10*i); err != nil {
				t.Fatal(err)
			}
		}
		close(d.steps)
		told := w.awaitTold(d.job.UUID, "success 100")
		if want := []string{"queued 0", "starting 1", "start 1", "start 10", "success 100"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

func TestAdvanceInsideALongRead(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		kind := testKind(nil)
		kind.Run = func(ctx context.Context, r *testRun) (testEnd, error) {
			return nil, r.a.e.opts.DB.Read(ctx, func(ctx context.Context, _ *database.Tx) error {
				return r.Advance(ctx, stageStart, 3, nil)
			})
		}
		e := w.engine(kind, nil)
		j := w.accept(e)
		if err := e.Handle(t.Context(), j.UUID, 1); err != nil {
			t.Fatal(err)
		}
		if got := w.job(j.UUID); got.State != StateSuccess {
			t.Errorf("state %s, %+v; want success", got.State, got.Failure)
		}
	})
}

// A COMMIT whose answer was lost is tried again; the row then stands as wanted already.
func TestEndWrittenTwiceIsOneEnd(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		e := w.idleEngine(testKind(succeed), nil)
		for state, err := range map[State]error{StateSuccess: nil, StateQueued: errors.New("boom"), StateFailure: errs.New(errs.Invalid, "")} {
			j := w.accept(e)
			r := w.takeSilently(e, j)
			for range 2 {
				r.finish(t.Context(), nil, nil, err)
			}
			got := w.job(j.UUID)
			ends := w.ends(j.UUID)
			if got.State != state || got.Failures > 1 || got.Attempt > 2 || len(ends) > 1 || state.Ended() != (len(ends) == 1) {
				t.Errorf("%s: %+v, ended as %v", state, got, ends)
			}
			if !r.holds() {
				t.Errorf("%s: taken for lost", state)
			}
		}
	})
}

// Every event says when it happened: none has the time of another, though the percentages between
// two rows are in no row, SQLite's clock counts milliseconds, and clocks differ.
func TestEachEventHasALaterTime(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		clock := testkit.NewClock(time.Now())
		times := map[uint64]time.Time{}
		var mu sync.Mutex
		d := w.driveKind(func(kind *testSpec) {
			render := kind.Render
			kind.Render = func(j testRecord) (any, []string) {
				mu.Lock()
				defer mu.Unlock()
				times[j.Seq()] = j.UpdatedAt
				return render(j)
			}
		}, func(o *Options) { o.Now, o.RenewEvery, o.ProgressEvery = clock.Now, time.Second, time.Nanosecond })
		w.awaitTold(d.job.UUID, "starting 1")
		for percent := 2; percent < 10; percent++ {
			if percent%2 == 0 {
				clock.Advance(time.Second / 2) // faster than the database's
			}
			clock.Advance(time.Nanosecond)
			d.progress(percent)
			w.awaitTold(d.job.UUID, fmt.Sprintf("starting %d", percent))
		}
		for i, s := range []Stage{stageStart, stageWriting, stageBeforeUpload} {
			if err := d.advance(s, 10+i); err != nil {
				t.Fatal(err)
			}
		}
		close(d.steps)
		told := w.awaitTold(d.job.UUID, "success 100")
		mu.Lock()
		defer mu.Unlock()
		if len(times) != len(told) || len(told) != 14 {
			t.Fatalf("%d times of the events %q", len(times), told)
		}
		seqs := slices.Sorted(maps.Keys(times))
		for i, seq := range seqs[1:] {
			if before := times[seqs[i]]; !times[seq].After(before) {
				t.Errorf("event %d has the time %s, the one before it %s", seq, times[seq], before)
			}
		}
	})
}
