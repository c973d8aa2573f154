package ratelimit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// gcra counts one use of a key, by Redis's own clock.
//
//	KEYS[1]  what the key is counted under: holds, as decimal microseconds since 1970, when all
//	         that was done is drained (the theoretical arrival time); absent is long ago
//	ARGV[1]  the interval of one use, in microseconds
//	ARGV[2]  how many intervals the key may be ahead of now
//	result   0 when the use is allowed and counted, else after how many microseconds it will be
var gcra = redis.NewScript(`
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local interval = tonumber(ARGV[1])
local ahead = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + interval
local wait = ahead - now - interval * tonumber(ARGV[2])
if wait > 0 then
  return wait
end
redis.call('SET', KEYS[1], string.format('%.0f', ahead), 'PX', math.ceil((ahead - now) / 1000))
return 0
`)

const (
	keyPrefix = "exporthub:rate:"
	// maxInFlight bounds the questions to a Redis that does not answer.
	maxInFlight = 256
)

// Shared counts in Redis, for all processes that use the same Redis and Options.Name. While Redis
// is away it counts within this process; Allow never waits longer than Options.Timeout.
type Shared struct {
	rdb      redis.UniversalClient
	local    *Local
	name     string
	interval int64 // microseconds
	timeout  time.Duration
	pause    time.Duration
	now      func() time.Time

	awayUntil atomic.Int64 // unix microseconds until which Redis is left alone
	flying    chan struct{}
	mu        sync.Mutex // guards closed, and flights.Add against flights.Wait
	closed    bool
	flights   sync.WaitGroup
}

var _ Limiter = (*Shared)(nil)

// NewShared makes a limiter that counts in Redis. The client stays the caller's, who closes the
// limiter before it.
func NewShared(rdb redis.UniversalClient, opts Options) *Shared {
	s := &Shared{
		rdb:     rdb,
		local:   New(opts),
		name:    keyPrefix + cmp.Or(opts.Name, "default") + ":",
		now:     opts.Now,
		timeout: cmp.Or(opts.Timeout, 150*time.Millisecond),
		pause:   cmp.Or(opts.Pause, time.Second),
		flying:  make(chan struct{}, maxInFlight),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if opts.PerMinute > 0 {
		s.interval = max(opts.interval().Microseconds(), 1)
	}
	return s
}

// Allow implements Limiter.
func (s *Shared) Allow(ctx context.Context, key string) (bool, time.Duration) {
	if s.interval == 0 {
		return true, 0
	}
	if s.now().UnixMicro() >= s.awayUntil.Load() {
		wait, err := s.ask(ctx, key)
		if err == nil {
			return wait == 0, wait
		}
		// While Redis is away, one use in Pause pays the timeout and all others count locally at
		// once.
		if ctx.Err() == nil { // a caller who left says nothing about Redis
			s.awayUntil.Store(s.now().Add(s.pause).UnixMicro())
		}
	}
	return s.local.Allow(ctx, key)
}

var errAway = errors.New("ratelimit: no answer from Redis in time")

// ask runs the script. A client need not honour contexts while it reads (go-redis does so by option
// only), so the question is put by a goroutine of its own; Close waits for those.
func (s *Shared) ask(ctx context.Context, key string) (time.Duration, error) {
	if !s.depart() {
		return 0, errAway
	}
	type answer struct {
		wait time.Duration
		err  error
	}
	got := make(chan answer, 1)
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	go func() {
		defer s.arrive()
		wait, err := s.run(ctx, key)
		got <- answer{wait, err}
	}()
	select {
	case a := <-got:
		return a.wait, a.err
	case <-ctx.Done():
		return 0, errAway
	}
}

func (s *Shared) run(ctx context.Context, key string) (time.Duration, error) {
	micros, err := gcra.Run(ctx, s.rdb, []string{s.name + key}, s.interval, s.local.perMinute).Int64()
	if err != nil {
		return 0, fmt.Errorf("count in Redis: %w", err)
	}
	return time.Duration(micros) * time.Microsecond, nil
}

// depart makes room for a question, unless there are too many or the limiter is closed.
func (s *Shared) depart() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	select {
	case s.flying <- struct{}{}:
		s.flights.Add(1)
		return true
	default:
		return false
	}
}

func (s *Shared) arrive() {
	<-s.flying
	s.flights.Done()
}

// Close waits for the questions still put to Redis, as long as the client's own timeouts. A closed
// limiter counts within the process. Closing twice is fine.
func (s *Shared) Close() {
	// Under the lock, so that no Add comes after Wait has seen zero.
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.flights.Wait()
}
