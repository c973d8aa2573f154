package bayeux

import (
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
	s.clock.Set(&k.timer, now.Add(min(s.opt.PingEvery, s.opt.IdleSocket)))
	go k.read() // on a small stack of its own, and net/http's goroutine with its buffers goes
}

// reserveSocket takes a place for a socket of an address, before it is opened, and reports false
// when there is none.
func (s *Server) reserveSocket(addr string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.places >= s.opt.MaxSockets {
		return false
	}
	if a := s.addresses[addr]; a != nil && a.sockets >= s.opt.MaxSocketsPerAddress {
		return false
	}
	s.places++
	s.addressLocked(addr).sockets++
	return true
}

// releaseSocket frees the place.
func (s *Server) releaseSocket(addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places--
	s.addressLocked(addr).sockets--
	s.leaveLocked(addr, time.Now())
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
	s.mu.Unlock()
	s.releaseSocket(k.addr)
	s.finish()
}
