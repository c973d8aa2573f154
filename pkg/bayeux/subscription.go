package bayeux

import (
	"slices"
	"strings"

	"exporthub/pkg/bayeux/internal/protocol"
	"exporthub/pkg/bayeux/internal/queue"
)

// subscription is one channel name or pattern of one session.
type subscription struct {
	sess    *session
	name    string
	stream  string
	pattern bool
	// numbered says that its deliveries carry their positions, for a client that will ask for what
	// it missed.
	numbered bool
	grant    Grant

	group    *group // the hub's, under its shard's lock
	position int

	// Under the session's lock.
	dead bool
	// holds counts the readings and replays that are not delivered yet. Until none is left live
	// events wait in early, which is bounded like the session's queue.
	holds int
	early queue.Queue
	// confirmed says that a subscribe was answered: from then on the client is promised every
	// event.
	confirmed bool
	next      *reading // asked for and not begun; nil when there is none
	queued    bool     // waits for Latest or is at it
	upTo      uint64   // the order up to which missed events were replayed
	// caughtUp says that some were, so that of what Latest returns only what is newer is news.
	caughtUp bool
}

// ask is one name of a subscribe: what was granted and what is to be replayed.
type ask struct {
	name     string
	grant    Grant
	numbered bool
	// The number after which events were missed; nil when nothing is to be replayed.
	missed *uint64
}

// subscribe adds subscriptions that were granted, or renews the ones that are there, and ties the
// confirmation to what has to be read for them. What it returns as gone has to leave the hub: it is
// fed by another stream now. It reports false for a session that is over.
func (s *session) subscribe(asks []ask, c *confirmation) (changed subscribed, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return subscribed{}, false
	}
	s.unconfirmed++
	for _, a := range asks {
		stream := a.grant.Stream
		if stream == "" {
			stream = a.name
		}
		sub := s.subs[a.name]
		if sub != nil && (sub.stream != stream || sub.numbered != a.numbered) {
			sub.dead = true
			changed.gone = append(changed.gone, sub)
			sub = nil
		}
		if sub == nil {
			sub = &subscription{
				sess:     s,
				name:     strings.Clone(a.name), // the name is part of a whole body
				stream:   stream,
				pattern:  !protocol.ValidName(a.name),
				numbered: a.numbered,
			}
			s.subs[sub.name] = sub
		}
		sub.grant = a.grant
		if a.grant.EndsOnce {
			s.srv.receipts.add(Note{What: NoteSubscribed, Session: s.id, Audience: a.grant.Audience})
		}
		// Live events are held from here on: the subscription enters the hub after this, so none of
		// them can slip past what is replayed and read.
		if a.missed != nil {
			sub.holds++
			c.gaps = append(c.gaps, gap{sub: sub, after: *a.missed, live: s.srv.history.Now()})
		}
		if s.askLocked(sub, queue.Subscribe, c) {
			changed.read = append(changed.read, sub)
		}
		changed.subs = append(changed.subs, sub)
	}
	s.markIdleLocked()
	return changed, true
}

// subscribed is what a subscribe changed.
type subscribed struct {
	subs []*subscription // which have to be in the hub
	gone []*subscription // which have to leave it
	read []*subscription // which have to be enqueued for Latest once they are in the hub
}

// lost reports whether a subscription has ended.
func (s *session) lost(sub *subscription) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return sub.dead
}

// hasRoom reports whether the session may have these subscriptions beside those it has.
func (s *session) hasRoom(names []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.subs)
	added := make(map[string]bool)
	for _, name := range names {
		if s.subs[name] == nil && !added[name] {
			added[name] = true
			n++
		}
	}
	return n <= s.srv.opt.MaxSubscriptions
}

// unsubscribe removes names and returns what has to leave the hub.
func (s *session) unsubscribe(names []string) []*subscription {
	s.mu.Lock()
	defer s.mu.Unlock()
	var subs []*subscription
	for _, name := range names {
		if sub := s.subs[name]; sub != nil {
			sub.dead = true
			delete(s.subs, name)
			subs = append(subs, sub)
		}
	}
	s.markIdleLocked()
	return subs
}

// drop removes one subscription whose grant has ended, unless it was replaced meanwhile, and what
// waits for delivery on it: the right to see that has ended too.
func (s *session) drop(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.dead = true
	if s.subs[sub.name] == sub {
		delete(s.subs, sub.name)
		s.out.Drop(func(name string) bool {
			return name == sub.name || sub.pattern && s.subs[name] == nil &&
				slices.Contains(protocol.PatternsOf(nil, name), sub.name)
		})
	}
	s.markIdleLocked()
}

// check is a subscription whose grant can end.
type check struct {
	sub   *subscription
	valid func() bool
}

// checked returns the session's subscriptions whose grants have to be asked whether they are valid.
// The asking is the caller's, without the lock, since a grant may have to wait.
func (s *session) checked() []check {
	s.mu.Lock()
	defer s.mu.Unlock()
	var checks []check
	for _, sub := range s.subs {
		if sub.grant.Valid != nil {
			checks = append(checks, check{sub, sub.grant.Valid})
		}
	}
	return checks
}
