package bayeux

// mark is the newest event of a name and key that a session got.
type mark struct {
	seq   uint64
	final bool
}

// seen remembers marks, the oldest pairs first to be forgotten. It outlives subscriptions, so that a second subscribe does not tell again how
// something ended. The zero value is empty.
type seen struct {
	marks map[nameKey]mark
	order []nameKey
}

// source is where an event comes from, which decides what "already got" means for it.
type source int

const (
	live      source = iota // from the bus
	resync                  // from Latest, after the bus lost events: only what is newer
	subscribe               // from Latest, on a subscribe: active things are told again, ended ones once
	replay                  // from the history, on a subscribe that asks: all of it
)

// admit reports whether the event is to be delivered under that name, and remembers it if so.
func (s *seen) admit(nk nameKey, seq uint64, final bool, from source, limit int) bool {
	if nk.key == "" {
		return from != resync // without a key it can't be told from what was delivered before
	}
	m, known := s.marks[nk]
	if known && !newer(m, seq, final, from) {
		return false
	}
	s.remember(nk, mark{seq: max(seq, m.seq), final: final || from == replay && m.final}, known, limit)
	return true
}

func newer(m mark, seq uint64, final bool, from source) bool {
	switch {
	case from == replay:
		return true
	case from == subscribe && final && m.final:
		return seq > m.seq
	case from == subscribe:
		return seq >= m.seq
	case seq == 0 && from == resync:
		return final && !m.final
	default:
		return seq == 0 || seq > m.seq
	}
}

func (s *seen) remember(nk nameKey, m mark, known bool, limit int) {
	if s.marks == nil {
		s.marks = make(map[nameKey]mark)
	}
	if !known {
		if len(s.order) >= limit {
			delete(s.marks, s.order[0])
			s.order = s.order[1:]
		}
		s.order = append(s.order, nk)
	}
	s.marks[nk] = m
}
