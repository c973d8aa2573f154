package ratelimit_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"exporthub/pkg/ratelimit"
	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{log.New(io.Discard, "", 0)})
	testkit.Main(m)
}

// quiet keeps the client's lines about outages made on purpose out of the tests.
type quiet struct{ *log.Logger }

func (q quiet) Printf(_ context.Context, format string, v ...any) { q.Logger.Printf(format, v...) }

func client(t testing.TB, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { c.Close() })
	return c
}

// both runs a test on a real Redis and on the in-process one.
func both(t *testing.T, fn func(t *testing.T, rdb *redis.Client)) {
	t.Helper()
	t.Run("redis", func(t *testing.T) { fn(t, client(t, testkit.Redis(t))) })
	t.Run("miniredis", func(t *testing.T) { fn(t, client(t, "redis://"+miniredis.RunT(t).Addr())) })
}

func newShared(t testing.TB, rdb redis.UniversalClient, o ratelimit.Options) *ratelimit.Shared {
	t.Helper()
	s := ratelimit.NewShared(rdb, o)
	t.Cleanup(s.Close)
	return s
}

// patient waits for Redis as long as a busy machine may need.
const patient = 30 * time.Second

func TestSharedCountsForAllProcesses(t *testing.T) {
	both(t, func(t *testing.T, rdb *redis.Client) {
		o := ratelimit.Options{PerMinute: 20, Name: "test", Timeout: patient}
		replicas := []ratelimit.Limiter{newShared(t, rdb, o), newShared(t, rdb, o)}
		began := time.Now()
		var allowed atomic.Int64
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				ok, after := replicas[i%2].Allow(t.Context(), "7")
				switch {
				case ok:
					allowed.Add(1)
				case after <= 0 || after > 3*time.Second:
					t.Errorf("refused for %s, want up to 3 s", after)
				}
			})
		}
		wg.Wait()
		// One more every three seconds that this took.
		if got, most := allowed.Load(), 20+int64(time.Since(began)/(3*time.Second)); got < 20 || got > most {
			t.Errorf("%d allowed, want 20 to %d", got, most)
		}
		if ok, _ := replicas[0].Allow(t.Context(), "8"); !ok {
			t.Error("keys are counted together")
		}
		o.Name = "another"
		if ok, _ := newShared(t, rdb, o).Allow(t.Context(), "7"); !ok {
			t.Error("limiters are counted together")
		}
	})
}

func TestSharedDrains(t *testing.T) {
	both(t, func(t *testing.T, rdb *redis.Client) {
		s := newShared(t, rdb, ratelimit.Options{PerMinute: 2, Name: "test", Timeout: patient})
		for range 2 {
			if ok, after := s.Allow(t.Context(), "7"); !ok {
				t.Fatalf("refused for %s", after)
			}
		}
		ok, after := s.Allow(t.Context(), "7")
		if ok || after <= 0 || after > 30*time.Second {
			t.Fatalf("the third: %t, %s", ok, after)
		}
		const key = "exporthub:rate:test:7"
		text, err := rdb.Get(t.Context(), key).Result()
		if err != nil {
			t.Fatal(err)
		}
		ahead, err := strconv.ParseInt(text, 10, 64)
		if left := time.Until(time.UnixMicro(ahead)); err != nil || left <= 0 || left > time.Minute {
			t.Errorf("stored %q: %s ahead of now, %v", text, left, err)
		}
		if ttl := rdb.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > time.Minute {
			t.Errorf("the key lives for %s", ttl)
		}
		// What the key holds when half a minute has passed.
		if err := rdb.Set(t.Context(), key, ahead-(30*time.Second).Microseconds(), time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
		if ok, after := s.Allow(t.Context(), "7"); !ok {
			t.Errorf("half a minute later: refused for %s", after)
		}
		if ok, _ := s.Allow(t.Context(), "7"); ok {
			t.Error("half a minute gives two")
		}
	})
}

func TestSharedWhileRedisIsAway(t *testing.T) {
	outages := map[string]func(p *testkit.TCPProxy){
		"refused": func(p *testkit.TCPProxy) { p.Cut() },
		"stalled": func(p *testkit.TCPProxy) { p.Stall() },
	}
	target := testkit.Redis(t)
	for name, begin := range outages {
		t.Run(name, func(t *testing.T) {
			proxy := testkit.Proxy(t, target)
			clock := testkit.NewClock(start)
			rdb := client(t, proxy.URL(target))
			o := ratelimit.Options{PerMinute: 5, Name: name, Timeout: 100 * time.Millisecond, Now: clock.Now}
			s := newShared(t, rdb, o)
			if err := rdb.Ping(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			begin(proxy)
			for n := range 5 {
				began := time.Now()
				if ok, after := s.Allow(t.Context(), "k"); !ok {
					t.Fatalf("use %d refused for %s", n, after)
				}
				// 100 ms, and what a busy machine adds.
				if took := time.Since(began); took > time.Second {
					t.Errorf("use %d took %s", n, took)
				}
			}
			if ok, _ := s.Allow(t.Context(), "k"); ok {
				t.Error("without Redis nobody counts")
			}
			proxy.Restore()
			// Redis is left alone for a second after it failed, and then counts again: nothing
			// there yet.
			if ok, _ := s.Allow(t.Context(), "k"); ok {
				t.Error("asked again at once")
			}
			direct := client(t, target)
			testkit.Eventually(t, 30*time.Second, func() bool {
				clock.Advance(time.Second)
				s.Allow(t.Context(), "k")
				return direct.Exists(t.Context(), "exporthub:rate:"+name+":k").Val() == 1
			}, "Redis counts again")
		})
	}
}

func TestSharedAfterClose(t *testing.T) {
	s := ratelimit.NewShared(client(t, testkit.Redis(t)), ratelimit.Options{PerMinute: 1})
	s.Close()
	s.Close()
	if ok, _ := s.Allow(t.Context(), "k"); !ok {
		t.Error("closed: nothing is allowed")
	}
	if ok, _ := s.Allow(t.Context(), "k"); ok {
		t.Error("closed: nothing is counted")
	}
}

// A caller who left is answered, and is no reason to leave Redis alone.
func TestSharedWithEndedContext(t *testing.T) {
	rdb := client(t, testkit.Redis(t))
	s := newShared(t, rdb, ratelimit.Options{PerMinute: 1, Name: "gone", Timeout: patient})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Allow(ctx, "gone")
	if ok, _ := s.Allow(t.Context(), "k"); !ok {
		t.Fatal("refused")
	}
	if n := rdb.Exists(t.Context(), "exporthub:rate:gone:k").Val(); n != 1 {
		t.Error("counted within the process")
	}
}

func ExampleCheck() {
	limit := ratelimit.New(ratelimit.Options{PerMinute: 1})
	fmt.Println(ratelimit.Check(context.Background(), limit, "7"))
	fmt.Println(ratelimit.Check(context.Background(), limit, "7"))
	// Output:
	// <nil>
	// too_many
}
