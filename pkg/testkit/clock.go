package testkit

import (
	"sync"
	"time"
)

// Clock is a clock that stands still until it is moved. Its Now goes where a constructor takes now
// func() time.Time. It is safe for concurrent use: the program under test reads it from its own
// goroutines while the test moves it.
//
// It wakes no timer. Code that waits by time.After is tested with testing/synctest instead.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows now.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Now returns the time shown.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Set moves the clock to a time, also backwards.
func (c *Clock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// Advance moves the clock on and returns the new time.
func (c *Clock) Advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}
