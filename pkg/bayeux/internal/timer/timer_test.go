package timer

import (
	"context"
	"testing"
	"time"
)

// TestTimersShrink keeps the clock's list from staying as long as it once was.
func TestTimersShrink(t *testing.T) {
	c := NewClock()
	timers := make([]Timer, 10_000)
	for i := range timers {
		c.Set(&timers[i], time.Now())
	}
	for i := range timers {
		c.Stop(&timers[i])
	}
	if n := cap(c.timers); n > 2048 {
		t.Errorf("room for %d timers is kept", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Run(ctx)
}
