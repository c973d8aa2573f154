package auth

import (
	"net/netip"
	"sync"
	"time"

	"exporthub/pkg/errs"
)

// maxTriers bounds the networks that are counted, about 100 bytes each.
const maxTriers = 50_000

// wideFactor is how many times the tries of a /64 its whole /48 has: one subscriber often has a /48
// or /56 at their disposal, and thousands of /64 in it must not be thousands of counters.
const wideFactor = 4

// tries counts wrong passwords by network, before anything of a login is paid for. It is GCRA (see
// pkg/ratelimit, which auth does not import for want of a way to take a use back): a quiet network
// has a minute's worth at once.
//
// It counts within this process: several replicas together allow so many times each, which hashing
// still bears, and a shared counter would be a question to Redis for every request of an attacker.
type tries struct {
	interval time.Duration // 0 is off
	burst    time.Duration
	now      func() time.Time

	mu    sync.Mutex
	ahead map[netip.Prefix]time.Time // when all counted tries have drained
}

func newTries(perMinute int, now func() time.Time) *tries {
	t := &tries{now: now, ahead: map[netip.Prefix]time.Time{}}
	if perMinute > 0 {
		t.interval = time.Minute / time.Duration(perMinute)
		t.burst = time.Minute
	}
	return t
}

// take counts a try of an address, or refuses it with TooMany. undo takes it back, for a try that
// turned out to be no wrong password.
func (t *tries) take(from netip.Addr) (undo func(), err error) {
	if t.interval == 0 || !from.IsValid() {
		return func() {}, nil
	}
	wide, narrow := networks(from)
	steps := map[netip.Prefix]time.Duration{narrow: t.interval}
	if wide != narrow {
		steps[wide] = t.interval / wideFactor
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	for network, step := range steps {
		// Nothing is stored for a refused try: it must not push the next allowed one away.
		if wait := laterOf(t.ahead[network], now).Add(step).Sub(now) - t.burst; wait > 0 {
			return nil, &errs.Error{Kind: errs.TooMany, Code: "login_rate", RetryAfter: wait}
		}
	}
	for network, step := range steps {
		if _, known := t.ahead[network]; !known {
			t.makeRoomLocked(now)
		}
		t.ahead[network] = laterOf(t.ahead[network], now).Add(step)
	}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		for network, step := range steps {
			if until, known := t.ahead[network]; known {
				t.ahead[network] = until.Add(-step)
			}
		}
	}, nil
}

// makeRoomLocked drops networks whose tries have drained and, when all are busy, a few of the
// others: an attacker with that many networks is not stopped by a counter for each.
func (t *tries) makeRoomLocked(now time.Time) {
	if len(t.ahead) < maxTriers {
		return
	}
	for network, until := range t.ahead {
		if !until.After(now) {
			delete(t.ahead, network)
		}
	}
	for network := range t.ahead {
		if len(t.ahead) < maxTriers*9/10 {
			return
		}
		delete(t.ahead, network)
	}
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
