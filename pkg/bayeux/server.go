package bayeux

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"exporthub/pkg/bayeux/internal/history"
	"exporthub/pkg/bayeux/internal/protocol"
	"exporthub/pkg/bayeux/internal/queue"
	"exporthub/pkg/bayeux/internal/ratelog"
	"exporthub/pkg/bayeux/internal/timer"
)

// Server is a Bayeux endpoint: an http.Handler, and Run, which owns everything that goes on behind
// it.
type Server struct {
	opt      Options
	auth     Authorizer
	bus      Bus
	static   map[string]*asset
	hub      *hub
	history  *history.History
	clock    *timer.Clock
	latest   latest
	log      *ratelog.Logger
	receipts *receipts
	unread   unread
	batches  batches

	life    context.Context // ends with Run; for what no request's context covers
	endLife context.CancelFunc

	mu        sync.RWMutex
	sessions  map[string]*session
	anonymous anonymous
	owners    map[string]int // sessions per Principal.ID
	sockets   map[*socket]struct{}
	addresses map[string]*address
	// clientIds of sessions that overflowed lately, and until when they are kept.
	overflows map[string]time.Time
	places    int // taken by sockets, of which some may be opening
	// Sockets that carry no session, oldest first.
	loose   list.List
	peaks   struct{ sessions, owners, sockets, addresses int }
	running bool
	ended   bool
	// Requests, sockets and calls of Latest; nothing is added once ended is true.
	work sync.WaitGroup
}

// Stats are a server's present numbers.
type Stats struct {
	Sessions      int // that shook hands and have not ended
	Sockets       int // open websockets
	Subscriptions int
}

// TimerStats are the numbers of the one goroutine that fires all timers of a server: how many it
// fired, and the longest that one of them held up the others.
type TimerStats struct {
	Fired   uint64
	Slowest time.Duration
}

// Timers returns the timers' numbers since the server was made.
func (s *Server) Timers() TimerStats { return TimerStats(s.clock.Stats()) }

// New makes a server. It serves from the start, but nothing is delivered and nothing expires until
// Run is called.
func New(auth Authorizer, bus Bus, opt Options) (*Server, error) {
	if auth == nil || bus == nil {
		return nil, errors.New("bayeux: a server needs an Authorizer and a Bus")
	}
	opt, err := opt.withDefaults()
	if err != nil {
		return nil, err
	}
	static, err := loadAssets(opt.Client)
	if err != nil {
		return nil, err
	}
	s := &Server{
		opt:    opt,
		auth:   auth,
		bus:    bus,
		static: static,
		hub:    newHub(),
		clock:  timer.NewClock(),
		log:    ratelog.New(opt.Logger),
		history: history.New(history.Limits{
			PerStream: max(0, opt.ReplayEvents),
			Bytes:     opt.ReplayBytes,
			Keep:      opt.ReplayFor,
		}),
		sessions:  make(map[string]*session),
		owners:    make(map[string]int),
		sockets:   make(map[*socket]struct{}),
		addresses: make(map[string]*address),
		overflows: make(map[string]time.Time),
	}
	s.latest.srv = s
	s.unread.max, s.unread.perAddress = opt.MaxUnread, opt.MaxUnreadPerAddress
	s.receipts = newReceipts(s)
	s.life, s.endLife = context.WithCancel(context.Background())
	return s, nil
}

// Run carries events from the bus to sessions and keeps time, until ctx ends or the bus fails. Then
// held connects are answered with advice to come back after a random part of Options.DrainSpread,
// sockets are closed with 1001, later requests get 503, and Run returns when everything the server
// started has ended. It can be called once.
func (s *Server) Run(ctx context.Context) error {
	s.mu.Lock()
	again := s.running || s.ended
	s.running = true
	s.mu.Unlock()
	if again {
		return errors.New("bayeux: Run was called before")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Sockets need the time until the last has gone.
	clockCtx, stopClock := context.WithCancel(context.WithoutCancel(ctx))
	defer stopClock()

	var tasks, timekeeper sync.WaitGroup
	var failure error
	tasks.Go(func() {
		defer cancel() // without its bus the server is of no use
		if err := s.bus.Run(ctx, s.deliver, s.resync); err != nil && ctx.Err() == nil {
			failure = err
		}
	})
	tasks.Go(func() { s.checkLoop(ctx) })
	tasks.Go(func() { s.receipts.run(ctx) })
	timekeeper.Go(func() { s.clock.Run(clockCtx) })

	<-ctx.Done()
	s.drain()
	tasks.Wait()
	stopClock()
	timekeeper.Wait()
	s.log.Flush(time.Now().Add(ratelog.Pause))
	return failure
}

// drain says goodbye to every client and waits for all work to end.
func (s *Server) drain() {
	s.mu.Lock()
	s.ended = true
	sessions := make([]*session, 0, len(s.sessions))
	for _, sess := range s.sessions {
		sessions = append(sessions, sess)
	}
	sockets := make([]*socket, 0, len(s.sockets))
	for k := range s.sockets {
		sockets = append(sockets, k)
	}
	s.mu.Unlock()
	s.endLife()
	for _, sess := range sessions {
		s.destroy(sess, draining, "server ends")
	}
	for _, k := range sockets {
		k.close(draining)
	}
	done := make(chan struct{})
	go func() {
		s.work.Wait()
		close(done)
	}()
	timer := time.NewTimer(s.opt.DrainTimeout)
	defer timer.Stop()
	select {
	case <-done:
		return
	case <-timer.C:
	}
	for _, k := range sockets {
		k.cut()
	}
	<-done
}

// begin counts a piece of work that Run waits for, and reports false when the server has ended.
func (s *Server) begin() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.ended {
		return false
	}
	s.work.Add(1)
	return true
}

