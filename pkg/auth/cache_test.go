package auth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"exporthub/pkg/errs"
)

func TestCacheAsksOncePerTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loads := 0
		c := newCache(time.Second, time.Minute, 10, time.Now, func(context.Context, string) (int, error) {
			loads++
			return loads, nil
		})
		for i, step := range []struct {
			wait time.Duration
			want int
		}{{0, 1}, {999 * time.Millisecond, 1}, {time.Millisecond, 2}, {time.Hour, 3}} {
			time.Sleep(step.wait)
			if got, err := c.get(t.Context(), "k"); got != step.want || err != nil {
				t.Errorf("step %d: %d, %v, want %d", i, got, err, step.want)
			}
		}
		c.drop(func(k string) bool { return k == "k" })
		if got, _ := c.get(t.Context(), "k"); got != 4 {
			t.Errorf("after drop: load %d, want 4", got)
		}
	})
}

// An answer may not be older than the TTL, also when its load was slow: who comes later must not
// join a load that began too long ago.
func TestCacheSharesLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loads := 0
		c := newCache(time.Second, time.Minute, 10, time.Now, func(context.Context, string) (int, error) {
			loads++
			n := loads
			time.Sleep(2 * time.Second)
			return n, nil
		})
		var wg sync.WaitGroup
		ask := func(want int) {
			wg.Go(func() {
				if got, err := c.get(t.Context(), "k"); got != want || err != nil {
					t.Errorf("got %d, %v, want %d", got, err, want)
				}
			})
		}
		ask(1)
		synctest.Wait()
		for range 5 {
			ask(1)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.get(ctx, "k"); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller who left: %v", err)
		}
		time.Sleep(1500 * time.Millisecond)
		ask(2)
		wg.Wait()
		if got, ok := c.last("k"); got != 2 || !ok {
			t.Errorf("kept %d, %t, want the newer load", got, ok)
		}
	})
}

func TestCacheKeepsNoErrorsAndNothingForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fail := true
		c := newCache(time.Second, time.Minute, 10, time.Now, func(ctx context.Context, key int) (int, error) {
			if key < 0 {
				<-ctx.Done() // hangs
				return 0, ctx.Err()
			}
			if fail {
				return 0, errors.New("away")
			}
			return key, nil
		})
		if _, err := c.get(t.Context(), 1); err == nil {
			t.Error("a failed load has an answer")
		}
		fail = false
		for key := range 100 {
			if got, err := c.get(t.Context(), key); got != key || err != nil {
				t.Fatalf("get(%d) = %d, %v", key, got, err)
			}
			if n := len(c.entries); n > 10 {
				t.Fatalf("%d entries, want at most 10", n)
			}
		}
		if _, ok := c.last(99); !ok {
			t.Error("what was loaded last is not kept")
		}
		began := time.Now()
		if _, err := c.get(t.Context(), -1); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != loadTimeout {
			t.Errorf("a load that hangs: %v after %s", err, time.Since(began))
		}
		time.Sleep(time.Minute)
		if _, ok := c.last(99); ok {
			t.Error("kept for longer than keep")
		}
		if len(c.flights) != 0 {
			t.Errorf("%d loads left over", len(c.flights))
		}
	})
}

// A load that was under way when its key was dropped may have missed the reason.
func TestCacheDropsLoadsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(time.Second, time.Minute, 10, time.Now, func(context.Context, string) (int, error) {
			time.Sleep(500 * time.Millisecond)
			return 1, nil
		})
		var wg sync.WaitGroup
		wg.Go(func() { c.get(t.Context(), "k") })
		synctest.Wait()
		c.drop(func(string) bool { return true })
		wg.Wait()
		if _, ok := c.last("k"); ok {
			t.Error("a dropped load was kept")
		}
	})
}

func TestCacheSurvivesPanics(t *testing.T) {
	c := newCache(time.Second, time.Minute, 10, time.Now, func(context.Context, string) (int, error) { panic("bug") })
	for range 2 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			c.get(t.Context(), "k")
		}()
	}
}

func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var turns turns
		var running, most, done int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for i := range maxTurns {
			wg.Go(func() {
				release, err := turns.take(t.Context(), "k")
				if err != nil {
					t.Errorf("turn %d: %v", i, err)
					return
				}
				defer release()
				mu.Lock()
				running++
				most = max(most, running)
				mu.Unlock()
				time.Sleep(time.Millisecond)
				mu.Lock()
				running--
				done++
				mu.Unlock()
			})
		}
		synctest.Wait()
		if _, err := turns.take(t.Context(), "k"); !errs.Is(err, errs.TooMany) {
			t.Errorf("one too many: %v", err)
		}
		if release, err := turns.take(t.Context(), "another key"); err != nil {
			t.Errorf("another key waits: %v", err)
		} else {
			release()
		}
		wg.Wait()
		if most != 1 || done != maxTurns {
			t.Errorf("%d at once, %d done", most, done)
		}
		release, err := turns.take(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := turns.take(ctx, "k"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a waiter whose time is up: %v", err)
		}
		release()
		if len(turns.keys) != 0 {
			t.Errorf("keys left over: %s", fmt.Sprint(turns.keys))
		}
	})
}
