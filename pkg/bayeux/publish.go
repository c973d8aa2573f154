package bayeux

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"
)

// Publisher may be implemented by an Authorizer to let clients publish. Without it every publish of a client is refused.
type Publisher interface {
	// Publish decides on one message to a channel that is valid in form and no pattern, outside /meta, from a session that
	// lives, in the order in which it sent them and one at a time. An error is answered with 403 (a *Refusal may choose another code or,
	// with RetryAfter, make the client send the message again). What is published to /service is for the server: no client gets it, so
	// Publish may also carry it out. It is not asked about a message whose id the session published within the last minute, which is
	// taken for a repetition whatever its channel and data, nor about one that comes too fast.
	Publish(ctx context.Context, p Principal, m Publication) error
}

// Publication is what a client wants to publish.
type Publication struct {
	Request
	Channel string
	// Data is the message's data as it was sent. It is valid only during the call.
	Data json.RawMessage
}

const (
	// publishMemory is how long an id that was published is known; a client that heard no answer sends the message again with the
	// same id.
	publishMemory = time.Minute
	// maxPublished is the number of ids that are known.
	maxPublished = 512
)

// published remembers the ids of what a session published. The zero value is ready.
type published struct {
	at    map[string]time.Time
	order []string
}

// seen reports whether the id was published lately.
func (p *published) seen(id string, now time.Time) bool {
	at, ok := p.at[id]
	return ok && now.Sub(at) < publishMemory
}

func (p *published) add(id string, now time.Time) {
	if p.at == nil {
		p.at = make(map[string]time.Time)
	}
	if _, known := p.at[id]; !known {
		if len(p.order) >= maxPublished {
			delete(p.at, p.order[0])
			p.order = p.order[1:]
		}
		p.order = append(p.order, id)
	}
	p.at[id] = now
}

// outbox is a session's way to the bus: one message at a time, so that they keep their order and a repetition that overtakes an answer
// waits for it.
type outbox struct {
	mu    sync.Mutex
	known published
	pace  bucket
}

// publish lets a client publish where a rule allows. Events come from the bus; that is where the message goes.
func (x *exchange) publish(m *message) error {
	r := x.answer(m)
	data, hasData := m.fields["data"]
	rule, _ := x.srv.auth.(Publisher)
	switch {
	case validName(m.channel) && firstSegment(m.channel) == "meta":
		r.fail(forbidden(m.channel))
	case !hasData:
		r.fail(missing("data"))
	case len(m.channel) > x.srv.opt.MaxChannel || !validName(m.channel):
		r.fail(invalid(m.channel))
	case rule == nil:
		r.fail(forbidden(m.channel))
	case !m.has("clientId"):
		r.fail(missing("clientId"))
	default:
		f, err := x.publishFor(x.find(m), rule, m, data)
		if err != nil {
			return err
		}
		if f != nil {
			r.fail(f)
		}
	}
	x.reply(r)
	return nil
}

func (x *exchange) publishFor(sess *session, rule Publisher, m *message, data json.RawMessage) (*failure, error) {
	if sess == nil || !x.srv.alive(x.ctx, sess) {
		if x.ctx.Err() != nil {
			return nil, errLater
		}
		return unknownClient(m.clientID), nil
	}
	o := &sess.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	now, id := time.Now(), string(m.key())
	if id != "" && o.known.seen(id, now) {
		return nil, nil
	}
	if !o.pace.take(now, x.srv.opt.PublishRate, x.srv.opt.PublishBurst) {
		return &failure{407, cleanArgs(m.channel), "Publishing too fast"}, nil
	}
	ctx, cancel := x.authContext()
	defer cancel()
	err := rule.Publish(ctx, sess.principal, Publication{Request: x.request(m), Channel: m.channel, Data: data})
	if err != nil {
		return x.refusal(err, m.channel)
	}
	if f := x.send(ctx, m.channel, data); f != nil {
		return f, nil
	}
	if id != "" {
		o.known.add(id, now)
	}
	return nil, nil
}

// send hands a message to the bus, unless it was for the server alone. It is made anew: what else a client put into it, such as
// advice, must not reach the clients of others.
func (x *exchange) send(ctx context.Context, channel string, data json.RawMessage) *failure {
	if reserved(channel) {
		return nil
	}
	if err := x.srv.bus.Publish(ctx, Event{Streams: []string{channel}, Data: data}); err != nil {
		x.srv.notes.say(slog.LevelWarn, "bayeux: a client's message was not published", "error", err)
		return &failure{407, cleanArgs(channel), "Failed to publish"}
	}
	return nil
}
