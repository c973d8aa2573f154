package ratelimit

import (
	"cmp"
	"context"
	"sync"
	"time"
)

const defaultMaxKeys = 100_000

// Local counts within this process.
type Local struct {
	perMinute int
	interval  time.Duration
	burst     time.Duration // how far ahead of now a key may get: PerMinute intervals
	maxKeys   int
	now       func() time.Time

	mu        sync.Mutex
	ahead     map[string]time.Time // when all that was done under a key is forgotten (GCRA's TAT); absent is long ago
	nextSweep time.Time
}

var _ Limiter = (*Local)(nil)

// New makes a limiter that counts within this process.
func New(o Options) *Local {
	l := &Local{
		perMinute: o.PerMinute, maxKeys: cmp.Or(o.MaxKeys, defaultMaxKeys), now: o.Now, ahead: map[string]time.Time{},
	}
	if l.now == nil {
		l.now = time.Now
	}
	if o.PerMinute > 0 {
		l.interval = o.interval()
		l.burst = l.interval * time.Duration(o.PerMinute)
	}
	return l
}

// Allow implements Limiter.
func (l *Local) Allow(_ context.Context, key string) (bool, time.Duration) {
	if l.perMinute <= 0 {
		return true, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	was, known := l.ahead[key]
	if was.Before(now) {
		was = now
	}
	next := was.Add(l.interval)
	if wait := next.Sub(now) - l.burst; wait > 0 {
		return false, wait
	}
	if !known {
		l.makeRoomLocked(now)
	}
	l.ahead[key] = next
	return true, 0
}

// makeRoomLocked forgets keys that have nothing to be remembered for, and any one when there are
// none.
func (l *Local) makeRoomLocked(now time.Time) {
	if len(l.ahead) < l.maxKeys {
		return
	}
	if !now.Before(l.nextSweep) { // looking at all keys for every new one would cost more than it protects
		l.nextSweep = now.Add(time.Second)
		for key, until := range l.ahead {
			if !until.After(now) {
				delete(l.ahead, key)
			}
		}
	}
	for key := range l.ahead {
		if len(l.ahead) < l.maxKeys {
			return
		}
		delete(l.ahead, key)
	}
}
