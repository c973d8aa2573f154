package bayeux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// TestNothingIsLostUnderTraffic has clients on both transports, whose connections break again and
// again, count what they get while others come and go.
func TestNothingIsLostUnderTraffic(t *testing.T) {
	const messages = 400
	s := start(t, Options{QueueMessages: 2 * messages, ProofAfter: 5 * time.Millisecond})
	var work sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		ids[i] = s.handshake("")
		s.subscribe(ids[i], "/a")
	}
	for _, id := range ids[:4] {
		work.Go(func() { receiveByPolling(t, s, id, messages) })
	}
	for _, id := range ids[4:] {
		work.Go(func() { receiveBySockets(t, s, id, messages) })
	}
	ctx, cancel := context.WithCancel(t.Context())
	var passers sync.WaitGroup
	for range 2 {
		passers.Go(func() {
			for ctx.Err() == nil {
				id := s.handshake("")
				s.subscribe(id, "/a", "/b")
				s.unsubscribe(id, "/b")
				s.post(`{"channel":"/meta/disconnect","clientId":"` + id + `"}`)
			}
		})
	}
	for i := range messages {
		s.publish(say("/a", fmt.Sprint(i)))
		if i%5 == 0 {
			// A pause of one round trip, so that polls and sockets come and go in between.
			s.post(`[]`)
		}
	}
	work.Wait()
	cancel()
	passers.Wait()
	if n := s.srv.Stats().Subscriptions; n != len(ids) {
		t.Errorf("%d subscriptions, want %d", n, len(ids))
	}
}

// inOrder checks one message after the other: repeats of what came before are allowed, gaps are
// not.
type inOrder struct{ next int }

func (o *inOrder) take(text string) error {
	var n int
	if _, err := fmt.Sscan(text, &n); err != nil {
		return err
	}
	if n > o.next {
		return fmt.Errorf("%d came where %d was due", n, o.next)
	}
	if n == o.next {
		o.next++
	}
	return nil
}

func receiveByPolling(t *testing.T, s *site, id string, messages int) {
	var o inOrder
	for turn := 0; o.next < messages; turn++ {
		if turn%3 == 0 { // a client that gives up at once; it asks again with the same id
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_, _ = s.tryPost(ctx, connectBody(id, fmt.Sprint(turn)))
			cancel()
		}
		replies, err := s.tryPost(t.Context(), connectBody(id, fmt.Sprint(turn)))
		if err != nil {
			t.Error(err)
			return
		}
		for _, d := range data(replies) {
			if err := o.take(d.(string)); err != nil {
				t.Errorf("polling: %v", err)
				return
			}
		}
	}
}

func receiveBySockets(t *testing.T, s *site, id string, messages int) {
	var o inOrder
	for o.next < messages {
		if err := oneSocket(s, id, &o, messages); err != nil {
			t.Errorf("websocket: %v", err)
			return
		}
	}
}

// oneSocket takes some frames from a socket and closes it.
func oneSocket(s *site, id string, o *inOrder, messages int) error {
	conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.url, "http"), nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(socketConnect(id, "1", ""))); err != nil {
		return err
	}
	for range 20 {
		var frame []object
		if err := conn.ReadJSON(&frame); err != nil {
			return err
		}
		for _, d := range data(frame) {
			if err := o.take(d.(string)); err != nil {
				return err
			}
		}
		if o.next == messages {
			return nil
		}
	}
	return nil
}

func TestClientThatNeverReadsItsRepliesIsCut(t *testing.T) {
	s := start(t, Options{QueueBytes: 1000, MaxBody: 1000, WriteTimeout: time.Hour})
	conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.url, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	question := []byte(`{"channel":"/x","id":"` + strings.Repeat("i", 250) + `"}`)
	for err == nil {
		err = conn.WriteMessage(websocket.TextMessage, question)
	}
	eventually(t, "the socket is cut", func() bool { return s.srv.Stats().Sockets == 0 })
}

func TestEndDoesNotWaitForASlowBody(t *testing.T) {
	s := start(t, Options{})
	conn, err := net.Dial("tcp", s.web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /faye HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 12)
	// The handler reads the body now.
	if _, err := io.ReadFull(conn, b); err != nil || string(b) != "HTTP/1.1 100" {
		t.Fatalf("%s %v", b, err)
	}
	begin := time.Now()
	s.end()
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("the end took %v", took)
	}
	if _, err := io.WriteString(conn, "[]"); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(io.LimitReader(conn, 40))
	if err != nil || !strings.Contains(string(rest), "503") {
		t.Errorf("the body that came late is answered %q %v", rest, err)
	}
}

func TestHeldBackEventsAreBounded(t *testing.T) {
	s := start(t, Options{QueueMessages: 50, CoalesceAfter: 10})
	g := newGate()
	s.door.set(func() { s.door.latest = g.latest })
	steps, plain := s.handshake(""), s.handshake("")
	first := s.subscribeAsync(steps, "/a")
	<-g.entered
	second := s.subscribeAsync(plain, "/b")
	<-g.entered
	for i := range uint64(1000) {
		s.publish(step("/a", "j", i+1, i == 999))
		s.publish(say("/b", "x"))
	}
	if s.srv.session(plain) != nil {
		t.Error("events that can't be coalesced are held without bound")
	}
	g.leave <- struct{}{}
	g.leave <- struct{}{}
	<-first
	<-second
	got := s.poll(steps, "1")
	if len(got) > 20 || got[len(got)-1] != "j1000!" {
		t.Errorf("%d events, the last %v", len(got), got[len(got)-1])
	}
}

// bound is a door that knows whose credentials come with a message.
type bound struct{ *door }

func (bound) Matches(_ context.Context, r Request, p Principal) bool {
	if c, err := r.HTTP.Cookie("who"); err == nil && r.CookieCounts && c.Value != p.ID {
		return false
	}
	return r.Ext == nil || strings.Contains(string(r.Ext), `"`+p.ID+`"`)
}

func TestClientIDIsBoundToItsPrincipal(t *testing.T) {
	s := startAs(t, Options{}, func(d *door) Authorizer { return bound{d} })
	id := s.handshake("ann")
	for _, row := range []struct {
		ext string
		ok  bool
	}{{"", true}, {`,"ext":{"token":"ann"}`, true}, {`,"ext":{"token":"eve"}`, false}} {
		for _, m := range []string{
			`"channel":"/meta/connect","connectionType":"long-polling","advice":{"timeout":0}`,
			`"channel":"/meta/subscribe","subscription":"/secret/1"`, `"channel":"/meta/unsubscribe","subscription":"/a"`,
		} {
			r := s.post(`{` + m + `,"clientId":"` + id + `"` + row.ext + `}`)[0]
			if r["successful"] != row.ok || !row.ok && r["error"] != "401:"+id+":Unknown client" {
				t.Errorf("%s with %s: %v", m, row.ext, r)
			}
		}
	}
	if r := s.post(`{"channel":"/meta/disconnect","clientId":"` + id + `","ext":{"token":"eve"}}`)[0]; r["successful"] != false {
		t.Error("a stranger ends the session:", r)
	}
}

func TestFailedBusEndsRun(t *testing.T) {
	broken := errors.New("no bus")
	srv, err := New(&door{}, failingBus{broken}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Run(t.Context()); !errors.Is(err, broken) {
		t.Errorf("Run: %v", err)
	}
	http.DefaultClient.CloseIdleConnections()
}

type failingBus struct{ err error }

func (failingBus) Publish(context.Context, Event) error { return nil }

func (b failingBus) Run(context.Context, func(Event), func()) error { return b.err }
