package job

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/errs"
)

// fields lets jobs be compared whole.
var fields = cmp.AllowUnexported(Job{})

// insert writes a queued row and returns it as stored.
func insert(t *testing.T, db *database.DB, owner int64) Job {
	t.Helper()
	j := Job{UUID: uuid.NewString(), Kind: "test", OwnerID: owner, State: StateQueued, Attempt: 1, Step: 1,
		args: []byte(`{"q":"a'b\\c"}`)}
	write(t, db, func(ctx context.Context, tx *database.Tx) (err error) {
		if err = insertJob(ctx, tx, j); err == nil {
			j, err = getJob(ctx, tx, j.UUID)
		}
		return err
	})
	return j
}

func write(t *testing.T, db *database.DB, fn func(ctx context.Context, tx *database.Tx) error) {
	t.Helper()
	if err := db.Write(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// try moves a job in a transaction of its own.
func try(t *testing.T, db *database.DB, from, to Job, m move) (Job, bool) {
	t.Helper()
	var row Job
	var ok bool
	write(t, db, func(ctx context.Context, tx *database.Tx) (err error) {
		row, ok, err = moveJob(ctx, tx, from, to, m)
		return err
	})
	return row, ok
}

func started(j Job) Job {
	j.State, j.Stage, j.Step, j.Progress, j.LeaseOwner = StateRunning, stageStarting, j.Step+1, 1, "worker"
	return j
}

func TestStoreKeepsEveryField(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		t.Parallel()
		j := insert(t, db, 7)
		if j.CreatedAt.IsZero() || !j.CreatedAt.Equal(j.RunAt) || !j.LeaseUntil.IsZero() || !j.StartedAt.IsZero() {
			t.Fatalf("times of a new job: %+v", j)
		}
		held, ok := try(t, db, j, started(j), move{lease: time.Minute})
		// Each change is later than the one before it, by a microsecond within one tick of the
		// database's clock, which the other times are of.
		if !ok || held.State != StateRunning || held.Stage != stageStarting || held.LeaseUntil.Sub(held.StartedAt) != time.Minute ||
			!held.UpdatedAt.After(j.UpdatedAt) || held.UpdatedAt.Sub(held.StartedAt) > time.Microsecond {
			t.Fatalf("taken: %v %+v", ok, held)
		}
		next := requeuedJob(held)
		next.Failures, next.Takeovers, next.detail, next.Failure = 2, 3, []byte(`{"count":6}`), &Failure{"invalid", "c", "第“3”行'"}
		back, ok := try(t, db, held, next, move{delay: time.Hour})
		want := next
		want.column = "queued"
		want.UpdatedAt = back.UpdatedAt
		want.LeaseUntil = time.Time{}
		want.StartedAt = time.Time{}
		want.RunAt = back.RunAt
		if early := back.UpdatedAt.Add(time.Hour).Sub(back.RunAt); early < 0 || early > 2*time.Microsecond {
			t.Errorf("due %s too early", early)
		}
		if diff := cmp.Diff(want, back, fields); !ok || diff != "" {
			t.Fatalf("queued again (-want +got):\n%s", diff)
		}
		if _, err := NewStore(db).Get(t.Context(), uuid.NewString()); !errs.Is(err, errs.NotFound) {
			t.Errorf("Get of an unknown job: %v, want NotFound", err)
		}
	})
}

func TestStoreWritesAreFenced(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		t.Parallel()
		j := insert(t, db, 7)
		for name, from := range map[string]Job{
			"another attempt": {UUID: j.UUID, Attempt: 2, State: StateQueued},
			"another state":   {UUID: j.UUID, Attempt: 1, State: StateRunning, Stage: stageStart},
			"another job":     {UUID: uuid.NewString(), Attempt: 1, State: StateQueued},
		} {
			if _, ok := try(t, db, from, started(from), move{lease: time.Minute}); ok {
				t.Errorf("%s: moved", name)
			}
		}
		if _, ok := try(t, db, j, started(j), move{lease: time.Minute, only: "run_at > 9000000000000000"}); ok {
			t.Error("moved against the narrower condition")
		}
		if got, err := NewStore(db).Get(t.Context(), j.UUID); err != nil || cmp.Diff(j, got, fields) != "" {
			t.Errorf("the row has changed: %v %s", err, cmp.Diff(j, got, fields))
		}
	})
}

