// Package history keeps the newest events of each stream for a while, so that a client can be sent
// what it missed (Bayeux ext.replay).
//
// Memory is bounded three ways: by events of a stream, by bytes of all streams, and by age. What
// does not fit is dropped, oldest first. A History may be used concurrently.
package history

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"exporthub/pkg/bayeux/internal/protocol"
)

const (
	// FirstPosition is below every position and above every sequence number that publishers use in
	// practice: it distinguishes the two in ext.replay, which may hold either.
	FirstPosition = 1_000_000_000_000_000
	// positionSlack is how far the clocks of two replicas and the way of an event to them may
	// differ, in microseconds.
	positionSlack = 5_000_000
	// recordCost is about what a record takes beside its data, in bytes.
	recordCost = 160
	// goneSlack is how many dropped records may stand in the list of all before it is rebuilt.
	goneSlack = 1000
)

// Limits bound a History.
type Limits struct {
	PerStream int           // newest events of a stream; 0 keeps none
	Bytes     int           // about what all of them may take
	Keep      time.Duration // how long they are kept
}

// Record is one event of one stream.
type Record struct {
	Stream string
	Key    string
	Phase  string
	Seq    uint64
	Final  bool
	Data   []byte
	// Position is when it was published, in microseconds of Unix time, made unique. A bus that sets
	// it sets the same on all servers. Else the history does, and it is Local to this server.
	Position uint64
	Local    bool
	// Order counts the events of this server as they came. It is 0 when no history is kept.
	Order uint64
	// Repeat says of an answer that the client may have the event already.
	Repeat bool

	gone bool // dropped from its stream, which had too many
}

// History keeps records by stream.
type History struct {
	limits Limits

	mu       sync.Mutex
	streams  map[string][]*Record // oldest first, none empty
	all      []*Record            // oldest first; the order in which age and bytes drop them
	gone     int                  // how many of all are gone
	bytes    int
	position uint64 // the newest
	order    uint64
}

// New makes an empty history.
func New(limits Limits) *History {
	return &History{limits: limits, streams: make(map[string][]*Record)}
}

// Add keeps an event, described by the record without its stream and position, and returns its
// records, one for each of its streams. Position and record are set at one moment: a reader sees
// every event up to the position that it is given.
func (h *History) Add(streams []string, r Record) []Record {
	records := make([]Record, 0, len(streams))
	for i, stream := range streams {
		if !slices.Contains(streams[:i], stream) {
			r.Stream = stream
			records = append(records, r)
		}
	}
	if h.limits.PerStream <= 0 {
		return records
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.Position == 0 {
		r.Position = max(h.position+1, uint64(time.Now().UnixMicro()))
		r.Local = true
	}
	h.position = max(h.position, r.Position)
	h.order++
	for i := range records {
		records[i].Position = r.Position
		records[i].Local = r.Local
		records[i].Order = h.order
		kept := records[i]
		h.addLocked(&kept)
	}
	return records
}

func (h *History) addLocked(r *Record) {
	past := h.streams[r.Stream]
	if len(past) >= h.limits.PerStream {
		past[0].gone = true
		h.bytes -= len(past[0].Data)
		past[0].Data = nil
		h.gone++
		past[0] = nil
		past = past[1:]
	}
	h.streams[r.Stream] = append(past, r)
	h.all = append(h.all, r)
	h.bytes += len(r.Data) + recordCost
	if h.gone > goneSlack && h.gone > len(h.all)/2 {
		// The records that a busy stream dropped count as bytes until they leave the list, and
		// would push out what other streams keep.
		h.all = slices.DeleteFunc(h.all, func(r *Record) bool { return r.gone })
		h.bytes -= h.gone * recordCost
		h.gone = 0
	}
	h.trimLocked(uint64(time.Now().UnixMicro()))
}

// Now returns the order of the newest event.
func (h *History) Now() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.order
}

// Newest returns the newest event of a key on a stream, if it is kept.
func (h *History) Newest(stream, key string) (Record, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range slices.Backward(h.streams[stream]) {
		if r.Key == key {
			return *r, true
		}
	}
	return Record{}, false
}

// Trim drops what is too old. It is to be called from time to time: without new events nothing
// else drops the old.
func (h *History) Trim() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trimLocked(uint64(time.Now().UnixMicro()))
}

func (h *History) trimLocked(now uint64) {
	oldest := now - uint64(h.limits.Keep.Microseconds())
	n := 0
	for n < len(h.all) {
		r := h.all[n]
		if h.bytes <= h.limits.Bytes && !r.gone && r.Position >= oldest {
			break
		}
		h.all[n] = nil
		n++
		h.bytes -= len(r.Data) + recordCost
		if r.gone {
			h.gone--
			continue
		}
		if past := h.streams[r.Stream]; len(past) > 1 {
			past[0] = nil
			h.streams[r.Stream] = past[1:]
		} else {
			delete(h.streams, r.Stream)
		}
	}
	if h.all = h.all[n:]; len(h.all) == 0 {
		h.all = nil
		if n > 0 {
			h.streams = make(map[string][]*Record) // a map keeps the room it once needed
		}
	}
}

// Query asks for what a subscription missed.
type Query struct {
	Stream string
	// Pattern says that Stream is a pattern over the names of streams. It matches nothing reserved,
	// as for live events.
	Pattern bool
	// After is what the client received last. A number from FirstPosition on is a position, any
	// other is compared with the publisher's own sequence numbers.
	After uint64
	// Live is the order at which the subscription was made. What came after it is always part of
	// the answer: the client can't know of it.
	Live uint64
	// Most is how many events are returned at most.
	Most int
}

// Since returns the events that came after a number, oldest first, how many older ones were left
// out for want of room, and the order up to which the history was searched.
func (h *History) Since(q Query) (list []Record, skipped int, upTo uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := h.foundLocked(q)
	known := slices.ContainsFunc(found, func(r *Record) bool { return r.Position == q.After })
	found = slices.DeleteFunc(found, func(r *Record) bool {
		switch {
		case r.Order > q.Live:
			return false
		case q.After < FirstPosition:
			return r.Seq != 0 && r.Seq <= q.After
		case r.Local && !known:
			// Another replica's position, or one that was dropped, beside one that only this server
			// uses: rather twice than never.
			return r.Position+positionSlack <= q.After
		default:
			return r.Position <= q.After
		}
	})
	skipped = max(0, len(found)-q.Most)
	list = make([]Record, 0, len(found)-skipped)
	for _, r := range found[skipped:] {
		// A copy, since a record loses its data when its stream has too many.
		answer := *r
		answer.Repeat = q.After >= FirstPosition && r.Order <= q.Live && r.Position <= q.After
		list = append(list, answer)
	}
	return list, skipped, h.order
}

// foundLocked returns the records of the streams that the query is about, oldest first.
func (h *History) foundLocked(q Query) []*Record {
	if !q.Pattern {
		return slices.Clone(h.streams[q.Stream])
	}
	var found []*Record
	for name, past := range h.streams {
		if !protocol.ValidName(name) || protocol.Reserved(name) {
			continue
		}
		if slices.Contains(protocol.PatternsOf(nil, name), q.Stream) {
			found = append(found, past...)
		}
	}
	slices.SortFunc(found, func(a, b *Record) int { return cmp.Compare(a.Order, b.Order) })
	return found
}
