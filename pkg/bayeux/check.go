package bayeux

import (
	"context"
	"sync"
	"time"
)

// checkWorkers is the number of sessions that are checked at once.
const checkWorkers = 8

// checkLoop asks every CheckEvery whether sessions and subscriptions are still allowed.
func (s *Server) checkLoop(ctx context.Context) {
	ticker := time.NewTicker(s.opt.CheckEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.check(ctx)
			s.history.Trim()
			s.sweepAddresses()
			s.sweepOverflows(time.Now())
			s.log.Flush(time.Now())
		}
	}
}

func (s *Server) check(ctx context.Context) {
	sessions := s.allSessions()
	// Several at once: a Grant.Valid may have to wait for somebody, and what it says should be
	// known soon.
	next := make(chan *session)
	var work sync.WaitGroup
	for range min(checkWorkers, len(sessions)) {
		work.Go(func() {
			for sess := range next {
				s.checkSession(ctx, sess)
			}
		})
	}
	for _, sess := range sessions {
		if ctx.Err() != nil {
			break
		}
		next <- sess
	}
	close(next)
	work.Wait()
}

func (s *Server) checkSession(ctx context.Context, sess *session) {
	if !s.alive(ctx, sess) {
		if ctx.Err() == nil {
			s.destroy(sess, destroyed, "principal no longer valid")
		}
		return
	}
	for _, sub := range sess.checked() {
		if !sub.valid() {
			sub.sub.sess.drop(sub.sub)
			s.hub.remove(sub.sub)
		}
	}
}

// alive reports whether the session's principal may go on.
func (s *Server) alive(ctx context.Context, sess *session) bool {
	if end := sess.principal.Expires; !end.IsZero() && !time.Now().Before(end) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, s.opt.AuthTimeout)
	defer cancel()
	return s.auth.Alive(ctx, sess.principal)
}
