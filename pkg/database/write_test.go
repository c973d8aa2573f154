package database_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/errs"
	"exporthub/pkg/testkit"
)

func assertCode(t *testing.T, err error, code string) {
	t.Helper()
	if errs.CodeOf(err) != code || errs.KindOf(err) != errs.Unavailable {
		t.Errorf("error is %v of kind %v and code %q, want Unavailable and %q", err, errs.KindOf(err), errs.CodeOf(err), code)
	}
}

func TestWriteRollsBackOnErrorAndPanic(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		mine := errors.New("mine")
		insert := func(ctx ctxT, tx txT) error {
			_, err := tx.Insert(ctx, "INSERT INTO item (name) VALUES ('x')")
			return err
		}
		err := db.Write(t.Context(), func(ctx ctxT, tx txT) error { return errors.Join(mine, insert(ctx, tx)) })
		if !errors.Is(err, mine) {
			t.Errorf("Write = %v, want the function's error", err)
		}
		func() {
			defer func() {
				if recover() != "mine" {
					t.Error("the panic did not come through")
				}
			}()
			_ = db.Write(t.Context(), func(ctx ctxT, tx txT) error {
				if err := insert(ctx, tx); err != nil {
					t.Error(err)
				}
				panic("mine")
			})
		}()
		if n := count(t, db, "SELECT COUNT(*) FROM item"); n != 0 {
			t.Errorf("%d rows were kept", n)
		}
		// no connection, lock or turn was lost
		execute(t, db, "INSERT INTO item (name) VALUES ('x')")
	})
}

func TestRacingConditionalUpdatesStopAtTheLimit(t *testing.T) {
	const racers, limit = 200, 50
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		var won, lost atomic.Int64
		var g errgroup.Group
		for range racers {
			g.Go(func() error {
				var n int64
				err := db.Write(t.Context(), func(ctx ctxT, tx txT) (err error) {
					if err := tx.InsertIgnore(ctx, "INSERT INTO counter (owner, used) VALUES (?, 0)", 7); err != nil {
						return err
					}
					n, err = tx.Exec(ctx, "UPDATE counter SET used = used + 1 WHERE owner = ? AND used < ?", 7, limit)
					return err
				})
				if n == 1 {
					won.Add(1)
				} else {
					lost.Add(1)
				}
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if won.Load() != limit || lost.Load() != racers-limit {
			t.Errorf("%d won and %d lost, want %d and %d", won.Load(), lost.Load(), limit, racers-limit)
		}
		if n := count(t, db, "SELECT used FROM counter WHERE owner = 7"); n != limit {
			t.Errorf("the counter is %d, want %d", n, limit)
		}
	})
}

func TestDeadlockIsTriedAgain(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		execute(t, db, "INSERT INTO counter (owner, used) VALUES (1, 0), (2, 0)")
		// On the first try each side waits, with its first row locked, until the other has locked
		// its own. SQLite has one writer at a time: there, nobody is to wait for.
		var first sync.WaitGroup
		first.Add(2)
		var tries [2]int
		add := func(side int, rows ...int) error {
			return db.Write(t.Context(), func(ctx ctxT, tx txT) error {
				tries[side]++
				for i, owner := range rows {
					if _, err := tx.Exec(ctx, "UPDATE counter SET used = used + 1 WHERE owner = ?", owner); err != nil {
						// the try is repeated all the same
						return errors.New("an error that hides its cause")
					}
					if i == 0 && tries[side] == 1 && db.Dialect() != database.SQLite {
						first.Done()
						first.Wait()
					}
				}
				return nil
			})
		}
		var g errgroup.Group
		g.Go(func() error { return add(0, 1, 2) })
		g.Go(func() error { return add(1, 2, 1) })
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, "SELECT SUM(used) FROM counter"); n != 4 {
			t.Errorf("the counters add up to %d, want 4", n)
		}
		if db.Dialect() != database.SQLite && (tries[0]+tries[1] < 3 || db.Stats().Retries == 0) {
			t.Errorf("tries %v, retries %d: there was no deadlock", tries, db.Stats().Retries)
		}
	})
}

