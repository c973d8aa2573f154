package testkit

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"exporthub/pkg/testkit/internal/server"
)

const (
	redisDatabases = 512       // of the servers we start; number 0 holds the claims
	claimLife      = time.Hour // longer than any run of the tests
)

// Redis returns the URL of an empty database of a real Redis, which no other test has while this
// one runs. Pub/sub knows no databases: give channels a prefix. What concerns the whole server
// (FLUSHALL, CONFIG, faults) is for OwnRedis.
func Redis(t testing.TB) string {
	t.Helper()
	base, err := redis.ParseURL(redisService.url(t))
	if err != nil {
		t.Fatalf("testkit: %s: %v", RedisEnv, err)
	}
	claims := redis.NewClient(base)
	t.Cleanup(func() { claims.Close() })
	// A server has one keyspace a number, so a number of its own is what keeps a test apart.
	number, err := claimDatabase(t.Context(), claims, fmt.Sprintf("%s of process %d", t.Name(), os.Getpid()))
	if err != nil {
		t.Fatalf("testkit: claim a redis database: %v", err)
	}
	own := *base
	own.DB = number
	client := redis.NewClient(&own)
	t.Cleanup(func() {
		// Flushed before it is given up, so that the next owner finds it empty whatever becomes of
		// us.
		defer client.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := client.FlushDB(ctx).Err(); err != nil {
			t.Errorf("testkit: flush redis database %d: %v", number, err)
			return
		}
		if err := claims.Del(ctx, claimKey(number)).Err(); err != nil {
			t.Errorf("testkit: give up redis database %d: %v", number, err)
		}
	})
	if err := client.FlushDB(t.Context()).Err(); err != nil {
		t.Fatalf("testkit: flush redis database %d: %v", number, err)
	}
	return fmt.Sprintf("redis://%s/%d", base.Addr, number)
}

// claimDatabase takes a number that no test has, across processes. A claim of a killed process ends
// by itself.
func claimDatabase(ctx context.Context, claims *redis.Client, owner string) (int, error) {
	// Each claim begins behind the last one, so that a number that was just released rests a while:
	// a late write of its last owner then meets no one.
	turn, err := claims.Incr(ctx, "testkit:turn").Result()
	if err != nil {
		return 0, err
	}
	for i := range redisDatabases - 1 {
		number := 1 + int((turn+int64(i))%(redisDatabases-1))
		got, err := claims.SetNX(ctx, claimKey(number), owner, claimLife).Result()
		if err != nil || got {
			return number, err
		}
	}
	return 0, fmt.Errorf("all %d are taken", redisDatabases-1)
}

func claimKey(number int) string { return fmt.Sprintf("testkit:database:%d", number) }

// RedisServer is a redis-server of one test, which may do anything to it. Its methods are for one
// goroutine.
type RedisServer struct {
	t testing.TB
	s *server.Server
}

// OwnRedis starts a redis-server for this test alone and stops it at the end. Options are appended
// to its command line, such as "--maxmemory", "10mb".
func OwnRedis(t testing.TB, options ...string) *RedisServer {
	t.Helper()
	s, err := server.Redis(t.Context(), options...)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("testkit: stop redis: %v", err)
		}
	})
	return &RedisServer{t, s}
}

// URL returns redis://host:port/0.
func (r *RedisServer) URL() string { return r.s.URL }

// Addr returns host:port.
func (r *RedisServer) Addr() string { return r.s.Addr }

// Kill ends the server at once; everything in it is lost. It returns when its port refuses
// connections.
func (r *RedisServer) Kill() { r.s.Kill() }

// Restart starts the killed server again, empty, on the same port, and returns when it answers.
func (r *RedisServer) Restart() {
	r.t.Helper()
	// Not the test's context: a restart in a cleanup runs after that has ended.
	if err := r.s.Restart(context.Background()); err != nil {
		r.t.Fatalf("testkit: restart redis: %v", err)
	}
}

// Freeze stops the process with SIGSTOP: connections stay open and nothing is answered.
func (r *RedisServer) Freeze() {
	r.t.Helper()
	r.signal(syscall.SIGSTOP)
}

// Thaw lets a frozen server go on.
func (r *RedisServer) Thaw() {
	r.t.Helper()
	r.signal(syscall.SIGCONT)
}

func (r *RedisServer) signal(signal syscall.Signal) {
	r.t.Helper()
	if err := r.s.Signal(signal); err != nil {
		r.t.Fatalf("testkit: signal redis: %v", err)
	}
}
