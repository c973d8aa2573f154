package httpapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/go-chi/chi/v5"
)

// bodyServer serves a route whose handler waits until the test lets it go on.
type bodyServer struct {
	t      *testing.T
	h      http.Handler
	opts   Options
	inside chan struct{} // gets one for each body that was read
	leave  chan struct{}
	wg     sync.WaitGroup
}

func newBodyServer(t *testing.T) *bodyServer {
	s := &bodyServer{t: t, inside: make(chan struct{}, 100), leave: make(chan struct{})}
	s.opts = Options{Logger: quiet(), BodyMemory: BodyMemory{
		All:        1 << 20,
		PerAddress: 300 << 10,
		Address: func(r *http.Request) netip.Addr {
			addr, _ := netip.ParseAddr(r.RemoteAddr)
			return addr
		},
	}}
	router := chi.NewRouter()
	Mount(router, []Route{Handle("POST", "/api/any", Native, Public, Doc{},
		func(context.Context, struct {
			Text string `json:"text"`
		}) (struct{}, error) {
			s.inside <- struct{}{}
			<-s.leave
			return struct{}{}, nil
		})}, s.opts)
	s.h = router
	return s
}

// post sends a body of so many bytes and returns the status.
func (s *bodyServer) post(from string, size int) int {
	const frame = len(`{"text":""}`)
	body := io.LimitReader(strings.NewReader(`{"text":"`+strings.Repeat("x", size-frame)+`"}`), int64(size))
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodPost, "/api/any", body)
	r.ContentLength = -1 // it says nothing beforehand
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = from
	w := httptest.NewRecorder()
	s.h.ServeHTTP(w, r)
	return w.Code
}

// hold sends a body that stays in memory until release.
func (s *bodyServer) hold(from string, size int) {
	s.wg.Go(func() {
		if status := s.post(from, size); status != http.StatusOK && status != http.StatusNoContent {
			s.t.Errorf("a body of %d bytes from %s: %d", size, from, status)
		}
	})
	<-s.inside
}

func (s *bodyServer) release() {
	close(s.leave)
	s.wg.Wait()
}

// Bodies in memory are bounded by address, by /48 and in all; small ones are taken all the same,
// and what was held is free again afterwards.
func TestBodiesInMemoryAreBounded(t *testing.T) {
	s := newBodyServer(t)
	const size = 200 << 10
	s.hold("2001:db8:1:1::1", size)
	if status := s.post("2001:db8:1:1::2", size); status != http.StatusTooManyRequests {
		t.Errorf("a second body of one /64: %d, want 429", status)
	}
	s.hold("2001:db8:1:2::1", size)
	s.hold("2001:db8:1:3::1", size)
	if status := s.post("2001:db8:1:4::1", size); status != http.StatusTooManyRequests {
		t.Errorf("a fourth body of one /48: %d, want 429", status)
	}
	s.hold("192.0.2.1", size)
	s.hold("192.0.2.2", size)
	if status := s.post("192.0.2.3", size); status != http.StatusServiceUnavailable {
		t.Errorf("a body beyond the bound of all: %d, want 503", status)
	}
	s.hold("192.0.2.3", freeBody) // as a login is
	s.hold("2001:db8:1:1::1", freeBody)
	s.release()

	s.leave = make(chan struct{})
	close(s.leave)
	for i := range 4 {
		if status := s.post(fmt.Sprintf("192.0.2.%d", i), size); status != http.StatusNoContent && status != http.StatusOK {
			t.Errorf("after everything has ended: %d", status)
		}
	}
}

// What was taken is given back whatever became of the request, and no address stays in the table.
func TestHeldBodiesAreGivenBack(t *testing.T) {
	held := newHeldBodies(BodyMemory{All: 1 << 20, PerAddress: 100 << 10})
	from := netip.MustParseAddr("2001:db8::1")
	for range 50 {
		b := &heldBody{ReadCloser: io.NopCloser(strings.NewReader(strings.Repeat("x", 300<<10))), held: held, from: from}
		if _, err := io.ReadAll(b); err == nil {
			t.Fatal("a body beyond the bound was read")
		}
		b.end()
		b.end()
	}
	if held.all != 0 || len(held.nets) != 0 {
		t.Errorf("%d bytes of %d networks are left", held.all, len(held.nets))
	}
}
