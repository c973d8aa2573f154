package audit_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"exporthub/pkg/audit"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var start = time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC)

// each runs a test with the tables of people and audit on every engine.
func each(t *testing.T, fn func(t *testing.T, db *database.DB)) {
	t.Helper()
	dbtest.Each(t, []fs.FS{auth.Migrations}, fn)
}

func newLog(db *database.DB, clock *testkit.Clock) *audit.Log {
	return audit.New(audit.Options{DB: db, Now: clock.Now, Logger: slog.New(slog.DiscardHandler)})
}

// number asks for one number.
func number(t *testing.T, db *database.DB, query string, args ...any) (n int64) {
	t.Helper()
	err := db.Read(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		var err error
		n, err = database.One(ctx, tx, database.Scalar[int64], query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func exec(t *testing.T, db *database.DB, query string, args ...any) {
	t.Helper()
	err := db.Write(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func flush(t *testing.T, l *audit.Log) {
	t.Helper()
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// An entry that names neither person nor address has those of the request; a long detail is whole.
func TestRecord(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		ctx := audit.With(t.Context(), audit.Caller{ID: 7, Address: netip.MustParseAddr("192.0.2.7")})
		long := strings.Repeat("长", audit.MaxDetail)
		err := db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
			for _, e := range []audit.Entry{
				{At: start, Action: audit.Approve, Subject: "a", Detail: "short"},
				{At: start, Action: audit.ExportRequest, Subject: "b", Detail: long, ActorID: 8, Address: "192.0.2.8"},
			} {
				if err := audit.Record(ctx, tx, e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, where := range []string{
			"subject = 'a' AND actor_id = 7 AND address = '192.0.2.7' AND detail = 'short' AND whole_detail IS NULL AND times = 1",
			"subject = 'b' AND actor_id = 8 AND address = '192.0.2.8' AND whole_detail IS NOT NULL",
		} {
			if n := number(t, db, "SELECT COUNT(*) FROM audit WHERE "+where); n != 1 {
				t.Errorf("%d rows where %s, want 1", n, where)
			}
		}
	})
}

// What is rolled back is not recorded.
func TestARowEndsWithItsTransaction(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		gone := fmt.Errorf("the change failed")
		err := db.Write(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			if err := audit.Record(ctx, tx, audit.Entry{Action: audit.RoleGrant}); err != nil {
				return err
			}
			return gone
		})
		if err == nil || number(t, db, "SELECT COUNT(*) FROM audit") != 0 {
			t.Errorf("%v, and a row of what did not happen", err)
		}
	})
}

// Two replicas count the refusals of one network and minute in one row, whose first is written at
// once.
func TestRefusalsAreCountedInOneRow(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		clock := testkit.NewClock(start)
		one, two := newLog(db, clock), newLog(db, clock)
		try := func(l *audit.Log, address string) {
			l.Count(t.Context(), audit.Entry{Action: audit.LoginRefused, Address: address})
		}
		try(one, "2001:db8::1")
		if n := number(t, db, "SELECT SUM(times) FROM audit"); n != 1 {
			t.Fatalf("%d counted before any flush, want the first", n)
		}
		for i := range 500 {
			try(one, fmt.Sprintf("2001:db8::%x", i))
			try(two, fmt.Sprintf("2001:db8::%x", i))
		}
		try(one, "192.0.2.1")
		flush(t, one)
		flush(t, two)
		flush(t, two) // nothing is written twice
		if n := number(t, db, "SELECT COUNT(*) FROM audit"); n != 2 {
			t.Errorf("%d rows, want 2: a /64 and an address of IPv4", n)
		}
		if n := number(t, db, "SELECT times FROM audit WHERE address = '2001:db8::/64'"); n != 1001 {
			t.Errorf("counted %d, want 1001", n)
		}
		clock.Advance(time.Minute)
		try(one, "2001:db8::1")
		if n := number(t, db, "SELECT COUNT(*) FROM audit"); n != 3 {
			t.Errorf("%d rows, want one more for the next minute", n)
		}
	})
}

// However many networks a stranger has, and however long they go on: rows are bounded, the number
// stays right, and people are still told apart.
func TestStrangersCanNotFillTheAudit(t *testing.T) {
	db := dbtest.SQLite(t, auth.Migrations)
	clock := testkit.NewClock(start)
	l := newLog(db, clock)
	const tries, minutes = 300, 3
	for range minutes {
		for i := range tries {
			l.Count(t.Context(), audit.Entry{
				Action:  audit.LoginRefused,
				Address: fmt.Sprintf("2001:db8:%x:%x::1", i/200, i%200),
			})
		}
		l.Count(t.Context(), audit.Entry{ActorID: 5, Action: audit.AccessRefused, Subject: "GET /api/admin/audit"})
		clock.Advance(time.Minute)
	}
	flush(t, l)
	// 100 networks a minute, and one row for all others.
	if n := number(t, db, "SELECT COUNT(*) FROM audit WHERE actor_id = 0"); n != minutes*101 {
		t.Errorf("%d rows of strangers, want %d", n, minutes*101)
	}
	if n := number(t, db, "SELECT SUM(times) FROM audit WHERE actor_id = 0"); n != minutes*tries {
		t.Errorf("counted %d, want %d", n, minutes*tries)
	}
	if n := number(t, db, "SELECT COUNT(*) FROM audit WHERE actor_id = 5 AND subject <> ''"); n != minutes {
		t.Errorf("%d rows of a person, want %d", n, minutes)
	}
}

// What can't be written is counted all the same, and written later.
func TestRefusalsWhileTheDatabaseTakesNoWrites(t *testing.T) {
	db := dbtest.SQLite(t, auth.Migrations)
	l := newLog(db, testkit.NewClock(start))
	exec(t, db, `CREATE TRIGGER closed BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'closed'); END`)
	for range 3 {
		l.Count(t.Context(), audit.Entry{Action: audit.LoginRefused, Address: "192.0.2.1"})
	}
	if err := l.Flush(t.Context()); err == nil {
		t.Fatal("the trigger did not hit")
	}
	exec(t, db, `DROP TRIGGER closed`)
	flush(t, l)
	if n := number(t, db, "SELECT SUM(times) FROM audit"); n != 3 {
		t.Errorf("counted %d, want 3", n)
	}
}

func TestPurge(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		clock := testkit.NewClock(start)
		l := newLog(db, clock)
		err := db.Write(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			for _, age := range []time.Duration{0, 24 * time.Hour, 25 * time.Hour, 100 * time.Hour} {
				if err := audit.Record(ctx, tx, audit.Entry{At: start.Add(-age), Action: audit.Login}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		removed, err := l.Purge(t.Context(), 24*time.Hour)
		if err != nil || removed != 2 || number(t, db, "SELECT COUNT(*) FROM audit") != 2 {
			t.Errorf("removed %d, %v; want the two that are older than a day", removed, err)
		}
	})
}
