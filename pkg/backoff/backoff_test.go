package backoff_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"exporthub/pkg/backoff"
)

func TestSleep(t *testing.T) {
	cases := []struct {
		name  string
		d     time.Duration
		ends  time.Duration // after which the context ends; 0 is before the call
		slept bool
		took  time.Duration
	}{
		{name: "to the end", d: time.Minute, ends: time.Hour, slept: true, took: time.Minute},
		{name: "until the context ends", d: time.Hour, ends: time.Minute, took: time.Minute},
		{name: "nothing", ends: time.Hour, slept: true},
		{name: "less than nothing", d: -time.Second, ends: time.Hour, slept: true},
		{name: "with a context that has ended", d: time.Hour},
		{name: "nothing, with a context that has ended"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.ends)
				defer cancel()
				began := time.Now()
				if got := backoff.Sleep(ctx, c.d); got != c.slept || time.Since(began) != c.took {
					t.Errorf("Sleep(%s), context ends after %s: %t after %s, want %t after %s",
						c.d, c.ends, got, time.Since(began), c.slept, c.took)
				}
			})
		})
	}
}

func TestDoubling(t *testing.T) {
	cases := []struct {
		first, limit time.Duration
		n            int
		want         time.Duration
	}{
		{time.Second, time.Minute, -1, time.Second},
		{time.Second, time.Minute, 0, time.Second},
		{time.Second, time.Minute, 1, time.Second},
		{time.Second, time.Minute, 2, 2 * time.Second},
		{time.Second, time.Minute, 6, 32 * time.Second},
		{time.Second, time.Minute, 7, time.Minute},
		{time.Second, time.Minute, math.MaxInt, time.Minute},
		{time.Hour, time.Minute, 1, time.Minute},
		{100 * 24 * time.Hour, math.MaxInt64, 1000, math.MaxInt64},
		{0, time.Minute, 9, 0},
	}
	for _, c := range cases {
		if got := backoff.Doubling(c.first, c.limit, c.n); got != c.want {
			t.Errorf("Doubling(%s, %s, %d) = %s, want %s", c.first, c.limit, c.n, got, c.want)
		}
	}
}

func TestJitter(t *testing.T) {
	different := map[time.Duration]bool{}
	for range 1000 {
		if d := backoff.Around(time.Second, 0.2); d < 800*time.Millisecond || d > 1200*time.Millisecond {
			t.Fatalf("Around(1s, 0.2) = %s", d)
		} else {
			different[d] = true
		}
		if d := backoff.Below(time.Second); d < 0 || d >= time.Second {
			t.Fatalf("Below(1s) = %s", d)
		}
	}
	if len(different) < 100 {
		t.Errorf("%d different delays of 1000", len(different))
	}
	if got := []time.Duration{backoff.Around(0, 0.2), backoff.Around(time.Second, 0), backoff.Below(0), backoff.Below(-1)}; got[0] != 0 ||
		got[1] != time.Second || got[2] != 0 || got[3] != 0 {
		t.Errorf("without anything to spread: %v", got)
	}
}

func ExampleSleep() {
	ctx, stop := context.WithCancel(context.Background())
	stop() // somebody has closed the program meanwhile
	for try := 1; ; try++ {
		if !backoff.Sleep(ctx, backoff.Doubling(time.Second, time.Minute, try)) {
			fmt.Println("stopped:", context.Cause(ctx))
			return
		}
	}
	// Output: stopped: context canceled
}
