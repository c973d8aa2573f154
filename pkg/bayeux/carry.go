package bayeux

import (
	"encoding/json"
	"slices"
	"time"

	"exporthub/pkg/bayeux/internal/queue"
)

// carrier is an open connection that brings a session's messages as they come: a websocket or an
// event stream. Its methods do not block, and are called with the session's lock.
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

// bind makes the websocket k the session's carrier, holding the connect for that long, and reports
// false for a session that is over.
func (s *session) bind(k *socket, c connectRequest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.touchLocked()
	s.confirmEarlierLocked(c)
	if s.poll != nil {
		s.poll.end(replaced)
		s.poll = nil
	}
	if s.via != k {
		s.releaseLocked(replaced)
		s.recallLocked()
		s.via = k
		s.srv.tie(k)
		if s.out.Len() > 0 && s.out.Items[0].Number == 0 { // what is sent again may share a frame
			k.begin()
		}
		s.answered = 0
	} else {
		if s.held == nil { // the connect follows the answer to the last
			s.receivedLocked(s.sent.Prove(s.answered))
		}
		s.answerHeldLocked(replaced)
	}
	s.held = &heldConnect{id: c.echo, until: time.Now().Add(c.hold)}
	if c.hold <= 0 {
		s.answerHeldLocked(due)
	} else {
		s.srv.clock.SetBy(&s.timer, s.held.until)
	}
	if s.out.Len() > 0 {
		s.wakeLocked()
	}
	return true
}

// confirmEarlierLocked takes from a connect that comes on a new way what it says about the receipt
// of earlier answers.
func (s *session) confirmEarlierLocked(c connectRequest) {
	if s.acks != nil {
		s.receivedLocked(s.acks.Confirm(c.ack, &s.out))
		return
	}
	kind, arrived := s.connects.begin(c.id)
	s.receivedLocked(arrived)
	if kind == repeated {
		// The answer got lost, and the client has come here with its question.
		s.out.PutBack(s.connects.unproven)
		s.connects.reopen()
	}
}

// unbind is called when k has closed. Only the session's present socket counts: an old one that
// dies late must not take the new one with it.
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

// releaseLocked detaches the carrier, answering the connect it holds. What a socket is not known to
// have brought over goes back to the queue. A stream stays open beside a poll, and keeps what is on
// its way: sent again by the poll, it would arrive twice.
func (s *session) releaseLocked(why ending) {
	if s.via == nil {
		return
	}
	s.answerHeldLocked(why)
	via := s.via
	s.via = nil
	switch k := via.(type) {
	case *stream:
		s.standby = k
		return
	case *socket:
		s.srv.loosen(k)
	}
	s.recallLocked()
}

// recallLocked puts what was sent and is not known to have arrived back into the queue, as far as
// it is still worth sending.
func (s *session) recallLocked() {
	s.out.PutBack(s.sent.Recall(s.srv.opt.Repeat))
	if s.out.Len() >= s.srv.opt.CoalesceAfter {
		s.out.Compact()
	}
}

// answerHeldLocked ends the connect that a websocket holds. To a client that acknowledges, the
// answer brings what waits: its messages travel in connect replies only.
func (s *session) answerHeldLocked(why ending) {
	if s.held == nil {
		return
	}
	id := s.held.id
	s.held = nil
	r := s.srv.connectReply(s.id, id, why)
	switch {
	case s.acks == nil && why == due:
		s.answered = s.sent.Last() // what is taken later may go out after the answer
		s.via.pushLast(r.Encode())
		return
	case s.acks == nil || why != due:
		s.via.push(r.Encode())
		return
	}
	batch := s.out.Take(s.srv.opt.QueueBytes)
	r.Ext = s.acks.Add(batch)
	b := r.Encode()
	for i := range batch {
		b = append(append(b, ','), batch[i].Frame.Object()...)
	}
	s.via.push(b)
}

// takeFor returns what k is to write next and the number of its last message, none when k does not
// carry the session any more.
func (s *session) takeFor(k carrier, bytes int) (batch []queue.Entry, last uint64, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, isSocket := k.(*socket); s.via != k || s.closed || isSocket && s.acks != nil {
		return nil, 0, false
	}
	batch = s.out.Take(bytes)
	lim := s.limits()
	if s.mute {
		// All of it may come back to the queue, whose other half is for what comes then.
		lim = lim.Half()
	}
	last = s.sent.Add(batch, lim)
	if _, isStream := k.(*stream); isStream && !s.mute {
		s.reportEnd = s.reportEnd || slices.ContainsFunc(batch, func(e queue.Entry) bool {
			return e.Final && e.Audience != ""
		})
	}
	return batch, last, s.out.Len() > 0
}

// proven records that k's client has received everything up to that number.
func (s *session) proven(k carrier, last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.via == k || s.via == nil && s.standby == k {
		s.receivedLocked(s.sent.Prove(last))
	}
}

// receivedLocked records the ends among messages that are known to have arrived.
func (s *session) receivedLocked(arrived []queue.Entry) {
	for i := range arrived {
		e := &arrived[i]
		if e.Final && e.Audience != "" && e.Key != "" {
			s.srv.receipts.add(Note{
				What:     NoteReceived,
				Session:  s.id,
				Audience: e.Audience,
				Key:      e.Key,
				Seq:      e.Seq,
			})
		}
	}
}
