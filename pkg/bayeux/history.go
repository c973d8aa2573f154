package bayeux

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

const (
	// firstPosition is below every position and above every sequence number that publishers use in practice: it tells the two
	// apart.
	firstPosition = 1_000_000_000_000_000
	// positionSlack is how far the clocks of two replicas and the way of an event to them may differ, in microseconds.
	positionSlack = 5_000_000
)

// history keeps the newest events of each stream for clients that ask for what they missed.
type history struct {
	perStream int
	maxBytes  int
	keep      time.Duration

	mu       sync.Mutex
	streams  map[string][]*record // oldest first, none empty
	all      []*record            // oldest first
	gone     int                  // of all
	bytes    int
	position uint64
}

// record is one event of one stream.
type record struct {
	stream   string
	key      string
	seq      uint64
	final    bool
	data     []byte
	position uint64 // when it came, in microseconds of Unix time; no two events of a server have the same
	gone     bool   // of its stream, which had too many
}

// recordCost is about what a record takes beside its data.
const recordCost = 160

func newHistory(opt *Options) *history {
	h := &history{perStream: max(0, opt.ReplayEvents), maxBytes: opt.ReplayBytes, keep: opt.ReplayFor}
	h.streams = make(map[string][]*record)
	return h
}

// add keeps an event and returns its records, one for each of its streams. Position and record come at one moment: whoever looks
// sees every event up to the position that they are told.
func (h *history) add(e *Event, data []byte) []record {
	records := make([]record, 0, len(e.Streams))
	for i, stream := range e.Streams {
		if !slices.Contains(e.Streams[:i], stream) {
			records = append(records, record{stream: stream, key: e.Key, seq: e.Seq, final: e.Final, data: data})
		}
	}
	if h.perStream == 0 {
		return records
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.position = max(h.position+1, uint64(time.Now().UnixMicro()))
	for i := range records {
		records[i].position = h.position
		kept := records[i]
		h.addLocked(&kept)
	}
	return records
}

func (h *history) addLocked(r *record) {
	past := h.streams[r.stream]
	if len(past) >= h.perStream {
		past[0].gone = true
		h.bytes -= len(past[0].data)
		past[0].data = nil
		h.gone++
		past[0] = nil
		past = past[1:]
	}
	h.streams[r.stream] = append(past, r)
	h.all = append(h.all, r)
	h.bytes += len(r.data) + recordCost
	if h.gone > 1000 && h.gone > len(h.all)/2 { // a busy stream must not push out what others keep
		h.all = slices.DeleteFunc(h.all, func(r *record) bool { return r.gone })
		h.bytes -= h.gone * recordCost
		h.gone = 0
	}
	h.trimLocked(r.position)
}

// now returns the position of the newest event.
func (h *history) now() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.position
}

// trim forgets what is too old.
func (h *history) trim() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trimLocked(uint64(time.Now().UnixMicro()))
}

func (h *history) trimLocked(now uint64) {
	oldest := now - uint64(h.keep.Microseconds())
	n := 0
	for n < len(h.all) && (h.bytes > h.maxBytes || h.all[n].gone || h.all[n].position < oldest) {
		r := h.all[n]
		h.all[n] = nil
		n++
		h.bytes -= len(r.data) + recordCost
		if r.gone {
			h.gone--
			continue
		}
		if past := h.streams[r.stream]; len(past) > 1 {
			past[0] = nil
			h.streams[r.stream] = past[1:]
		} else {
			delete(h.streams, r.stream)
		}
	}
	if h.all = h.all[n:]; len(h.all) == 0 {
		h.all = nil
		if n > 0 {
			h.streams = make(map[string][]*record) // a map keeps the room it once needed
		}
	}
}

// since returns the events of a stream, or of all streams that a pattern matches, that came after a number, oldest first, and the
// position up to which it looked. A number from firstPosition on is a position, any other is compared with the publisher's own sequence
// numbers. What came after the position called live is always among them: it is not for the client to know of it. Of more than most events
// the oldest are left out, and counted. A pattern matches nothing reserved, as for live events.
func (h *history) since(stream string, pattern bool, after, live uint64, most int) (list []record, skipped int, upTo uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []*record
	if pattern {
		for name, past := range h.streams {
			if validName(name) && !reserved(name) && slices.Contains(patternsOf(nil, name), stream) {
				found = append(found, past...)
			}
		}
		slices.SortFunc(found, func(a, b *record) int { return cmp.Compare(a.position, b.position) })
	} else {
		found = slices.Clone(h.streams[stream])
	}
	if after >= firstPosition && !slices.ContainsFunc(found, func(r *record) bool { return r.position == after }) {
		after -= positionSlack // another replica's number, or one that was forgotten: rather twice than never
	}
	found = slices.DeleteFunc(found, func(r *record) bool {
		if r.position > live {
			return false
		}
		if after < firstPosition-positionSlack {
			return r.seq != 0 && r.seq <= after
		}
		return r.position <= after
	})
	skipped = max(0, len(found)-most)
	list = make([]record, 0, len(found)-skipped)
	for _, r := range found[skipped:] {
		list = append(list, *r) // a copy, since the record loses its data when its stream has too many
	}
	return list, skipped, h.position
}
