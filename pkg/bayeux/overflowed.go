package bayeux

import (
	"maps"
	"time"
)

// maxOverflows is the number of overflowed sessions that are remembered. It bounds memory when a
// stream overflows everybody at once; the clients beyond it shake hands without a pause.
const maxOverflows = 10_000

// noteOverflow remembers a session that overflowed until its client must have asked for it. The 401
// that the client gets then carries a pause: if what overflowed the session overflows the next one
// too, the client would shake hands in a loop.
func (s *Server) noteOverflow(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.overflows) < maxOverflows {
		s.overflows[id] = time.Now().Add(s.opt.Expiry)
	}
}

// pauseOf is how long the client of a session that is not there waits before it shakes hands anew:
// not at all, unless the session overflowed.
func (s *Server) pauseOf(id string) time.Duration {
	s.mu.RLock()
	_, overflowed := s.overflows[id]
	s.mu.RUnlock()
	if !overflowed {
		return 0
	}
	return s.later()
}

// sweepOverflows drops the sessions whose clients have had their time to ask.
func (s *Server) sweepOverflows(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.overflows, func(_ string, until time.Time) bool { return !now.Before(until) })
}
