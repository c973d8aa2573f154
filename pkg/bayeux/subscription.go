package bayeux

import (
	"context"
	"log/slog"
	"strings"
	"sync"
)

// subscription is one channel name or pattern of one session.
type subscription struct {
	sess    *session
	name    string
	stream  string
	pattern bool
	// numbered says that its deliveries carry their positions, for a client that will ask for what it missed.
	numbered bool
	grant    Grant

	group    *group // the hub's, under its shard's lock
	position int

	// Under the session's lock.
	dead    bool
	holding bool   // live events wait in early until Latest is delivered
	early   queue  // bounded like the session's queue
	queued  bool   // waits for Latest or is at it
	wanted  source // the strongest kind of Latest that was asked for and not begun; live means none
	upTo    uint64 // the position up to which missed events were replayed
	// caughtUp says that some were, so that of what Latest returns only what is newer is news.
	caughtUp bool
}

// ask is one name of a subscribe: what was granted and what is to be replayed.
type ask struct {
	name     string
	grant    Grant
	numbered bool
	missed   *gap
}

// subscribe adds subscriptions that were granted, or renews the ones that are there. What it returns as gone has to leave the
// hub: it is fed by another stream now. It reports false for a session that is over.
func (s *session) subscribe(asks []ask) (subs, gone []*subscription, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, false
	}
	for _, a := range asks {
		stream := a.grant.Stream
		if stream == "" {
			stream = a.name
		}
		sub := s.subs[a.name]
		if sub != nil && (sub.stream != stream || sub.numbered != a.numbered) {
			sub.dead = true
			gone = append(gone, sub)
			sub = nil
		}
		if sub == nil {
			sub = &subscription{sess: s, name: strings.Clone(a.name), stream: stream, pattern: !validName(a.name), numbered: a.numbered}
			// Live events wait for Latest from the start: the subscription is not in the hub yet, so none can slip past.
			sub.holding = a.grant.Latest != nil
			s.subs[sub.name] = sub
		}
		sub.grant = a.grant
		sub.holding = sub.holding || a.missed != nil
		subs = append(subs, sub)
	}
	return subs, gone, true
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
	return subs
}

// drop removes one subscription unless it was replaced meanwhile.
func (s *session) drop(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub.dead = true
	if s.subs[sub.name] == sub {
		delete(s.subs, sub.name)
	}
}

// latest runs the calls of Grant.Latest, a bounded number at once.
type latest struct {
	srv     *Server
	mu      sync.Mutex
	waiting []*subscription // each subscription at most once
	workers int
}

// ask has Latest called for the subscription and its events delivered; with mode subscribe live events wait for them.
func (l *latest) ask(sub *subscription, mode source) {
	s := sub.sess
	s.mu.Lock()
	if sub.grant.Latest == nil || sub.dead || s.closed {
		s.mu.Unlock()
		return
	}
	if mode == subscribe {
		sub.holding = true
	}
	sub.wanted = max(sub.wanted, mode)
	enqueue := !sub.queued
	sub.queued = true
	s.mu.Unlock()
	if enqueue {
		l.enqueue(sub)
	}
}

func (l *latest) enqueue(sub *subscription) {
	l.mu.Lock()
	l.waiting = append(l.waiting, sub)
	start := l.workers < l.srv.opt.LatestWorkers && l.srv.begin()
	if start {
		l.workers++
	}
	l.mu.Unlock()
	if start {
		go l.work()
	}
}

// work serves waiting subscriptions until there are none.
func (l *latest) work() {
	defer l.srv.finish()
	for {
		l.mu.Lock()
		if len(l.waiting) == 0 || l.srv.life.Err() != nil {
			l.waiting = nil
			l.workers--
			l.mu.Unlock()
			return
		}
		sub := l.waiting[0]
		l.waiting[0] = nil
		l.waiting = l.waiting[1:]
		l.mu.Unlock()
		l.serve(sub)
	}
}

func (l *latest) serve(sub *subscription) {
	s := sub.sess
	s.mu.Lock()
	mode, call := sub.wanted, sub.grant.Latest
	sub.wanted = live
	if sub.caughtUp {
		mode, sub.caughtUp = resync, false
	}
	s.mu.Unlock()

	var events []Event
	if call != nil {
		events = l.call(sub, call)
	}
	entries := l.srv.entriesOf(sub, events)
	if most := s.limits().half().newest(entries); len(most) < len(entries) {
		l.srv.notes.say(slog.LevelWarn, "bayeux: latest state larger than half a queue, only its newest is delivered", "channel", firstSegment(sub.name))
		entries = most // all of it would end the session, and the client's next one would get the same again
	}

	s.mu.Lock()
	fits := s.presentLocked(sub, entries, mode)
	again := sub.wanted != live && !sub.dead
	sub.queued = again
	s.mu.Unlock()
	if !fits {
		l.srv.destroy(s, overflowed, "queue overflow")
	}
	if again {
		l.enqueue(sub)
	}
}

func (l *latest) call(sub *subscription, call func(context.Context) ([]Event, error)) []Event {
	ctx, cancel := context.WithTimeout(l.srv.life, l.srv.opt.LatestTimeout)
	defer cancel()
	events, err := call(ctx)
	if err != nil {
		l.srv.notes.say(slog.LevelWarn, "bayeux: latest state unavailable, live events only", "channel", firstSegment(sub.name), "error", err)
		return nil
	}
	return events
}

// presentLocked delivers what Latest returned, then what came meanwhile.
func (s *session) presentLocked(sub *subscription, entries []entry, mode source) bool {
	if s.closed || sub.dead {
		return true
	}
	fits := true
	for _, e := range entries {
		fits = s.admitLocked(e, mode) && fits
	}
	if sub.wanted == subscribe {
		return fits // held on for the next call
	}
	return s.resumeLocked(sub) && fits
}

// resumeLocked delivers the live events that waited and lets later ones pass.
func (s *session) resumeLocked(sub *subscription) bool {
	if !sub.holding {
		return true
	}
	fits := true
	sub.holding = false
	early := sub.early.items
	sub.early = queue{}
	for _, e := range early {
		if e.replayed(sub) {
			continue
		}
		fits = s.admitLocked(e, live) && fits
	}
	return fits
}

// replayed reports whether a live event was part of what was replayed.
func (e *entry) replayed(sub *subscription) bool { return e.position != 0 && e.position <= sub.upTo }

// check is a subscription whose grant can end.
type check struct {
	sub   *subscription
	valid func() bool
}

// checked returns the session's subscriptions whose grants have to be asked whether they are valid.
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
