package bayeux

import (
	"crypto/rand"
	"encoding/json"
	"math/big"
	"strings"
	"sync"
	"time"
)

// ending says why a session, or one connect of it, is over; it decides what its client is told.
type ending int

const (
	replaced     ending = iota // by a later connect: an empty success
	due                        // its time is over or there is something to say: a success
	disconnected               // by its client: an empty success
	destroyed                  // by the server: unknown client, shake hands anew
	overflowed                 // by the server, for want of room in its queue: the same, after a pause
	draining                   // the server ends: an empty success, come back after a random interval
)

// session is one client. Everything below mu is guarded by it; a session's lock is taken before a socket's and after a
// hub's.
type session struct {
	srv       *Server
	id        string
	principal Principal
	addr      string // of the handshake
	alarm     alarm

	mu       sync.Mutex
	closed   bool
	expireAt time.Time
	subs     map[string]*subscription
	seen     seen
	out      queue

	poll  *poll // the connect held over HTTP
	turns turns

	via carrier // the websocket or event stream that carries deliveries
	// standby is an event stream that stays open while polls or a websocket carry the session: the stock client shakes hands anew with
	// a stream already open, polls once, and then goes on with the stream.
	standby *stream
	held    *heldConnect
	sent    flight
	asked   bool    // an event stream was ended for its client to come back and tell what it received
	mute    bool    // the client came back and did not tell, so it is not asked again
	acks    *ackLog // nil unless the client acknowledges what connect replies bring

	quick  bucket // connects that were not to be held
	outbox outbox // has a lock of its own
}

// carrier is an open connection that brings a session's messages as they come: a websocket or an event stream. Its methods do not
// block.
type carrier interface {
	kick() // there is something to take
	push(reply []byte)
	pushLast(reply []byte) // after the messages that wait
	close(why ending)      // the session is over
}

// heldConnect is a connect held on a websocket.
type heldConnect struct {
	id    json.RawMessage
	until time.Time
}

func newClientID() string {
	var b [20]byte
	rand.Read(b[:]) // never fails
	s := new(big.Int).SetBytes(b[:]).Text(36)
	return strings.Repeat("0", max(0, 31-len(s))) + s
}

func newSession(srv *Server, p Principal) *session {
	s := &session{srv: srv, id: newClientID(), principal: p, subs: make(map[string]*subscription)}
	s.alarm.fire = s.ring
	s.touchLocked()
	return s
}

// touchLocked gives the session another Expiry, within its principal's time.
func (s *session) touchLocked() {
	s.expireAt = time.Now().Add(s.srv.opt.Expiry)
	if end := s.principal.Expires; !end.IsZero() && end.Before(s.expireAt) {
		s.expireAt = end
	}
}

// Connects that ask for an immediate answer come with subscribes, a burst of them with many. A client that goes on and on is made to
// wait a little each time.
const (
	quickRate  = 20
	quickBurst = 100
	quickPause = 100 * time.Millisecond
)

// pace returns how long a connect is held that may be held that long.
func (s *session) pace(hold time.Duration) time.Duration {
	if hold >= quickPause {
		return hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quick.take(time.Now(), quickRate, quickBurst) {
		return hold
	}
	return min(quickPause, s.srv.opt.Timeout)
}

func (s *session) limits() limits {
	return limits{s.srv.opt.QueueMessages, s.srv.opt.QueueBytes, s.srv.opt.CoalesceAfter}
}

// offer gives the session an event for one of its subscriptions and reports false when its queue overflowed.
func (s *session) offer(sub *subscription, e entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || sub.dead || e.replayed(sub) {
		return true
	}
	if sub.holding {
		return sub.early.push(e, s.limits())
	}
	return s.admitLocked(e, live)
}

// admitLocked queues the event if it is new to the session, and wakes whoever delivers.
func (s *session) admitLocked(e entry, from source) bool {
	if !s.seen.admit(e.nameKey, e.seq, e.final, from, s.srv.opt.MaxKeys) {
		return true
	}
	lim := s.limits()
	fits := s.out.push(e, lim)
	if !fits && s.asked {
		// Its stream was ended for it to tell what it received, which most likely is everything that was written.
		fits = s.out.shed(lim)
	}
	s.wakeLocked()
	return fits
}

func (s *session) wakeLocked() {
	switch {
	case s.poll != nil:
		s.poll.rouse()
	case s.acks != nil && s.held != nil:
		s.answerHeldLocked(due)
	case s.via != nil:
		s.via.kick()
	}
}

// bind makes the websocket k the session's carrier, holding the connect for that long, and reports false for a session that
// is over.
func (s *session) bind(k *socket, c connectRequest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.touchLocked()
	s.turnLocked(c)
	if s.poll != nil {
		s.poll.end(replaced)
		s.poll = nil
	}
	if s.via != k {
		s.releaseLocked(replaced)
		s.recallLocked()
		s.via = k
		if len(s.out.items) > 0 && s.out.items[0].number == 0 { // what is sent again may share a frame
			k.begin()
		}
	} else {
		s.answerHeldLocked(replaced)
	}
	s.held = &heldConnect{id: c.echo, until: time.Now().Add(c.hold)}
	if c.hold <= 0 {
		s.answerHeldLocked(due)
	} else {
		s.srv.clock.by(&s.alarm, s.held.until)
	}
	if len(s.out.items) > 0 {
		s.wakeLocked()
	}
	return true
}

// turnLocked takes from a connect that comes on a new way what it says about the receipt of earlier answers.
func (s *session) turnLocked(c connectRequest) {
	if s.acks != nil {
		s.acks.confirm(c.ack, &s.out)
		return
	}
	if s.turns.begin(c.id) == repeated {
		s.out.putBack(s.turns.unproven) // the answer got lost, and the client has come here with its question
		s.turns.reopen()
	}
}

// unbind is called when k has closed. Only the session's present socket counts: an old one that dies late must not take
// the new one with it.
func (s *session) unbind(k carrier) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.via == k {
		s.held = nil
		s.releaseLocked(replaced)
	}
	if s.standby == k {
		s.standby = nil
		if s.via == nil {
			s.recallLocked()
		}
	}
}

