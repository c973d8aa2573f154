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

// A timer that asks for a time that has passed fires a bounded number of times, and lets others
// fire.
func TestTimersInThePastDoNotSpin(t *testing.T) {
	c := NewClock()
	var past Timer
	past.Fire = func(now time.Time) { c.Set(&past, now.Add(-time.Hour)) }
	done := make(chan struct{})
	last := Timer{Fire: func(time.Time) { close(done) }}
	const wait = 20 * MinDelay
	c.Set(&past, time.Now())
	c.Set(&last, time.Now().Add(wait))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go c.Run(ctx)
	<-done
	// Each firing is MinDelay after the one before, however slow the machine is.
	if n := c.Stats().Fired; n > uint64(wait/MinDelay)+1 {
		t.Errorf("fired %d times", n)
	}
}
