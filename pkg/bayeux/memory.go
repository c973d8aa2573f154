package bayeux

import (
	"context"
	"sync"
	"time"
)

// Memory may be implemented by a Bus that remembers for all servers what was published last and who
// has received what. Without one each server knows only what it saw itself.
//
// An end counts as received by an audience when one of its sessions has received it, unless another
// one that followed when it was published has not, and its client has lost that session since: the
// new session that asks may be that client's.
type Memory interface {
	// Newest returns the newest event of each of the keys, without those that are not known.
	Newest(ctx context.Context, keys []string) ([]Event, error)
	// Remember records what has happened, in this order.
	Remember(ctx context.Context, notes []Note) error
	// Received reports for each of the ends whether its audience has received it.
	Received(ctx context.Context, ends []End) ([]bool, error)
}

// End is the last event of a key, as it concerns an audience.
type End struct {
	Audience string // Grant.Audience
	Key      string // Event.Key
	Seq      uint64 // Event.Seq
	Position uint64 // Event.Position; 0 when it is not known
}

// Note is one thing that happened to a session, for all servers to know.
type Note struct {
	What     NoteKind
	Session  string
	Audience string // of all kinds but NoteLost
	Key      string // of NoteReceived
	Seq      uint64 // of NoteReceived
}

// NoteKind says what a Note is about.
type NoteKind uint8

const (
	// NoteSubscribed: the session follows for the audience, whose sessions get ends once. It is
	// repeated at least every SubscribedFor/3 for as long as it does.
	NoteSubscribed NoteKind = iota + 1
	// NoteUnsubscribed: the session has stopped following of its own accord, and so misses nothing.
	NoteUnsubscribed
	// NoteLost: the session's client has asked for it where it is not known, or was answered that
	// it is over. It will come back with a new one.
	NoteLost
	// NoteReceived: the end of the key has arrived at the session.
	NoteReceived
)

const (
	// MemoryFor is how long a Memory should keep what it remembers of keys: longer than any Latest
	// goes on to return the end of a thing, with room for clocks that differ.
	MemoryFor = 10 * time.Minute
	// SubscribedFor is how long a Memory should keep that a session follows, or that it was lost.
	SubscribedFor = 3 * time.Minute
	// MaxSubscribers is how many sessions of one audience, and receipts of one end, a Memory should
	// keep. Of more, those that can't be kept may see an end less, or twice.
	MaxSubscribers = 64
	// maxRemembered bounds the keys, the ends and the sessions that one process remembers.
	maxRemembered = 10_000
)

// memory is a Memory within a process. Beyond maxRemembered the oldest is dropped first.
type memory struct {
	mu       sync.Mutex
	newest   ring[string, Event]
	received ring[endKey, map[string]uint64] // for each session the sequence number
	sessions ring[string, *subscriber]
	position uint64           // of the newest event
	now      func() time.Time // nil is time.Now
}

var _ Memory = (*memory)(nil)

type endKey struct{ audience, key string }

// subscriber is a session that gets ends once.
type subscriber struct {
	since map[string]uint64 // for each audience, in microseconds of Unix time, as positions are
	until time.Time
	lost  bool
}

// ring is a map that drops its oldest key when it has maxRemembered.
type ring[K comparable, V any] struct {
	all   map[K]V
	order []K
}

func (r *ring[K, V]) set(key K, v V) {
	if r.all == nil {
		r.all = make(map[K]V)
	}
	if _, known := r.all[key]; !known {
		if len(r.order) >= maxRemembered {
			delete(r.all, r.order[0])
			r.order = r.order[1:]
		}
		r.order = append(r.order, key)
	}
	r.all[key] = v
}

func (m *memory) time() time.Time {
	if m.now != nil {
		return m.now()
	}
	return time.Now()
}

// publish remembers an event as the newest of its key.
func (m *memory) publish(e Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.position = max(m.position, e.Position)
	if e.Key != "" && m.newest.all[e.Key].Seq <= e.Seq {
		m.newest.set(e.Key, e)
	}
}

// Newest implements Memory.
func (m *memory) Newest(_ context.Context, keys []string) ([]Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var newest []Event
	for _, key := range keys {
		if e, known := m.newest.all[key]; known {
			newest = append(newest, e)
		}
	}
	return newest, nil
}

// Remember implements Memory.
func (m *memory) Remember(_ context.Context, notes []Note) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.time()
	for _, n := range notes {
		f := m.sessions.all[n.Session]
		switch n.What {
		case NoteSubscribed:
			if f == nil || now.After(f.until) {
				f = &subscriber{since: make(map[string]uint64)}
				m.sessions.set(n.Session, f)
			}
			if f.since[n.Audience] == 0 {
				f.since[n.Audience] = max(uint64(now.UnixMicro()), m.position+1)
			}
			f.until = now.Add(SubscribedFor)
		case NoteUnsubscribed:
			if f != nil {
				delete(f.since, n.Audience)
			}
		case NoteLost:
			if f != nil {
				f.lost = true
				f.until = now.Add(SubscribedFor)
			}
		case NoteReceived:
			m.receivedLocked(n)
		}
	}
	return nil
}

func (m *memory) receivedLocked(n Note) {
	at := endKey{n.Audience, n.Key}
	sessions := m.received.all[at]
	if sessions == nil {
		sessions = make(map[string]uint64)
		m.received.set(at, sessions)
	}
	if _, known := sessions[n.Session]; known || len(sessions) < MaxSubscribers {
		sessions[n.Session] = max(sessions[n.Session], n.Seq)
	}
}

// Received implements Memory.
func (m *memory) Received(_ context.Context, ends []End) ([]bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	answers := make([]bool, len(ends))
	for i, e := range ends {
		answers[i] = m.hasLocked(e)
	}
	return answers, nil
}

func (m *memory) hasLocked(e End) bool {
	sessions := m.received.all[endKey{e.Audience, e.Key}]
	someone := false
	for _, seq := range sessions {
		someone = someone || seq >= e.Seq
	}
	if !someone {
		return false
	}
	now := m.time()
	for id, f := range m.sessions.all {
		since := f.since[e.Audience]
		if f.lost && since != 0 && (e.Position == 0 || since <= e.Position) &&
			sessions[id] < e.Seq && now.Before(f.until) {
			return false
		}
	}
	return true
}