// carriedBy reports whether k carries the session's deliveries.
func (s *session) carriedBy(k carrier) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.via == k
}

// releaseLocked detaches the carrier, answering the connect it holds. What a socket is not known to have brought over goes back
// to the queue. A stream stays open beside a poll, and keeps what is on its way: sent again by the poll, it would arrive twice.
func (s *session) releaseLocked(why ending) {
	if s.via == nil {
		return
	}
	s.answerHeldLocked(why)
	k, isStream := s.via.(*stream)
	s.via = nil
	if isStream {
		s.standby = k
		return
	}
	s.recallLocked()
}

// recallLocked puts what was sent and is not known to have arrived back into the queue.
func (s *session) recallLocked() {
	s.out.putBack(s.sent.all())
	s.sent.clear()
	if len(s.out.items) >= s.srv.opt.CoalesceAfter {
		s.out.compact()
	}
}

// answerHeldLocked ends the connect that a websocket holds. To a client that acknowledges, the answer brings what waits.
func (s *session) answerHeldLocked(why ending) {
	if s.held == nil {
		return
	}
	id := s.held.id
	s.held = nil
	r := s.srv.connectReply(s.id, id, why)
	switch {
	case s.acks == nil && why == due:
		s.via.pushLast(r.encode())
		return
	case s.acks == nil || why != due:
		s.via.push(r.encode())
		return
	}
	batch := s.out.take(s.srv.opt.QueueBytes)
	r.Ext = s.acks.add(batch)
	b := r.encode()
	for i := range batch {
		b = append(append(b, ','), batch[i].frame.object()...)
	}
	s.via.push(b)
}

// takeFor returns what k is to write next and the number of its last message, none when k does not carry the session any
// more.
func (s *session) takeFor(k carrier, bytes int) (batch []entry, last uint64, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, isSocket := k.(*socket); s.via != k || s.closed || isSocket && s.acks != nil {
		return nil, 0, false
	}
	batch = s.out.take(bytes)
	lim := s.limits()
	if s.mute {
		lim = lim.half() // all of it may come back to the queue, whose other half is for what comes then
	}
	last = s.sent.add(batch, lim)
	return batch, last, len(s.out.items) > 0
}

// proven notes that k's client has received everything up to that number.
func (s *session) proven(k carrier, last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.via == k || s.via == nil && s.standby == k {
		s.sent.prove(last)
	}
}

// ring is the session's alarm: the hold of a connect on a socket is over, or the session's time.
func (s *session) ring(now time.Time) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	if s.held != nil && !now.Before(s.held.until) {
		s.answerHeldLocked(due)
	}
	if !now.Before(s.expireAt) {
		s.mu.Unlock()
		s.srv.destroy(s, destroyed, "expired")
		return
	}
	next := s.expireAt
	if s.held != nil && s.held.until.Before(next) {
		next = s.held.until
	}
	s.srv.clock.set(&s.alarm, next) // under the lock, so that it can't undo what a new connect sets
	s.mu.Unlock()
}

// close ends the session and returns its subscriptions, for the caller to take out of the hub. The second call returns false.
func (s *session) close(why ending) ([]*subscription, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false
	}
	s.closed = true
	if s.poll != nil {
		s.poll.end(why)
		s.poll = nil
	}
	if k := s.via; k != nil {
		s.answerHeldLocked(why)
		k.close(why)
		s.via = nil
	}
	if s.standby != nil {
		s.standby.close(why)
		s.standby = nil
	}
	subs := make([]*subscription, 0, len(s.subs))
	for _, sub := range s.subs {
		sub.dead = true
		subs = append(subs, sub)
	}
	s.subs, s.out, s.turns, s.seen = nil, queue{}, turns{}, seen{}
	s.sent, s.acks = flight{}, nil
	return subs, true
}
