package database_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/sync/errgroup"

	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
)

// migrations makes a source of files given by name and text after the first line.
func migrations(files ...string) fs.FS {
	m := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		m["migrations/"+files[i]] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + files[i+1])}
	}
	return m
}

func openBare(t *testing.T, dsn string, log *slog.Logger) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), dsn, database.Options{Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestMigrationsOfPackagesRunInOneOrder(t *testing.T) {
	// Each needs the one before, and they are spread over two packages; nil is a package without
	// any.
	a := migrations(
		"20260101000000_a.sql", "CREATE TABLE a (id {{id}}, n BIGINT NOT NULL) {{table}};",
		"20260103000000_c.sql", "ALTER TABLE b ADD COLUMN c BIGINT;\nINSERT INTO b (at, c) VALUES ({{now}}, 3);",
	)
	b := migrations(
		"20260102000000_b.sql", "CREATE TABLE b (id {{id}}, a_id BIGINT, at BIGINT, FOREIGN KEY (a_id) REFERENCES a (id)) {{table}};",
		"20260104000000_d.sql", "UPDATE b SET c = {{if sqlite}}1{{else if postgres}}2{{else if mysql}}3{{end}};",
	)
	dbtest.EachURL(t, func(t *testing.T, dsn string) {
		var logged bytes.Buffer
		db := openBare(t, dsn, slog.New(slog.NewTextHandler(&logged, nil)))
		if err := database.Migrate(t.Context(), db, b, nil, a); err != nil {
			t.Fatal(err)
		}
		if got, want := count(t, db, "SELECT c FROM b WHERE at > 1000000000000000"), int64(db.Dialect()); got != want {
			t.Errorf("c is %d, want %d", got, want)
		}
		if n := strings.Count(logged.String(), "migration applied"); n != 4 {
			t.Errorf("%d applied migrations were logged, want 4:\n%s", n, &logged)
		}
		logged.Reset()
		// Again, with one more in the middle, as a merged branch has it.
		late := migrations("20260102120000_late.sql", "CREATE TABLE late (id {{id}}) {{table}};")
		if err := database.Migrate(t.Context(), db, a, late, b); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(logged.String(), "migration applied"); n != 1 {
			t.Errorf("%d applied migrations were logged the second time, want 1:\n%s", n, &logged)
		}
		logged.Reset()
		// The program of yesterday on the database of today.
		if err := database.Migrate(t.Context(), db, a, b); err != nil {
			t.Fatal(err)
		}
		if got := logged.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "20260102120000") {
			t.Errorf("want one line on the unknown version, got:\n%s", got)
		}
		if err := database.Migrate(t.Context(), db); err != nil {
			t.Errorf("without any migration: %v", err)
		}
	})
}

func TestMigrationFilesAreChecked(t *testing.T) {
	db := dbtest.SQLite(t)
	good := migrations("20260101000000_good.sql", "CREATE TABLE good (id {{id}});")
	for name, c := range map[string]struct {
		source fs.FS
		want   []string
	}{
		"same version":  {migrations("20260101000000_other.sql", "SELECT 1;"), []string{"20260101000000_good.sql", "20260101000000_other.sql"}},
		"short version": {migrations("001_x.sql", "SELECT 1;"), []string{"001_x.sql", "20261121000100_people.sql"}},
		"no name":       {migrations("20260101000001.sql", "SELECT 1;"), []string{"20260101000001.sql"}},
		"capitals":      {migrations("20260101000001_X.sql", "SELECT 1;"), []string{"20260101000001_X.sql"}},
		"no date":       {migrations("20261301000000_x.sql", "SELECT 1;"), []string{"20261301000000_x.sql", "month"}},
		"unknown macro": {migrations("20260101000001_x.sql", "{{uuid}}"), []string{"20260101000001_x.sql", "uuid"}},
		"open block":    {migrations("20260101000001_x.sql", "{{if mysql}}"), []string{"20260101000001_x.sql"}},
		"no direction":  {fstest.MapFS{"20260101000001_x.sql": {Data: []byte("SELECT 1;")}}, []string{"20260101000001_x.sql"}},
		"bad SQL":       {migrations("20260101000001_x.sql", "CREATE TABEL x (id {{id}});"), []string{"20260101000001_x.sql", "TABEL"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := database.Migrate(t.Context(), db, good, c.source)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in the error: %v", want, err)
				}
			}
		})
	}
}

