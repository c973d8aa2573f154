package bayeux

import (
	"context"
	"log/slog"
	"time"
)

// noteQueue is how many notes may wait for the Memory. When it is full they are dropped: then an
// end may be replayed to a session more or less, which is better than to wait for a store.
const noteQueue = 4096

// receipts collects what the sessions of this server have received and hands it to the Memory, if
// the bus is one.
type receipts struct {
	srv     *Server
	shared  Memory // nil when the bus is none
	local   memory // for when the shared one is away
	waiting chan queuedNote
}

// queuedNote is a note, or the wish to know that all before it were passed on.
type queuedNote struct {
	note   Note
	passed chan<- struct{}
}

func newReceipts(s *Server) *receipts {
	shared, _ := s.bus.(Memory)
	return &receipts{srv: s, shared: shared, waiting: make(chan queuedNote, noteQueue)}
}

// add records a note. It does not block, and may be called with a session's lock.
func (r *receipts) add(n Note) {
	_ = r.local.Remember(context.Background(), []Note{n}) // in memory, which can't fail
	if r.shared == nil {
		return
	}
	select {
	case r.waiting <- queuedNote{note: n}:
	default: // see noteQueue
		r.srv.log.Log(slog.LevelWarn, "bayeux: receipts are dropped, the shared memory is too slow")
	}
}

// run passes notes on until ctx ends.
func (r *receipts) run(ctx context.Context) {
	if r.shared == nil {
		return
	}
	ticker := time.NewTicker(SubscribedFor / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.pass(ctx, r.srv.subscribersOnce())
		case first := <-r.waiting:
			r.passQueued(ctx, first)
		}
	}
}

// passQueued passes on what waits, at most a full queue.
func (r *receipts) passQueued(ctx context.Context, first queuedNote) {
	var notes []Note
	var passed []chan<- struct{}
	for q := first; ; q = <-r.waiting {
		if q.passed != nil {
			passed = append(passed, q.passed)
		} else {
			notes = append(notes, q.note)
		}
		if len(r.waiting) == 0 || len(notes) == noteQueue {
			break
		}
	}
	r.pass(ctx, notes)
	for _, done := range passed {
		close(done)
	}
}

func (r *receipts) pass(ctx context.Context, notes []Note) {
	if len(notes) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, r.srv.opt.LatestTimeout)
	defer cancel()
	if err := r.shared.Remember(ctx, notes); err != nil {
		r.srv.log.Log(slog.LevelWarn, "bayeux: receipts are known to this server only", "error", err)
	}
}

// received reports for each end whether its audience has received it, as all servers know it, or
// this one when the others can't be asked.
func (r *receipts) received(ctx context.Context, ends []End) []bool {
	if r.shared != nil && r.flush(ctx) {
		answers, err := r.shared.Received(ctx, ends)
		if err == nil {
			return answers
		}
		r.srv.log.Log(slog.LevelWarn, "bayeux: receipts of other servers unknown", "error", err)
	}
	answers, _ := r.local.Received(ctx, ends) // in memory, which can't fail
	return answers
}

// flush waits until what was noted before is with the Memory, and reports whether it is.
func (r *receipts) flush(ctx context.Context) bool {
	if r.shared == nil {
		return true
	}
	passed := make(chan struct{})
	select {
	case r.waiting <- queuedNote{passed: passed}:
	case <-ctx.Done():
		return false
	}
	select {
	case <-passed:
		return true
	case <-ctx.Done():
		return false
	}
}

// subscribersOnce are notes about all sessions that get ends once.
func (s *Server) subscribersOnce() []Note {
	var notes []Note
	for _, sess := range s.allSessions() {
		sess.mu.Lock()
		for _, sub := range sess.subs {
			if sub.grant.EndsOnce {
				notes = append(notes, Note{What: NoteSubscribed, Session: sess.id, Audience: sub.grant.Audience})
			}
		}
		sess.mu.Unlock()
	}
	return notes
}

// left notes that a client has given subscriptions up.
func (s *Server) left(subs []*subscription) {
	for _, sub := range subs {
		if sub.grant.EndsOnce {
			s.receipts.add(Note{What: NoteUnsubscribed, Session: sub.sess.id, Audience: sub.grant.Audience})
		}
	}
}

// lost notes that a client will come back with a new session.
func (s *Server) lost(sessionID string) {
	s.receipts.add(Note{What: NoteLost, Session: sessionID})
}
