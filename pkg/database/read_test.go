package database_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
)

type (
	ctxT = context.Context
	txT  = *database.Tx
)

// execute runs one statement in a Write of its own.
func execute(t *testing.T, db *database.DB, query string, args ...any) int64 {
	t.Helper()
	var n int64
	err := db.Write(t.Context(), func(ctx ctxT, tx txT) (err error) {
		n, err = tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// count reads one number in a Read of its own.
func count(t *testing.T, db *database.DB, query string, args ...any) int64 {
	t.Helper()
	var n int64
	err := db.Read(t.Context(), func(ctx ctxT, tx txT) (err error) {
		n, err = database.One(ctx, tx, database.Scalar[int64], query, args...)
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func TestReadSeesWhatWasThereWhenItBegan(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		execute(t, db, "INSERT INTO item (name, amount) VALUES ('first', 1)")
		err := db.Read(t.Context(), func(ctx ctxT, tx txT) error {
			// Written before this Read has asked anything at all.
			execute(t, db, "INSERT INTO item (name) VALUES ('second')")
			for range 2 {
				n, err := database.One(ctx, tx, database.Scalar[int64], "SELECT COUNT(*) FROM item")
				if err != nil {
					return err
				}
				if n != 1 {
					t.Errorf("the snapshot has %d rows, want 1", n)
				}
				execute(t, db, "UPDATE item SET amount = amount + 1")
			}
			amount, err := database.One(ctx, tx, database.Scalar[int64], "SELECT amount FROM item WHERE name = 'first'")
			if amount != 1 {
				t.Errorf("the snapshot's amount moved to %d", amount)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, "SELECT COUNT(*) FROM item"); n != 2 {
			t.Errorf("after the Read there are %d rows, want 2", n)
		}
	})
}

func TestReadWithOpenRowsBlocksNoWriter(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		for _, name := range []string{"a", "b", "c"} {
			execute(t, db, "INSERT INTO item (name) VALUES (?)", name)
		}
		err := db.Read(t.Context(), func(ctx ctxT, tx txT) error {
			rows, err := tx.Query(ctx, "SELECT name FROM item ORDER BY id")
			if err != nil {
				return err
			}
			defer rows.Close()
			seen := 0
			for rows.Next() {
				seen++
				start := time.Now()
				execute(t, db, "UPDATE item SET amount = amount + 1")
				execute(t, db, "INSERT INTO item (name) VALUES (?)", "new"+string(rune('0'+seen)))
				// Well below the time a writer waits for a lock before it gives up.
				if took := time.Since(start); took > 3*time.Second {
					t.Errorf("a write during an open read took %s", took)
				}
			}
			if seen != 3 {
				t.Errorf("the open query saw %d rows, want 3", seen)
			}
			return rows.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestReadWaitsForNoWriter(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		execute(t, db, "INSERT INTO item (name, amount) VALUES ('a', 1)")
		err := db.Write(t.Context(), func(ctx ctxT, tx txT) error {
			if _, err := tx.Exec(ctx, "UPDATE item SET amount = 2"); err != nil {
				return err
			}
			// The test's context, not the transaction's: another caller.
			if n := count(t, db, "SELECT amount FROM item"); n != 1 {
				t.Errorf("a reader sees the uncommitted amount %d", n)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, "SELECT amount FROM item"); n != 2 {
			t.Errorf("amount after the commit is %d, want 2", n)
		}
	})
}

func TestReadCannotWrite(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		for name, write := range map[string]func(ctxT, txT) error{
			"Exec": func(ctx ctxT, tx txT) error {
				_, err := tx.Exec(ctx, "DELETE FROM item")
				return err
			},
			"Insert": func(ctx ctxT, tx txT) error {
				_, err := tx.Insert(ctx, "INSERT INTO item (name) VALUES ('x')")
				return err
			},
			"InsertIgnore": func(ctx ctxT, tx txT) error {
				return tx.InsertIgnore(ctx, "INSERT INTO item (name) VALUES ('x')")
			},
		} {
			if err := db.Read(t.Context(), write); !errors.Is(err, database.ErrReadOnly) {
				t.Errorf("%s in a Read: %v, want ErrReadOnly", name, err)
			}
		}
		// Through the back door the engine itself refuses.
		err := db.Read(t.Context(), func(ctx ctxT, tx txT) error {
			rows, err := tx.Query(ctx, "INSERT INTO item (name) VALUES ('x')")
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				t.Error("an INSERT gave a row")
			}
			return rows.Err()
		})
		if err == nil {
			t.Error("an INSERT through Query in a Read was accepted")
		}
		if n := count(t, db, "SELECT COUNT(*) FROM item"); n != 0 {
			t.Errorf("%d rows were written in a Read", n)
		}
	})
}

func TestNestedTransactionsAreRefused(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		sibling, err := db.Sibling(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		defer sibling.Close()
		nothing := func(ctxT, txT) error { return nil }
		run := map[string]func(*database.DB, ctxT, func(ctxT, txT) error) error{"Read": (*database.DB).Read, "Write": (*database.DB).Write}
		for outer, runOuter := range run {
			for inner, runInner := range run {
				err := runOuter(db, t.Context(), func(ctx ctxT, _ txT) error { return runInner(db, ctx, nothing) })
				if !errors.Is(err, database.ErrNested) {
					t.Errorf("%s inside %s: %v, want ErrNested", inner, outer, err)
				}
				err = runOuter(db, t.Context(), func(ctx ctxT, _ txT) error { return runInner(sibling, ctx, nothing) })
				if outer == "Read" && err != nil {
					t.Errorf("a sibling's %s inside a Read: %v, want it to work", inner, err)
				}
				if outer == "Write" && !errors.Is(err, database.ErrNested) {
					t.Errorf("a sibling's %s inside a Write: %v, want ErrNested", inner, err)
				}
			}
		}
	})
}

func TestSiblingIsNotStarvedByABusyPool(t *testing.T) {
	dbtest.EachURL(t, func(t *testing.T, dsn string) {
		db, err := database.Open(t.Context(), dsn, database.Options{MaxConns: 1, AcquireTimeout: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		sibling, err := db.Sibling(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		defer sibling.Close()
		ask := func(ctx ctxT, tx txT) error {
			_, err := tx.Now(ctx)
			return err
		}
		err = db.Read(t.Context(), func(ctxT, txT) error {
			// Another caller finds the pool's only connection taken.
			assertCode(t, db.Read(t.Context(), ask), database.CodeBusy)
			return sibling.Read(t.Context(), ask)
		})
		if err != nil {
			t.Errorf("the sibling's read: %v", err)
		}
		if s := db.Stats(); s.Waits == 0 || s.Open == 0 {
			t.Errorf("Stats() = %+v, want a wait and an open connection", s)
		}
	})
}
