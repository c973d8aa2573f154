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

	mu sync.Mutex
	// when all uses of a key have drained (GCRA's TAT); absent is long ago
	ahead     map[string]time.Time
	nextSweep time.Time
}

var _ Limiter = (*Local)(nil)

// New makes a limiter that counts within this process.
func New(opts Options) *Local {
	l := &Local{
		perMinute: opts.PerMinute,
		maxKeys:   cmp.Or(opts.MaxKeys, defaultMaxKeys),
		now:       opts.Now,
		ahead:     map[string]time.Time{},
	}
	if l.now == nil {
		l.now = time.Now
	}
	if opts.PerMinute > 0 {
		l.interval = opts.interval()
		l.burst = l.interval * time.Duration(opts.PerMinute)
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
	// A key that was quiet starts from now: quiet time beyond a minute is not saved up.
	if was.Before(now) {
		was = now
	}
	next := was.Add(l.interval)
	if wait := next.Sub(now) - l.burst; wait > 0 {
		return false, wait // and nothing is stored: a refused use must not push the next one away
	}
	if !known {
		l.makeRoomLocked(now)
	}
	l.ahead[key] = next
	return true, 0
}

// makeRoomLocked deletes keys whose uses have all drained, and any key when there are none.
func (l *Local) makeRoomLocked(now time.Time) {
	if len(l.ahead) < l.maxKeys {
		return
	}
	// looking at all keys for every new one would cost more than it protects
	if !now.Before(l.nextSweep) {
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
