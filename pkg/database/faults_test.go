package database_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/errs"
	"exporthub/pkg/testkit"
)

// eachServer runs a test on the engines behind a network, through a proxy.
func eachServer(t *testing.T, o database.Options, fn func(t *testing.T, db *database.DB, proxy *testkit.TCPProxy)) {
	t.Helper()
	for name, fresh := range map[string]func(testing.TB) string{"PostgreSQL": dbtest.PostgresURL, "MariaDB": dbtest.MariaDBURL} {
		t.Run(name, func(t *testing.T) {
			dsn := fresh(t)
			dbtest.Open(t, dsn, schema...)
			proxy := testkit.Proxy(t, dsn)
			db, err := database.Open(t.Context(), proxy.URL(dsn), o)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			execute(t, db, "INSERT INTO counter (owner, used) VALUES (1, 0)")
			fn(t, db, proxy)
		})
	}
}

func addOne(ctx ctxT, tx txT) error {
	_, err := tx.Exec(ctx, "UPDATE counter SET used = used + 1")
	return err
}

func TestUnreachableDatabaseIsUnavailable(t *testing.T) {
	eachServer(t, database.Options{}, func(t *testing.T, db *database.DB, proxy *testkit.TCPProxy) {
		runs := 0
		err := db.Write(t.Context(), func(ctx ctxT, tx txT) error {
			if runs++; runs == 1 {
				proxy.Cut() // in the middle of a transaction
			}
			return addOne(ctx, tx)
		})
		assertCode(t, err, database.CodeUnavailable)
		assertCode(t, db.Write(t.Context(), addOne), database.CodeUnavailable)
		assertCode(t, db.Read(t.Context(), func(ctxT, txT) error { return nil }), database.CodeUnavailable)
		assertCode(t, db.Ping(t.Context()), database.CodeUnavailable)
		_, err = db.Sibling(t.Context(), 1)
		assertCode(t, err, database.CodeUnavailable)
		if e := errs.As(err); e == nil || e.Message == "" || e.Cause == nil {
			t.Errorf("%#v has no message for people or no cause for logs", e)
		}
		proxy.Restore()
		if err := db.Write(t.Context(), addOne); err != nil {
			t.Errorf("after it came back: %v", err)
		}
		if n := count(t, db, "SELECT used FROM counter"); n != 1 {
			t.Errorf("used is %d, want 1", n)
		}
	})
}

func TestDeadConnectionsInThePoolAreNotNoticed(t *testing.T) {
	eachServer(t, database.Options{}, func(t *testing.T, db *database.DB, proxy *testkit.TCPProxy) {
		for try := range int64(5) {
			proxy.Reset()
			if err := db.Write(t.Context(), addOne); err != nil {
				t.Fatalf("a Write after the pool's connections died: %v", err)
			}
			proxy.Reset()
			if n := count(t, db, "SELECT used FROM counter"); n != try+1 {
				t.Errorf("used is %d, want %d", n, try+1)
			}
		}
	})
}

func TestConnectionLostInAWriteIsTriedAgain(t *testing.T) {
	eachServer(t, database.Options{}, func(t *testing.T, db *database.DB, proxy *testkit.TCPProxy) {
		runs := 0
		err := db.Write(t.Context(), func(ctx ctxT, tx txT) error {
			runs++
			if err := addOne(ctx, tx); err != nil {
				return err
			}
			if runs == 1 {
				proxy.Reset()
			}
			return addOne(ctx, tx)
		})
		if err != nil || runs != 2 {
			t.Errorf("Write = %v after %d runs, want nil after 2", err, runs)
		}
		if n := count(t, db, "SELECT used FROM counter"); n != 2 {
			t.Errorf("used is %d, want 2: the lost try was rolled back", n)
		}
	})
}

