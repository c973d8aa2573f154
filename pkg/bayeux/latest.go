package bayeux

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"exporthub/pkg/bayeux/internal/protocol"
	"exporthub/pkg/bayeux/internal/queue"
)

// reading is one call of Grant.Latest for a subscription, asked for or under way. Everything in it
// is under the session's lock.
type reading struct {
	sub     *subscription
	mode    queue.Source // Resync or Subscribe
	entries []queue.Entry
	done    bool
	// follows says that the client was promised every live event before this was read.
	follows bool
	// confirms are the subscribes that wait for it; unreleased of them have not been answered yet.
	// What was read is delivered after the last of these answers: the stock client registers its
	// callback when the answer comes, and drops what comes before.
	confirms   []*confirmation
	unreleased int
}

// latest runs the calls of Grant.Latest, a bounded number at once.
type latest struct {
	srv     *Server
	mu      sync.Mutex
	waiting []*subscription // each subscription at most once
	workers int
}

// resync has Latest called because the bus may have lost events.
func (l *latest) resync(sub *subscription) {
	sub.sess.mu.Lock()
	start := sub.sess.askLocked(sub, queue.Resync, nil)
	sub.sess.mu.Unlock()
	if start {
		l.enqueue(sub)
	}
}

// askLocked asks for a reading of Latest, or joins one that has not begun, and reports whether the
// subscription has to be enqueued for it. With mode Subscribe live events wait for it. The
// confirmation c waits for it too, unless it is nil.
func (s *session) askLocked(sub *subscription, mode queue.Source, c *confirmation) (enqueue bool) {
	if sub.grant.Latest == nil || sub.dead || s.closed {
		return false
	}
	r := sub.next
	if r == nil {
		r = &reading{sub: sub, mode: queue.Resync}
		sub.next = r
	}
	if mode == queue.Subscribe && r.mode != queue.Subscribe {
		r.mode = queue.Subscribe
		sub.holds++
	}
	if c != nil {
		r.confirms = append(r.confirms, c)
		r.unreleased++
		c.readings = append(c.readings, r)
		c.waiting++
	}
	enqueue = !sub.queued
	sub.queued = true
	return enqueue
}

func (l *latest) enqueue(sub *subscription) {
	l.mu.Lock()
	l.waiting = append(l.waiting, sub)
	start := l.workers < l.srv.opt.LatestWorkers && l.srv.begin()
	if start {
		l.workers++
	}
	l.mu.Unlock()
	if start {
		go l.work() // ends when nothing waits or the server's life does; Run waits for it
	}
}

// work serves waiting subscriptions until there are none.
func (l *latest) work() {
	defer l.srv.finish()
	for {
		l.mu.Lock()
		if len(l.waiting) == 0 || l.srv.life.Err() != nil {
			l.waiting = nil // at the server's end, of which what waits is notified by itself
			l.workers--
			l.mu.Unlock()
			return
		}
		sub := l.waiting[0]
		l.waiting[0] = nil
		l.waiting = l.waiting[1:]
		l.mu.Unlock()
		l.serve(sub)
	}
}

