package redisbus

import (
	"context"
	"encoding/json"
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
func (b *Bus) base() string                { return "{" + b.prefix + "}:" }
func (b *Bus) positionKey() string         { return b.base() + "position" }
func (b *Bus) newestKey(key string) string { return b.base() + "newest:" + key }

// receivedKey names an end of an audience. The audience's length keeps two pairs that look alike
// when joined apart.
func receivedKey(audience, key string) string {
	return strconv.Itoa(len(audience)) + ":" + audience + ":" + key
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

// remember records notes, in their order.
//
// KEYS[1] is the newest position, after which a new session subscribes; the other keys lie beside
// it, on the same node of a cluster. ARGV[1] is what they begin with; ARGV[2] and ARGV[3] say for
// how many milliseconds subscribers and receipts are kept; ARGV[4] how many of one audience;
// ARGV[5] the notes, as a JSON array.
//
// A session's hash holds for each audience since when it follows. When it is lost they are copied
// to the audiences' hashes of lost sessions, where they are found without knowing the session.
var remember = redis.NewScript(`
local t = redis.call('TIME')
local newest = tonumber(redis.call('GET', KEYS[1]) or '0')
local now = string.format('%.0f', math.max(tonumber(t[1]) * 1000000 + tonumber(t[2]), newest + 1))
local base, subscribedFor, keepFor, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local function put(key, field, value, ttl)
  if redis.call('HEXISTS', key, field) == 1 or redis.call('HLEN', key) < most then
    redis.call('HSET', key, field, value)
  end
  redis.call('PEXPIRE', key, ttl)
end
for _, note in ipairs(cjson.decode(ARGV[5])) do
  local session = base .. 'subscriber:' .. note.s
  if note.w == 'subscribed' then
    if redis.call('HEXISTS', session, note.a) == 0 then
      put(session, note.a, now, subscribedFor)
    end
    redis.call('PEXPIRE', session, subscribedFor)
  elseif note.w == 'unsubscribed' then
    redis.call('HDEL', session, note.a)
  elseif note.w == 'lost' then
    local follows = redis.call('HGETALL', session)
    for i = 1, #follows, 2 do
      put(base .. 'lost:' .. follows[i], note.s, follows[i + 1], subscribedFor)
    end
  elseif note.w == 'received' then
    local key = base .. 'received:' .. note.k
    local had = redis.call('HGET', key, note.s)
    if not had or tonumber(had) < tonumber(note.n) then
      put(key, note.s, note.n, keepFor)
    end
  end
end
return 1
`)

// received reports for each end whether its audience has received it.
//
// KEYS[1] and ARGV[1] as in remember; ARGV[2] the ends, as a JSON array. Returns a list of 0 and 1.
var received = redis.NewScript(`
local answers = {}
for i, e in ipairs(cjson.decode(ARGV[2])) do
  local key = ARGV[1] .. 'received:' .. e.k
  local answer = 0
  for _, seq in ipairs(redis.call('HVALS', key)) do
    if tonumber(seq) >= tonumber(e.n) then answer = 1 end
  end
  if answer == 1 then
    local lost = redis.call('HGETALL', ARGV[1] .. 'lost:' .. e.a)
    for j = 1, #lost, 2 do
      local there = e.p == '0' or tonumber(lost[j + 1]) <= tonumber(e.p)
      local had = redis.call('HGET', key, lost[j])
      if there and (not had or tonumber(had) < tonumber(e.n)) then answer = 0 end
    end
  end
  answers[i] = answer
end
return answers
`)

// aboutEnd is a note or a question as the scripts read it. Numbers are texts, since a script's own
// are exact up to 53 bits only when they are written with care.
type aboutEnd struct {
	What     string `json:"w,omitempty"`
	Session  string `json:"s,omitempty"`
	Audience string `json:"a,omitempty"`
	Key      string `json:"k,omitempty"`
	Seq      string `json:"n,omitempty"`
	Position string `json:"p,omitempty"`
}

var noteNames = map[bayeux.NoteKind]string{
	bayeux.NoteSubscribed:   "subscribed",
	bayeux.NoteUnsubscribed: "unsubscribed",
	bayeux.NoteLost:         "lost",
	bayeux.NoteReceived:     "received",
}

// Remember implements bayeux.Memory.
func (b *Bus) Remember(ctx context.Context, notes []bayeux.Note) error {
	list := make([]aboutEnd, len(notes))
	for i, n := range notes {
		list[i] = aboutEnd{
			What:     noteNames[n.What],
			Session:  n.Session,
			Audience: n.Audience,
			Key:      receivedKey(n.Audience, n.Key),
			Seq:      strconv.FormatUint(n.Seq, 10),
		}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return fmt.Errorf("redisbus: remember: %w", err)
	}
	err = remember.Run(ctx, b.client, []string{b.positionKey()}, b.base(),
		bayeux.SubscribedFor.Milliseconds(), bayeux.MemoryFor.Milliseconds(), bayeux.MaxSubscribers, text).Err()
	if err != nil {
		return fmt.Errorf("redisbus: remember: %w", err)
	}
	return nil
}

// Received implements bayeux.Memory.
func (b *Bus) Received(ctx context.Context, ends []bayeux.End) ([]bool, error) {
	list := make([]aboutEnd, len(ends))
	for i, e := range ends {
		list[i] = aboutEnd{
			Audience: e.Audience,
			Key:      receivedKey(e.Audience, e.Key),
			Seq:      strconv.FormatUint(e.Seq, 10),
			Position: strconv.FormatUint(e.Position, 10),
		}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("redisbus: receipts: %w", err)
	}
	answers, err := received.Run(ctx, b.client, []string{b.positionKey()}, b.base(), text).Int64Slice()
	if err != nil {
		return nil, fmt.Errorf("redisbus: receipts: %w", err)
	}
	if len(answers) != len(ends) {
		return nil, fmt.Errorf("redisbus: receipts: %d answers to %d questions", len(answers), len(ends))
	}
	known := make([]bool, len(ends))
	for i, answer := range answers {
		known[i] = answer == 1
	}
	return known, nil
}
