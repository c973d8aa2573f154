// Package timer calls functions at times, all from one goroutine and one runtime timer.
//
// A server has hundreds of thousands of deadlines, one for each session and each socket, almost
// all of which are moved before they come. A heap of them costs a few words each, where a
// time.Timer each would cost an allocation whenever one is moved.
package timer

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"
)

// Timer calls a function at a time. It belongs to at most one Clock.
type Timer struct {
	// Fire is called by the Clock's goroutine with the present time, and holds up all other timers
	// meanwhile: it must not block. A timer is set once; Fire sets it again where that is wanted.
	Fire func(now time.Time)

	at    time.Time
	index int // in the heap, from 1; 0 when not set
}

// MinDelay is the least time from now for which a timer can be set. A timer that its Fire sets to a
// time that has passed would otherwise fire again at once, for ever, and no other would.
const MinDelay = 10 * time.Millisecond

// Clock fires timers. Its methods may be called concurrently, also from Fire.
type Clock struct {
	mu     sync.Mutex
	timers timerHeap
	stats  Stats
	wake   chan struct{} // holds one token: the earliest timer has changed
}

// Stats are a clock's numbers since it was made.
type Stats struct {
	Fired   uint64
	Slowest time.Duration // of one Fire, which holds up all other timers
}

// Stats returns the numbers up to now.
func (c *Clock) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats
}

// NewClock makes a clock, which fires nothing until Run is called.
func NewClock() *Clock { return &Clock{wake: make(chan struct{}, 1)} }

// Set makes the timer fire at that time, whatever time it was set to before, but not before
// MinDelay from now.
func (c *Clock) Set(t *Timer, at time.Time) {
	if earliest := time.Now().Add(MinDelay); at.Before(earliest) {
		at = earliest
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t.at = at
	if t.index == 0 {
		heap.Push(&c.timers, t)
	} else {
		heap.Fix(&c.timers, t.index-1)
	}
	if c.timers[0] == t {
		select {
		case c.wake <- struct{}{}:
		default:
			// The goroutine has not taken the last token yet and will see the heap as it is now.
		}
	}
}

// SetBy makes the timer fire at that time unless it is set to an earlier one.
func (c *Clock) SetBy(t *Timer, at time.Time) {
	c.mu.Lock()
	earlier := t.index != 0 && !t.at.After(at)
	c.mu.Unlock()
	if !earlier {
		c.Set(t, at)
	}
}

// Stop keeps the timer from firing. A Fire that is running already goes on, and may set it again.
func (c *Clock) Stop(t *Timer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.index != 0 {
		heap.Remove(&c.timers, t.index-1)
	}
}

// Run fires timers until ctx ends.
func (c *Clock) Run(ctx context.Context) {
	runtimeTimer := time.NewTimer(time.Hour)
	defer runtimeTimer.Stop()
	for {
		runtimeTimer.Reset(c.fireDue(time.Now()))
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-runtimeTimer.C:
		}
	}
}

// fireDue fires what is due at that time and returns how long it is until the next.
func (c *Clock) fireDue(now time.Time) time.Duration {
	for {
		c.mu.Lock()
		if len(c.timers) == 0 {
			c.mu.Unlock()
			return time.Hour
		}
		t := c.timers[0]
		if wait := t.at.Sub(now); wait > 0 {
			c.mu.Unlock()
			return wait
		}
		heap.Pop(&c.timers)
		c.mu.Unlock() // Fire takes locks under which others set timers
		began := time.Now()
		t.Fire(now)
		took := time.Since(began)
		c.mu.Lock()
		c.stats.Fired++
		c.stats.Slowest = max(c.stats.Slowest, took)
		c.mu.Unlock()
	}
}

// timerHeap orders timers by time.
type timerHeap []*Timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

// Push implements heap.Interface.
func (h *timerHeap) Push(x any) {
	t := x.(*Timer)
	*h = append(*h, t)
	t.index = len(*h)
}

// Pop implements heap.Interface.
func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	if cap(old) > 1024 && len(old) < cap(old)/4 {
		*h = slices.Clip(slices.Clone(*h)) // a slice keeps the room that a flood once needed
	}
	t.index = 0
	return t
}
