package queue

import (
	"encoding/json"
	"slices"
)

// Unacked holds what was written to a socket or stream and is not yet known to have arrived,
// oldest first. Its zero value is empty.
type Unacked struct {
	entries []Entry
	bytes   int
	// last is the number of the newest message ever added. The entries carry consecutive numbers
	// up to it, so a number alone says which of them arrived.
	last uint64
}

// Add appends messages, numbers them, and returns the number of the last. Beyond the limits the
// oldest are taken for delivered: a client that answers no ping must not hold memory for ever.
func (u *Unacked) Add(batch []Entry, lim Limits) uint64 {
	for i := range batch {
		u.last++
		batch[i].Number = u.last
		u.bytes += batch[i].Frame.Size()
	}
	u.entries = append(u.entries, batch...)
	drop := 0
	for size := u.bytes; drop < len(u.entries)-1; drop++ {
		if len(u.entries)-drop <= lim.Messages && size <= lim.Bytes {
			break
		}
		size -= u.entries[drop].Frame.Size()
	}
	u.drop(drop)
	return u.last
}

// Prove removes and returns the messages up to that number, which have arrived. A number beyond the
// last is a pong of the client's own making and proves nothing.
func (u *Unacked) Prove(number uint64) (arrived []Entry) {
	if number > u.last {
		return nil
	}
	if left := u.last - number; left < uint64(len(u.entries)) {
		n := len(u.entries) - int(left)
		arrived = slices.Clone(u.entries[:n])
		u.drop(n)
	}
	return arrived
}

// Recall removes and returns what is to be sent again on the session's next connection.
func (u *Unacked) Recall(mark func(data json.RawMessage) json.RawMessage) []Entry {
	again := Again(u.entries, mark)
	u.Clear()
	return again
}

// Again is what of the messages is to be sent again when it is unknown whether they arrived. They
// are marked as repetitions, and of each key only the newest progress is left: the client may have
// it, and an older one would lead it backwards. Ends and events without a key stand for themselves
// and are all kept.
func Again(entries []Entry, mark func(data json.RawMessage) json.RawMessage) []Entry {
	newest := make(map[NameKey]int)
	for i := range entries {
		if entries[i].Key != "" {
			newest[entries[i].NameKey] = i
		}
	}
	var again []Entry
	for i, e := range entries {
		if e.replaceable() && newest[e.NameKey] != i {
			continue
		}
		e.Frame = e.Frame.Repeat(mark)
		again = append(again, e)
	}
	return again
}

func (u *Unacked) drop(n int) {
	for i := range u.entries[:n] {
		u.bytes -= u.entries[i].Frame.Size()
		u.entries[i] = Entry{} // its frame may be the last reference to a large event
	}
	u.entries = u.entries[n:]
	if len(u.entries) == 0 {
		u.entries = nil
	}
}

// All returns the messages, oldest first.
func (u *Unacked) All() []Entry { return u.entries }

// Clear drops all of them. Numbers go on from where they were, so that a late pong of an earlier
// connection proves nothing about a later one.
func (u *Unacked) Clear() {
	u.entries = nil
	u.bytes = 0
}

// Exceeds reports whether more is unacknowledged than the limits allow.
func (u *Unacked) Exceeds(lim Limits) bool {
	return len(u.entries) > lim.Messages || u.bytes > lim.Bytes
}

// Last is the number of the newest message ever added.
func (u *Unacked) Last() uint64 { return u.last }
