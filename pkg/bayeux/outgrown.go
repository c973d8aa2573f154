package bayeux

import (
	"maps"
	"time"
)

// maxOutgrown is the number of overflowed sessions that are remembered.
const maxOutgrown = 10_000

// noteOutgrown remembers a session that overflowed until its client must have asked for it. The 401 that the client gets then
// tells it to wait: if what overflowed the session overflows the next one too, it would shake hands without a pause.
func (s *Server) noteOutgrown(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.outgrown) < maxOutgrown {
		s.outgrown[id] = time.Now().Add(s.opt.Expiry)
	}
}

// pauseOf is how long the client of a session that is not there waits before it shakes hands anew: not at all, unless the session
// overflowed.
func (s *Server) pauseOf(id string) time.Duration {
	s.mu.RLock()
	_, outgrown := s.outgrown[id]
	s.mu.RUnlock()
	if !outgrown {
		return 0
	}
	return s.later()
}

// sweepOutgrown forgets sessions whose clients have had their time to ask.
func (s *Server) sweepOutgrown(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.outgrown, func(_ string, until time.Time) bool { return !now.Before(until) })
}
