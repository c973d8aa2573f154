package dbtest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // registers pgx, for making databases

	"exporthub/pkg/database"
	"exporthub/pkg/testkit"
)

// EnginesEnv names the engines that Each and EachURL run on, with commas between them; unset, they
// run on all. It is for the race detector: under it SQLite, which is Go code here, is 14 to 21
// times slower, and the code that is raced is the same on every engine.
const EnginesEnv = "DBTEST_ENGINES"

// engines are all engines, in the order tests run on them.
var engines = []struct {
	name string
	url  func(testing.TB) string
}{
	{"SQLite", SQLiteURL},
	{"PostgreSQL", PostgresURL},
	{"MariaDB", MariaDBURL},
}

// Each runs a test on every engine, as the sub-tests SQLite, PostgreSQL and MariaDB, with the
// migrations of sources applied. A sub-test may call t.Parallel.
func Each(t *testing.T, sources []fs.FS, fn func(t *testing.T, db *database.DB)) {
	t.Helper()
	EachURL(t, func(t *testing.T, dsn string) { fn(t, Open(t, dsn, sources...)) })
}

// EachURL runs a test on every engine with the URL of an empty database, for tests that open it
// themselves.
func EachURL(t *testing.T, fn func(t *testing.T, dsn string)) {
	t.Helper()
	chosen := os.Getenv(EnginesEnv)
	ran := false
	for _, e := range engines {
		if chosen == "" || slices.Contains(strings.Split(chosen, ","), e.name) {
			ran = true
			t.Run(e.name, func(t *testing.T) { fn(t, e.url(t)) })
		}
	}
	if !ran {
		t.Fatalf("dbtest: %s=%q names no engine", EnginesEnv, chosen)
	}
}

// SQLite returns a fresh, migrated database in a file.
func SQLite(t testing.TB, sources ...fs.FS) *database.DB {
	t.Helper()
	return Open(t, SQLiteURL(t), sources...)
}

// Postgres returns a fresh, migrated database of a real PostgreSQL.
func Postgres(t testing.TB, sources ...fs.FS) *database.DB {
	t.Helper()
	return Open(t, PostgresURL(t), sources...)
}

// MariaDB returns a fresh, migrated database of a real MariaDB.
func MariaDB(t testing.TB, sources ...fs.FS) *database.DB {
	t.Helper()
	return Open(t, MariaDBURL(t), sources...)
}

// Open opens a database by its URL, applies migrations, and closes it with the test.
func Open(t testing.TB, dsn string, sources ...fs.FS) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), dsn, database.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("dbtest: close: %v", err)
		}
	})
	if err := database.Migrate(t.Context(), db, sources...); err != nil {
		t.Fatalf("dbtest: %v", err)
	}
	return db
}

// SQLiteURL returns the URL of a database that does not exist yet.
func SQLiteURL(t testing.TB) string {
	t.Helper()
	// Not flushed: what a power cut would do is not for these tests.
	return "sqlite:" + filepath.Join(t.TempDir(), "test.db") + "?synchronous=off"
}

// PostgresURL returns the URL of an empty database of a real PostgreSQL. It is a schema, found by
// its search_path, since a schema is made in milliseconds and a database in a second: views of the
// whole server (pg_stat_activity, pg_locks) show other tests too.
func PostgresURL(t testing.TB) string {
	t.Helper()
	u := parseURL(t, testkit.PostgresURL(t))
	name := freshName()
	create(t, "pgx", u.String(), "CREATE SCHEMA "+name, "DROP SCHEMA IF EXISTS "+name+" CASCADE")
	q := u.Query()
	q.Set("options", "-c search_path="+name)
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20") // libpq takes a plus for a plus
	return u.String()
}

// MariaDBURL returns the URL of an empty database of a real MariaDB.
func MariaDBURL(t testing.TB) string {
	t.Helper()
	u := parseURL(t, testkit.MariaDBURL(t))
	cfg := mysql.NewConfig()
	cfg.User = u.User.Username()
	cfg.Net = "tcp"
	cfg.Addr = u.Host
	cfg.Passwd, _ = u.User.Password()
	name := freshName()
	create(t, "mysql", cfg.FormatDSN(), "CREATE DATABASE "+name, "DROP DATABASE IF EXISTS "+name)
	u.Path = "/" + name
	return u.String()
}

func parseURL(t testing.TB, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatalf("dbtest: server URL: %v", err)
	}
	return u
}

// freshName is a name that no other test has, in any process.
func freshName() string { return "t_" + strings.ToLower(rand.Text()[:16]) }

// create runs a statement on a server and its opposite at the end of the test.
func create(t testing.TB, driver, dsn, statement, opposite string) {
	t.Helper()
	if err := administer(t.Context(), driver, dsn, statement); err != nil {
		t.Fatalf("dbtest: %s: %v", statement, err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := administer(ctx, driver, dsn, opposite); err != nil {
			t.Errorf("dbtest: %s: %v", opposite, err)
		}
	})
}

// administer runs one statement on a connection of its own. Keeping a pool for it would count
// against the server's connections while the test runs.
func administer(ctx context.Context, driver, dsn, statement string) error {
	server, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	_, err = server.ExecContext(ctx, statement)
	return errors.Join(err, server.Close())
}
