package bayeux

import (
	"exporthub/pkg/bayeux/internal/protocol"
)

// confirmation is the answer to one subscribe. It is given when what is current has been read of
// all its channels, so that a client that was answered before it started something receives every
// event of it. Everything but ready is under the session's lock.
type confirmation struct {
	sess     *session
	reply    *protocol.Reply
	waiting  int // of readings, those that are not done
	readings []*reading
	gaps     []gap    // what the client asks to be replayed
	missed   []missed // what the history has of it, once that was looked up
	given    bool

	// socket sends the reply as soon as it is due; nil over HTTP, where the request waits for ready
	// and releases what was read when its response is written.
	socket *socket
	ready  chan struct{} // closed when the reply is complete
}

// maxUnconfirmed is the number of subscribes of one session that may wait for their answers while
// its socket is read on. Beyond it the socket is read no further, so that a client that subscribes
// in a loop is slowed down instead of filling memory.
const maxUnconfirmed = 256

// confirmLocked completes the answer and, on a socket, sends it and delivers what was read. It
// reports false when the session's queue overflowed.
func (s *session) confirmLocked(c *confirmation) (fits bool) {
	if c.given {
		return true
	}
	c.given = true
	s.unconfirmed--
	for _, r := range c.readings {
		r.sub.confirmed = r.sub.confirmed || c.waiting == 0 // else its client did not wait
	}
	s.lookUpLocked(c)
	if skipped := s.fitLocked(c.missed); len(skipped) > 0 {
		c.reply.Ext = protocol.SkippedExt(skipped)
	}
	close(c.ready)
	if c.socket == nil {
		return true
	}
	c.socket.push(c.reply.Encode()) // replies go out before messages
	return s.releaseReadLocked(c)
}

// lookUpLocked searches the history for what the subscribe is to be replayed, once its channels are
// in the hub: what comes later is received live.
func (s *session) lookUpLocked(c *confirmation) {
	for _, g := range c.gaps {
		c.missed = append(c.missed, s.srv.missedBy(g))
	}
	c.gaps = nil
}

// releaseReadLocked delivers what a confirmed subscribe has to get: first what it missed, then what
// is current, unless another subscribe that shares the reading is still to be answered. A reading
// that is not done, since the client did not wait for it, is delivered when it is.
func (s *session) releaseReadLocked(c *confirmation) (fits bool) {
	fits = true
	for i := range c.missed {
		fits = s.replayLocked(&c.missed[i]) && fits
	}
	for _, r := range c.readings {
		r.unreleased--
		if r.unreleased == 0 && r.done {
			fits = s.presentLocked(r) && fits
		}
	}
	c.missed = nil
	c.readings = nil
	return fits
}

// confirm answers a subscribe when that is due. Over HTTP the request waits for it; a socket is
// read on meanwhile, and the answer goes out by itself.
func (x *exchange) confirm(c *confirmation) {
	s := c.sess
	s.mu.Lock()
	crowded := s.unconfirmed > maxUnconfirmed
	fits := true
	if c.waiting == 0 || s.closed {
		fits = s.confirmLocked(c)
	}
	s.mu.Unlock()
	if !fits { // for live events that came meanwhile
		x.srv.destroy(s, overflowed, "queue overflow")
	}
	if c.socket == nil {
		x.unanswered = append(x.unanswered, c)
	} else if crowded {
		select {
		case <-c.ready:
		case <-x.srv.life.Done():
		}
	}
}

// answerSubscribes waits for the confirmations of a request and adds them to its response. All of
// a request's subscribes have their readings under way at once.
func (x *exchange) answerSubscribes() error {
	for _, c := range x.unanswered {
		select {
		case <-c.ready:
			x.reply(c.reply)
		case <-x.ctx.Done():
			return errLater
		case <-x.srv.life.Done():
			return errLater
		}
	}
	return nil
}

// release delivers what was read for the subscribes of a request, after its response was written
// or given up.
func (x *exchange) release() {
	for _, c := range x.unanswered {
		s := c.sess
		s.mu.Lock()
		fits := s.confirmLocked(c) // which a client that has gone did not wait for
		fits = s.releaseReadLocked(c) && fits
		s.mu.Unlock()
		if !fits {
			x.srv.destroy(s, overflowed, "queue overflow")
		}
	}
	x.unanswered = nil
}
