package ratelimit

import (
	"context"
	"time"

	"exporthub/pkg/errs"
)

// Limiter counts what is done under a key.
type Limiter interface {
	// Allow reports whether it may be done once more now, and counts it if so; else after how long
	// it may.
	Allow(ctx context.Context, key string) (ok bool, retryAfter time.Duration)
}

// Options configure a limiter.
type Options struct {
	// PerMinute is how often each key is allowed a minute; 0 or less is off: everything is allowed.
	PerMinute int
	// Name tells the keys of one Shared limiter from those of another in Redis; default "default".
	Name string
	// MaxKeys bounds the keys remembered in this process; default 100,000, about 10 MB. When there
	// are more at once, some are dropped and start anew.
	MaxKeys int
	// Timeout is how long Shared waits for Redis before it counts by itself; default 150 ms.
	Timeout time.Duration
	// Pause is how long Shared leaves Redis alone after it failed; default 1 s.
	Pause time.Duration
	// Now is the clock of this process; default time.Now. Redis counts by its own.
	Now func() time.Time
}

// Check asks a limiter and returns a TooMany error with RetryAfter when it refuses.
func Check(ctx context.Context, l Limiter, key string) error {
	ok, after := l.Allow(ctx, key)
	if ok {
		return nil
	}
	return &errs.Error{Kind: errs.TooMany, RetryAfter: after}
}

// interval is how long one use takes to drain. At least 1 ns, or a limit above 60 billion a minute
// would divide to 0, which means off.
func (opts Options) interval() time.Duration {
	return max(time.Minute/time.Duration(opts.PerMinute), 1)
}
