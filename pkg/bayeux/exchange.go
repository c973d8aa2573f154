package bayeux

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"time"
)

// errLater is how an exchange ends when an answer now would be wrong for good, as a refused subscription is: the
// client, left without one, asks again.
var errLater = errors.New("not now")

// exchange is the handling of one HTTP request or websocket frame: its messages in order, their replies.
type exchange struct {
	srv  *Server
	ctx  context.Context // the request's; on a websocket the server's
	req  Request         // without Ext
	sock *socket         // nil over HTTP
	// alone says that the batch is one message: only then is a connect over HTTP held, since its response carries the other replies too.
	alone bool

	out [][]byte // over HTTP: replies, and deliveries after the reply to connect

	// The connect over HTTP that was answered, whose messages go back when the response can't be written.
	sess *session
	poll *poll
}

// reply sends the answer to a message: at once on a websocket, with the response over HTTP.
func (x *exchange) reply(r *reply) {
	if b := r.encode(); x.sock != nil {
		x.sock.push(b)
	} else {
		x.out = append(x.out, b)
	}
}

// handle carries out one message.
func (x *exchange) handle(m *message) error {
	if m.refused != nil {
		r := x.answer(m)
		if slices.Contains([]string{metaHandshake, metaConnect, metaDisconnect}, m.channel) {
			r.ClientID = ""
		}
		x.reply(r.fail(m.refused))
		return nil
	}
	switch m.channel {
	case metaHandshake:
		return x.handshake(m)
	case metaConnect:
		return x.connect(m)
	case metaSubscribe:
		return x.subscribe(m)
	case metaUnsubscribe:
		x.unsubscribe(m)
	case metaDisconnect:
		x.disconnect(m)
	default:
		return x.publish(m)
	}
	return nil
}

func (x *exchange) answer(m *message) *reply {
	return &reply{ID: m.id, Channel: m.channel, Successful: true, ClientID: m.clientID}
}

func (x *exchange) authContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(x.ctx, x.srv.opt.AuthTimeout)
}

func (x *exchange) request(m *message) Request {
	r := x.req
	r.Ext = m.fields["ext"]
	return r
}

// find returns the message's session, nil when there is none or it is somebody else's.
func (x *exchange) find(m *message) *session {
	sess := x.srv.session(m.clientID)
	if sess == nil {
		return nil
	}
	if matcher, ok := x.srv.auth.(Matcher); ok {
		ctx, cancel := x.authContext()
		defer cancel()
		if !matcher.Matches(ctx, x.request(m), sess.principal) {
			return nil
		}
	}
	return sess
}

func (x *exchange) handshake(m *message) error {
	r := x.answer(m)
	r.ClientID, r.Version, r.Types = "", "1.0", connectionTypes
	asked, isList := m.texts("supportedConnectionTypes")
	switch {
	case !m.has("supportedConnectionTypes"):
		r.fail(missing("supportedConnectionTypes"))
	case !isList || !slices.ContainsFunc(asked, func(t string) bool { return slices.Contains(connectionTypes, t) }):
		r.fail(typesMismatch(asked))
	case !m.has("version"):
		r.fail(missing("version"))
	}
	if r.Error != "" {
		r.Advice = handshakeAdvice(x.srv.opt.RetryAfter)
		x.reply(r)
		return nil
	}
	addr := x.srv.opt.Address(x.req.HTTP)
	if !x.srv.mayShakeHands(addr) {
		x.putOff(r, errTooFast)
		return nil
	}
	ctx, cancel := x.authContext()
	defer cancel()
	principal, err := x.srv.auth.Handshake(ctx, x.request(m))
	if err != nil {
		x.refuseHandshake(r, err)
		return nil
	}
	sess, err := x.srv.open(principal, addr, m.asksForAcks())
	if err != nil {
		x.putOff(r, err)
		return nil
	}
	if m.asksForAcks() {
		r.Ext = json.RawMessage(`{"ack":true}`)
	}
	r.ClientID = sess.id
	r.Advice = retryAdvice(0, x.srv.opt.Timeout)
	x.reply(r)
	return nil
}

// putOff tells the client to come back later, at a time of its own.
func (x *exchange) putOff(r *reply, err error) {
	x.srv.notes.say(slog.LevelWarn, "bayeux: handshake put off", "error", err)
	text := "Too many sessions"
	if errors.Is(err, errTooFast) {
		text = "Too many handshakes"
	}
	r.fail(&failure{500, "", text})
	r.Advice = handshakeAdvice(x.srv.later())
	x.reply(r)
}

// refuseHandshake tells the client to stop, since the stock client would try refused credentials again without a pause, or when to
// come back if the reason will pass.
func (x *exchange) refuseHandshake(r *reply, err error) {
	x.srv.notes.say(slog.LevelInfo, "bayeux: handshake refused", "error", err)
	f := &failure{403, "", "Handshake refused"}
	r.Advice = &advice{Reconnect: "none"}
	var refusal *Refusal
	if errors.As(err, &refusal) {
		f = refusal.failure("", f.text)
		if refusal.RetryAfter > 0 {
			r.Advice = handshakeAdvice(refusal.RetryAfter)
		}
	}
	x.reply(r.fail(f))
}

