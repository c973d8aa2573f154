//go:build unix

package database_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
)

// lookEnv makes this test program another one that looks at the SQLite file it names.
const lookEnv = "EXPORTHUB_TEST_LOOK"

// Another program sees that the database is in use, whatever pools of ours were opened and closed.
// Else SQLite, in whichever program closes the database next, takes its log away, and with it what
// is written afterwards.
func TestAnotherProgramSeesThatSQLiteIsInUse(t *testing.T) {
	if path := os.Getenv(lookEnv); path != "" {
		fmt.Println("held:", held(t, path))
		return
	}
	path := filepath.Join(t.TempDir(), "app.db")
	db := dbtest.Open(t, "sqlite:"+path, schema...)
	inUse := func(when string, want bool) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), lookEnv+"="+path)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), fmt.Sprint("held: ", want)) {
			t.Errorf("%s: %v, want held: %t\n%s", when, err, want, out)
		}
	}
	execute(t, db, "INSERT INTO counter (owner, used) VALUES (1, 0)")
	inUse("one pool", true)
	sibling, err := db.Sibling(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	inUse("with a sibling", true)
	again, err := database.Open(t.Context(), "sqlite:"+path, database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range []io.Closer{sibling, again} {
		if err := each.Close(); err != nil {
			t.Fatal(err)
		}
		inUse("after closing others", true)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	inUse("closed", false)
}

// held tells whether somebody holds SQLite's lock of those who use a database: 510 bytes from
// 0x40000002 on (https://www.sqlite.org/lockingv3.html, "shared").
func held(t *testing.T, path string) bool {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart, Start: 0x40000002, Len: 510}
	if err := syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &lock); err != nil {
		t.Fatal(err)
	}
	return lock.Type != syscall.F_UNLCK
}
