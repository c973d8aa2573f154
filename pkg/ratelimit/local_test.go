package ratelimit_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"exporthub/pkg/errs"
	"exporthub/pkg/ratelimit"
	"exporthub/pkg/testkit"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestLocal(t *testing.T) {
	clock := testkit.NewClock(start)
	l := ratelimit.New(ratelimit.Options{PerMinute: 6, Now: clock.Now})
	steps := []struct {
		wait  time.Duration
		ok    int           // how many are allowed in a row
		after time.Duration // then
	}{
		{0, 6, 10 * time.Second},                 // a quiet minute's worth at once
		{0, 0, 10 * time.Second},                 // being refused costs nothing
		{9 * time.Second, 0, time.Second},        //
		{time.Second, 1, 10 * time.Second},       // one every ten seconds
		{25 * time.Second, 2, 5 * time.Second},   //
		{time.Hour, 6, 10 * time.Second},         // more than a minute is not saved up
		{-30 * time.Second, 0, 40 * time.Second}, // a clock that was set back
	}
	for i, s := range steps {
		clock.Advance(s.wait)
		for n := range s.ok {
			if ok, after := l.Allow(t.Context(), "k"); !ok {
				t.Fatalf("step %d: use %d refused for %s", i, n, after)
			}
		}
		if ok, after := l.Allow(t.Context(), "k"); ok || after != s.after {
			t.Fatalf("step %d: then %t, %s, want refused for %s", i, ok, after, s.after)
		}
	}
	if ok, _ := l.Allow(t.Context(), "another"); !ok {
		t.Error("keys are counted together")
	}
}

func TestOff(t *testing.T) {
	for _, perMinute := range []int{0, -1} {
		o := ratelimit.Options{PerMinute: perMinute}
		shared := ratelimit.NewShared(nil, o) // which asks nobody
		defer shared.Close()
		for _, l := range []ratelimit.Limiter{ratelimit.New(o), shared} {
			for range 1000 {
				if ok, after := l.Allow(t.Context(), "k"); !ok || after != 0 {
					t.Fatalf("%d a minute: %t, %s", perMinute, ok, after)
				}
			}
		}
	}
}

func TestCheck(t *testing.T) {
	clock := testkit.NewClock(start)
	l := ratelimit.New(ratelimit.Options{PerMinute: 1, Now: clock.Now})
	if err := ratelimit.Check(t.Context(), l, "k"); err != nil {
		t.Fatal(err)
	}
	err := ratelimit.Check(t.Context(), l, "k")
	if !errs.Is(err, errs.TooMany) || errs.As(err).RetryAfter != time.Minute {
		t.Errorf("the second of one a minute: %v", err)
	}
}

func TestLocalCountsRacingUses(t *testing.T) {
	clock := testkit.NewClock(start)
	l := ratelimit.New(ratelimit.Options{PerMinute: 50, Now: clock.Now})
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if ok, _ := l.Allow(t.Context(), "k"); ok {
				allowed.Add(1)
			}
		})
	}
	wg.Wait()
	if allowed.Load() != 50 {
		t.Errorf("%d allowed, want 50", allowed.Load())
	}
}

// A flood of keys makes the limiter drop others at worst, the quiet ones first.
func TestLocalIsBounded(t *testing.T) {
	clock := testkit.NewClock(start)
	l := ratelimit.New(ratelimit.Options{PerMinute: 1, MaxKeys: 10, Now: clock.Now})
	for i := range 9 {
		l.Allow(t.Context(), fmt.Sprint("quiet", i))
	}
	clock.Advance(time.Minute)
	l.Allow(t.Context(), "busy")
	l.Allow(t.Context(), "new") // the eleventh: the quiet go
	if ok, _ := l.Allow(t.Context(), "busy"); ok {
		t.Error("a busy key was dropped before quiet ones")
	}
	for i := range 10_000 {
		l.Allow(t.Context(), fmt.Sprint("flood", i))
	}
	remembered := 0
	for i := range 10_000 {
		if ok, _ := l.Allow(t.Context(), fmt.Sprint("flood", i)); !ok {
			remembered++
		}
	}
	if remembered > 10 {
		t.Errorf("%d keys remembered, want at most 10", remembered)
	}
}