func TestConnectionLostDuringCommitIsUnknownAndNotTriedAgain(t *testing.T) {
	eachServer(t, database.Options{WriteTimeout: 500 * time.Millisecond}, func(t *testing.T, db *database.DB, proxy *testkit.TCPProxy) {
		runs := 0
		err := db.Write(t.Context(), func(ctx ctxT, tx txT) error {
			runs++
			if err := addOne(ctx, tx); err != nil {
				return err
			}
			// COMMIT leaves us and never arrives, or its answer never comes: nobody can know
			proxy.Stall()
			time.AfterFunc(50*time.Millisecond, proxy.Reset)
			return nil
		})
		assertCode(t, err, database.CodeCommitUnknown)
		if runs != 1 {
			t.Errorf("the function ran %d times", runs)
		}
	})
}

func TestStalledDatabaseRespectsTheCallersDeadline(t *testing.T) {
	eachServer(t, database.Options{ConnectTimeout: time.Second}, func(t *testing.T, db *database.DB, proxy *testkit.TCPProxy) {
		proxy.Stall()
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		start := time.Now()
		err := db.Read(ctx, func(ctx ctxT, tx txT) error { return nil })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Read = %v, want the deadline's error", err)
		}
		assertCode(t, db.Ping(t.Context()), database.CodeUnavailable)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("both took %s", took)
		}
		proxy.Restore()
		if err := db.Write(t.Context(), addOne); err != nil {
			t.Errorf("after the stall: %v", err)
		}
	})
}

func TestClosedDatabaseIsUnavailable(t *testing.T) {
	dbtest.EachURL(t, func(t *testing.T, dsn string) {
		db, err := database.Open(t.Context(), dsn, database.Options{})
		if err != nil {
			t.Fatal(err)
		}
		var closes atomic.Int64
		for range 2 {
			if err := db.Close(); err != nil {
				t.Errorf("Close %d: %v", closes.Add(1), err)
			}
		}
		assertCode(t, db.Read(t.Context(), func(ctxT, txT) error { return nil }), database.CodeUnavailable)
		assertCode(t, db.Write(t.Context(), func(ctxT, txT) error { return nil }), database.CodeUnavailable)
	})
}

func TestOpenTellsWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("this is no database, and it is longer than a header would be"), 0o600); err != nil {
		t.Fatal(err)
	}
	mine, theirs := dbtest.PostgresURL(t), dbtest.MariaDBURL(t)
	for name, c := range map[string]struct {
		dsn  string
		kind errs.Kind
	}{
		"nobody listens, PostgreSQL": {"postgres://u@127.0.0.1:1/app", errs.Unavailable},
		"nobody listens, MySQL":      {"mysql://u@127.0.0.1:1/app", errs.Unavailable},
		"no such user, PostgreSQL":   {withUser(t, mine, "nobody"), errs.Internal},
		"no such user, MySQL":        {withUser(t, theirs, "nobody"), errs.Internal},
		"not a database":             {"sqlite:" + file, errs.Internal},
		"a folder below a file":      {"sqlite:" + file + "/sub/app.db", errs.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := database.Open(t.Context(), c.dsn, database.Options{})
			if err == nil {
				db.Close()
				t.Fatal("Open succeeded")
			}
			if errs.KindOf(err) != c.kind {
				t.Errorf("%v is of kind %v, want %v", err, errs.KindOf(err), c.kind)
			}
		})
	}
}

func withUser(t *testing.T, dsn, user string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(user)
	return u.String()
}

func TestSQLitePathsOfAllKinds(t *testing.T) {
	for _, name := range []string{"plain.db", "with space.db", "数据.db", "per%20cent.db", "hash#.db", "a&b=c;d.db"} {
		dir := t.TempDir()
		db := dbtest.Open(t, "sqlite:"+filepath.Join(dir, "made", name), schema...)
		execute(t, db, "INSERT INTO counter (owner, used) VALUES (1, 0)")
		for _, file := range []string{name, name + "-wal"} {
			if info, err := os.Stat(filepath.Join(dir, "made", file)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%q: %v, %v; want a file of its owner's alone", file, info, err)
			}
		}
	}
}
