package bayeux

import (
	"encoding/json"
	"maps"
)

// entriesOf turns records into messages for the subscription.
func (sub *subscription) entriesOf(records []record) []entry {
	entries := make([]entry, len(records))
	for i := range records {
		r := &records[i]
		name := sub.name
		if sub.pattern {
			name = r.stream
		}
		f := newFrame(name, r.data, sub.told(r.position))
		entries[i] = entry{nameKey: nameKey{name, r.key}, seq: r.seq, final: r.final, frame: f, position: r.position}
	}
	return entries
}

// told is the position as deliveries carry it.
func (sub *subscription) told(position uint64) uint64 {
	if sub.numbered {
		return position
	}
	return 0
}

// replayOf is what a subscribe's ext.replay asks for one channel: asked says that deliveries are to carry their positions, after is the
// number after which events were missed, nil for none.
func (m *message) replayOf(channel string) (asked bool, after *uint64) {
	raw := m.extMember("replay")
	if len(raw) > 0 && raw[0] == '{' {
		var each map[string]json.RawMessage
		if json.Unmarshal(raw, &each) != nil {
			return false, nil
		}
		raw = each[channel]
	}
	if string(raw) == "true" {
		return true, nil
	}
	var n float64
	if len(raw) == 0 || string(raw) == "null" || json.Unmarshal(raw, &n) != nil {
		return false, nil
	}
	if n < 0 {
		return true, nil
	}
	at := uint64(min(n, 1<<62))
	return true, &at
}

// gap is what a subscription asks to be replayed.
type gap struct {
	after uint64 // what its client received last
	live  uint64 // the position at which it was made
}

// missed is what a subscription is to catch up with: of what the history found the newest, oldest first.
type missed struct {
	sub     *subscription
	entries []entry
	skipped int    // how many older ones were left out
	upTo    uint64 // the position up to which the history was looked through
}

// missedBy looks up what a subscription's gap holds.
func (s *Server) missedBy(sub *subscription, g *gap) missed {
	records, skipped, upTo := s.history.since(sub.stream, sub.pattern, g.after, g.live, s.opt.QueueMessages)
	return missed{sub: sub, entries: sub.entriesOf(records), skipped: skipped, upTo: upTo}
}

// catchUp answers a subscribe and then delivers what it missed, with nothing of the session's in between. A replay gets half of the
// queue, since one that overflowed it would end the session, and the client's next would ask for the same again: older messages are
// left out, and reply is told how many of each name. What waits in the queue already does not get there twice, because the stock client
// subscribes anew for each of its callbacks.
func (s *session) catchUp(list []missed, reply func(skipped map[string]int)) (fits bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lim := s.limits().half()
	messages, bytes := lim.messages-len(s.out.items), lim.bytes-s.out.bytes
	waiting := s.waitingLocked()
	skipped := make(map[string]int) // by name
	for i := range list {
		m := &list[i]
		var kept int
		for kept = len(m.entries); kept > 0; kept-- { // from the newest back
			e := &m.entries[kept-1]
			if at := (place{e.name, e.position}); waiting[at] {
				e.frame = nil // marked as there
				continue
			}
			size := len(e.frame.array)
			if (messages < 1 || bytes < size) && len(waiting)+len(s.out.items) > 0 {
				break
			}
			messages, bytes = messages-1, bytes-size
			waiting[place{e.name, e.position}] = true
		}
		if n := kept + m.skipped; n > 0 {
			skipped[m.sub.name] += n
		}
		m.entries = m.entries[kept:]
	}
	reply(skipped)
	fits = true
	for i := range list {
		fits = s.replayLocked(&list[i]) && fits
	}
	return fits
}

// place is where a delivery stands in the history.
type place struct {
	name     string
	position uint64
}

// waitingLocked returns the events that are in the queue.
func (s *session) waitingLocked() map[place]bool {
	waiting := make(map[place]bool)
	for i := range s.out.items {
		if e := &s.out.items[i]; e.position != 0 {
			waiting[place{e.name, e.position}] = true
		}
	}
	return waiting
}

// replayLocked delivers what was missed, whatever the session has seen: its client asked. Then come the live events that waited, unless
// they have Latest to wait for.
func (s *session) replayLocked(m *missed) bool {
	if s.closed || m.sub.dead {
		return true
	}
	fits := true
	for _, e := range m.entries {
		if e.frame != nil {
			fits = s.admitLocked(e, replay) && fits
		}
	}
	m.sub.upTo = max(m.sub.upTo, m.upTo)
	m.sub.caughtUp = len(m.entries) > 0
	if m.sub.grant.Latest == nil && !m.sub.queued {
		fits = s.resumeLocked(m.sub) && fits
	}
	return fits
}

// skippedExt is what the reply to a subscribe says of messages that were not replayed.
func skippedExt(skipped map[string]int) json.RawMessage {
	if len(skipped) == 0 {
		return nil
	}
	b, err := json.Marshal(map[string]any{"replay": map[string]any{"skipped": maps.Clone(skipped)}})
	if err != nil {
		panic("bayeux: names and numbers must encode: " + err.Error())
	}
	return b
}
