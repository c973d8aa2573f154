package redisbus

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"exporthub/pkg/bayeux"
)

var _ bayeux.Memory = (*Bus)(nil)

// publish gives an event its position, remembers it as the newest of its key, and publishes it, in
// one step, so that no server receives events in another order than that of their positions.
//
// KEYS[1] the newest position; KEYS[2] what is remembered of the event's key.
// ARGV[1] the pub/sub channel; ARGV[2] the event's JSON without its opening brace; ARGV[3] its
// sequence number, empty for an event that is not to be remembered; ARGV[4] for how many
// milliseconds it is.
// Returns the position: the time in microseconds, or one more than the last where that is greater,
// so that positions also grow when Redis has lost its memory or its clock was set back.
var publish = redis.NewScript(`
local t = redis.call('TIME')
local p = tonumber(t[1]) * 1000000 + tonumber(t[2])
local last = tonumber(redis.call('GET', KEYS[1]) or '0')
if last >= p then p = last + 1 end
local position = string.format('%.0f', p)
redis.call('SET', KEYS[1], position)
local event = '{"p":' .. position .. ',' .. ARGV[2]
if ARGV[3] ~= '' then
  local old = redis.call('HGET', KEYS[2], 'n')
  if not old or tonumber(old) <= tonumber(ARGV[3]) then
    redis.call('HSET', KEYS[2], 'n', ARGV[3], 'e', event)
    redis.call('PEXPIRE', KEYS[2], ARGV[4])
  end
end
redis.call('PUBLISH', ARGV[1], event)
return position
`)

// The braces make a cluster keep all of a prefix's keys on one node, as a script needs.
func (b *Bus) positionKey() string         { return "{" + b.prefix + "}:position" }
func (b *Bus) newestKey(key string) string { return "{" + b.prefix + "}:newest:" + key }
func (b *Bus) receivedKey(r bayeux.Receipt) string {
	// The audience's length keeps two pairs that look alike when joined apart.
	return "{" + b.prefix + "}:received:" + strconv.Itoa(len(r.Audience)) + ":" + r.Audience + ":" + r.Key
}

// publishWithPosition runs the script. A Redis that is up and takes no writes, since its memory is
// full or it is a replica, still publishes: the event then goes out without a position.
func (b *Bus) publishWithPosition(ctx context.Context, e bayeux.Event, payload []byte) error {
	seq := ""
	if e.Key != "" && e.Seq != 0 {
		seq = strconv.FormatUint(e.Seq, 10)
	}
	err := publish.Run(ctx, b.client, []string{b.positionKey(), b.newestKey(e.Key)},
		b.channelOf(e), payload[1:], seq, bayeux.MemoryFor.Milliseconds()).Err()
	var refused redis.Error
	if errors.As(err, &refused) {
		return b.client.Publish(ctx, b.channelOf(e), payload).Err()
	}
	return err
}

// Newest implements bayeux.Memory.
func (b *Bus) Newest(ctx context.Context, keys []string) ([]bayeux.Event, error) {
	pipe := b.client.Pipeline()
	answers := make([]*redis.StringCmd, len(keys))
	for i, key := range keys {
		answers[i] = pipe.HGet(ctx, b.newestKey(key), "e")
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("redisbus: newest events: %w", err)
	}
	var newest []bayeux.Event
	for _, answer := range answers {
		payload, err := answer.Result()
		if err != nil {
			continue // not known
		}
		if e, err := decode(payload); err == nil {
			newest = append(newest, e)
		}
	}
	return newest, nil
}

// Remember implements bayeux.Memory.
func (b *Bus) Remember(ctx context.Context, received []bayeux.Receipt) error {
	pipe := b.client.Pipeline()
	for _, r := range received {
		pipe.Set(ctx, b.receivedKey(r), r.Seq, bayeux.MemoryFor)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("redisbus: remember receipts: %w", err)
	}
	return nil
}

// Received implements bayeux.Memory.
func (b *Bus) Received(ctx context.Context, asked []bayeux.Receipt) ([]bayeux.Receipt, error) {
	pipe := b.client.Pipeline()
	answers := make([]*redis.StringCmd, len(asked))
	for i, r := range asked {
		answers[i] = pipe.Get(ctx, b.receivedKey(r))
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("redisbus: receipts: %w", err)
	}
	var known []bayeux.Receipt
	for i, answer := range answers {
		if seq, err := answer.Uint64(); err == nil && seq >= asked[i].Seq {
			known = append(known, asked[i])
		}
	}
	return known, nil
}
