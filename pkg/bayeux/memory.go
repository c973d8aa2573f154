package bayeux

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"exporthub/pkg/bayeux/internal/protocol"
)

// Memory may be implemented by a Bus that remembers for all servers what was published last and
// what has been received. Without one each server knows only what it saw itself.
type Memory interface {
	// Newest returns the newest event of each of the keys, without those that are not known.
	Newest(ctx context.Context, keys []string) ([]Event, error)
	// Remember records ends that have been received.
	Remember(ctx context.Context, received []Receipt) error
	// Received returns those of the receipts that were remembered, with a Seq of at least theirs.
	Received(ctx context.Context, asked []Receipt) ([]Receipt, error)
}

// Receipt says that an audience has received the end of a key.
type Receipt struct {
	Audience string // Grant.Audience
	Key      string // Event.Key
	Seq      uint64 // Event.Seq of the end
}

const (
	// MemoryFor is how long a Memory should keep what it remembers: longer than any Latest goes on
	// to return the end of a thing, with room for clocks that differ.
	MemoryFor = 10 * time.Minute
	// maxRemembered bounds the keys and the receipts that one process remembers.
	maxRemembered = 10_000
	// receiptQueue is how many receipts may wait for the Memory. When it is full they are dropped:
	// then an end may be replayed to a new session, which is better than to wait for a store.
	receiptQueue = 4096
)

// memory is a Memory within a process. Beyond maxRemembered the oldest is dropped first.
type memory struct {
	mu       sync.Mutex
	newest   map[string]Event
	keys     []string
	received map[receiptKey]uint64
	order    []receiptKey
}

type receiptKey struct{ audience, key string }

func (m *memory) add(e Event) {
	if e.Key == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.newest == nil {
		m.newest = make(map[string]Event)
	}
	old, known := m.newest[e.Key]
	if known && old.Seq > e.Seq {
		return
	}
	if !known {
		if len(m.keys) >= maxRemembered {
			delete(m.newest, m.keys[0])
			m.keys = m.keys[1:]
		}
		m.keys = append(m.keys, e.Key)
	}
	m.newest[e.Key] = e
}

func (m *memory) remember(received []Receipt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.received == nil {
		m.received = make(map[receiptKey]uint64)
	}
	for _, r := range received {
		at := receiptKey{r.Audience, r.Key}
		if _, known := m.received[at]; !known {
			if len(m.order) >= maxRemembered {
				delete(m.received, m.order[0])
				m.order = m.order[1:]
			}
			m.order = append(m.order, at)
		}
		m.received[at] = max(m.received[at], r.Seq)
	}
}

func (m *memory) has(r Receipt) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	seq, known := m.received[receiptKey{r.Audience, r.Key}]
	return known && seq >= r.Seq
}

// Newest implements Memory.
func (b *LocalBus) Newest(_ context.Context, keys []string) ([]Event, error) {
	b.memory.mu.Lock()
	defer b.memory.mu.Unlock()
	var newest []Event
	for _, key := range keys {
		if e, known := b.memory.newest[key]; known {
			newest = append(newest, e)
		}
	}
	return newest, nil
}

// Remember implements Memory.
func (b *LocalBus) Remember(_ context.Context, received []Receipt) error {
	b.memory.remember(received)
	return nil
}

// Received implements Memory.
func (b *LocalBus) Received(_ context.Context, asked []Receipt) ([]Receipt, error) {
	var found []Receipt
	for _, r := range asked {
		if b.memory.has(r) {
			found = append(found, r)
		}
	}
	return found, nil
}

// receipts collects what has been received and hands it to the Memory, if the bus is one.
type receipts struct {
	srv     *Server
	shared  Memory // nil when the bus is none
	local   memory // for when the shared one is away
	waiting chan Receipt
}

func newReceipts(s *Server) *receipts {
	shared, _ := s.bus.(Memory)
	return &receipts{srv: s, shared: shared, waiting: make(chan Receipt, receiptQueue)}
}

// add records a receipt. It does not block, and may be called with a session's lock.
func (r *receipts) add(received Receipt) {
	r.local.remember([]Receipt{received})
	if r.shared == nil {
		return
	}
	select {
	case r.waiting <- received:
	default: // see receiptQueue
		r.srv.log.Log(slog.LevelWarn, "bayeux: receipts are dropped, the shared memory is too slow")
	}
}

// run passes receipts on until ctx ends.
func (r *receipts) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-r.waiting:
			batch := []Receipt{first}
			for len(batch) < cap(r.waiting) && len(r.waiting) > 0 {
				batch = append(batch, <-r.waiting)
			}
			r.pass(ctx, batch)
		}
	}
}

func (r *receipts) pass(ctx context.Context, batch []Receipt) {
	ctx, cancel := context.WithTimeout(ctx, r.srv.opt.LatestTimeout)
	defer cancel()
	if err := r.shared.Remember(ctx, batch); err != nil {
		r.srv.log.Log(slog.LevelWarn, "bayeux: receipts are known to this server only", "error", err)
	}
}

// received returns which of the receipts are known, to this server or to all.
func (r *receipts) received(ctx context.Context, asked []Receipt) map[Receipt]bool {
	found := make(map[Receipt]bool)
	var rest []Receipt
	for _, a := range asked {
		if r.local.has(a) {
			found[a] = true
		} else {
			rest = append(rest, a)
		}
	}
	if r.shared == nil || len(rest) == 0 {
		return found
	}
	known, err := r.shared.Received(ctx, rest)
	if err != nil {
		r.srv.log.Log(slog.LevelWarn, "bayeux: receipts of other servers unknown", "error", err)
	}
	for _, k := range known {
		found[k] = true
	}
	return found
}

// current is what Latest returned, brought up to what was published since, and without the ends
// that the audience has received where it gets them once. What Latest reads may lag behind the
// events: a job's row is written less often than its progress is published.
func (s *Server) current(sub *subscription, events []Event) []Event {
	ctx, cancel := context.WithTimeout(s.life, s.opt.LatestTimeout)
	defer cancel()
	newest := s.newest(ctx, sub, events)
	held := sub.heldNewest()
	events = slices.Clone(events) // the array is the Authorizer's
	var ends []Receipt
	for i := range events {
		e := &events[i]
		if n := newest[e.Key]; n.Seq > e.Seq && n.Seq > held[e.Key] && e.Seq != 0 {
			e.Seq = n.Seq
			e.Phase = n.Phase
			e.Final = n.Final
			e.Data = n.Data
			if s.opt.Repeat != nil {
				e.Data = s.opt.Repeat(n.Data)
			}
		}
		if e.Final && e.Key != "" && sub.grant.EndsOnce {
			ends = append(ends, Receipt{Audience: sub.grant.Audience, Key: e.Key, Seq: e.Seq})
		}
	}
	if len(ends) == 0 {
		return events
	}
	received := s.receipts.received(ctx, ends)
	kept := events[:0]
	for _, e := range events {
		if !received[Receipt{Audience: sub.grant.Audience, Key: e.Key, Seq: e.Seq}] || !e.Final {
			kept = append(kept, e)
		}
	}
	return kept
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
			found[key] = Event{Key: key, Phase: r.Phase, Seq: r.Seq, Final: r.Final, Data: r.Data}
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
