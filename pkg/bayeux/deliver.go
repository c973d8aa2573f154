package bayeux

import (
	"log/slog"
	"slices"
)

// deliver hands an event from the bus to every subscription it is for. It does not block: each session only queues.
func (s *Server) deliver(e Event) {
	data, err := cleanData(e.Data)
	if err != nil {
		s.notes.say(slog.LevelError, "bayeux: event dropped", "error", err)
		return
	}
	var doomed []*session
	records := s.history.add(&e, data)
	for i := range records {
		doomed = s.deliverStream(&records[i], doomed)
	}
	for _, sess := range doomed {
		s.notes.say(slog.LevelInfo, "bayeux: session cannot keep up")
		s.destroy(sess, overflowed, "queue overflow")
	}
}

func (s *Server) deliverStream(r *record, doomed []*session) []*session {
	stream := r.stream
	var told map[*session]bool // by which subscription of several that match, when patterns are about
	patterns := s.hub.patterns.Load() > 0 && validName(stream) && !reserved(stream)
	if patterns {
		told = make(map[*session]bool)
	}
	give := func(g *group, name string) {
		out := entry{nameKey: nameKey{name, r.key}, seq: r.seq, final: r.final, position: r.position}
		if g.numbered {
			out.frame = newFrame(name, r.data, r.position)
		} else {
			out.frame = newFrame(name, r.data, 0)
		}
		for _, sub := range g.subs {
			if name == stream && told != nil {
				if told[sub.sess] {
					continue
				}
				told[sub.sess] = true
			}
			if !sub.sess.offer(sub, out) {
				doomed = append(doomed, sub.sess)
			}
		}
	}
	s.hub.each(stream, func(g *group) { give(g, g.name) })
	if patterns {
		for _, pattern := range patternsOf(nil, stream) {
			s.hub.each(pattern, func(g *group) { give(g, stream) })
		}
	}
	return doomed
}

// entriesOf turns what Latest returned into messages for the subscription.
func (s *Server) entriesOf(sub *subscription, events []Event) []entry {
	entries := make([]entry, 0, len(events))
	for i := range events {
		e := &events[i]
		data, err := cleanData(e.Data)
		if err != nil {
			s.notes.say(slog.LevelError, "bayeux: event dropped", "error", err)
			continue
		}
		names := []string{sub.name}
		if sub.pattern {
			names = slices.DeleteFunc(slices.Clone(e.Streams), func(stream string) bool {
				return !validName(stream) || reserved(stream) || !slices.Contains(patternsOf(nil, stream), sub.stream)
			})
		}
		for _, name := range names {
			entries = append(entries, entry{nameKey: nameKey{name, e.Key}, seq: e.Seq, final: e.Final, frame: newFrame(name, data, 0)})
		}
	}
	return entries
}

// resync asks for the latest state of every subscription, after the bus may have lost events.
func (s *Server) resync() {
	for _, sub := range s.hub.all() {
		s.latest.ask(sub, resync)
	}
}
