package bayeux

import "container/list"

// anonymous counts the sessions of principals without an ID. Everybody can have any number of them,
// so they get a share of all sessions, and those that subscribe to nothing have to make room. What
// follows a capability is of use to somebody, and is never given up.
type anonymous struct {
	sessions int
	idle     list.List // of *session, which subscribe to nothing; oldest first
}

// listed is a place in a list.
type listed struct {
	in *list.List
	at *list.Element
}

// enlist puts v at the end of the lists, and returns its places.
func enlist(v any, lists ...*list.List) []listed {
	places := make([]listed, len(lists))
	for i, l := range lists {
		places[i] = listed{in: l, at: l.PushBack(v)}
	}
	return places
}

// delist takes what is in these places out of its lists.
func delist(places []listed) {
	for _, p := range places {
		p.in.Remove(p.at)
	}
}

func oldestIdle(l *list.List) *session {
	if l == nil || l.Len() == 0 {
		return nil
	}
	return l.Front().Value.(*session)
}

func oldestLoose(l *list.List) *socket {
	if l.Len() == 0 {
		return nil
	}
	return l.Front().Value.(*socket)
}

// roomLocked reports an error where there is no room for another session of the principal at the
// address, with the sessions of which one could be given up for it.
func (s *Server) roomLocked(p Principal, addr string) (full *list.List, err error) {
	switch {
	case s.ended:
		return nil, errServerDone
	case p.ID != "" && s.owners[p.ID] >= s.opt.MaxSessionsPerPrincipal:
		return nil, errOwnerFull
	}
	if p.ID == "" {
		// Its own network first: then a flood from one takes places from itself alone.
		for i, a := range s.networksLocked(addr) {
			if a.sessions >= s.opt.MaxSessionsPerAddress*networkFactor[i] {
				return &a.idle, errAddrFull
			}
		}
		if s.anonymous.sessions >= s.opt.MaxSessions-max(0, s.opt.ReservedSessions) {
			return &s.anonymous.idle, errFull
		}
	}
	if len(s.sessions) >= s.opt.MaxSessions {
		return &s.anonymous.idle, errFull
	}
	return nil, nil
}

// giveUp ends a session for want of room, unless it subscribes to something by now.
func (s *Server) giveUp(sess *session) { s.destroy(sess, givenUp, "given up for others") }

// markIdleLocked notes whether an anonymous session subscribes to anything, with its lock.
func (s *session) markIdleLocked() {
	if s.principal.ID != "" || s.closed {
		return
	}
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	if len(s.subs) == 0 {
		s.srv.idleLocked(s)
	} else {
		s.srv.busyLocked(s)
	}
}

// idleLocked lists a session as one that can be given up.
func (s *Server) idleLocked(sess *session) {
	if sess.idle != nil {
		return
	}
	lists := []*list.List{&s.anonymous.idle}
	for _, a := range s.networksLocked(sess.addr) {
		lists = append(lists, &a.idle)
	}
	sess.idle = enlist(sess, lists...)
}

// busyLocked takes it off the lists.
func (s *Server) busyLocked(sess *session) {
	delist(sess.idle)
	sess.idle = nil
}

// loosen lists a socket as one that can be closed for others: it carries no session.
func (s *Server) loosen(k *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.loose != nil || k.vacated {
		return
	}
	lists := []*list.List{&s.loose}
	for _, a := range s.networksLocked(k.addr) {
		lists = append(lists, &a.loose)
	}
	k.loose = enlist(k, lists...)
}

// tie takes it off the lists: it carries a session.
func (s *Server) tie(k *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tieLocked(k)
}

func (s *Server) tieLocked(k *socket) {
	delist(k.loose)
	k.loose = nil
}
