package bayeux

import (
	"exporthub/pkg/bayeux/internal/history"
	"exporthub/pkg/bayeux/internal/queue"
)

// gap is what a subscription asks to be replayed.
type gap struct {
	sub   *subscription
	after uint64 // what its client received last
	live  uint64 // the order at which it was made
}

// missed is what a subscription is to catch up with: of what the history found the newest, oldest
// first.
type missed struct {
	sub     *subscription
	entries []queue.Entry
	skipped int    // how many older ones were left out
	upTo    uint64 // the order up to which the history was searched
}

// missedBy looks up what a subscription's gap holds.
func (s *Server) missedBy(g gap) missed {
	records, skipped, upTo := s.history.Since(history.Query{
		Stream:  g.sub.stream,
		Pattern: g.sub.pattern,
		After:   g.after,
		Live:    g.live,
		Most:    s.opt.QueueMessages,
	})
	m := missed{
		sub:     g.sub,
		entries: make([]queue.Entry, len(records)),
		skipped: skipped,
		upTo:    upTo,
	}
	for i := range records {
		r := &records[i]
		name := g.sub.name
		if g.sub.pattern {
			name = r.Stream
		}
		var shown uint64
		if g.sub.numbered {
			shown = r.Position
		}
		m.entries[i] = entryOf(r, name, shown)
		if r.Repeat {
			m.entries[i].Frame = m.entries[i].Frame.Repeat(s.opt.Repeat)
		}
	}
	return m
}

// place is where a delivery stands in the history.
type place struct {
	name  string
	order uint64
}

// fitLocked cuts what a subscribe missed to what fits, and returns how many messages of each name
// were left out. A replay gets half of the queue: one that overflowed it would end the session, and
// the client's next would ask for the same again. What waits in the queue already is not replayed,
// because the stock client subscribes anew for each of its callbacks.
func (s *session) fitLocked(list []missed) (skipped map[string]int) {
	lim := s.limits().Half()
	messages := lim.Messages - s.out.Len()
	bytes := lim.Bytes - s.out.Bytes()
	waiting := s.waitingLocked()
	skipped = make(map[string]int)
	for i := range list {
		m := &list[i]
		var kept int
		for kept = len(m.entries); kept > 0; kept-- { // from the newest back
			e := &m.entries[kept-1]
			at := place{e.Name, e.Order}
			if waiting[at] {
				e.Frame = nil // marked as there
				continue
			}
			size := e.Frame.Size()
			if (messages < 1 || bytes < size) && len(waiting)+s.out.Len() > 0 {
				break // but a single message always fits
			}
			messages--
			bytes -= size
			waiting[at] = true
		}
		if n := kept + m.skipped; n > 0 {
			skipped[m.sub.name] += n
		}
		m.entries = m.entries[kept:]
	}
	return skipped
}

// waitingLocked returns the events that are in the queue.
func (s *session) waitingLocked() map[place]bool {
	waiting := make(map[place]bool)
	for i := range s.out.Items {
		if e := &s.out.Items[i]; e.Order != 0 {
			waiting[place{e.Name, e.Order}] = true
		}
	}
	return waiting
}

// replayLocked delivers what was missed, whatever the session has seen: its client asked. Then come
// the live events that waited, unless they have Latest to wait for.
func (s *session) replayLocked(m *missed) bool {
	m.sub.holds--
	if s.closed || m.sub.dead {
		return true
	}
	fits := true
	for _, e := range m.entries {
		if e.Frame != nil {
			fits = s.admitLocked(e, queue.Replay) && fits
		}
	}
	m.sub.upTo = max(m.sub.upTo, m.upTo)
	m.sub.caughtUp = len(m.entries) > 0
	return s.resumeLocked(m.sub) && fits
}
