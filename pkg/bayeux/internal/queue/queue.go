package queue

// NameKey is what events replace one another by: the delivered channel name and the event's key.
type NameKey struct{ Name, Key string }

// Entry is a message on its way to a session.
type Entry struct {
	NameKey
	// Phase is what of its key the event is about, such as a job's stage. A slow client is spared
	// events that a later one of the same phase replaces, but gets one of every phase.
	Phase string
	Seq   uint64
	Final bool
	Frame *Frame
	// Order is the event's in the history of this server, 0 for one that is not from the bus.
	Order uint64
	// Audience is who counts as having received an end once this session has; empty for none.
	Audience string
	// Number is the session's own count of written messages, set when the entry is written to a
	// socket or stream; 0 until then. It outlives a recall, and so marks what was sent before.
	Number uint64
}

// replaceable reports whether a newer event of the same name, key and phase makes this one
// worthless.
func (e *Entry) replaceable() bool { return e.Key != "" && !e.Final }

// Limits bound a queue.
type Limits struct {
	// Messages and Bytes are what a queue may hold after replaced events were dropped.
	Messages int
	Bytes    int
	// CoalesceAfter is the number of messages from which on replaced events are dropped. Fewer are
	// left alone, so that a client that keeps up sees every one of them.
	CoalesceAfter int
}

// Half are the limits for what must not fill a queue by itself, such as a replay: the other half
// is for live events.
func (l Limits) Half() Limits {
	l.Messages = max(1, l.Messages/2)
	l.Bytes /= 2
	return l
}

// Newest returns the last of the messages that are within the limits, at least one.
func (l Limits) Newest(entries []Entry) []Entry {
	first, bytes := len(entries), 0
	for first > 0 && len(entries)-first < l.Messages {
		bytes += entries[first-1].Frame.Size()
		if bytes > l.Bytes && first < len(entries) {
			break
		}
		first--
	}
	return entries[first:]
}

// Queue holds messages in order. Its zero value is empty.
type Queue struct {
	Items []Entry // oldest first; to be read only
	bytes int
	// compactAt is the length at which replaced events are searched for next: twice what the last
	// search left, so that searching stays cheap however long the client is slow.
	compactAt int
}

// Len is the number of messages that wait.
func (q *Queue) Len() int { return len(q.Items) }

// Bytes is the size of the messages that wait.
func (q *Queue) Bytes() int { return q.bytes }

func (q *Queue) over(lim Limits) bool { return len(q.Items) > lim.Messages || q.bytes > lim.Bytes }

// Push appends a message and reports false when it does not fit even after replaced events were
// dropped. One message always fits an empty queue: a bound below the size of a single event would
// otherwise end every session that receives it.
func (q *Queue) Push(e Entry, lim Limits) bool {
	q.Items = append(q.Items, e)
	q.bytes += e.Frame.Size()
	if len(q.Items) >= max(q.compactAt, lim.CoalesceAfter) || q.over(lim) {
		q.Compact()
		q.compactAt = 2 * len(q.Items)
	}
	return !q.over(lim) || len(q.Items) == 1
}

// phaseKey is what coalescing compares.
type phaseKey struct {
	NameKey
	phase string
}

// Compact drops each replaceable message that a later one of its name, key and phase replaces.
func (q *Queue) Compact() {
	newest := make(map[phaseKey]int)
	for i := range q.Items {
		if e := &q.Items[i]; e.replaceable() {
			newest[phaseKey{e.NameKey, e.Phase}] = i
		}
	}
	q.keep(func(i int) bool {
		e := &q.Items[i]
		return !e.replaceable() || newest[phaseKey{e.NameKey, e.Phase}] == i
	})
}

// keep drops the messages for whose index wanted is false.
func (q *Queue) keep(wanted func(i int) bool) {
	kept := q.Items[:0]
	bytes := 0
	for i, e := range q.Items {
		if wanted(i) {
			kept = append(kept, e)
			bytes += e.Frame.Size()
		}
	}
	clear(q.Items[len(kept):]) // so that what was dropped can be collected
	q.Items = kept
	q.bytes = bytes
}

// Drop removes the messages that go to the channels of which gone is true.
func (q *Queue) Drop(gone func(channel string) bool) {
	q.keep(func(i int) bool { return !gone(q.Items[i].Name) })
}

// Take removes and returns messages from the front, at least one and as many as fit into so many
// bytes.
func (q *Queue) Take(bytes int) []Entry {
	n, size := 0, 0
	for n < len(q.Items) {
		next := q.Items[n].Frame.Size()
		if n > 0 && size+next > bytes {
			break
		}
		size += next
		n++
	}
	taken := q.Items[:n:n] // the capacity is cut, so that a later push does not write into it
	q.Items = q.Items[n:]
	q.bytes -= size
	if len(q.Items) == 0 {
		*q = Queue{}
	}
	return taken
}

// PutBack returns messages to the front, from where they were taken.
func (q *Queue) PutBack(entries []Entry) {
	if len(entries) == 0 {
		return
	}
	items := make([]Entry, 0, len(entries)+len(q.Items))
	q.Items = append(append(items, entries...), q.Items...)
	for i := range entries {
		q.bytes += entries[i].Frame.Size()
	}
	q.compactAt = 0 // what was put back may be replaced by what waited already
}

// Purge removes and returns the messages that were written before, up to that number: they have
// arrived.
func (q *Queue) Purge(number uint64) (arrived []Entry) {
	q.keep(func(i int) bool {
		if n := q.Items[i].Number; n == 0 || n > number {
			return true
		}
		arrived = append(arrived, q.Items[i])
		return false
	})
	return arrived
}

// Shed drops the oldest of the messages that were written before until the rest is within the
// limits, and reports whether it is. What was never written is not dropped.
func (q *Queue) Shed(lim Limits) bool {
	for q.over(lim) && q.Items[0].Number != 0 {
		q.bytes -= q.Items[0].Frame.Size()
		q.Items = q.Items[1:]
	}
	return !q.over(lim)
}
