package bayeux

import (
	"strconv"
	"sync"

	"github.com/gorilla/websocket"
)

// frame is one delivered message in its wire form, built once and shared by all sessions that get it under one name.
type frame struct {
	array []byte // [{"channel":…,"data":…}]

	once     sync.Once
	prepared *websocket.PreparedMessage
}

// newFrame encodes a delivery from scratch: a channel name that passed the grammar needs no escaping, data is clean JSON. A position
// other than 0 is told in ext.replay.
func newFrame(name string, data []byte, position uint64) *frame {
	size := len(name) + len(data) + len(`[{"channel":"","data":}]`)
	if position != 0 {
		size += len(`,"ext":{"replay":1234567890123456}`)
	}
	b := make([]byte, 0, size)
	b = append(b, `[{"channel":`...)
	b = strconv.AppendQuote(b, name)
	b = append(b, `,"data":`...)
	b = append(b, data...)
	if position != 0 {
		b = append(b, `,"ext":{"replay":`...)
		b = strconv.AppendUint(b, position, 10)
		b = append(b, '}')
	}
	b = append(b, '}', ']')
	return &frame{array: b}
}

// object is the message without the array around it.
func (f *frame) object() []byte { return f.array[1 : len(f.array)-1] }

// socketFrame is the message as a websocket frame of its own.
func (f *frame) socketFrame() *websocket.PreparedMessage {
	f.once.Do(func() {
		// Text of any length can be prepared without compression, so there is no error to answer.
		f.prepared, _ = websocket.NewPreparedMessage(websocket.TextMessage, f.array)
	})
	return f.prepared
}

// nameKey is what events replace one another by: the delivered channel name and the event's key.
type nameKey struct{ name, key string }

// entry is a message that waits for a session.
type entry struct {
	nameKey
	seq   uint64
	final bool
	frame *frame
	// position is the event's in the history, 0 for one that is not from the bus.
	position uint64
	number   uint64 // the session's, of when it was last written to a socket or stream
}

// replaceable reports whether a newer event of the same name and key makes this one worthless.
func (e *entry) replaceable() bool { return e.key != "" && !e.final }

// limits bound a queue.
type limits struct {
	messages, bytes, coalesceAfter int
}

// half are the limits for what is not to fill a queue by itself.
func (l limits) half() limits {
	return limits{max(1, l.messages/2), l.bytes / 2, l.coalesceAfter}
}

// newest returns the last of the messages that are within the limits, at least one.
func (l limits) newest(entries []entry) []entry {
	first, bytes := len(entries), 0
	for first > 0 && len(entries)-first < l.messages {
		bytes += len(entries[first-1].frame.array)
		if bytes > l.bytes && first < len(entries) {
			break
		}
		first--
	}
	return entries[first:]
}

// queue holds messages in order. Its zero value is empty.
type queue struct {
	items []entry
	bytes int
	// compactAt is the length at which replaced events are looked for next: twice what the last look left, so that looking
	// stays cheap however long the client is slow.
	compactAt int
}

// push appends a message and reports false when it does not fit even after replaced events were dropped. One message
// always fits an empty queue.
func (q *queue) push(e entry, lim limits) bool {
	q.items = append(q.items, e)
	q.bytes += len(e.frame.array)
	over := func() bool { return len(q.items) > lim.messages || q.bytes > lim.bytes }
	if len(q.items) >= max(q.compactAt, lim.coalesceAfter) || over() {
		q.compact()
		q.compactAt = 2 * len(q.items)
	}
	return !over() || len(q.items) == 1
}

// compact drops each replaceable message that a later one of its name and key replaces.
func (q *queue) compact() {
	newest := make(map[nameKey]int)
	for i := range q.items {
		if q.items[i].replaceable() {
			newest[q.items[i].nameKey] = i
		}
	}
	kept := q.items[:0]
	q.bytes = 0
	for i, e := range q.items {
		if e.replaceable() && newest[e.nameKey] != i {
			continue
		}
		kept = append(kept, e)
		q.bytes += len(e.frame.array)
	}
	clear(q.items[len(kept):])
	q.items = kept
}

// take removes and returns messages from the front, at least one and as many as fit into so many bytes.
func (q *queue) take(bytes int) []entry {
	n, size := 0, 0
	for n < len(q.items) {
		next := len(q.items[n].frame.array)
		if n > 0 && size+next > bytes {
			break
		}
		size += next
		n++
	}
	taken := q.items[:n:n]
	q.items = q.items[n:]
	q.bytes -= size
	if len(q.items) == 0 {
		*q = queue{}
	}
	return taken
}

// putBack returns messages to the front, from where they were taken.
func (q *queue) putBack(entries []entry) {
	if len(entries) == 0 {
		return
	}
	items := make([]entry, 0, len(entries)+len(q.items))
	q.items = append(append(items, entries...), q.items...)
	for i := range entries {
		q.bytes += len(entries[i].frame.array)
	}
	q.compactAt = 0
}

// forget drops the messages that were written before, up to that number.
func (q *queue) forget(number uint64) {
	kept := q.items[:0]
	q.bytes = 0
	for _, e := range q.items {
		if e.number == 0 || e.number > number {
			kept = append(kept, e)
			q.bytes += len(e.frame.array)
		}
	}
	clear(q.items[len(kept):])
	q.items = kept
}

// shed drops the oldest of the messages that were written before until the rest is within the limits, and reports whether it is.
func (q *queue) shed(lim limits) bool {
	over := func() bool { return len(q.items) > lim.messages || q.bytes > lim.bytes }
	for over() && q.items[0].number != 0 {
		q.bytes -= len(q.items[0].frame.array)
		q.items = q.items[1:]
	}
	return !over()
}
