package database_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"

	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/errs"
)

// assertUnwritable fails the test unless err is the answer of a database that takes no writes.
func assertUnwritable(t *testing.T, err error) {
	t.Helper()
	assertCode(t, err, database.CodeUnwritable)
	if e := errs.As(err); e == nil || e.RetryAfter <= 0 || e.Message == "" || !database.IsUnwritable(err) {
		t.Errorf("%#v has no Retry-After, or no message for people", e)
	}
}

// TestPostgreSQLThatTakesNoWrites opens a server as a standby would answer: it can be read, and
// every write is refused with SQLSTATE 25006.
func TestPostgreSQLThatTakesNoWrites(t *testing.T) {
	dsn := dbtest.PostgresURL(t)
	writable := dbtest.Open(t, dsn, schema...)
	execute(t, writable, "INSERT INTO counter (owner, used) VALUES (1, 0)")
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("options", q.Get("options")+" -c default_transaction_read_only=on")
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
	db, err := database.Open(t.Context(), u.String(), database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()

	runs := 0
	assertUnwritable(t, db.Write(t.Context(), func(ctx ctxT, tx txT) error {
		runs++
		return addOne(ctx, tx)
	}))
	if runs != 1 {
		t.Errorf("the function ran %d times on a server that refuses all writes", runs)
	}
	// A function that passes over the error does not hide it.
	assertUnwritable(t, db.Write(t.Context(), func(ctx ctxT, tx txT) error {
		_ = addOne(ctx, tx)
		return nil
	}))
	if n := count(t, db, "SELECT used FROM counter"); n != 0 {
		t.Errorf("used is %d, want 0", n)
	}
	if err := db.Ping(t.Context()); err != nil {
		t.Errorf("Ping of a database that can be read: %v", err)
	}
	assertUnwritable(t, db.CheckWrite(t.Context()))
	// Inside Read the refusal is what was asked for.
	err = db.Read(t.Context(), func(ctx ctxT, tx txT) error {
		return tx.QueryRow(ctx, "UPDATE counter SET used = 9 RETURNING used").Scan(new(int))
	})
	if !errors.Is(err, database.ErrReadOnly) || errs.KindOf(err) != errs.Internal {
		t.Errorf("a write inside Read: %v of kind %v, want ErrReadOnly", err, errs.KindOf(err))
	}
}

// TestAConnectionThatTakesNoWritesLeavesThePool: after a failover the pool holds connections to the
// server that has stepped down, which are as good as ever for reading.
func TestAConnectionThatTakesNoWritesLeavesThePool(t *testing.T) {
	dsn := dbtest.PostgresURL(t)
	dbtest.Open(t, dsn, schema...)
	db, err := database.Open(t.Context(), dsn, database.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	execute(t, db, "INSERT INTO counter (owner, used) VALUES (1, 0)")
	execute(t, db, "SET SESSION default_transaction_read_only = on")
	assertUnwritable(t, db.Write(t.Context(), addOne))
	if err := db.Write(t.Context(), addOne); err != nil {
		t.Errorf("on a new connection: %v", err)
	}
}

// TestSQLiteWithoutRoom fills a database to its limit of pages, which SQLite reports as a full
// disk.
func TestSQLiteWithoutRoom(t *testing.T) {
	db := dbtest.SQLite(t, schema...)
	err := db.Write(t.Context(), func(ctx ctxT, tx txT) error {
		// It can't be set below the present size, and then takes that.
		if _, err := tx.Exec(ctx, "PRAGMA max_page_count = 1"); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO item (name, note) VALUES ('a', ?)", strings.Repeat("x", 1<<20))
		return err
	})
	assertUnwritable(t, err)
	if n := count(t, db, "SELECT COUNT(*) FROM item"); n != 0 {
		t.Errorf("there are %d items, want none", n)
	}
}

func TestCheckWriteOfAWritableDatabase(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		for range 2 {
			if err := db.CheckWrite(t.Context()); err != nil {
				t.Errorf("CheckWrite: %v", err)
			}
		}
		// A row that another transaction holds is not waited for. SQLite has one writer in all.
		if db.Dialect() == database.SQLite {
			return
		}
		other, err := db.Sibling(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		hold, held := make(chan struct{}), make(chan struct{})
		ended := make(chan error, 1)
		go func() {
			ended <- other.Write(context.WithoutCancel(t.Context()), func(ctx ctxT, tx txT) error {
				_, err := tx.Exec(ctx, "UPDATE schema_migrations SET tstamp = CURRENT_TIMESTAMP")
				close(held)
				<-hold
				return err
			})
		}()
		<-held
		if err := db.CheckWrite(t.Context()); err != nil {
			t.Errorf("CheckWrite beside another: %v", err)
		}
		close(hold)
		if err := <-ended; err != nil {
			t.Errorf("the other: %v", err)
		}
	})
}