// failure is the refusal as a protocol error.
func (r *Refusal) failure(channel, text string) *failure {
	f := &failure{403, cleanArgs(channel), text}
	if r.Code != 0 {
		f.code = r.Code
	}
	if r.Text != "" {
		f.text = cleanText(r.Text)
	}
	return f
}

func (x *exchange) connect(m *message) error {
	sess := x.find(m)
	var f *failure
	kind, _ := m.text("connectionType")
	switch {
	case !m.has("connectionType"):
		f = missing("connectionType")
	case !slices.Contains(connectionTypes, kind):
		f = typesMismatch([]string{kind})
	case !m.has("clientId"):
		f = missing("clientId")
	case sess == nil:
		f = unknownClient(m.clientID)
	}
	if f != nil {
		r := x.answer(m).fail(f)
		r.ClientID = ""
		switch {
		case sess == nil && kind == typeEventSource:
			r.Advice = handshakeNow(x.srv.pauseOf(m.clientID))
		case sess == nil:
			r.Advice = handshakeAdvice(x.srv.pauseOf(m.clientID))
		}
		x.reply(r)
		return nil
	}
	if !x.srv.alive(x.ctx, sess) {
		if x.ctx.Err() != nil {
			return errLater // the client has gone or the server ends; neither says anything about the principal
		}
		x.srv.destroy(sess, destroyed, "principal no longer valid")
		x.reply(x.srv.connectReply(sess.id, m.id, destroyed))
		return nil
	}
	c := connectRequest{id: m.key(), echo: m.id, hold: m.hold(x.srv.opt.Timeout), ack: m.received()}
	if c.id == nil && m.id != nil {
		c.hold = 0 // rather than to keep it
	}
	switch {
	case kind == typeEventSource && x.sock == nil:
		x.streamConnect(sess, c)
	case x.sock != nil:
		c.hold = sess.pace(c.hold)
		x.sock.connect(sess, c)
	default:
		if !x.alone {
			c.hold = 0
		}
		c.hold = sess.pace(c.hold)
		x.hold(sess, c)
	}
	return nil
}

// streamConnect answers at once: messages go out on the stream, and the next connect is due a timeout later.
func (x *exchange) streamConnect(sess *session, c connectRequest) {
	if !sess.streamConnect(c) {
		r := x.srv.connectReply(sess.id, c.echo, destroyed)
		r.Advice = handshakeNow(0)
		x.reply(r)
		return
	}
	r := x.srv.connectReply(sess.id, c.echo, due)
	r.Advice = streamAdvice(x.srv.opt.Timeout)
	x.reply(r)
}

// connectReply is the end of a connect that got that far.
func (s *Server) connectReply(clientID string, id json.RawMessage, why ending) *reply {
	r := &reply{ID: id, Channel: metaConnect, Successful: true, ClientID: clientID, Advice: retryAdvice(0, s.opt.Timeout)}
	switch why {
	case destroyed:
		r.fail(unknownClient(clientID))
		r.ClientID, r.Advice = "", handshakeAdvice(0)
	case overflowed:
		r.fail(unknownClient(clientID))
		r.ClientID, r.Advice = "", handshakeAdvice(s.later())
	case draining:
		r.Advice = s.drainAdvice()
	}
	return r
}

// hold is a connect over HTTP: it waits until there is a message, the time is over, or the session has another connect.
func (x *exchange) hold(sess *session, c connectRequest) {
	p := sess.startPoll(c)
	if c.hold > 0 {
		timer := time.NewTimer(c.hold)
		select {
		case <-p.wake:
			x.srv.batches.wait(x.ctx)
		case <-timer.C:
		case <-x.ctx.Done():
		}
		timer.Stop()
	}
	if x.ctx.Err() != nil { // nobody is there to read an answer
		sess.leavePoll(p)
		return
	}
	batch, ext, why := sess.finishPoll(p)
	r := x.srv.connectReply(sess.id, c.echo, why)
	r.Ext = ext
	x.reply(r)
	for i := range batch {
		x.out = append(x.out, batch[i].frame.object())
	}
	x.sess, x.poll = sess, p
}

func (x *exchange) disconnect(m *message) {
	sess := x.find(m)
	r := x.answer(m)
	switch {
	case !m.has("clientId"):
		r.fail(missing("clientId"))
	case sess == nil:
		r.fail(unknownClient(m.clientID))
	}
	if !r.Successful {
		r.ClientID = ""
		x.reply(r)
		return
	}
	x.reply(r) // before the session goes, which closes the socket that carries it
	x.srv.destroy(sess, disconnected, "disconnected")
	if x.sock != nil && x.sock.isFor(sess) {
		x.sock.close(disconnected) // one that the session was not bound to is of no more use either
	}
}