func (l *latest) serve(sub *subscription) {
	s := sub.sess
	s.mu.Lock()
	r := sub.next
	sub.next = nil
	call := sub.grant.Latest
	if sub.dead {
		call = nil // nobody is interested any more
	}
	if r == nil { // the session has closed
		sub.queued = false
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()

	var events []Event
	if call != nil {
		events = l.srv.current(sub, l.call(sub, call))
	}
	entries := l.srv.entriesOf(sub, events)
	if most := s.limits().Half().Newest(entries); len(most) < len(entries) {
		l.srv.log.Log(slog.LevelWarn, "bayeux: latest state larger than half a queue, only its newest is delivered",
			"channel", protocol.FirstSegment(sub.name))
		// All of it would end the session, and the client's next one would get the same again.
		entries = most
	}

	s.mu.Lock()
	r.entries = entries
	fits := s.readLocked(r)
	again := sub.next != nil && !sub.dead
	sub.queued = again
	s.mu.Unlock()
	if !fits {
		l.srv.destroy(s, overflowed, "queue overflow")
	}
	if again {
		l.enqueue(sub)
	}
}

func (l *latest) call(sub *subscription, call func(context.Context) ([]Event, error)) []Event {
	ctx, cancel := context.WithTimeout(l.srv.life, l.srv.opt.LatestTimeout)
	defer cancel()
	events, err := call(ctx)
	if err != nil {
		l.srv.log.Log(slog.LevelWarn, "bayeux: latest state unavailable, live events only",
			"channel", protocol.FirstSegment(sub.name), "error", err)
		return nil
	}
	return events
}

// readLocked is called when Latest has returned: the subscribes that wait for nothing else are
// confirmed. It reports false when the session's queue overflowed.
func (s *session) readLocked(r *reading) (fits bool) {
	r.done = true
	r.follows = r.sub.confirmed
	confirms := r.confirms
	r.confirms = nil
	if r.unreleased == 0 {
		return s.presentLocked(r)
	}
	fits = true
	for _, c := range confirms {
		if c.waiting--; c.waiting == 0 {
			fits = s.confirmLocked(c) && fits
		}
	}
	return fits
}

// presentLocked delivers what Latest returned, then the live events that came meanwhile.
func (s *session) presentLocked(r *reading) bool {
	sub := r.sub
	if r.mode == queue.Subscribe {
		sub.holds--
	}
	if s.closed || sub.dead {
		return true
	}
	mode := r.mode
	if sub.caughtUp { // the replay has delivered it, unless it is newer
		mode = queue.Resync
		sub.caughtUp = false
	}
	fits := true
	for i := range r.entries {
		e := &r.entries[i]
		if r.follows && e.Seq > s.marks.Newest(e.NameKey) {
			s.deferLocked(sub, e)
			continue
		}
		fits = s.admitLocked(*e, mode) && fits
	}
	return s.resumeLocked(sub) && fits
}

// deferred is an event of Latest that is ahead of the live events of its subscription.
type deferred struct {
	sub   *subscription
	entry queue.Entry
	until time.Time
}

// deferLocked keeps an event back that is ahead of what came live. Delivered now it would make the
// live events before it look old, and a client that keeps up would miss stages: Latest reads what
// was committed, which is published a moment later. If the live events do not come within
// Options.LatestDelay, they are lost, and the event takes their place.
func (s *session) deferLocked(sub *subscription, e *queue.Entry) {
	if len(s.deferred) >= s.srv.opt.QueueMessages {
		return // a later state of these things is still to come, live
	}
	until := time.Now().Add(s.srv.opt.LatestDelay)
	s.deferred = append(s.deferred, deferred{sub, *e, until})
	s.srv.clock.SetBy(&s.timer, until)
}

// undeferLocked delivers what was kept back long enough, unless live events have come as far.
func (s *session) undeferLocked(now time.Time) (fits bool) {
	fits = true
	n := 0
	for ; n < len(s.deferred) && !now.Before(s.deferred[n].until); n++ {
		if d := s.deferred[n]; !d.sub.dead {
			fits = s.admitLocked(d.entry, queue.Resync) && fits
		}
	}
	if s.deferred = s.deferred[n:]; len(s.deferred) == 0 {
		s.deferred = nil
	}
	return fits
}

// resumeLocked delivers the live events that waited and lets later ones pass, unless something
// else still holds them.
func (s *session) resumeLocked(sub *subscription) bool {
	if sub.holds > 0 {
		return true
	}
	fits := true
	early := sub.early.Items
	sub.early = queue.Queue{}
	for i := range early {
		if !replayed(&early[i], sub) {
			fits = s.admitLocked(early[i], queue.Live) && fits
		}
	}
	return fits
}

// replayed reports whether a live event was part of what was replayed.
func replayed(e *queue.Entry, sub *subscription) bool {
	return e.Order != 0 && e.Order <= sub.upTo
}
