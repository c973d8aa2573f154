package testkit

import (
	"fmt"
	"testing"
	"time"
)

// Eventually waits until cond holds, asking every few milliseconds, and fails the test when the
// timeout passes first. cond is called by the test's own goroutine, at least once, and one last
// time at the end. What is waited for may be described by a format and arguments.
func Eventually(t testing.TB, timeout time.Duration, cond func() bool, what ...any) {
	t.Helper()
	// Polling and not a signal: what is waited for is mostly in another process.
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for !cond() {
		select {
		case <-ticker.C:
		case <-deadline.C:
			// On a busy machine both channels may be ready and the deadline be picked. What holds
			// by then is no failure.
			if cond() {
				return
			}
			t.Fatalf("not within %s: %s", timeout, describe(what))
		}
	}
}

func describe(what []any) string {
	if len(what) == 0 {
		return "the condition"
	}
	if format, ok := what[0].(string); ok {
		return fmt.Sprintf(format, what[1:]...)
	}
	return fmt.Sprint(what...)
}
