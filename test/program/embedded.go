package program

import (
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"exporthub/pkg/testkit"
)

// Embedded is the whole system in one process, on SQLite and with demo data, as "make run" starts
// it.
type Embedded struct {
	*App
	*Process
	Dir  string       // holds data/
	Stop func() error // ends it and returns how it ended; a second call returns the same
}

var addressLine = regexp.MustCompile(`Exporthub is at (http://\S+)`)

// EmbeddedEnviron is the environment of an embedded system on a free port, with its data below dir.
// Later variables win, so what a test sets comes behind it.
func EmbeddedEnviron(dir string) []string {
	data := func(name string) string { return filepath.Join(dir, "data", name) }
	return []string{
		"HTTP_ADDR=127.0.0.1:0",
		"DATABASE_URL=sqlite:" + data("exporthub.db"),
		"STORAGE_DIR=" + data("files"),
		"SPOOL_DIR=" + data("spool"),
		"DEMO_ROWS=300",
		"LOG_LEVEL=info",
	}
}

// AddressIn finds where an api says it is; "" while it has not said so.
func AddressIn(out string) string {
	found := addressLine.FindStringSubmatch(out)
	if found == nil {
		return ""
	}
	return found[1]
}

// StartEmbedded starts the system in a directory of the test's. Variables in environ win.
func StartEmbedded(t testing.TB, environ ...string) *Embedded {
	t.Helper()
	dir := t.TempDir()
	e := &Embedded{
		App:     &App{T: t},
		Process: Spawn(t, "api", append(EmbeddedEnviron(dir), environ...), "-embedded"),
		Dir:     dir,
	}
	e.Stop = sync.OnceValue(func() error {
		e.Signal(syscall.SIGTERM)
		return e.Ended(stopGrace)
	})
	// Registered after Spawn's, so it runs first, and a bad exit code is reported and not only a
	// hang.
	t.Cleanup(func() {
		if err := e.Stop(); err != nil {
			t.Errorf("the api ended: %v", err)
		}
	})
	testkit.Eventually(t, time.Minute, func() bool {
		if e.Gone() {
			t.Fatalf("the api ended: %v\n%s", e.Ended(time.Second), e.Logs)
		}
		e.URL = AddressIn(e.Out.String())
		return e.URL != ""
	}, "the program to say where it is")
	return e
}
