package bayeux

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"
)

// alarm calls a function at a time. Sessions and sockets have one each, in place of timers of their own.
type alarm struct {
	fire  func(now time.Time) // must not block; sets the alarm again when it is to ring again
	at    time.Time
	index int // in the heap, from 1; 0 when not set
}

// clock rings alarms, all from one goroutine.
type clock struct {
	mu     sync.Mutex
	alarms alarmHeap
	wake   chan struct{}
}

func newClock() *clock { return &clock{wake: make(chan struct{}, 1)} }

// set makes the alarm ring at that time, wherever it stood before.
func (c *clock) set(a *alarm, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a.at = at
	if a.index == 0 {
		heap.Push(&c.alarms, a)
	} else {
		heap.Fix(&c.alarms, a.index-1)
	}
	if c.alarms[0] == a {
		select {
		case c.wake <- struct{}{}:
		default: // the goroutine is about to look anyway
		}
	}
}

// by makes the alarm ring at that time unless it rings earlier.
func (c *clock) by(a *alarm, at time.Time) {
	c.mu.Lock()
	earlier := a.index != 0 && !a.at.After(at)
	c.mu.Unlock()
	if !earlier {
		c.set(a, at)
	}
}

// stop keeps the alarm from ringing again, unless it is ringing now.
func (c *clock) stop(a *alarm) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.index != 0 {
		heap.Remove(&c.alarms, a.index-1)
	}
}

// run rings alarms until ctx ends.
func (c *clock) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		now := time.Now()
		wait := time.Hour
		for {
			c.mu.Lock()
			if len(c.alarms) == 0 {
				c.mu.Unlock()
				break
			}
			a := c.alarms[0]
			if wait = a.at.Sub(now); wait > 0 {
				c.mu.Unlock()
				break
			}
			heap.Pop(&c.alarms)
			c.mu.Unlock()
			a.fire(now)
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-timer.C:
		}
	}
}

// alarmHeap orders alarms by time.
type alarmHeap []*alarm

func (h alarmHeap) Len() int           { return len(h) }
func (h alarmHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h alarmHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

// Push implements heap.Interface.
func (h *alarmHeap) Push(x any) {
	a := x.(*alarm)
	*h = append(*h, a)
	a.index = len(*h)
}

// Pop implements heap.Interface.
func (h *alarmHeap) Pop() any {
	old := *h
	a := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	if cap(old) > 1024 && len(old) < cap(old)/4 {
		*h = slices.Clip(slices.Clone(*h)) // after a flood
	}
	a.index = 0
	return a
}
