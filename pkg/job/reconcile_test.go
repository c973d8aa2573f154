package job

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/testkit"
)

// short makes a lease end soon by the database's clock; takeovers wait one such lease after the
// first good tick.
func short(o *Options) { o.Lease, o.RenewEvery = 400*time.Millisecond, 50*time.Millisecond }

func TestTakeoverAndZombie(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		// The zombie: it holds the job, and never renews.
		steps, done := make(chan step), make(chan error)
		zombie := w.idleEngine(driven(steps, done), func(o *Options) {
			o.Lease, o.RenewEvery = 400*time.Millisecond, 100*time.Millisecond
		})
		j := w.accept(w.idleEngine(testKind(succeed), nil))
		row := w.takeSilently(zombie, j)
		// The living one has the job run through.
		living := w.engine(testKind(succeed), short)
		w.queue.deliverTo(living)
		got := w.awaitState(j.UUID, StateSuccess)
		if got.Attempt != 2 || got.Takeovers != 1 || got.Failures != 0 {
			t.Errorf("taken over: %+v", got)
		}
		w.awaitTold(j.UUID, "success 100")
		before := w.bus.told(j.UUID)
		// The zombie comes back and does all it can.
		ctx, cancel := context.WithCancelCause(context.Background())
		row.cancel = cancel
		row.mu.Lock()
		// As if it had been stopped between reading its clock and acting.
		row.heldFrom = time.Now()
		row.mu.Unlock()
		if err := row.advance(ctx, stageStart, 50, map[string]bool{"zombie": true}); !errors.Is(err, ErrLost) {
			t.Errorf("Advance of a zombie = %v, want ErrLost", err)
		}
		if !errors.Is(context.Cause(ctx), ErrLost) {
			t.Errorf("its context ended with %v, want ErrLost", context.Cause(ctx))
		}
		row.progress(99, map[string]bool{"zombie": true})
		row.beat(ctx)
		row.finish(context.Background(), nil, json.RawMessage(`{"zombie":true}`), nil)
		row.finish(context.Background(), nil, nil, errors.New("boom"))
		if now := w.job(j.UUID); now.UpdatedAt != got.UpdatedAt || now.State != StateSuccess || string(now.end) != `{"file":"a.xlsx"}` {
			t.Errorf("a zombie changed the row: %+v", now)
		}
		w.start(zombie)() // lets it deliver whatever it holds
		if after := w.bus.told(j.UUID); !slices.Equal(before, after) {
			t.Errorf("a zombie published %q", after[len(before):])
		}
		if ends := w.ends(j.UUID); !slices.Equal(ends, []string{"success"}) {
			t.Errorf("ended as %v, want success once", ends)
		}
	})
}

// takeSilently takes a job for an engine and does nothing more, as a worker that was stopped right
// then.
func (w *world) takeSilently(e *testEngine, j Job) *attempt {
	w.t.Helper()
	r, err := e.take(w.t.Context(), j.UUID, j.Attempt)
	if err != nil || r == nil {
		w.t.Fatalf("take = %v, %v", r, err)
	}
	r.cancel = func(error) {}
	return r
}

func TestTakeoverEndsWhatMustNotRunAgain(t *testing.T) {
	for name, c := range map[string]struct {
		change string // of the row that a dead worker held
		want   State
		code   string
	}{
		"asked to be cancelled":    {"cancel_requested = TRUE", StateCancelled, ""},
		"told as upload_failure":   {"state = 'upload_failure'", StateFailure, "upload_failed"},
		"killed too many workers":  {"takeovers = 2", StateFailure, "worker_lost"},
		"cancelled, upload failed": {"cancel_requested = TRUE, state = 'upload_failure'", StateFailure, "upload_failed"},
	} {
		t.Run(name, func(t *testing.T) {
			engines(t, func(t *testing.T, w *world) {
				dead := w.idleEngine(testKind(succeed), short)
				j := w.accept(dead)
				w.takeSilently(dead, j)
				w.exec("UPDATE jobs SET "+c.change+" WHERE uuid = ?", j.UUID)
				w.engine(testKind(succeed), func(o *Options) { short(o); o.MaxTakeovers = 3 })
				got := w.awaitState(j.UUID, c.want)
				if got.Attempt != 1 || (got.Failure == nil) != (c.code == "") || got.Failure != nil && got.Failure.Code != c.code {
					t.Errorf("ended: %+v, %+v", got, got.Failure)
				}
				if ends := w.ends(j.UUID); !slices.Equal(ends, []string{string(c.want)}) {
					t.Errorf("ended as %v, want %s once", ends, c.want)
				}
			})
		})
	}
}

