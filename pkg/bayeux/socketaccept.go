package bayeux

import (
	"container/list"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// upgrader keeps little per connection: idle sockets are many. Origins are judged before.
var upgrader = websocket.Upgrader{
	HandshakeTimeout: 10 * time.Second,
	ReadBufferSize:   1024,
	WriteBufferSize:  4096,
	WriteBufferPool:  &sync.Pool{},
	CheckOrigin:      func(*http.Request) bool { return true },
	Error: func(w http.ResponseWriter, _ *http.Request, status int, _ error) {
		plain(w, status, http.StatusText(status))
	},
}

func (s *Server) serveSocket(w http.ResponseWriter, r *http.Request, o origin) {
	addr := s.opt.Address(r)
	if !s.reserveSocket(addr) {
		s.unavailable(w)
		return
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		s.releaseSocket(addr)
		return // answered by the upgrader
	}
	// A copy without what belongs to the connection's HTTP days, which would otherwise be kept
	// alive with it.
	req := (&http.Request{
		Method: r.Method, URL: r.URL, Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor,
		Header: r.Header, Host: r.Host, RemoteAddr: r.RemoteAddr, RequestURI: r.RequestURI, TLS: r.TLS, Body: http.NoBody,
	}).WithContext(s.life)
	now := time.Now()
	k := &socket{
		srv:       s,
		conn:      conn,
		addr:      addr,
		req:       Request{HTTP: req, CookieCounts: o.cookieCounts},
		idleSince: now,
		pingAt:    now.Add(s.opt.PingEvery),
	}
	k.timer.Fire = k.onTimer
	if !s.addSocket(k) {
		s.releaseSocket(addr)
		k.cut()
		return
	}
	s.loosen(k)
	s.clock.Set(&k.timer, now.Add(min(s.opt.PingEvery, s.opt.IdleSocket)))
	go k.read() // on a small stack of its own, and net/http's goroutine with its buffers goes
}

// reserveSocket takes a place for a socket of an address, before it is opened, and reports false
// when there is none. Where all are taken it closes the oldest socket that carries no session.
func (s *Server) reserveSocket(addr string) bool {
	s.mu.Lock()
	var victim *socket
	if full := s.socketsFullLocked(addr); full != nil {
		if victim = oldestLoose(full); victim == nil {
			s.mu.Unlock()
			return false
		}
		s.tieLocked(victim)
		s.vacateLocked(victim)
	}
	s.places++
	for _, a := range s.networksLocked(addr) {
		a.sockets++
	}
	s.mu.Unlock()
	if victim != nil {
		victim.cut()
	}
	return true
}

// socketsFullLocked returns nil where there is room for another socket of an address, else the
// sockets of which one would have to go. The narrowest bound comes first: a place in it is one in
// all others.
func (s *Server) socketsFullLocked(addr string) *list.List {
	for i, a := range s.knownLocked(addr) {
		if a != nil && a.sockets >= s.opt.MaxSocketsPerAddress*networkFactor[i] {
			return &a.loose
		}
	}
	if s.places >= s.opt.MaxSockets {
		return &s.loose
	}
	return nil
}

// vacateLocked gives the place of an open socket back, once.
func (s *Server) vacateLocked(k *socket) {
	if !k.vacated {
		k.vacated = true
		s.releaseLocked(k.addr)
	}
}

// releaseSocket gives back the place of a socket that did not open.
func (s *Server) releaseSocket(addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releaseLocked(addr)
}

func (s *Server) releaseLocked(addr string) {
	s.places--
	for _, a := range s.networksLocked(addr) {
		a.sockets--
		s.leaveLocked(a, time.Now())
	}
}

// addSocket counts the socket and its reader as work, and reports false when the server has ended.
func (s *Server) addSocket(k *socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.sockets[k] = struct{}{}
	s.work.Add(1)
	return true
}

func (s *Server) removeSocket(k *socket) {
	s.clock.Stop(&k.timer)
	s.mu.Lock()
	delete(s.sockets, k)
	s.sockets = shrunk(s.sockets, &s.peaks.sockets)
	s.tieLocked(k)
	s.vacateLocked(k)
	s.mu.Unlock()
	s.finish()
}
