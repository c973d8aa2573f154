package testkit

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	start := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	c := NewClock(start)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			c.Advance(time.Second)
			c.Now()
		})
	}
	wg.Wait()
	if got, want := c.Now(), start.Add(100*time.Second); !got.Equal(want) {
		t.Errorf("after 100 steps of a second: %v, want %v", got, want)
	}
	c.Set(start)
	if got := c.Advance(-time.Hour); !got.Equal(start.Add(-time.Hour)) || !c.Now().Equal(got) {
		t.Errorf("set back and an hour before: %v", got)
	}
}

func TestGolden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "golden.txt")
	if got := failures(t, func(t testing.TB) { Golden(t, path, "a\n") }); len(got) != 1 || !strings.Contains(got[0], "-update") {
		t.Errorf("a missing file: %q, want the way to make it", got)
	}
	*update = true
	Golden(t, path, []byte("a\n"))
	*update = false
	Golden(t, path, "a\n")
	if got := failures(t, func(t testing.TB) { Golden(t, path, "b\n") }); len(got) != 1 || !strings.Contains(got[0], path) {
		t.Errorf("a difference: %q, want the path", got)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "a\n" {
		t.Errorf("comparing changed the file to %q, %v", got, err)
	}
}

func TestEventually(t *testing.T) {
	asked := 0
	Eventually(t, time.Minute, func() bool { asked++; return asked == 3 })
	if asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
	got := failures(t, func(t testing.TB) { Eventually(t, time.Millisecond, func() bool { return false }, "%d apples", 3) })
	if len(got) != 1 || !strings.Contains(got[0], "3 apples") {
		t.Errorf("never: %q, want what was waited for", got)
	}
	if got := failures(t, func(t testing.TB) { Eventually(t, 0, func() bool { return true }) }); len(got) != 0 {
		t.Errorf("true at once: %q", got)
	}
}

func TestPython(t *testing.T) {
	if got := Python(t, "json"); got == "" {
		t.Error("no python found")
	}
	if got := failures(t, func(t testing.TB) { Python(t, "no_such_module") }); len(got) != 1 || !strings.Contains(got[0], "python3-no_such_module") {
		t.Errorf("a missing module: %q, want what to install", got)
	}
}
