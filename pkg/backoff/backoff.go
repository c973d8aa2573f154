// Package backoff waits between tries: a sleep that a context ends, and how long to sleep.
//
//	for try := 1; ; try++ {
//		if err := send(ctx); err == nil {
//			return nil
//		}
//		delay := backoff.Doubling(time.Second, time.Minute, try)
//		if !backoff.Sleep(ctx, backoff.Around(delay, 0.2)) {
//			return context.Cause(ctx)
//		}
//	}
//
// The delays are plain functions because every caller has a policy of its own: a lost race for a
// lock wants milliseconds and full jitter, a server that is away wants seconds and a fifth.
//
// pkg/bayeux does not use this package: it is a library by itself and imports nothing of ours.
//
// # Concurrency
//
// Everything is safe for concurrent use; nothing starts a goroutine.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// maxDoublings keeps the shift of Doubling inside 63 bits for every first delay up to an hour.
const maxDoublings = 20

// Sleep waits for d and reports true, or reports false as soon as ctx ends. A d of 0 or less does
// not wait, but a context that has ended is still noticed.
func Sleep(ctx context.Context, d time.Duration) bool {
	// A select would choose at random when both are ready, and a loop that only sleeps between its
	// rounds would now and then go one round too far.
	if ctx.Err() != nil {
		return false
	}
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Doubling is the delay after the nth failed try: first, then twice as long each time, at most
// limit. An n below 1 counts as 1.
func Doubling(first, limit time.Duration, n int) time.Duration {
	doublings := min(max(n-1, 0), maxDoublings)
	// Compared before the shift, which could overflow for a first delay of hours.
	if first > limit>>doublings {
		return limit
	}
	return first << doublings
}

// Around is a random delay from d less share to d plus share, such as 0.2 for a fifth, so that
// callers that failed together do not come back together.
func Around(d time.Duration, share float64) time.Duration {
	spread := time.Duration(float64(d) * share)
	if spread <= 0 {
		return d
	}
	return d - spread + rand.N(2*spread+1)
}

// Below is a random delay under d. It separates callers that collided better than Around does, at
// the price of delays near 0: for short waits, where one more collision costs little.
func Below(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}
