package database_test

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
)

// lookEnv makes this test program another one that looks into the SQLite file it names.
const lookEnv = "EXPORTHUB_TEST_LOOK"

// Whoever looks into the database while it is in use, with a program of his own, leaves it as it is: its log stays, and so
// does what was written afterwards. The log of a database that nobody seems to use goes with the last who closes it.
func TestAnotherProgramLooksIntoSQLite(t *testing.T) {
	if path := os.Getenv(lookEnv); path != "" {
		look(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "app.db")
	db := dbtest.Open(t, "sqlite:"+path, schema...)
	sibling, err := db.Sibling(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // before and after one of our own pools has been closed
		execute(t, db, "INSERT INTO counter (owner, used) SELECT COALESCE(MAX(owner), 0) + 1, 0 FROM counter")
		before, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAnotherProgramLooksIntoSQLite$")
		cmd.Env = append(os.Environ(), lookEnv+"="+path)
		want := fmt.Sprintf("rows: %d", count(t, db, "SELECT COUNT(*) FROM counter"))
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Fatalf("the other program: %v\n%s", err, out)
		}
		if after, err := os.Stat(path + "-wal"); err != nil || !os.SameFile(before, after) {
			t.Fatalf("the log went with the other program: %v", err)
		}
		execute(t, sibling, "UPDATE counter SET used = used + 1")
		if err := sibling.Close(); err != nil {
			t.Fatal(err)
		}
		if sibling, err = database.Open(t.Context(), "sqlite:"+path, database.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := sibling.Close(); err != nil {
		t.Fatal(err)
	}
}

func look(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM counter").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("rows: %d\n", n)
}