func TestLockThatIsNotFreedIsBusy(t *testing.T) {
	dbtest.EachURL(t, func(t *testing.T, dsn string) {
		db := dbtest.Open(t, dsn, schema...)
		execute(t, db, "INSERT INTO counter (owner, used) VALUES (1, 0)")
		// A DB of its own, as another process would have.
		other, err := database.Open(t.Context(), dsn, database.Options{
			LockTimeout: time.Second, BusyTimeout: 20 * time.Millisecond, Tries: 2,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		update := func(ctx ctxT, tx txT) error {
			_, err := tx.Exec(ctx, "UPDATE counter SET used = used + 1")
			return err
		}
		err = db.Write(t.Context(), func(ctx ctxT, tx txT) error {
			if err := update(ctx, tx); err != nil {
				return err
			}
			assertCode(t, other.Write(t.Context(), update), database.CodeBusy)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Write(t.Context(), update); err != nil {
			t.Errorf("after the lock was freed: %v", err)
		}
	})
}

func TestFailedStatementFailsTheTransaction(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		execute(t, db, "INSERT INTO item (name) VALUES ('taken')")
		err := db.Write(t.Context(), func(ctx ctxT, tx txT) error {
			if _, err := tx.Exec(ctx, "INSERT INTO item (name) VALUES ('new')"); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, "INSERT INTO item (name) VALUES ('taken')"); !database.IsUnique(err) {
				t.Errorf("second 'taken': %v, want IsUnique", err)
			}
			if _, err := tx.Exec(ctx, "DELETE FROM item"); !errors.Is(err, database.ErrFailed) {
				t.Errorf("a statement after a failed one: %v, want ErrFailed", err)
			}
			return nil
		})
		if !database.IsUnique(err) {
			t.Errorf("Write = %v, want the failed statement's error", err)
		}
		if n := count(t, db, "SELECT COUNT(*) FROM item"); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	})
}

func TestNoRowIsNoFailure(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		err := db.Write(t.Context(), func(ctx ctxT, tx txT) error {
			var id int64
			if err := tx.QueryRow(ctx, "SELECT id FROM item WHERE name = ?", "x").Scan(&id); !database.IsNoRows(err) {
				t.Errorf("Scan = %v, want IsNoRows", err)
			}
			_, err := tx.Insert(ctx, "INSERT INTO item (name) VALUES (?)", "x")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestErrorsAreRecognised(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		execute(t, db, "INSERT INTO item (id, name) VALUES (5, 'a')")
		for name, c := range map[string]struct {
			query  string
			unique bool
			key    bool
		}{
			"unique index": {"INSERT INTO item (name) VALUES ('a')", true, false},
			"primary key":  {"INSERT INTO item (id, name) VALUES (5, 'b')", true, false},
			"no parent":    {"INSERT INTO child (item_id) VALUES (99)", false, true},
			"not null":     {"INSERT INTO item (name) VALUES (NULL)", false, false},
			"syntax":       {"INSRT INTO item", false, false},
			"no column":    {`UPDATE item SET name = "nobody"`, false, false},
		} {
			err := db.Write(t.Context(), func(ctx ctxT, tx txT) error {
				_, err := tx.Exec(ctx, c.query)
				return err
			})
			if err == nil || database.IsUnique(err) != c.unique || database.IsForeignKey(err) != c.key {
				t.Errorf("%s: %v: IsUnique %v, IsForeignKey %v, want %v, %v", name, err, database.IsUnique(err), database.IsForeignKey(err), c.unique, c.key)
			}
			if errs.KindOf(err) != errs.Internal {
				t.Errorf("%s: kind %v, want Internal", name, errs.KindOf(err))
			}
		}
	})
}

func TestAfterCommitRunsOnceForTheTryThatCounts(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		execute(t, db, "INSERT INTO item (name) VALUES ('taken')")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var ran []string
		err := db.Write(ctx, func(ctx ctxT, tx txT) error {
			tx.AfterCommit(func(ctx ctxT) {
				cancel() // the caller goes away: the second function still has a context
				ran = append(ran, "first")
			})
			tx.AfterCommit(func(ctxT) { panic("logged, and no more") })
			tx.AfterCommit(func(ctx ctxT) {
				if _, bounded := ctx.Deadline(); ctx.Err() != nil || !bounded {
					t.Errorf("context after commit: err %v, bounded %v", ctx.Err(), bounded)
				}
				// sees the commit, on a connection of its own
				err := db.Read(ctx, func(ctx ctxT, tx txT) error {
					n, err := database.One(ctx, tx, database.Scalar[int64], "SELECT COUNT(*) FROM item")
					ran = append(ran, fmt.Sprint("second sees ", n))
					return err
				})
				if err != nil {
					t.Errorf("Read after commit: %v", err)
				}
			})
			_, err := tx.Exec(ctx, "INSERT INTO item (name) VALUES ('new')")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(ran); got != "[first second sees 2]" {
			t.Errorf("after the commit ran %s", got)
		}
		err = db.Write(t.Context(), func(ctx ctxT, tx txT) error {
			tx.AfterCommit(func(ctxT) { t.Error("ran after a rollback") })
			_, err := tx.Exec(ctx, "INSERT INTO item (name) VALUES ('taken')")
			return err
		})
		if !database.IsUnique(err) {
			t.Errorf("Write = %v, want IsUnique", err)
		}
	})
}

func TestCancelStopsARunningStatement(t *testing.T) {
	// Minutes of work on every engine.
	const slow = `SELECT COUNT(*) FROM item a, item b, item c, item d, item e, item f WHERE a.name || b.name || c.name || d.name || e.name || f.name = 'no'`
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		err := db.Write(t.Context(), func(ctx ctxT, tx txT) error {
			for i := range 60 {
				if _, err := tx.Exec(ctx, "INSERT INTO item (name) VALUES (?)", fmt.Sprint("name ", i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, run := range map[string]func(*database.DB, ctxT, func(ctxT, txT) error) error{"Read": (*database.DB).Read, "Write": (*database.DB).Write} {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			start := time.Now()
			err := run(db, ctx, func(ctx ctxT, tx txT) error {
				_, err := database.One(ctx, tx, database.Scalar[int64], slow)
				return err
			})
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s = %v, want the deadline's error", name, err)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("%s ended %s after its start", name, took)
			}
		}
		// The pools recover, and no statement is left running in the server for long.
		execute(t, db, "UPDATE item SET amount = 1")
		running := map[database.Dialect]string{
			database.Postgres: "SELECT COUNT(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT COUNT(*) FROM item a%'",
			database.MySQL:    "SELECT COUNT(*) FROM information_schema.processlist WHERE command IN ('Query', 'Execute') AND db = DATABASE() AND id <> CONNECTION_ID()",
		}[db.Dialect()]
		if running != "" {
			testkit.Eventually(t, 30*time.Second, func() bool { return count(t, db, running) == 0 }, "the cancelled statements still run in the server")
		}
	})
}

func TestCancelledCallerBeforeCommitStoresNothing(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		err := db.Write(ctx, func(ctx ctxT, tx txT) error {
			_, err := tx.Exec(ctx, "INSERT INTO item (name) VALUES ('x')")
			cancel()
			return err
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Write = %v, want context.Canceled", err)
		}
		if n := count(t, db, "SELECT COUNT(*) FROM item"); n != 0 {
			t.Errorf("%d rows were stored", n)
		}
		if err := db.Write(ctx, func(ctxT, txT) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("Write with a cancelled context = %v", err)
		}
		if err := db.Read(ctx, func(ctxT, txT) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("Read with a cancelled context = %v", err)
		}
	})
}

func TestWriteThatTakesTooLongIsBusy(t *testing.T) {
	dbtest.EachURL(t, func(t *testing.T, dsn string) {
		db, err := database.Open(t.Context(), dsn, database.Options{WriteTimeout: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		err = db.Write(t.Context(), func(ctx ctxT, tx txT) error {
			<-ctx.Done()
			_, err := tx.Exec(ctx, "SELECT 1")
			return err
		})
		assertCode(t, err, database.CodeBusy)
		if errors.Is(err, context.DeadlineExceeded) {
			t.Error("the error looks like the caller's own deadline")
		}
	})
}
