package wire

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"exporthub/jobs"
	"exporthub/pkg/config"
)

// link is a Redis to talk to.
type link struct {
	client redis.UniversalClient
	// database is the number of the database. Redis' pub/sub ignores it, so it goes into the names
	// of the bus's channels, and two systems on one Redis stay apart.
	database int
	close    func()
}

// redisTimeout bounds one exchange with Redis: a stalled one must not hold up what has a bound of
// its own.
const redisTimeout = 3 * time.Second

// openRedis returns a link for the URL. It connects when it is used, so a Redis that is away keeps
// nothing from starting. An error does not repeat the URL, which holds a password.
func openRedis(url string, log *slog.Logger) (link, error) {
	jobs.LogRedis(log)
	if url == config.RedisEmbedded {
		return embeddedRedis()
	}
	scheme, rest, _ := strings.Cut(url, "://")
	switch scheme {
	case "redis-cluster":
		o, err := redis.ParseClusterURL("redis://" + rest)
		if err != nil {
			return link{}, fmt.Errorf("REDIS_URL: not a cluster's address list")
		}
		o.ContextTimeoutEnabled = true
		o.ReadTimeout = redisTimeout
		o.WriteTimeout = redisTimeout
		// A cluster has no numbered databases.
		return newLink(redis.NewClusterClient(o), 0), nil
	case "redis-sentinel":
		o, err := redis.ParseFailoverURL("redis://" + rest)
		if err != nil {
			return link{}, fmt.Errorf("REDIS_URL: not a sentinels' address list with master_name")
		}
		o.ContextTimeoutEnabled = true
		o.ReadTimeout = redisTimeout
		o.WriteTimeout = redisTimeout
		return newLink(redis.NewFailoverClient(o), o.DB), nil
	}
	o, err := redis.ParseURL(url)
	if err != nil {
		return link{}, fmt.Errorf("REDIS_URL: not redis://[user:password@]host:port/number")
	}
	o.ContextTimeoutEnabled = true
	o.ReadTimeout = redisTimeout
	o.WriteTimeout = redisTimeout
	return newLink(redis.NewClient(o), o.DB), nil
}

func newLink(client redis.UniversalClient, database int) link {
	return link{client: client, database: database, close: func() { _ = client.Close() }}
}

// embeddedRedis is a Redis in this process. What is in it ends with the process, which loses
// nothing: the database has what counts.
func embeddedRedis() (link, error) {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr("127.0.0.1:0"); err != nil {
		return link{}, fmt.Errorf("start the in-process Redis: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		passTime(ctx, server)
	}()
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	return link{client: client, close: func() {
		_ = client.Close()
		cancel()
		<-done
		server.Close()
	}}, nil
}

// passTime lets keys expire: the clock of this server moves by hand only. A quarter of a second is
// finer than any expiry that the program uses.
func passTime(ctx context.Context, server *miniredis.Miniredis) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			server.FastForward(now.Sub(last))
			last = now
		}
	}
}
