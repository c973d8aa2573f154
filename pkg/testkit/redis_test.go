package testkit

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"exporthub/pkg/testkit/internal/server"
)

func redisClient(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	options.MaxRetries = -1
	options.ReadTimeout = 200 * time.Millisecond
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	return client
}

func TestRedisDatabasesAreNotSharedAndEmpty(t *testing.T) {
	// As many as packages and tests that run at once, and more than there are numbers one after
	// another.
	seen := map[string]bool{}
	var mu sync.Mutex
	t.Run("at once", func(t *testing.T) {
		for range 20 {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				url := Redis(t)
				mu.Lock()
				if seen[url] {
					t.Errorf("%s was given twice", url)
				}
				seen[url] = true
				mu.Unlock()
				if err := redisClient(t, url).Set(t.Context(), "key", "value", 0).Err(); err != nil {
					t.Error(err)
				}
			})
		}
	})
	for range redisDatabases {
		t.Run("", func(t *testing.T) {
			if n, err := redisClient(t, Redis(t)).DBSize(t.Context()).Result(); err != nil || n != 0 {
				t.Errorf("%d keys are there, %v", n, err)
			}
		})
	}
}

func TestOwnRedisUnderFaults(t *testing.T) {
	r := OwnRedis(t, "--maxmemory", "64mb")
	client := redisClient(t, r.URL())
	if got, err := client.ConfigGet(t.Context(), "maxmemory").Result(); err != nil || got["maxmemory"] != "67108864" {
		t.Errorf("the option did not arrive: %v, %v", got, err)
	}
	if err := client.Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	r.Freeze()
	if err := client.Ping(t.Context()).Err(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("frozen: %v, want a timeout", err)
	}
	r.Thaw()
	if got, err := client.Get(t.Context(), "key").Result(); err != nil || got != "value" {
		t.Errorf("thawed: %q, %v", got, err)
	}
	addr := r.Addr()
	r.Kill()
	if err := client.Ping(t.Context()).Err(); err == nil {
		t.Error("a killed server answers")
	}
	r.Restart()
	if r.Addr() != addr {
		t.Errorf("restarted on %s, was on %s", r.Addr(), addr)
	}
	if err := client.Get(t.Context(), "key").Err(); !errors.Is(err, redis.Nil) {
		t.Errorf("restarted: %v, want it empty", err)
	}
	r.Freeze() // and the test's end stops it all the same
}

func TestServerThatCannotStartFailsEveryTest(t *testing.T) {
	t.Setenv(RedisEnv, "")
	starts := 0
	broken := &service{env: RedisEnv, start: func(context.Context) (*server.Server, error) {
		starts++
		return nil, errors.New("redis-server is not installed: install it")
	}}
	for range 2 {
		got := failures(t, func(t testing.TB) { broken.url(t) })
		if len(got) != 1 || !strings.Contains(got[0], "install it") {
			t.Errorf("got %q, want what to install", got)
		}
	}
	if starts != 1 {
		t.Errorf("tried to start %d times", starts)
	}
}
