package bayeux

import (
	"errors"
	"log/slog"

	"exporthub/pkg/bayeux/internal/protocol"
)

// subscribe carries out /meta/subscribe: all of it or nothing.
func (x *exchange) subscribe(m *protocol.Message) error {
	r := x.answer(m)
	r.Subscription = m.SubscriptionEcho()
	names := m.Subscriptions()
	sess := x.find(m)
	if f := x.checkNames(m, sess, names); f != nil {
		x.reply(r.Fail(f))
		return nil
	}
	if !sess.hasRoom(names) {
		x.reply(r.Fail(protocol.NewFailure(403, "", "Too many subscriptions")))
		return nil
	}
	asks := make([]ask, len(names))
	for i, name := range names {
		asks[i].name = name
		if x.srv.opt.ReplayEvents > 0 {
			asks[i].numbered, asks[i].missed = m.ReplayOf(name)
		}
		f, err := x.grant(sess, name, &asks[i].grant)
		if err != nil {
			return err
		}
		if f != nil {
			x.reply(r.Fail(f))
			return nil
		}
	}
	c := &confirmation{sess: sess, reply: r, socket: x.sock, ready: make(chan struct{})}
	changed, ok := sess.subscribe(asks, c)
	if !ok {
		x.reply(r.Fail(protocol.UnknownClient(m.ClientID)))
		return nil
	}
	x.activate(changed, c)
	x.confirm(c)
	return nil
}

// activate puts subscriptions into the hub and has Latest called for them, in that order: what
// happens after the reading is then received live. What was unsubscribed or destroyed meanwhile is
// taken out again.
func (x *exchange) activate(changed subscribed, c *confirmation) {
	sess := c.sess
	for _, sub := range changed.gone {
		x.srv.hub.remove(sub)
	}
	for _, sub := range changed.subs {
		x.srv.hub.add(sub)
		if sess.lost(sub) {
			x.srv.hub.remove(sub)
		}
	}
	sess.mu.Lock()
	sess.lookUpLocked(c)
	sess.mu.Unlock()
	for _, sub := range changed.read {
		x.srv.latest.enqueue(sub)
	}
}

// grant asks the Authorizer. It returns errLater when the reason of a refusal will pass: the stock
// client never tries a refused subscription again.
func (x *exchange) grant(sess *session, name string, g *Grant) (*protocol.Failure, error) {
	ctx, cancel := x.authContext()
	defer cancel()
	grant, err := x.srv.auth.Subscribe(ctx, sess.principal, name)
	if err != nil {
		return x.refusal(err, name)
	}
	if grant.Stream != "" && protocol.ValidPattern(name) && !protocol.ValidPattern(grant.Stream) {
		x.srv.log.Log(slog.LevelError, "bayeux: the grant of a pattern names a stream that is none", "channel", protocol.FirstSegment(name))
		return protocol.Forbidden(name), nil
	}
	*g = grant
	return nil, nil
}

// refusal turns an Authorizer's error into the answer to the client.
func (x *exchange) refusal(err error, channel string) (*protocol.Failure, error) {
	var refusal *Refusal
	switch {
	case x.ctx.Err() != nil:
		return nil, errLater
	case errors.As(err, &refusal):
		if refusal.RetryAfter > 0 {
			return nil, errLater
		}
		return refusal.failure(channel, "Forbidden channel"), nil
	default:
		return protocol.Forbidden(channel), nil
	}
}

// checkNames validates a subscribe or unsubscribe before anything of it is carried out; of several
// problems the last kind counts.
func (x *exchange) checkNames(m *protocol.Message, sess *session, names []string) *protocol.Failure {
	var f *protocol.Failure
	if sess == nil {
		f = protocol.UnknownClient(m.ClientID)
	}
	if !m.Has("clientId") {
		f = protocol.Missing("clientId")
	}
	if !m.Has("subscription") {
		return protocol.Missing("subscription")
	}
	for _, name := range names {
		switch {
		case len(name) > x.srv.opt.MaxChannel || !protocol.ValidName(name) && !protocol.ValidPattern(name):
			return protocol.Invalid(name)
		case protocol.Reserved(name), protocol.ValidPattern(name) && !x.srv.opt.AllowPatterns:
			return protocol.Forbidden(name)
		}
	}
	return f
}

func (x *exchange) unsubscribe(m *protocol.Message) {
	r := x.answer(m)
	r.Subscription = m.SubscriptionEcho()
	names := m.Subscriptions()
	sess := x.find(m)
	if f := x.checkNames(m, sess, names); f != nil {
		x.reply(r.Fail(f))
		return
	}
	gone := sess.unsubscribe(names)
	for _, sub := range gone {
		x.srv.hub.remove(sub)
	}
	x.srv.left(gone)
	x.reply(r)
}