// over reports whether Run has ended or is about to.
func (s *Server) over() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ended
}

func (s *Server) finish() { s.work.Done() }

// Stats returns the present numbers.
func (s *Server) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return Stats{
		Sessions:      len(s.sessions),
		Sockets:       len(s.sockets),
		Subscriptions: int(s.hub.total.Load()),
	}
}

// allSessions returns the sessions of this moment.
func (s *Server) allSessions() []*session {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Collect(maps.Values(s.sessions))
}

func (s *Server) session(id string) *session {
	if id == "" || len(id) > maxClientID {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sessions[id]
}

var (
	errFull       = errors.New("too many sessions")
	errOwnerFull  = errors.New("too many sessions of one principal")
	errAddrFull   = errors.New("too many sessions of one address")
	errTooFast    = errors.New("too many handshakes")
	errServerDone = errors.New("server has ended")
)

// open makes a session for a principal at a network address. Where there is no room it gives up
// anonymous sessions that follow nothing.
func (s *Server) open(p Principal, addr string, acks bool) (*session, error) {
	sess := newSession(s, p)
	sess.addr = addr
	if acks {
		sess.acks = &queue.Batches{}
	}
	for {
		s.mu.Lock()
		full, err := s.roomLocked(p, addr)
		if err == nil {
			s.enterLocked(sess)
			s.mu.Unlock()
			return sess, nil
		}
		victim := oldestIdle(full)
		if victim != nil {
			s.busyLocked(victim) // no other handshake gives it up too
		}
		s.mu.Unlock()
		if victim == nil {
			return nil, err
		}
		s.giveUp(victim)
	}
}

// enterLocked counts a session for which there is room.
func (s *Server) enterLocked(sess *session) {
	s.sessions[sess.id] = sess
	if id := sess.principal.ID; id != "" {
		s.owners[id]++
	} else {
		s.anonymous.sessions++
		for _, a := range s.networksLocked(sess.addr) {
			a.sessions++
		}
		s.idleLocked(sess)
	}
	s.clock.Set(&sess.timer, sess.expireAt)
}

// destroy ends a session; the second call does nothing. It must not be called with a hub's or
// session's lock.
func (s *Server) destroy(sess *session, why ending, reason string) {
	subs, first := sess.close(why)
	if !first {
		return
	}
	for _, sub := range subs {
		s.hub.remove(sub)
	}
	s.clock.Stop(&sess.timer)
	s.unregister(sess)
	switch why {
	case overflowed:
		s.noteOverflow(sess.id)
		s.lost(sess.id)
	case disconnected:
		s.left(subs)
	default:
		s.lost(sess.id)
	}
	s.opt.Logger.LogAttrs(context.Background(), slog.LevelDebug, "bayeux: session ended", slog.String("reason", reason))
}

// unregister takes a session that has ended out of the counts.
func (s *Server) unregister(sess *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, sess.id)
	s.sessions = shrunk(s.sessions, &s.peaks.sessions)
	if id := sess.principal.ID; id != "" {
		if s.owners[id]--; s.owners[id] == 0 {
			delete(s.owners, id)
			s.owners = shrunk(s.owners, &s.peaks.owners)
		}
		return
	}
	s.busyLocked(sess)
	s.anonymous.sessions--
	for _, a := range s.networksLocked(sess.addr) {
		a.sessions--
		s.leaveLocked(a, time.Now())
	}
}

// drainAdvice spreads the clients of a server that ends.
func (s *Server) drainAdvice() *protocol.Advice {
	return protocol.RetryAdvice(s.drainPause(), s.opt.Timeout)
}

// later is when a client whose trouble may have passed is advised to come back, each at a time of
// its own.
func (s *Server) later() time.Duration { return s.opt.RetryAfter + rand.N(s.opt.RetryAfter+1) }

func (s *Server) drainPause() time.Duration { return rand.N(s.opt.DrainSpread + 1) }
