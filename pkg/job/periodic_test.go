package job

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/testkit"
)

// TestOneDoesAPeriodicTask: of several processes one at a time, and all of them together no more
// often than it is due.
func TestOneDoesAPeriodicTask(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		var inside, rounds, most atomic.Int32
		d := PeriodicTask{Name: "sweep", Every: 20 * time.Millisecond, Do: func(context.Context) error {
			if n := inside.Add(1); n > most.Load() {
				most.Store(n)
			}
			defer inside.Add(-1)
			rounds.Add(1)
			return nil
		}}
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 3 {
			e := w.idleEngine(testKind(succeed), nil)
			all.Go(func() {
				if err := e.RunPeriodic(ctx, d); err != nil {
					t.Error(err)
				}
			})
		}
		testkit.Eventually(t, 20*time.Second, func() bool { return rounds.Load() >= 5 }, "five rounds")
		cancel()
		all.Wait()
		if most.Load() != 1 {
			t.Errorf("%d at once, want one", most.Load())
		}
	})
}

// TestAPeriodicTaskOutlivesItsProcess: a dead one's lease ends; the round of one that lost its lead
// is ended.
func TestAPeriodicTaskOutlivesItsProcess(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		lease := func(o *Options) { o.Lease = 300 * time.Millisecond }
		w.exec("INSERT INTO leases (name, owner, until) VALUES ('sweep', 'dead', 1000)")
		e := w.idleEngine(testKind(succeed), lease)
		begun, ended := make(chan struct{}), make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- e.RunPeriodic(ctx, PeriodicTask{Name: "sweep", Every: 50 * time.Millisecond, Do: func(ctx context.Context) error {
				select {
				case <-begun:
					return nil
				default:
				}
				close(begun)
				<-ctx.Done()
				ended <- context.Cause(ctx)
				return errors.New("interrupted")
			}})
		}()
		<-begun
		w.exec("UPDATE leases SET owner = 'thief', until = 9000000000000000 WHERE name = 'sweep'")
		if err := <-ended; !errors.Is(err, ErrLost) {
			t.Errorf("the round ended because of %v, want the lost lead", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestPeriodicTasksThatCantBe(t *testing.T) {
	e := &Runner{}
	do := func(context.Context) error { return nil }
	for name, d := range map[string]PeriodicTask{
		"no name":          {Every: time.Second, Do: do},
		"the reconciler's": {Name: leadName, Every: time.Second, Do: do},
		"no time":          {Name: "x", Do: do},
		"nothing to do":    {Name: "x", Every: time.Second},
	} {
		if err := e.RunPeriodic(t.Context(), d); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestPurge(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		kind := testKind(succeed)
		kind.Purge = func(ctx context.Context, tx *database.Tx, j testRecord) (bool, error) {
			_, err := tx.Exec(ctx, "DELETE FROM ends WHERE uuid = ?", j.UUID)
			return j.Args["keep"] == 0, err
		}
		e := w.idleEngine(kind, nil)
		var old []string
		for range purgeBatch + 5 { // more than one batch
			old = append(old, w.accept(e).UUID)
		}
		w.exec("UPDATE jobs SET state = 'success', finished_at = 1000")
		w.exec(`UPDATE jobs SET payload = '{"keep":1}' WHERE uuid = ?`, old[0])
		waiting, fresh := w.accept(e), w.accept(e)
		w.exec("UPDATE jobs SET state = 'failure', finished_at = updated_at WHERE uuid = ?", fresh.UUID)
		for _, want := range []int{len(old) - 1, 0} {
			if n, err := e.Purge(t.Context(), time.Hour); n != want || err != nil {
				t.Fatalf("Purge = %d, %v; want %d", n, err, want)
			}
		}
		for _, uuid := range []string{old[0], waiting.UUID, fresh.UUID} {
			if w.job(uuid).UUID != uuid {
				t.Errorf("%s is gone", uuid)
			}
		}
	})
}
