package bayeux

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"time"

	"exporthub/pkg/bayeux/internal/protocol"
)

// errLater is how an exchange ends when an answer now would be wrong for good, as a refused
// subscription is: the client, left without one, asks again.
var errLater = errors.New("not now")

// exchange is the handling of one HTTP request or websocket frame: its messages in order, their
// replies.
type exchange struct {
	srv  *Server
	ctx  context.Context // the request's; on a websocket the server's
	req  Request         // without Ext
	sock *socket         // nil over HTTP
	// alone says that the batch is one message: only then is a connect over HTTP held, since its
	// response carries the other replies too.
	alone bool

	out [][]byte // over HTTP: replies, and deliveries after the reply to connect

	// unanswered are subscribes over HTTP: the response waits for what they need to be read, and
	// what was read is delivered after it.
	unanswered []*confirmation

	// The connect over HTTP that was answered, whose messages go back when the response can't be
	// written.
	sess *session
	poll *poll
}

// reply sends the answer to a message: at once on a websocket, with the response over HTTP.
func (x *exchange) reply(r *protocol.Reply) {
	if b := r.Encode(); x.sock != nil {
		x.sock.push(b)
	} else {
		x.out = append(x.out, b)
	}
}

// handle carries out one message.
func (x *exchange) handle(m *protocol.Message) error {
	if m.Refused != nil {
		r := x.answer(m)
		if slices.Contains([]string{protocol.MetaHandshake, protocol.MetaConnect, protocol.MetaDisconnect}, m.Channel) {
			r.ClientID = ""
		}
		x.reply(r.Fail(m.Refused))
		return nil
	}
	switch m.Channel {
	case protocol.MetaHandshake:
		return x.handshake(m)
	case protocol.MetaConnect:
		return x.connect(m)
	case protocol.MetaSubscribe:
		return x.subscribe(m)
	case protocol.MetaUnsubscribe:
		x.unsubscribe(m)
	case protocol.MetaDisconnect:
		x.disconnect(m)
	default:
		return x.publish(m)
	}
	return nil
}

func (x *exchange) answer(m *protocol.Message) *protocol.Reply {
	return &protocol.Reply{ID: m.ID, Channel: m.Channel, Successful: true, ClientID: m.ClientID}
}

func (x *exchange) authContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(x.ctx, x.srv.opt.AuthTimeout)
}

func (x *exchange) request(m *protocol.Message) Request {
	r := x.req
	r.Ext = m.Fields["ext"]
	return r
}