func TestLostTaskIsEnqueuedAgain(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		e := w.engine(testKind(succeed), nil)
		w.queue.setDown(true)
		j := w.accept(e)
		testkit.Eventually(t, 5*time.Second, func() bool {
			w.queue.mu.Lock()
			defer w.queue.mu.Unlock()
			return w.queue.refuses > 1 // once by the outbox, and asked by the reconciler
		})
		w.queue.deliverTo(e)
		w.queue.setDown(false)
		w.awaitState(j.UUID, StateSuccess)
	})
}

func TestTaskTakenByTheDeadIsReplaced(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		e := w.engine(testKind(succeed), nil)
		j := w.accept(e)
		first := Task{UUID: j.UUID, Attempt: 1}
		testkit.Eventually(t, 5*time.Second, func() bool { return slices.Contains(w.queue.tasks(), first) })
		w.queue.set(first, TaskTaken)
		second := Task{UUID: j.UUID, Attempt: 1, N: 1}
		testkit.Eventually(t, 5*time.Second, func() bool { return slices.Contains(w.queue.tasks(), second) })
		w.queue.deliverTo(e)
		w.queue.set(second, TaskTaken) // this worker dies as well
		w.awaitState(j.UUID, StateSuccess)
		third := Task{UUID: j.UUID, Attempt: 1, N: 2}
		if tasks := w.queue.tasks(); !slices.Equal(tasks, []Task{first, second, third}) {
			t.Errorf("enqueued %v", tasks)
		}
	})
}

func TestWaitingTaskIsLeftAlone(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		e := w.engine(testKind(succeed), nil)
		waits := w.accept(e)
		// A later job whose task is lost shows that the reconciler has been round, more than
		// once.
		for range 3 {
			j := w.accept(e)
			d := Task{UUID: j.UUID, Attempt: 1}
			count := func() (n int) {
				for _, r := range w.queue.tasks() {
					if r == d {
						n++
					}
				}
				return n
			}
			testkit.Eventually(t, 5*time.Second, func() bool { return count() == 1 })
			w.queue.set(d, TaskAbsent)
			testkit.Eventually(t, 5*time.Second, func() bool { return count() == 2 })
		}
		for _, r := range w.queue.tasks() {
			if r.UUID == waits.UUID && r != (Task{UUID: waits.UUID, Attempt: 1}) {
				t.Errorf("enqueued %+v beside the pending task", r)
			}
		}
	})
}

func TestBootEnqueuesTheWholeBacklog(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		var jobs []Job
		for range taskBatch + 5 {
			jobs = append(jobs, insert(t, w.db, 7))
		}
		// Nothing would be old enough to be checked otherwise.
		w.engine(testKind(succeed), func(o *Options) { o.TaskAge = time.Hour })
		testkit.Eventually(t, 10*time.Second, func() bool { return len(w.queue.tasks()) == len(jobs) }, "a task for each of %d", len(jobs))
	})
}

func TestOneLeads(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		lead := func(e *testEngine) (*reconciler, context.CancelFunc) {
			r := newReconciler(e.Engine)
			ctx, cancel := context.WithCancel(context.Background())
			w.queue.handled.Go(func() { r.lead(ctx) })
			t.Cleanup(cancel)
			return r, cancel
		}
		a, stopA := lead(w.idleEngine(testKind(succeed), nil))
		testkit.Eventually(t, 5*time.Second, a.leading.Load)
		b, _ := lead(w.idleEngine(testKind(succeed), func(o *Options) { o.LeaderLease = time.Hour }))
		// Long, so that only giving it up frees it soon.
		w.exec("UPDATE leases SET until = until + 3600000000")
		stopA()
		testkit.Eventually(t, 5*time.Second, b.leading.Load)
		if a.leading.Load() {
			t.Error("both lead")
		}
	})
}

