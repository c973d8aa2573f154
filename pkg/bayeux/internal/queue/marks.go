package queue

// mark is the newest event of a name and key that a session got.
type mark struct {
	seq   uint64
	final bool
}

// Marks remember, for each name and key, the newest event that a session got. They outlive
// subscriptions, so that a second subscribe does not deliver an end again. Their number is
// bounded: the pair that was added first is dropped first. The zero value is empty.
type Marks struct {
	marks map[NameKey]mark
	order []NameKey
}

// Source is where an event comes from, which decides what "already got" means for it. The order of
// the values matters: a subscription that is asked for two kinds at once does the greater.
type Source int

const (
	// Live events come from the bus.
	Live Source = iota
	// Resync is the latest state after the bus lost events: only what is newer is delivered.
	Resync
	// Subscribe is the latest state on a subscribe: active things are delivered again, since a
	// page that subscribes wants to show them; ended ones once.
	Subscribe
	// Replay is the history, on a subscribe that asks for it: all of it is delivered.
	Replay
)

// Admit reports whether the event is to be delivered under that name, and remembers it if so. At
// most limit pairs are remembered.
func (m *Marks) Admit(e *Entry, from Source, limit int) bool {
	if e.Key == "" {
		// Without a key nothing distinguishes it from what was delivered before a lost link.
		return from != Resync
	}
	old, known := m.marks[e.NameKey]
	if known && !newer(old, e, from) {
		return false
	}
	m.remember(e.NameKey, mark{
		// A replay goes back, what live events are compared with does not.
		seq:   max(e.Seq, old.seq),
		final: e.Final || from == Replay && old.final,
	}, known, limit)
	return true
}

// Newest returns the sequence number of the newest event of a name and key, 0 when none is known.
func (m *Marks) Newest(nk NameKey) uint64 { return m.marks[nk].seq }

func newer(old mark, e *Entry, from Source) bool {
	switch {
	case from == Replay:
		return true
	case from == Subscribe && e.Final && old.final:
		return e.Seq > old.seq
	case from == Subscribe:
		return e.Seq >= old.seq
	case e.Seq == 0 && from == Resync:
		return e.Final && !old.final
	default:
		return e.Seq == 0 || e.Seq > old.seq
	}
}

func (m *Marks) remember(nk NameKey, newest mark, known bool, limit int) {
	if m.marks == nil {
		m.marks = make(map[NameKey]mark)
	}
	if !known {
		if len(m.order) >= limit {
			delete(m.marks, m.order[0])
			m.order = m.order[1:]
		}
		m.order = append(m.order, nk)
	}
	m.marks[nk] = newest
}