// find returns the message's session, nil when there is none or it is somebody else's.
func (x *exchange) find(m *protocol.Message) *session {
	sess := x.srv.session(m.ClientID)
	if sess == nil {
		if len(m.ClientID) == clientIDLength {
			x.srv.lost(m.ClientID)
		}
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

func (x *exchange) handshake(m *protocol.Message) error {
	r := x.answer(m)
	r.ClientID = "" // a handshake has none yet, whatever it says
	r.Version = "1.0"
	r.Types = protocol.ConnectionTypes
	asked, isList := m.Texts("supportedConnectionTypes")
	switch {
	case !m.Has("supportedConnectionTypes"):
		r.Fail(protocol.Missing("supportedConnectionTypes"))
	case !isList || !slices.ContainsFunc(asked, func(t string) bool { return slices.Contains(protocol.ConnectionTypes, t) }):
		r.Fail(protocol.TypesMismatch(asked))
	case !m.Has("version"):
		r.Fail(protocol.Missing("version"))
	}
	if r.Error != "" {
		r.Advice = protocol.HandshakeAdvice(x.srv.opt.RetryAfter)
		x.reply(r)
		return nil
	}
	addr := x.srv.opt.Address(x.req.HTTP)
	ctx, cancel := x.authContext()
	defer cancel()
	principal, err := x.srv.auth.Handshake(ctx, x.request(m))
	// After the question who it is: strangers at one's address must not use up one's handshakes.
	if !x.srv.mayShakeHands(principal, addr) {
		x.putOff(r, errTooFast)
		return nil
	}
	if err != nil {
		x.refuseHandshake(r, err)
		return nil
	}
	sess, err := x.srv.open(principal, addr, m.AsksForAcks())
	if err != nil {
		x.putOff(r, err)
		return nil
	}
	if m.AsksForAcks() {
		r.Ext = json.RawMessage(`{"ack":true}`)
	}
	r.ClientID = sess.id
	r.Advice = protocol.RetryAdvice(0, x.srv.opt.Timeout)
	x.reply(r)
	return nil
}

// putOff advises the client to come back later, at a time of its own.
func (x *exchange) putOff(r *protocol.Reply, err error) {
	x.srv.log.Log(slog.LevelWarn, "bayeux: handshake put off", "error", err)
	text := "Too many sessions"
	if errors.Is(err, errTooFast) {
		text = "Too many handshakes"
	}
	r.Fail(protocol.NewFailure(500, "", text))
	r.Advice = protocol.HandshakeAdvice(x.srv.later())
	x.reply(r)
}

// refuseHandshake advises the client to stop, since the stock client would try refused credentials
// again without a pause, or when to come back if the reason will pass.
func (x *exchange) refuseHandshake(r *protocol.Reply, err error) {
	x.srv.log.Log(slog.LevelInfo, "bayeux: handshake refused", "error", err)
	f := protocol.NewFailure(403, "", "Handshake refused")
	r.Advice = protocol.StopAdvice()
	var refusal *Refusal
	if errors.As(err, &refusal) {
		f = refusal.failure("", f.Text)
		if refusal.RetryAfter > 0 {
			r.Advice = protocol.HandshakeAdvice(refusal.RetryAfter)
		}
	}
	x.reply(r.Fail(f))
}

// failure is the refusal as a protocol error.
func (r *Refusal) failure(channel, text string) *protocol.Failure {
	f := protocol.NewFailure(403, protocol.CleanArgs(channel), text)
	if r.Code != 0 {
		f.Code = r.Code
	}
	if r.Text != "" {
		f.Text = protocol.CleanText(r.Text)
	}
	return f
}

func (x *exchange) connect(m *protocol.Message) error {
	sess := x.find(m)
	var f *protocol.Failure
	kind, _ := m.Text("connectionType")
	switch {
	case !m.Has("connectionType"):
		f = protocol.Missing("connectionType")
	case !slices.Contains(protocol.ConnectionTypes, kind):
		f = protocol.TypesMismatch([]string{kind})
	case !m.Has("clientId"):
		f = protocol.Missing("clientId")
	case sess == nil:
		f = protocol.UnknownClient(m.ClientID)
	}
	if f != nil {
		r := x.answer(m).Fail(f)
		r.ClientID = ""
		switch {
		case sess == nil && kind == protocol.TypeEventSource:
			r.Advice = protocol.HandshakeNow(x.srv.pauseOf(m.ClientID))
		case sess == nil:
			r.Advice = protocol.HandshakeAdvice(x.srv.pauseOf(m.ClientID))
		}
		x.reply(r)
		return nil
	}
	if !x.srv.alive(x.ctx, sess) {
		if x.ctx.Err() != nil {
			// The client has gone or the server ends; neither says anything about the principal.
			return errLater
		}
		x.srv.destroy(sess, destroyed, "principal no longer valid")
		x.reply(x.srv.connectReply(sess.id, m.ID, destroyed))
		return nil
	}
	c := connectRequest{id: m.Key(), echo: m.ID, hold: m.Hold(x.srv.opt.Timeout), ack: m.Acknowledged()}
	if c.id == nil && m.ID != nil {
		c.hold = 0 // rather than to keep it
	}
	switch {
	case kind == protocol.TypeEventSource && x.sock == nil:
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

// streamConnect answers at once: messages go out on the stream, and the next connect is due a
// timeout later.
func (x *exchange) streamConnect(sess *session, c connectRequest) {
	if !sess.streamConnect(c) {
		r := x.srv.connectReply(sess.id, c.echo, destroyed)
		r.Advice = protocol.HandshakeNow(0)
		x.reply(r)
		return
	}
	r := x.srv.connectReply(sess.id, c.echo, due)
	r.Advice = protocol.StreamAdvice(x.srv.opt.Timeout)
	x.reply(r)
}

// connectReply is the end of a connect that got that far.
func (s *Server) connectReply(clientID string, id json.RawMessage, why ending) *protocol.Reply {
	r := &protocol.Reply{ID: id, Channel: protocol.MetaConnect, Successful: true, ClientID: clientID, Advice: protocol.RetryAdvice(0, s.opt.Timeout)}
	switch why {
	case destroyed:
		r.Fail(protocol.UnknownClient(clientID))
		r.ClientID, r.Advice = "", protocol.HandshakeAdvice(0)
	case overflowed, givenUp:
		r.Fail(protocol.UnknownClient(clientID))
		r.ClientID, r.Advice = "", protocol.HandshakeAdvice(s.later())
	case draining:
		r.Advice = s.drainAdvice()
	}
	return r
}

// hold is a connect over HTTP: it waits until there is a message, the time is over, or the session
// has another connect.
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
		x.out = append(x.out, batch[i].Frame.Object())
	}
	x.sess, x.poll = sess, p
}

func (x *exchange) disconnect(m *protocol.Message) {
	sess := x.find(m)
	r := x.answer(m)
	switch {
	case !m.Has("clientId"):
		r.Fail(protocol.Missing("clientId"))
	case sess == nil:
		r.Fail(protocol.UnknownClient(m.ClientID))
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