func TestFailedMigrationLeavesTheOnesBefore(t *testing.T) {
	good := migrations("20260101000000_good.sql", "CREATE TABLE good (id {{id}}) {{table}};")
	bad := migrations("20260102000000_bad.sql", "INSERT INTO good (id) VALUES (1);\nINSERT INTO missing (id) VALUES (1);")
	fixed := migrations("20260102000000_bad.sql", "INSERT INTO good (id) VALUES (2);")
	dbtest.EachURL(t, func(t *testing.T, dsn string) {
		db := openBare(t, dsn, slog.New(slog.DiscardHandler))
		err := database.Migrate(t.Context(), db, good, bad)
		if err == nil || !strings.Contains(err.Error(), "20260102000000_bad.sql") || !strings.Contains(err.Error(), "missing") {
			t.Errorf("Migrate = %v, want the file and the reason", err)
		}
		if n := count(t, db, "SELECT COUNT(*) FROM good"); n != 0 {
			t.Errorf("the failed migration left %d rows", n)
		}
		if err := database.Migrate(t.Context(), db, good, fixed); err != nil {
			t.Errorf("after the repair: %v", err)
		}
		if n := count(t, db, "SELECT COUNT(*) FROM good WHERE id = 2"); n != 1 {
			t.Errorf("the repaired migration ran %d times", n)
		}
	})
}

// contended takes its time and fails when it runs twice.
var contended = migrations(
	"20260101000000_one.sql", "CREATE TABLE one (id {{id}}, n BIGINT NOT NULL) {{table}};",
	"20260102000000_two.sql", "INSERT INTO one (n) VALUES (1);\nCREATE INDEX one_n ON one (n);",
	"20260103000000_three.sql", "ALTER TABLE one ADD COLUMN m BIGINT;",
	"20260104000000_four.sql", "CREATE TABLE four (id {{id}}) {{table}};",
)

func TestManyMigratorsInOneProcess(t *testing.T) {
	dbtest.EachURL(t, func(t *testing.T, dsn string) {
		var g errgroup.Group
		for range 8 {
			g.Go(func() error {
				db, err := database.Open(t.Context(), dsn, database.Options{Logger: slog.New(slog.DiscardHandler)})
				if err != nil {
					return err
				}
				defer db.Close()
				return database.Migrate(t.Context(), db, contended)
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		db := openBare(t, dsn, slog.New(slog.DiscardHandler))
		if n := count(t, db, "SELECT COUNT(*) FROM one"); n != 1 {
			t.Errorf("the migrations ran %d times", n)
		}
	})
}

// migratorEnv makes this test program a migrator of the database it names.
const migratorEnv = "EXPORTHUB_TEST_MIGRATE"

func TestManyMigratorProcesses(t *testing.T) {
	if dsn := os.Getenv(migratorEnv); dsn != "" {
		db := openBare(t, dsn, slog.New(slog.DiscardHandler))
		if err := database.Migrate(t.Context(), db, contended); err != nil {
			t.Fatal(err)
		}
		fmt.Println("migrated")
		return
	}
	dbtest.EachURL(t, func(t *testing.T, dsn string) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var g errgroup.Group
		for range 8 {
			g.Go(func() error {
				cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestManyMigratorProcesses$")
				cmd.Env = append(os.Environ(), migratorEnv+"="+dsn)
				out, err := cmd.CombinedOutput()
				if err != nil || !bytes.Contains(out, []byte("migrated")) {
					return fmt.Errorf("migrator: %v\n%s", err, out)
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		db := openBare(t, dsn, slog.New(slog.DiscardHandler))
		if n := count(t, db, "SELECT COUNT(*) FROM one"); n != 1 {
			t.Errorf("the migrations ran %d times", n)
		}
	})
}

func TestMigratorGivesUpWithItsCaller(t *testing.T) {
	dbtest.EachURL(t, func(t *testing.T, dsn string) {
		db := openBare(t, dsn, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := database.Migrate(ctx, db, contended); err == nil {
			t.Error("Migrate with a cancelled context succeeded")
		}
		if err := database.Migrate(t.Context(), db, contended); err != nil {
			t.Errorf("the next one: %v", err)
		}
	})
}

func TestMigratorKilledAfterMakingItsTable(t *testing.T) {
	dbtest.EachURL(t, func(t *testing.T, dsn string) {
		db := openBare(t, dsn, slog.New(slog.DiscardHandler))
		if err := database.Migrate(t.Context(), db, migrations("20250101000000_first.sql", "CREATE TABLE first (id {{id}}) {{table}};")); err != nil {
			t.Fatal(err)
		}
		execute(t, db, "DELETE FROM schema_migrations")
		if err := database.Migrate(t.Context(), db, contended); err != nil {
			t.Errorf("with an empty version table: %v", err)
		}
		if n := count(t, db, "SELECT COUNT(*) FROM one"); n != 1 {
			t.Errorf("the migrations ran %d times", n)
		}
	})
}
