package bayeux

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"exporthub/pkg/bayeux/internal/protocol"
)

// Publisher may be implemented by an Authorizer to let clients publish. Without it every publish of
// a client is refused.
type Publisher interface {
	// Publish decides on one message to a channel that is valid in form and no pattern, outside
	// /meta, from a session that lives, in the order in which it sent them and one at a time. An
	// error is answered with 403 (a *Refusal may choose another code or, with RetryAfter, make the
	// client send the message again). What is published to /service is for the server: no client
	// gets it, so Publish may also carry it out. It is not asked about a message whose id the
	// session published within the last minute, which is taken for a repetition whatever its
	// channel and data, nor about one that comes too fast.
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
	// publishMemory is how long an id that was published is known; a client that got no answer
	// sends the message again with the same id.
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

// outbox is a session's way to the bus: one message at a time, so that they keep their order and a
// repetition that overtakes an answer waits for it.
type outbox struct {
	mu    sync.Mutex
	known published
	pace  bucket
}

// publish lets a client publish where a rule allows. Events come from the bus; that is where the
// message goes.
func (x *exchange) publish(m *protocol.Message) error {
	r := x.answer(m)
	data, hasData := m.Fields["data"]
	rule, _ := x.srv.auth.(Publisher)
	switch {
	case protocol.ValidName(m.Channel) && protocol.FirstSegment(m.Channel) == "meta":
		r.Fail(protocol.Forbidden(m.Channel))
	case !hasData:
		r.Fail(protocol.Missing("data"))
	case len(m.Channel) > x.srv.opt.MaxChannel || !protocol.ValidName(m.Channel):
		r.Fail(protocol.Invalid(m.Channel))
	case rule == nil:
		r.Fail(protocol.Forbidden(m.Channel))
	case !m.Has("clientId"):
		r.Fail(protocol.Missing("clientId"))
	default:
		f, err := x.publishFor(x.find(m), rule, m, data)
		if err != nil {
			return err
		}
		if f != nil {
			r.Fail(f)
		}
	}
	x.reply(r)
	return nil
}

func (x *exchange) publishFor(sess *session, rule Publisher, m *protocol.Message, data json.RawMessage) (*protocol.Failure, error) {
	if sess == nil || !x.srv.alive(x.ctx, sess) {
		if x.ctx.Err() != nil {
			return nil, errLater
		}
		return protocol.UnknownClient(m.ClientID), nil
	}
	o := &sess.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	now, id := time.Now(), string(m.Key())
	if id != "" && o.known.seen(id, now) {
		return nil, nil
	}
	if !o.pace.take(now, x.srv.opt.PublishRate, x.srv.opt.PublishBurst) {
		return protocol.NewFailure(407, protocol.CleanArgs(m.Channel), "Publishing too fast"), nil
	}
	ctx, cancel := x.authContext()
	defer cancel()
	err := rule.Publish(ctx, sess.principal, Publication{Request: x.request(m), Channel: m.Channel, Data: data})
	if err != nil {
		return x.refusal(err, m.Channel)
	}
	if f := x.send(ctx, m.Channel, data); f != nil {
		return f, nil
	}
	if id != "" {
		o.known.add(id, now)
	}
	return nil, nil
}

// send hands a message to the bus, unless it was for the server alone. It is made anew: what else a
// client put into it, such as advice, must not reach the clients of others.
func (x *exchange) send(ctx context.Context, channel string, data json.RawMessage) *protocol.Failure {
	if protocol.Reserved(channel) {
		return nil
	}
	if err := x.srv.bus.Publish(ctx, Event{Streams: []string{channel}, Data: data}); err != nil {
		x.srv.log.Log(slog.LevelWarn, "bayeux: a client's message was not published", "error", err)
		return protocol.NewFailure(407, protocol.CleanArgs(channel), "Failed to publish")
	}
	return nil
}
