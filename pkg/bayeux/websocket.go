package bayeux

import (
	"bytes"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"exporthub/pkg/bayeux/internal/protocol"
	"exporthub/pkg/bayeux/internal/timer"
)

// maxSocketFrame is about the size up to which waiting messages are put into one frame.
const maxSocketFrame = 64 << 10

// socket is one websocket. One goroutine reads and carries out what the client sends; another
// writes, and exists only while there is something to write.
type socket struct {
	srv  *Server
	conn *websocket.Conn
	addr string
	req  Request
	// timer is for pings and for sockets that belong to no session.
	timer timer.Timer
	// Under the server's lock: where it is listed while it carries no session, and whether its
	// place was given back.
	loose   []listed
	vacated bool

	mu        sync.Mutex
	sess      *session // the last one bound; whether it still is, the session knows
	replies   [][]byte
	late      [][]byte // replies that go out after the messages that wait
	size      int      // of both, in bytes
	apart     bool     // the messages that wait go in a frame each
	heartbeat bool     // an empty array is to be sent
	ping      bool
	reading   bool // a message has begun and is not whole
	closing   bool
	closeCode int
	closeBy   time.Time // when a socket that is closing is cut
	writing   bool      // a writer runs
	dirty     bool      // there is something for it
	parted    bool      // the close frame is the writer's; nothing is written after it
	gone      bool      // the connection is closed

	pingAt time.Time // when the next regular ping is due
	// Since when it belongs to no session, as far as the last timer knew; zero when it does.
	idleSince time.Time
	written   uint64 // number of the last message written
	asked     uint64 // the number the last ping asked for
}

func (k *socket) read() {
	defer k.srv.removeSocket(k)
	defer k.gather()
	k.conn.SetReadLimit(k.srv.opt.MaxBody)
	k.renew()
	k.conn.SetPongHandler(func(payload string) error {
		k.renew()
		if n, err := strconv.ParseUint(payload, 10, 64); err == nil {
			if sess := k.session(); sess != nil {
				sess.proven(k, n)
			}
		}
		return nil
	})
	for {
		kind, body, err := k.message()
		if err != nil {
			// Closed, broken, too large (gorilla has answered with 1009), silent for too long, too
			// slow with a message, or one of too many that are.
			return
		}
		k.renew()
		if kind == websocket.TextMessage {
			k.receive(body)
		}
	}
}

// message reads a whole message. From its first frame on it has a deadline that nothing moves:
// pongs between the fragments would otherwise keep a half-sent message for as long as its sender
// likes.
func (k *socket) message() (kind int, body []byte, err error) {
	kind, r, err := k.conn.NextReader()
	if err != nil {
		return 0, nil, err
	}
	k.begun(true)
	defer k.begun(false)
	body, err = k.srv.unread.readAll(k.addr, r)
	return kind, body, err
}

// begun notes whether a message is being read.
func (k *socket) begun(yes bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.reading = yes; yes && !k.closing {
		_ = k.conn.SetReadDeadline(time.Now().Add(k.srv.opt.BodyTimeout))
	}
}

// gather ends the connection after its last read.
func (k *socket) gather() {
	k.cut()
	if sess := k.session(); sess != nil {
		sess.unbind(k)
	}
}

// renew gives the client two pings' time to send something.
func (k *socket) renew() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closing && !k.reading { // else the time for the client's goodbye or its message runs
		// On a closed connection the next read fails too.
		_ = k.conn.SetReadDeadline(time.Now().Add(2 * k.srv.opt.PingEvery))
	}
}

// receive carries out a frame, each of its messages answered on its own. What is no Bayeux is
// ignored, as Faye does.
func (k *socket) receive(body []byte) {
	if k.leaving() {
		return
	}
	batch, err := protocol.Parse(body, k.srv.opt.MaxBatch, k.srv.opt.MaxNesting)
	if err != nil {
		k.srv.log.Log(slog.LevelDebug, "bayeux: frame ignored", "error", err)
		return
	}
	if len(batch) == 0 && len(bytes.TrimSpace(body)) > 0 && bytes.TrimSpace(body)[0] == '[' {
		k.beat()
		return
	}
	x := &exchange{srv: k.srv, ctx: k.srv.life, req: k.req, sock: k}
	if err := x.handleAll(batch); errors.Is(err, errLater) {
		k.closeWith(websocket.CloseTryAgainLater)
	}
}

