package bayeux

import (
	"log/slog"
	"slices"

	"exporthub/pkg/bayeux/internal/history"
	"exporthub/pkg/bayeux/internal/protocol"
	"exporthub/pkg/bayeux/internal/queue"
)

// deliver queues an event from the bus for every subscription it is for. It does not block, and is
// called by the bus's one goroutine: so every session sees events in the order of the bus.
func (s *Server) deliver(e Event) {
	data, err := protocol.CleanData(e.Data)
	if err != nil {
		s.log.Log(slog.LevelError, "bayeux: event dropped", "error", err)
		return
	}
	records := s.history.Add(e.Streams, history.Record{
		Key:      e.Key,
		Phase:    e.Phase,
		Seq:      e.Seq,
		Final:    e.Final,
		Position: e.Position,
		Data:     data,
	})
	var doomed []*session
	for i := range records {
		doomed = s.deliverStream(&records[i], doomed)
	}
	for _, sess := range doomed {
		// Only now, since offer is called under the hub's lock, which destroy takes too.
		s.log.Log(slog.LevelInfo, "bayeux: slow consumer, its queue overflowed")
		s.destroy(sess, overflowed, "queue overflow")
	}
}

// deliverStream offers a record to the subscriptions of its stream and adds the sessions that
// overflowed to doomed.
func (s *Server) deliverStream(r *history.Record, doomed []*session) []*session {
	stream := r.Stream
	// Where patterns are subscribed, one session may be reached by several of its subscriptions
	// under one name; it gets the event once.
	var offered map[*session]bool
	patterns := s.hub.patterns.Load() > 0 && protocol.ValidName(stream) && !protocol.Reserved(stream)
	if patterns {
		offered = make(map[*session]bool)
	}
	offer := func(g *group, name string) {
		out := entryOf(r, name, 0)
		if g.numbered {
			out = entryOf(r, name, r.Position)
		}
		for _, sub := range g.subs {
			if name == stream && offered != nil {
				if offered[sub.sess] {
					continue
				}
				offered[sub.sess] = true
			}
			if !sub.sess.offer(sub, out) {
				doomed = append(doomed, sub.sess)
			}
		}
	}
	s.hub.each(stream, func(g *group) { offer(g, g.name) })
	if patterns {
		for _, pattern := range protocol.PatternsOf(nil, stream) {
			s.hub.each(pattern, func(g *group) { offer(g, stream) })
		}
	}
	return doomed
}

// entryOf is a record as it is delivered under a name. A shown position other than 0 goes into the
// message's ext.replay.
func entryOf(r *history.Record, name string, shown uint64) queue.Entry {
	return queue.Entry{
		NameKey: queue.NameKey{Name: name, Key: r.Key},
		Phase:   r.Phase,
		Seq:     r.Seq,
		Final:   r.Final,
		Frame:   queue.NewFrame(name, r.Data, shown),
		Order:   r.Order,
	}
}

// entriesOf turns what Latest returned into messages for the subscription.
func (s *Server) entriesOf(sub *subscription, events []Event) []queue.Entry {
	entries := make([]queue.Entry, 0, len(events))
	for i := range events {
		e := &events[i]
		data, err := protocol.CleanData(e.Data)
		if err != nil {
			s.log.Log(slog.LevelError, "bayeux: event dropped", "error", err)
			continue
		}
		r := history.Record{
			Key:   e.Key,
			Phase: e.Phase,
			Seq:   e.Seq,
			Final: e.Final,
			Data:  data,
		}
		for _, name := range sub.namesOf(e.Streams) {
			entries = append(entries, entryOf(&r, name, 0))
		}
	}
	return entries
}

// namesOf are the names under which the subscription delivers an event of Latest: its own, or of a
// pattern the names of the event's streams that match it.
func (sub *subscription) namesOf(streams []string) []string {
	if !sub.pattern {
		return []string{sub.name}
	}
	return slices.DeleteFunc(slices.Clone(streams), func(stream string) bool {
		if !protocol.ValidName(stream) || protocol.Reserved(stream) {
			return true
		}
		return !slices.Contains(protocol.PatternsOf(nil, stream), sub.stream)
	})
}

// resync asks for the latest state of every subscription, after the bus may have lost events.
func (s *Server) resync() {
	for _, sub := range s.hub.all() {
		s.latest.resync(sub)
	}
}
