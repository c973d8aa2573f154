package bayeux

import (
	"bytes"
	"encoding/json"
	"time"

	"exporthub/pkg/bayeux/internal/queue"
)

// poll is a connect held over HTTP, by one request, or by several with the same id, which get the
// same answer: only one of them still has a client, and it is unknown which one. Everything but
// wake is under the session's lock.
type poll struct {
	id      json.RawMessage
	wake    chan struct{} // closed when there is something to say
	awake   bool
	waiting int // requests that hold it
	done    bool
	ended   bool // for a reason other than a delivery or the hold's end
	why     ending
	batch   []queue.Entry
	carried int // responses that carry the batch and have not failed
	ext     json.RawMessage
}

// maxEqualPolls is the number of requests that may hold one connect: those that a client gave up
// may not have been noticed yet.
const maxEqualPolls = 8

// connectRequest is what a connect says, beside whose it is.
type connectRequest struct {
	id   json.RawMessage // what the connect is known by, nil for none
	echo json.RawMessage // the id as the reply repeats it
	hold time.Duration
	ack  *int64 // the number of the last batch that was received, when the client says
}

func (p *poll) rouse() {
	if !p.awake {
		p.awake = true
		close(p.wake)
	}
}

func (p *poll) end(why ending) {
	p.ended, p.why = true, why
	p.rouse()
}

// startPoll makes a connect over HTTP the session's, in place of any before it, and returns what to
// wait for. It returns an ended poll when there is nothing to wait for.
func (s *session) startPoll(c connectRequest) *poll {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &poll{id: c.id, wake: make(chan struct{}), waiting: 1}
	if s.closed {
		p.end(destroyed)
		return p
	}
	kind := fresh
	if s.acks != nil {
		s.receivedLocked(s.acks.Confirm(c.ack, &s.out))
	} else {
		var arrived []queue.Entry
		kind, arrived = s.connects.begin(c.id)
		s.receivedLocked(arrived)
	}
	if kind == late {
		p.end(replaced)
		return p
	}
	s.touchLocked()
	switch {
	case kind == repeated:
		p.done = true
		p.batch = s.connects.unproven
		p.rouse()
		return p
	case kind == pending && s.poll != nil && bytes.Equal(s.poll.id, c.id):
		if s.poll.waiting >= maxEqualPolls {
			p.end(replaced)
			return p
		}
		s.poll.waiting++
		return s.poll
	case s.poll != nil:
		s.poll.end(replaced)
	}
	s.releaseLocked(replaced)
	s.poll = p
	if s.out.Len() > 0 {
		p.rouse()
	}
	return p
}

// leavePoll is called by a request whose client has gone. The messages stay.
func (s *session) leavePoll(p *poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.waiting--; p.waiting == 0 && s.poll == p {
		s.poll = nil
	}
}

// finishPoll takes what the answer carries. What it takes stays in the session until its receipt is
// known: from the next connect, or from an acknowledgement.
func (s *session) finishPoll(p *poll) (batch []queue.Entry, ext json.RawMessage, why ending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.ended {
		return nil, nil, p.why
	}
	if !p.done {
		p.done = true
		p.batch = s.out.Take(s.srv.opt.QueueBytes)
		if s.acks != nil {
			p.ext = s.acks.Add(p.batch)
		} else {
			s.connects.answer(p.batch)
		}
		s.poll = nil
		p.rouse()
	}
	p.carried++
	return p.batch, p.ext, due
}

// undeliver is called when a response could not be written. When no other response carries its
// batch, the batch goes back to the queue, unless a later connect has settled it. Of a client that
// acknowledges, the next connect says what it needs.
func (s *session) undeliver(p *poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.carried--
	mine := len(p.batch) > 0 && len(s.connects.unproven) > 0 && &p.batch[0] == &s.connects.unproven[0]
	if p.carried > 0 || !mine {
		return
	}
	s.connects.reopen()
	// Some of it may have arrived before the connection failed.
	s.out.PutBack(queue.Again(p.batch, s.srv.opt.Repeat))
	s.wakeLocked()
}