// connect binds the session to this socket.
func (k *socket) connect(sess *session, c connectRequest) {
	if old := k.session(); old != nil && old != sess {
		old.unbind(k) // one socket carries one session; the other has to connect again
	}
	k.mu.Lock()
	k.sess = sess
	k.mu.Unlock()
	if !sess.bind(k, c) {
		k.push(k.srv.connectReply(sess.id, c.echo, destroyed).Encode())
	}
}

// leaving reports whether the socket is being closed, so that what still comes is of no interest.
func (k *socket) leaving() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.closing || k.gone
}

func (k *socket) session() *session {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sess
}

// push queues a reply. A client that asks on and on without reading the answers is cut.
func (k *socket) push(b []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone || k.parted {
		return
	}
	if k.size += len(b); k.size > k.srv.opt.QueueBytes+int(k.srv.opt.MaxBody) {
		k.cutLocked()
		return
	}
	k.replies = append(k.replies, b)
	k.kickLocked()
}

// pushLast is push for a reply that is to come after the messages that wait.
func (k *socket) pushLast(b []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone || k.parted {
		return
	}
	k.size += len(b) // within push's bound, since a session has one such reply at a time
	k.late = append(k.late, b)
	k.kickLocked()
}

// begin makes the messages that waited for the socket's first connect go in a frame each.
func (k *socket) begin() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.apart = true
}

// isFor reports whether the socket belongs to the session, or to none.
func (k *socket) isFor(sess *session) bool {
	bound := k.session()
	return bound == nil || bound == sess
}

func (k *socket) beat() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.heartbeat = true
	k.kickLocked()
}

// kick makes the writer look for messages.
func (k *socket) kick() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kickLocked()
}

func (k *socket) kickLocked() {
	k.dirty = true
	if !k.writing && !k.gone && !k.parted {
		k.writing = true
		// The reader, which is counted, ends only after gone was set: Run can't have stopped
		// waiting.
		k.srv.work.Add(1)
		go k.write()
	}
}

// close ends the socket after what is queued, with the close code for the reason.
func (k *socket) close(why ending) {
	switch why {
	case draining:
		k.closeWith(websocket.CloseGoingAway)
	case destroyed, overflowed, givenUp:
		k.closeWith(websocket.ClosePolicyViolation)
	default:
		k.closeWith(websocket.CloseNormalClosure)
	}
}

func (k *socket) closeWith(code int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closeLocked(code)
}

func (k *socket) closeLocked(code int) {
	if k.closing {
		return
	}
	k.closing = true
	k.closeCode = code
	if k.gone {
		return
	}
	// Time for the writer to finish and for the client to answer the close frame.
	k.closeBy = time.Now().Add(k.srv.opt.WriteTimeout + closeWait)
	k.srv.clock.Set(&k.timer, k.closeBy)
	k.kickLocked()
}

// cut closes the connection at once.
func (k *socket) cut() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cutLocked()
}

func (k *socket) cutLocked() {
	k.gone = true
	k.replies = nil
	k.late = nil
	k.size = 0
	_ = k.conn.Close() // closing is all there is to do
}

// onTimer is called when a ping is due or the socket was idle too long. A socket that is being
// closed has nothing left to wait for: its read deadline ends it, or the cut at closeBy where that
// fails.
func (k *socket) onTimer(now time.Time) {
	sess := k.session()
	bound := sess != nil && sess.carriedBy(k)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone {
		return
	}
	if k.closing {
		if !now.Before(k.closeBy) {
			k.cutLocked()
			return
		}
		k.srv.clock.Set(&k.timer, k.closeBy)
		return
	}
	switch {
	case bound:
		k.idleSince = time.Time{}
	case k.idleSince.IsZero():
		k.idleSince = now
	case now.Sub(k.idleSince) >= k.srv.opt.IdleSocket:
		k.closeLocked(websocket.CloseNormalClosure)
		return
	}
	if !now.Before(k.pingAt) || k.written != k.asked {
		k.ping = true
		k.pingAt = now.Add(k.srv.opt.PingEvery)
		k.kickLocked()
	}
	next := k.pingAt
	if idleEnd := k.idleSince.Add(k.srv.opt.IdleSocket); !k.idleSince.IsZero() && idleEnd.Before(next) {
		next = idleEnd
	}
	k.srv.clock.Set(&k.timer, next)
}
