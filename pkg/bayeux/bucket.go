package bayeux

import (
	"time"
)

// bucket allows so many things a second, and a burst of so many at once. Its zero value is full.
type bucket struct {
	spent float64 // how much of the burst was used at that time
	at    time.Time
}

// take reports whether one more thing is allowed now, and counts it if so.
func (b *bucket) take(now time.Time, rate, burst int) bool {
	b.refill(now, rate)
	if b.spent+1 > float64(burst) {
		return false
	}
	b.spent++
	return true
}

// full reports whether the whole burst is there again.
func (b *bucket) full(now time.Time, rate int) bool {
	b.refill(now, rate)
	return b.spent == 0
}

func (b *bucket) refill(now time.Time, rate int) {
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.spent = max(0, b.spent-passed*float64(rate))
		b.at = now
	}
}
