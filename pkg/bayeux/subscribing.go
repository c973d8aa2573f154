package bayeux

import (
	"errors"
	"log/slog"
)

// subscribe carries out /meta/subscribe: all of it or nothing.
func (x *exchange) subscribe(m *message) error {
	r := x.answer(m)
	r.Subscription = m.subscriptionEcho()
	names := m.subscriptions()
	sess := x.find(m)
	if f := x.checkNames(m, sess, names); f != nil {
		x.reply(r.fail(f))
		return nil
	}
	if !sess.hasRoom(names) {
		x.reply(r.fail(&failure{403, "", "Too many subscriptions"}))
		return nil
	}
	asks := make([]ask, len(names))
	for i, name := range names {
		asks[i].name = name
		if x.srv.opt.ReplayEvents > 0 {
			var after *uint64
			if asks[i].numbered, after = m.replayOf(name); after != nil {
				asks[i].missed = &gap{*after, x.srv.history.now()}
			}
		}
		f, err := x.grant(sess, name, &asks[i].grant)
		if err != nil {
			return err
		}
		if f != nil {
			x.reply(r.fail(f))
			return nil
		}
	}
	subs, gone, ok := sess.subscribe(asks)
	if !ok {
		x.reply(r.fail(unknownClient(m.clientID)))
		return nil
	}
	x.activate(sess, subs, gone)
	x.catchUp(sess, asks, subs, r)
	for _, sub := range subs {
		x.srv.latest.ask(sub, subscribe)
	}
	return nil
}

// catchUp sends the reply to a subscribe, and after it what the client asks to be replayed.
func (x *exchange) catchUp(sess *session, asks []ask, subs []*subscription, r *reply) {
	var list []missed
	for i, sub := range subs {
		if g := asks[i].missed; g != nil {
			list = append(list, x.srv.missedBy(sub, g))
		}
	}
	if list == nil {
		x.reply(r)
		return
	}
	fits := sess.catchUp(list, func(skipped map[string]int) {
		r.Ext = skippedExt(skipped)
		x.reply(r)
	})
	if !fits { // for what came live meanwhile
		x.srv.destroy(sess, overflowed, "queue overflow")
	}
}

// activate puts subscriptions into the hub. What was unsubscribed or destroyed meanwhile is taken out again.
func (x *exchange) activate(sess *session, subs, gone []*subscription) {
	for _, sub := range gone {
		x.srv.hub.remove(sub)
	}
	for _, sub := range subs {
		x.srv.hub.add(sub)
		if sess.lost(sub) {
			x.srv.hub.remove(sub)
		}
	}
}

// grant asks the Authorizer. It returns errLater when the reason of a refusal will pass: the stock client never tries a refused
// subscription again.
func (x *exchange) grant(sess *session, name string, g *Grant) (*failure, error) {
	ctx, cancel := x.authContext()
	defer cancel()
	grant, err := x.srv.auth.Subscribe(ctx, sess.principal, name)
	if err != nil {
		return x.refusal(err, name)
	}
	if grant.Stream != "" && validPattern(name) && !validPattern(grant.Stream) {
		x.srv.notes.say(slog.LevelError, "bayeux: the grant of a pattern names a stream that is none", "channel", firstSegment(name))
		return forbidden(name), nil
	}
	*g = grant
	return nil, nil
}

// refusal turns an Authorizer's error into what the client is told.
func (x *exchange) refusal(err error, channel string) (*failure, error) {
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
		return forbidden(channel), nil
	}
}

// checkNames validates a subscribe or unsubscribe before anything of it is carried out; of several problems the last kind
// counts.
func (x *exchange) checkNames(m *message, sess *session, names []string) *failure {
	var f *failure
	if sess == nil {
		f = unknownClient(m.clientID)
	}
	if !m.has("clientId") {
		f = missing("clientId")
	}
	if !m.has("subscription") {
		return missing("subscription")
	}
	for _, name := range names {
		switch {
		case len(name) > x.srv.opt.MaxChannel || !validName(name) && !validPattern(name):
			return invalid(name)
		case reserved(name), validPattern(name) && !x.srv.opt.AllowPatterns:
			return forbidden(name)
		}
	}
	return f
}

func (x *exchange) unsubscribe(m *message) {
	r := x.answer(m)
	r.Subscription = m.subscriptionEcho()
	names := m.subscriptions()
	sess := x.find(m)
	if f := x.checkNames(m, sess, names); f != nil {
		x.reply(r.fail(f))
		return
	}
	for _, sub := range sess.unsubscribe(names) {
		x.srv.hub.remove(sub)
	}
	x.reply(r)
}