func TestStoreRenews(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		t.Parallel()
		j := insert(t, db, 7)
		renew := func(j Job) (held, cancelled bool) {
			write(t, db, func(ctx context.Context, tx *database.Tx) (err error) {
				held, cancelled, err = renewJob(ctx, tx, j, time.Minute)
				return err
			})
			return held, cancelled
		}
		if held, _ := renew(j); held {
			t.Error("renewed a job that nobody has taken")
		}
		j, _ = try(t, db, j, started(j), move{lease: time.Second})
		j.Step, j.Progress, j.detail = 9, 40, []byte(`{"rows":1}`)
		if held, cancelled := renew(j); !held || cancelled {
			t.Fatalf("renewJob = %v, %v; want held and not cancelled", held, cancelled)
		}
		got, err := NewStore(db).Get(t.Context(), j.UUID)
		if err != nil || got.Step != 9 || got.Progress != 40 || string(got.detail) != `{"rows":1}` ||
			got.UpdatedAt != j.UpdatedAt || got.LeaseUntil.Sub(j.LeaseUntil) < 59*time.Second {
			t.Errorf("after a renewal: %v %+v", err, got)
		}
		write(t, db, func(ctx context.Context, tx *database.Tx) error {
			ok, err := requestCancel(ctx, tx, j)
			if !ok {
				t.Error("cancellation not noted")
			}
			return err
		})
		if held, cancelled := renew(j); !held || !cancelled {
			t.Errorf("renewJob = %v, %v; want held and cancelled", held, cancelled)
		}
		other := j
		other.LeaseOwner = "another"
		if held, _ := renew(other); held {
			t.Error("renewed another's lease")
		}
		other = j
		other.Attempt++
		if held, _ := renew(other); held {
			t.Error("renewed another attempt")
		}
	})
}

func TestStoreOneTakesOfMany(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		t.Parallel()
		j := insert(t, db, 7)
		var wins atomic.Int32
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				var won bool
				err := db.Write(t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
					_, won, err = moveJob(ctx, tx, j, started(j), move{lease: time.Minute})
					return err
				})
				if err != nil {
					t.Error(err)
				}
				if won {
					wins.Add(1)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Errorf("%d took the job, want 1", wins.Load())
		}
	})
}

func TestStoreLists(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		t.Parallel()
		store := NewStore(db)
		var newest []string
		for range 5 {
			newest = append([]string{insert(t, db, 7).UUID}, newest...)
		}
		insert(t, db, 8)
		// Equal times are ordered by uuid; make all of them equal.
		write(t, db, func(ctx context.Context, tx *database.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE jobs SET created_at = 5 WHERE owner_id = 7")
			return err
		})
		seen := map[string]bool{}
		q := ListQuery{OwnerID: 7, Kind: "test", Limit: 2}
		for page := 0; ; page++ {
			jobs, err := store.List(t.Context(), q)
			if err != nil || page > 3 {
				t.Fatalf("page %d: %v", page, err)
			}
			for _, j := range jobs {
				if seen[j.UUID] || j.OwnerID != 7 {
					t.Errorf("page %d has %s of %d again or wrongly", page, j.UUID, j.OwnerID)
				}
				seen[j.UUID] = true
			}
			if len(jobs) < 2 {
				break
			}
			q.Before = &jobs[1]
		}
		if len(seen) != len(newest) {
			t.Errorf("%d jobs listed, want %d", len(seen), len(newest))
		}
		if jobs, err := store.List(t.Context(), ListQuery{OwnerID: 7, Kind: "other"}); err != nil || len(jobs) != 0 {
			t.Errorf("jobs of another kind: %v %v", jobs, err)
		}
	})
}

