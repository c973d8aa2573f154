package bayeux

import (
	"context"
	"log/slog"
	"slices"

	"exporthub/pkg/bayeux/internal/protocol"
)

// current is what Latest returned, brought up to what was published since, and without the ends
// that the audience has received where it gets them once. What Latest reads may lag behind the
// events: a job's row is written less often than its progress is published.
func (s *Server) current(sub *subscription, events []Event) []Event {
	ctx, cancel := context.WithTimeout(s.life, s.opt.LatestTimeout)
	defer cancel()
	if sub.grant.EndsOnce {
		// The client is promised that from the confirmation on it misses no end. Until the memory
		// has its session, an end would seem to be from before.
		s.receipts.flush(ctx)
	}
	newest := s.newest(ctx, sub, events)
	held := sub.heldNewest()
	events = slices.Clone(events) // the array is the Authorizer's
	var ends []End
	for i := range events {
		e := &events[i]
		n := newest[e.Key]
		if n.Seq > e.Seq && n.Seq > held[e.Key] && e.Seq != 0 {
			e.Seq = n.Seq
			e.Phase = n.Phase
			e.Final = n.Final
			e.Data = n.Data
			if s.opt.Repeat != nil {
				e.Data = s.opt.Repeat(n.Data)
			}
		}
		if e.Final && e.Key != "" && sub.grant.EndsOnce {
			ends = append(ends, End{
				Audience: sub.grant.Audience,
				Key:      e.Key,
				Seq:      e.Seq,
				Position: n.Position,
			})
		}
	}
	if len(ends) == 0 {
		return events
	}
	had := make(map[string]bool)
	for i, received := range s.receipts.received(ctx, ends) {
		had[ends[i].Key] = received
	}
	return slices.DeleteFunc(events, func(e Event) bool { return e.Final && had[e.Key] })
}

// heldNewest returns the newest sequence number of each key among the live events that wait. They
// come after the latest state, which need not be brought up to them.
func (sub *subscription) heldNewest() map[string]uint64 {
	sub.sess.mu.Lock()
	defer sub.sess.mu.Unlock()
	held := make(map[string]uint64)
	for i := range sub.early.Items {
		e := &sub.early.Items[i]
		held[e.Key] = max(held[e.Key], e.Seq)
	}
	return held
}

// newest returns the newest events of the keys of events that this server or the shared memory
// knows.
func (s *Server) newest(ctx context.Context, sub *subscription, events []Event) map[string]Event {
	found := make(map[string]Event)
	var keys []string
	for i := range events {
		key := events[i].Key
		if key == "" {
			continue
		}
		keys = append(keys, key)
		if r, ok := s.history.Newest(sub.stream, key); ok {
			found[key] = Event{
				Key:      key,
				Phase:    r.Phase,
				Seq:      r.Seq,
				Final:    r.Final,
				Position: r.Position,
				Data:     r.Data,
			}
		}
	}
	if s.receipts.shared == nil || len(keys) == 0 {
		return found
	}
	shared, err := s.receipts.shared.Newest(ctx, keys)
	if err != nil {
		s.log.Log(slog.LevelWarn, "bayeux: newest events of other servers unknown, the latest state may lag",
			"channel", protocol.FirstSegment(sub.name), "error", err)
	}
	for _, e := range shared {
		if e.Seq > found[e.Key].Seq {
			found[e.Key] = e
		}
	}
	return found
}