// A cut between the workers and the database makes every lease run out; once it is back, those who
// live renew, and only what is really dead is taken over.
func TestOutageIsNotTheDeathOfEverybody(t *testing.T) {
	dsn := dbtest.PostgresURL(t)
	w := newWorld(t, dbtest.Open(t, dsn, schema...))
	proxy := testkit.Proxy(t, dsn)
	behind, err := database.Open(t.Context(), proxy.URL(dsn), database.Options{MaxConns: 8, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { behind.Close() })
	cut := *w
	cut.db = behind

	var takeovers atomic.Int32
	count := func(o *Options) {
		o.Lease, o.RenewEvery = 2*time.Second, 50*time.Millisecond
		o.Attempt = func(_, outcome string) {
			if outcome == "takeover" {
				takeovers.Add(1)
			}
		}
	}
	finish := make(chan struct{})
	kind := testKind(func(ctx context.Context, _ *testRun) (testEnd, error) {
		select {
		case <-finish:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	first, second := cut.engine(kind, count), cut.engine(kind, count)
	var jobs []Job
	for i := range 6 {
		e := []*testEngine{first, second}[i%2]
		j := w.accept(e)
		jobs = append(jobs, j)
		w.queue.handled.Go(func() { _ = e.Handle(context.Background(), j.UUID, 1) })
		w.awaitStage(j.UUID, stageStarting)
	}
	dead := w.accept(first)
	w.takeSilently(first, dead)

	proxy.Cut()
	for _, j := range jobs {
		w.await(j.UUID, "an expired lease", func(j Job) bool { return databaseNow(w).After(j.LeaseUntil) })
	}
	proxy.Restore()
	w.awaitState(dead.UUID, StateQueued) // a whole lease after the return
	for _, j := range jobs {
		if got := w.job(j.UUID); got.Attempt != 1 || got.Stage != stageStarting {
			t.Errorf("a living worker's job is %s in attempt %d, want starting in 1", got.State, got.Attempt)
		}
	}
	if n := takeovers.Load(); n != 1 {
		t.Errorf("%d takeovers, want that of the dead worker's job only", n)
	}
	close(finish)
	for _, j := range jobs {
		w.awaitState(j.UUID, StateSuccess)
	}
}

func databaseNow(w *world) (now time.Time) {
	w.t.Helper()
	err := w.db.Read(w.t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
		now, err = tx.Now(ctx)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return now
}

// The end of an attempt that falls into an outage shorter than the lease is written when the
// database is back; Handle tells of a database that is away before the job was taken.
func TestShortOutage(t *testing.T) {
	dsn := dbtest.PostgresURL(t)
	w := newWorld(t, dbtest.Open(t, dsn, schema...))
	proxy := testkit.Proxy(t, dsn)
	behind, err := database.Open(t.Context(), proxy.URL(dsn), database.Options{MaxConns: 4, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { behind.Close() })
	cut := *w
	cut.db = behind
	e := cut.engine(testKind(func(ctx context.Context, r *testRun) (testEnd, error) {
		proxy.Cut()
		time.AfterFunc(300*time.Millisecond, proxy.Restore)
		return nil, r.Advance(ctx, stageStart, 3, nil)
	}), func(o *Options) { o.Lease, o.RenewEvery = 20*time.Second, 50*time.Millisecond })
	j := w.accept(e)
	if err := e.Handle(t.Context(), j.UUID, 1); err != nil {
		t.Fatal(err)
	}
	if got := w.job(j.UUID); got.State != StateSuccess || got.Attempt != 1 {
		t.Errorf("job: %s in attempt %d, %+v; want success in 1", got.State, got.Attempt, got.Failure)
	}
	if ends := w.ends(j.UUID); !slices.Equal(ends, []string{"success"}) {
		t.Errorf("ended as %v, want success once", ends)
	}
	proxy.Cut()
	if err := e.Handle(t.Context(), j.UUID, 2); err == nil {
		t.Error("Handle without a database = nil")
	}
	proxy.Restore()
}

// TestAShortLeaseIsPolledOftenEnough: looks set further apart than a lease would never see that one
// has ended.
func TestAShortLeaseIsPolledOftenEnough(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		worker := w.idleEngine(testKind(untilStopped), nil)
		j := w.accept(worker)
		w.exec("UPDATE jobs SET state = 'start', lease_owner = 'dead', lease_until = 1000 WHERE uuid = ?", j.UUID)
		w.engine(testKind(untilStopped), func(o *Options) { o.Lease, o.RenewEvery, o.ReconcileEvery = 400*time.Millisecond, 0, 10*time.Second })
		w.awaitState(j.UUID, StateQueued)
	})
}
