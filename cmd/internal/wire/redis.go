package wire

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"exporthub/pkg/config"
)

// openRedis returns a client for the URL and what closes it. It connects when it is used, so a Redis that is away keeps
// nothing from starting.
func openRedis(url string, log *slog.Logger) (redis.UniversalClient, func(), error) {
	redis.SetLogger(redisLogger{log})
	if url == config.RedisEmbedded {
		return embeddedRedis()
	}
	scheme, rest, _ := strings.Cut(url, "://")
	var client redis.UniversalClient
	switch scheme {
	case "redis-cluster":
		o, err := redis.ParseClusterURL("redis://" + rest)
		if err != nil {
			return nil, nil, fmt.Errorf("REDIS_URL: not a cluster's address list")
		}
		client = redis.NewClusterClient(o)
	case "redis-sentinel":
		o, err := redis.ParseFailoverURL("redis://" + rest)
		if err != nil {
			return nil, nil, fmt.Errorf("REDIS_URL: not a sentinels' address list with master_name")
		}
		client = redis.NewFailoverClient(o)
	default:
		o, err := redis.ParseURL(url)
		if err != nil {
			return nil, nil, fmt.Errorf("REDIS_URL: not redis://[user:password@]host:port/number")
		}
		client = redis.NewClient(o)
	}
	return client, func() { _ = client.Close() }, nil
}

// embeddedRedis is a Redis in this process. It forgets everything when the process ends; the database has what counts.
func embeddedRedis() (redis.UniversalClient, func(), error) {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr("127.0.0.1:0"); err != nil {
		return nil, nil, fmt.Errorf("start the in-process Redis: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		passTime(ctx, server)
	}()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	return client, func() {
		_ = client.Close()
		cancel()
		<-done
		server.Close()
	}, nil
}

// passTime lets keys expire: this server's clock moves only when it is told.
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

// redisLogger brings the client's own lines into ours.
type redisLogger struct{ log *slog.Logger }

// Printf logs a line of the client.
func (l redisLogger) Printf(_ context.Context, format string, args ...any) {
	l.log.Debug("redis client", "message", fmt.Sprintf(format, args...))
}
