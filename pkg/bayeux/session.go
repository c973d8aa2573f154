package bayeux

import (
	"crypto/rand"
	"math/big"
	"strings"
	"sync"
	"time"

	"exporthub/pkg/bayeux/internal/queue"
	"exporthub/pkg/bayeux/internal/timer"
)

// ending says why a session, or one connect of it, is over; it decides what its client is answered.
type ending int

const (
	replaced     ending = iota // by a later connect: an empty success
	due                        // its time is over or there is something to say: a success
	disconnected               // by its client: an empty success
	destroyed                  // by the server: unknown client, shake hands anew
	// By the server, for want of room in its queue: the same, after a pause.
	overflowed
	// By the server, for want of room for other sessions, unless it subscribes to something: the
	// same as overflowed.
	givenUp
	// The server ends: an empty success, come back after a random interval.
	draining
)

// session is one client. Everything below mu is guarded by it; a session's lock is taken before a
// socket's, the server's, a history's and a clock's, and after a hub's.
type session struct {
	srv       *Server
	id        string
	principal Principal
	addr      string // of the handshake
	timer     timer.Timer
	idle      []listed // under the server's lock; see anonymous

	mu       sync.Mutex
	closed   bool
	expireAt time.Time
	subs     map[string]*subscription
	marks    queue.Marks
	out      queue.Queue
	deferred []deferred // soonest first
	// unconfirmed counts the subscribes that wait for their answers.
	unconfirmed int

	poll     *poll // the connect held over HTTP
	connects connectIDs

	via carrier // the websocket or event stream that carries deliveries
	// standby is an event stream that stays open while polls or a websocket carry the session: the
	// stock client shakes hands anew with a stream already open, polls once, and then goes on with
	// the stream.
	standby *stream
	held    *heldConnect
	sent    queue.Unacked
	// answered is the number of the last message before the last answer to a connect on the socket.
	// The connect that follows the answer proves that both arrived.
	answered uint64
	// asked says that an event stream was ended for its client to come back and report what it
	// received; mute that the client came back without a report, so it is not asked again.
	asked bool
	mute  bool
	// reportEnd says that an end went out on the event stream whose receipt is of interest.
	reportEnd bool
	acks      *queue.Batches // nil unless the client acknowledges what connect replies bring

	quick  bucket // connects that were not to be held
	outbox outbox // has a lock of its own
}

// newClientID returns 160 random bits in base 36, the form and length of Faye's own. It is a bearer
// secret: who has it receives the session's messages.
func newClientID() string {
	var b [20]byte
	rand.Read(b[:]) // never fails
	s := new(big.Int).SetBytes(b[:]).Text(36)
	return strings.Repeat("0", max(0, clientIDLength-len(s))) + s
}

func newSession(srv *Server, p Principal) *session {
	s := &session{
		srv:       srv,
		id:        newClientID(),
		principal: p,
		subs:      make(map[string]*subscription),
	}
	s.timer.Fire = s.onTimer
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

// Connects that ask for an immediate answer come with subscribes, a burst of them with many. A
// client that goes on and on is made to wait a little each time.
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

func (s *session) limits() queue.Limits {
	return queue.Limits{
		Messages:      s.srv.opt.QueueMessages,
		Bytes:         s.srv.opt.QueueBytes,
		CoalesceAfter: s.srv.opt.CoalesceAfter,
	}
}

// offer gives the session an event for one of its subscriptions and reports false when its queue
// overflowed.
func (s *session) offer(sub *subscription, e queue.Entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || sub.dead || replayed(&e, sub) {
		return true
	}
	if e.Final {
		e.Audience = sub.grant.Audience
	}
	if sub.holds > 0 {
		return sub.early.Push(e, s.limits())
	}
	return s.admitLocked(e, queue.Live)
}

// admitLocked queues the event if it is new to the session, and wakes what delivers.
func (s *session) admitLocked(e queue.Entry, from queue.Source) bool {
	if !s.marks.Admit(&e, from, s.srv.opt.MaxKeys) {
		return true
	}
	lim := s.limits()
	fits := s.out.Push(e, lim)
	if !fits && s.asked {
		// Its stream was ended for it to report what it received, which most likely is everything
		// that was written.
		fits = s.out.Shed(lim)
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

// onTimer is called when the hold of a connect on a socket is over, when an event was kept back
// long enough, or when the session's time is over.
func (s *session) onTimer(now time.Time) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	if s.held != nil && !now.Before(s.held.until) {
		s.answerHeldLocked(due)
	}
	fits := s.undeferLocked(now)
	if !now.Before(s.expireAt) || !fits {
		s.mu.Unlock()
		if fits {
			s.srv.destroy(s, destroyed, "expired")
		} else {
			s.srv.destroy(s, overflowed, "queue overflow")
		}
		return
	}
	next := s.expireAt
	if s.held != nil && s.held.until.Before(next) {
		next = s.held.until
	}
	if len(s.deferred) > 0 && s.deferred[0].until.Before(next) {
		next = s.deferred[0].until
	}
	// Under the lock, so that it can't undo what a new connect sets.
	s.srv.clock.Set(&s.timer, next)
	s.mu.Unlock()
}

// close ends the session and returns its subscriptions, for the caller to take out of the hub. The
// second call returns false.
func (s *session) close(why ending) ([]*subscription, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || why == givenUp && len(s.subs) > 0 {
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
		if r := sub.next; r != nil { // what waits for it gets its answer now
			sub.next = nil
			s.readLocked(r)
		}
	}
	// A session may be referred to for as long as a slow request lasts; its messages must not be.
	s.subs = nil
	s.deferred = nil
	s.acks = nil
	s.out = queue.Queue{}
	s.marks = queue.Marks{}
	s.sent = queue.Unacked{}
	s.connects = connectIDs{}
	return subs, true
}
