package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"exporthub/pkg/bayeux"
	"exporthub/pkg/bayeux/redisbus"
)

// quiet is how long nothing may come from Redis before it is asked by a PING whether it lives.
const quiet = 5 * time.Second

// prefix names the Redis channels that several bayeuxd share.
const prefix = "bayeuxd"

// bus returns what carries events, and what closes it.
func (c config) bus(log *slog.Logger) (bayeux.Bus, func(), error) {
	if c.redis == "" {
		return &numbered{Bus: &bayeux.LocalBus{}}, func() {}, nil
	}
	opt, err := redisOptions(c.redis)
	if err != nil {
		return nil, nil, err
	}
	client := redis.NewClient(opt)
	var bus bayeux.Bus = &numbered{Bus: redisbus.New(client, prefix, redisbus.Options{Logger: log})}
	if c.ingest != "" {
		bus = &ingest{Bus: bus, client: client, name: c.ingest, log: log}
	}
	return bus, func() { _ = client.Close() }, nil
}

// announced reports when the bus is up for the first time.
type announced struct {
	bayeux.Bus
	up   chan struct{}
	once sync.Once
}

// Run implements bayeux.Bus.
func (a *announced) Run(ctx context.Context, deliver func(bayeux.Event), resync func()) error {
	return a.Bus.Run(ctx, deliver, func() {
		a.once.Do(func() { close(a.up) })
		resync()
	})
}

// numbered gives events the sequence numbers that their data carry.
type numbered struct{ bayeux.Bus }

// Publish implements bayeux.Bus.
func (n *numbered) Publish(ctx context.Context, e bayeux.Event) error {
	e.Seq = seqOf(e.Data)
	return n.Bus.Publish(ctx, e)
}

// seqOf returns the integer member seq of an object, 0 when there is none.
func seqOf(data json.RawMessage) uint64 {
	var fields map[string]json.RawMessage
	var seq uint64
	if len(data) == 0 || data[0] != '{' || json.Unmarshal(data, &fields) != nil || json.Unmarshal(fields["seq"], &seq) != nil {
		return 0
	}
	return seq
}

// ingest is a bus that also brings what others publish on one Redis channel. Every bayeuxd receives
// that channel itself, so what it brings is not published again.
type ingest struct {
	bayeux.Bus
	client *redis.Client
	name   string
	log    *slog.Logger

	dropped int       // messages that no log line has counted yet
	last    error     // what was wrong with the last of them
	logged  time.Time // when the last line was written
}

// Run implements bayeux.Bus.
func (i *ingest) Run(ctx context.Context, deliver func(bayeux.Event), resync func()) error {
	var listening sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	listening.Go(func() {
		for ctx.Err() == nil {
			if err := i.listen(ctx, deliver); ctx.Err() == nil {
				i.log.Warn("ingest: link lost", "error", err)
				pause(ctx, time.Second)
			}
		}
	})
	err := i.Bus.Run(ctx, deliver, resync)
	cancel()
	listening.Wait()
	return err
}

func (i *ingest) listen(ctx context.Context, deliver func(bayeux.Event)) error {
	link := i.client.Subscribe(ctx, i.name)
	defer link.Close()
	// It does not watch the context while it reads.
	defer context.AfterFunc(ctx, func() { _ = link.Close() })()
	asked := false
	for {
		received, err := link.ReceiveTimeout(ctx, quiet)
		var timeout net.Error
		switch {
		case err == nil:
			asked = false
		case errors.As(err, &timeout) && timeout.Timeout() && !asked:
			asked = true
			i.logDropped()
			if err := link.Ping(ctx); err != nil {
				return err
			}
		default:
			return err
		}
		switch m := received.(type) {
		case *redis.Subscription:
			i.log.Info("ingest: subscribed")
		case *redis.Message:
			e, err := parseIngested(m.Payload)
			if err != nil {
				i.dropped++
				i.last = err
				i.logDropped()
				continue
			}
			deliver(e)
		}
	}
}

// logDropped logs how many messages were dropped, at most once a second: a publisher that errs may
// err often.
func (i *ingest) logDropped() {
	if i.dropped == 0 || time.Since(i.logged) < time.Second {
		return
	}
	i.log.Warn("ingest: messages dropped", "times", i.dropped, "last", i.last)
	i.dropped = 0
	i.logged = time.Now()
}

var (
	errNoEvent   = errors.New(`not {"channel":…,"data":…}`)
	errNoChannel = errors.New("no channel that events can be published to")
)

func parseIngested(payload string) (bayeux.Event, error) {
	var fields map[string]json.RawMessage
	var channel string
	if err := json.Unmarshal([]byte(payload), &fields); err != nil {
		return bayeux.Event{}, fmt.Errorf("%w: %w", errNoEvent, err)
	}
	if err := json.Unmarshal(fields["channel"], &channel); err != nil || channel == "" || fields["data"] == nil {
		return bayeux.Event{}, errNoEvent
	}
	if !bayeux.ValidChannel(channel) {
		return bayeux.Event{}, errNoChannel
	}
	return bayeux.Event{Streams: []string{channel}, Seq: seqOf(fields["data"]), Data: fields["data"]}, nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
