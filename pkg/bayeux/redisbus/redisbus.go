package redisbus

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"exporthub/pkg/bayeux"
)

// Options are a Bus's settings. The zero value of each field means its default.
type Options struct {
	// Channels is the number of pub/sub channels; the same for all who share a prefix. Default 4.
	Channels int
	// Quiet is how long nothing may come before the link is asked by a PING whether it lives; after
	// as long without an answer it is given up. Default 5 s.
	Quiet time.Duration
	// RetryMin and RetryMax bound the growing pause between tries to connect. Defaults 100 ms and 3
	// s.
	RetryMin, RetryMax time.Duration
	// Logger gets lost and regained links and events that can't be read. Default none.
	Logger *slog.Logger
}

// Bus publishes and receives events through Redis. Its client stays the caller's to close.
type Bus struct {
	client   redis.UniversalClient
	prefix   string
	channels []string
	opt      Options
}

var _ bayeux.Bus = (*Bus)(nil)

// New makes a bus on the channels <prefix>:<n>. It connects only when used.
func New(client redis.UniversalClient, prefix string, opt Options) *Bus {
	if opt.Channels <= 0 {
		opt.Channels = 4
	}
	if opt.Quiet <= 0 {
		opt.Quiet = 5 * time.Second
	}
	if opt.RetryMin <= 0 {
		opt.RetryMin = 100 * time.Millisecond
	}
	if opt.RetryMax <= 0 {
		opt.RetryMax = 3 * time.Second
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	b := &Bus{client: client, prefix: prefix, opt: opt}
	for n := range opt.Channels {
		b.channels = append(b.channels, prefix+":"+strconv.Itoa(n))
	}
	return b
}

// Publish sends the event with one PUBLISH. Events of one Key that are published one after the
// other arrive in that order. An error means that the event may not have been sent; servers learn
// the state from Grant.Latest all the same when they connect again.
func (b *Bus) Publish(ctx context.Context, e bayeux.Event) error {
	payload, err := encode(e)
	if err != nil {
		return fmt.Errorf("redisbus: %w", err)
	}
	if err := b.publishWithPosition(ctx, e, payload); err != nil {
		return fmt.Errorf("redisbus: publish: %w", err)
	}
	return nil
}

func (b *Bus) channelOf(e bayeux.Event) string {
	of := e.Key
	if of == "" {
		of = e.Streams[0]
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(of)) // never fails
	return b.channels[h.Sum32()%uint32(len(b.channels))]
}

// Run receives until ctx ends and returns nil. While Redis is away it tries again, for as long as
// it takes; each time the subscription is up, the first included, it calls resync.
func (b *Bus) Run(ctx context.Context, deliver func(bayeux.Event), resync func()) error {
	pause := b.opt.RetryMin
	for ctx.Err() == nil {
		stood, err := b.listen(ctx, deliver, resync)
		if ctx.Err() != nil {
			break
		}
		if stood {
			pause = b.opt.RetryMin
		}
		b.opt.Logger.Warn("redisbus: link lost", "error", err, "retry_in", pause)
		// Up to half of the pause is taken off at random, so that replicas don't come back all at
		// once.
		timer := time.NewTimer(pause - rand.N(pause/2+1))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		pause = min(2*pause, b.opt.RetryMax)
	}
	return nil
}

// listen subscribes and delivers until the link breaks. It says whether the subscription ever
// stood.
func (b *Bus) listen(ctx context.Context, deliver func(bayeux.Event), resync func()) (stood bool, err error) {
	ps := b.client.Subscribe(ctx)
	defer ps.Close()
	// The client does not watch the context while it reads.
	defer context.AfterFunc(ctx, func() { _ = ps.Close() })()
	// A stalled server takes commands into its socket's buffer and never answers, so waiting is
	// always bounded.
	if err := ps.Subscribe(ctx, b.channels...); err != nil {
		return false, err
	}
	waiting := len(b.channels)
	asked := false
	for {
		msg, err := ps.ReceiveTimeout(ctx, b.opt.Quiet)
		var timeout net.Error
		switch {
		case ctx.Err() != nil:
			return stood, ctx.Err()
		case err == nil:
			asked = false
		case errors.As(err, &timeout) && timeout.Timeout() && stood && !asked:
			asked = true
			if err := ps.Ping(ctx); err != nil {
				return stood, err
			}
			continue
		default:
			return stood, err
		}
		switch m := msg.(type) {
		case *redis.Subscription:
			if waiting--; waiting == 0 {
				// The client may also move to another connection on its own; it then confirms all
				// channels again.
				stood, waiting = true, len(b.channels)
				b.opt.Logger.Info("redisbus: subscribed")
				resync()
			}
		case *redis.Message:
			e, err := decode(m.Payload)
			if err != nil {
				b.opt.Logger.Error("redisbus: event dropped", "error", err)
				continue
			}
			deliver(e)
		}
	}
}