func TestStoreRecent(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		t.Parallel()
		waits, ended, old := insert(t, db, 7), insert(t, db, 7), insert(t, db, 7)
		insert(t, db, 8)
		for _, j := range []Job{ended, old} {
			if _, ok := try(t, db, j, endedJob(j, StateCancelled, nil), move{}); !ok {
				t.Fatal("not cancelled")
			}
		}
		write(t, db, func(ctx context.Context, tx *database.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE jobs SET finished_at = finished_at - ? WHERE uuid = ?",
				(3 * time.Minute).Microseconds(), old.UUID)
			return err
		})
		jobs, err := NewStore(db).Recent(t.Context(), 7, 2*time.Minute)
		got := map[string]bool{}
		for _, j := range jobs {
			got[j.UUID] = true
		}
		if err != nil || len(got) != 2 || !got[waits.UUID] || !got[ended.UUID] {
			t.Errorf("Recent = %v, %v; want the waiting and the lately ended", got, err)
		}
	})
}

func TestStoreFindsWhatTheReconcilerWants(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		t.Parallel()
		late, fine := insert(t, db, 7), insert(t, db, 7)
		late, _ = try(t, db, late, started(late), move{lease: -time.Second})
		try(t, db, fine, started(fine), move{lease: time.Minute})
		later := insert(t, db, 7)
		held, _ := try(t, db, later, started(later), move{lease: time.Minute})
		try(t, db, held, requeuedJob(held), move{delay: time.Hour})
		for range 5 {
			insert(t, db, 7)
		}
		write(t, db, func(ctx context.Context, tx *database.Tx) error {
			jobs, err := expiredJobs(ctx, tx, 10)
			if err != nil || len(jobs) != 1 || jobs[0].UUID != late.UUID {
				return fmt.Errorf("expired: %v %w", jobs, err)
			}
			if rows, err := waitingJobs(ctx, tx, waiting{}, time.Hour, 10); err != nil || len(rows) != 0 {
				return fmt.Errorf("waiting for an hour: %v %w", rows, err)
			}
			seen := map[string]bool{}
			var last waiting
			for {
				rows, err := waitingJobs(ctx, tx, last, 0, 2)
				if err != nil {
					return err
				}
				for _, w := range rows {
					seen[w.uuid], last = true, w
				}
				if len(rows) < 2 {
					break
				}
			}
			if len(seen) != 5 || seen[later.UUID] {
				return fmt.Errorf("waiting and due: %v", seen)
			}
			return nil
		})
	})
}

func TestStoreLead(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		t.Parallel()
		lead := func(owner string, lease time.Duration) (leads bool) {
			write(t, db, func(ctx context.Context, tx *database.Tx) (err error) {
				leads, err = takeLead(ctx, tx, leadName, owner, lease)
				return err
			})
			return leads
		}
		for i, c := range []struct {
			owner string
			lease time.Duration
			want  bool
		}{
			{"a", time.Minute, true},
			{"b", time.Minute, false},
			{"a", -time.Second, true}, // keeps it, and lets it run out
			{"b", time.Minute, true},
			{"a", time.Minute, false},
		} {
			if got := lead(c.owner, c.lease); got != c.want {
				t.Errorf("%d: takeLead(%s) = %v, want %v", i, c.owner, got, c.want)
			}
		}
		write(t, db, func(ctx context.Context, tx *database.Tx) error { return dropLead(ctx, tx, leadName, "b", 0) })
		if !lead("a", time.Minute) {
			t.Error("a lead that was given up is not free")
		}
	})
}

// A row tells by the database's clock that its worker is gone, while it runs and not after.
func TestARowTellsThatItsLeaseIsOver(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		t.Parallel()
		j := insert(t, db, 7)
		if j.Lost {
			t.Error("a job that waits has no worker to lose")
		}
		if held, _ := try(t, db, j, started(j), move{lease: time.Minute}); held.Lost {
			t.Error("lost in the hands of its worker")
		} else if j = held; j.State != StateRunning {
			t.Fatalf("not taken: %+v", j)
		}
		write(t, db, func(ctx context.Context, tx *database.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE jobs SET lease_until = "+tx.NowMicros()+" - 1000000 WHERE uuid = ?", j.UUID)
			return err
		})
		if got, err := NewStore(db).Get(t.Context(), j.UUID); err != nil || !got.Lost {
			t.Errorf("its lease is over: %v %+v", err, got)
		}
		if queued, ok := try(t, db, j, requeuedJob(j), move{}); !ok || queued.Lost {
			t.Errorf("given back: %+v", queued)
		}
	})
}
