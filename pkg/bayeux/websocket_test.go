package bayeux

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// wire is a websocket client. Frames are read by its own goroutine, so that pings are answered.
type wire struct {
	t      testing.TB
	conn   *websocket.Conn
	frames chan []object // every frame that is a JSON array
	closed chan error    // the error that ended reading
	kept   []object      // of the last frame, not yet looked at
}

func (s *site) dial(header http.Header) *wire {
	s.t.Helper()
	conn, res, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.url, "http"), header)
	if err != nil {
		s.t.Fatalf("dial: %v %v", err, res)
	}
	w := &wire{t: s.t, conn: conn, frames: make(chan []object, 10_000), closed: make(chan error, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			_, body, err := conn.ReadMessage()
			if err != nil {
				w.closed <- err
				return
			}
			var frame []object
			if err := json.Unmarshal(body, &frame); err != nil {
				w.closed <- fmt.Errorf("frame %s: %w", body, err)
				return
			}
			w.frames <- frame
		}
	}()
	s.t.Cleanup(func() { conn.Close(); <-done })
	return w
}

func (w *wire) send(text string) {
	w.t.Helper()
	if err := w.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		w.t.Fatal(err)
	}
}

// next returns the next reply or delivery.
func (w *wire) next() object {
	w.t.Helper()
	for len(w.kept) == 0 {
		select {
		case w.kept = <-w.frames:
			continue
		default: // what came before the end counts first
		}
		select {
		case w.kept = <-w.frames:
		case err := <-w.closed:
			if len(w.frames) == 0 {
				w.t.Fatalf("closed: %v", err)
			}
			w.closed <- err
		case <-time.After(10 * time.Second):
			w.t.Fatal("nothing came")
		}
	}
	m := w.kept[0]
	w.kept = w.kept[1:]
	return m
}

// want checks the data of the next deliveries, passing over replies.
func (w *wire) want(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		m := w.next()
		for m["successful"] != nil {
			m = w.next()
		}
		if m["data"] != text {
			w.t.Fatalf("delivered %v, want %q", m, text)
		}
	}
}

// wantClose waits for the end of the connection, passing over frames.
func (w *wire) wantClose(code int) {
	w.t.Helper()
	select {
	case err := <-w.closed:
		if !websocket.IsCloseError(err, code) {
			w.t.Fatalf("closed with %v, want %d", err, code)
		}
	case <-time.After(10 * time.Second):
		w.t.Fatal("it is not closed")
	}
}

func socketConnect(id, msgID, advice string) string {
	return `{"channel":"/meta/connect","clientId":"` + id + `","connectionType":"websocket","id":"` + msgID + `"` + advice + `}`
}

// join makes a session whose connect this socket holds, and subscribes it.
func (s *site) join(w *wire, channels ...string) string {
	s.t.Helper()
	id := s.handshake("")
	w.send(socketConnect(id, "c", ""))
	if len(channels) > 0 {
		s.subscribe(id, channels...)
	}
	s.held(id)
	return id
}

func TestHandshakeAndAllOverTheSocket(t *testing.T) {
	s := start(t, Options{})
	w := s.dial(nil)
	w.send(`[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["websocket"],"id":"1"}]`)
	id, _ := w.next()["clientId"].(string)
	w.send(`[` + socketConnect(id, "2", `,"advice":{"timeout":0}`) + `]`)
	if r := w.next(); r["id"] != "2" || r["successful"] != true {
		t.Fatal(r)
	}
	w.send(`[` + socketConnect(id, "3", "") + `,{"channel":"/meta/subscribe","clientId":"` + id + `","subscription":"/a","id":"4"}]`)
	if r := w.next(); r["id"] != "4" || r["successful"] != true {
		t.Fatalf("the held connect must not hold up the subscribe: %v", r)
	}
	for i := range 100 {
		s.publish(say("/a", fmt.Sprint(i)))
	}
	for i := range 100 {
		w.want(fmt.Sprint(i))
	}
	w.send(`{"channel":"/meta/disconnect","clientId":"` + id + `","id":"5"}`)
	if r := w.next(); r["id"] != "5" || r["successful"] != true {
		t.Fatalf("the disconnect is answered before the close, not %v", r)
	}
	w.wantClose(websocket.CloseNormalClosure)
	eventually(t, "all is gone", func() bool { return s.srv.Stats() == Stats{} })
}

func TestSocketCarriesDeliveriesFromItsFirstConnect(t *testing.T) {
	s := start(t, Options{})
	w := s.dial(nil)
	id := s.handshake("")
	w.send(`{"channel":"/meta/subscribe","clientId":"` + id + `","subscription":"/a","id":"1"}`)
	if r := w.next(); r["successful"] != true {
		t.Fatal(r)
	}
	s.publish(say("/a", "before"))
	w.send(`[]`)
	select {
	case frame := <-w.frames:
		if len(frame) != 0 {
			t.Fatalf("a heartbeat is answered by one, not %v", frame)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the heartbeat is not answered")
	}
	w.send(socketConnect(id, "2", ""))
	w.want("before")
	s.publish(say("/a", "after"))
	w.want("after")
}

func TestSocketConnectEndsAfterTheTimeout(t *testing.T) {
	s := start(t, Options{Timeout: 30 * time.Millisecond, Expiry: time.Minute})
	w := s.dial(nil)
	id := s.join(w)
	if r := w.next(); r["id"] != "c" || r["successful"] != true {
		t.Fatal(r)
	}
	w.send(socketConnect(id, "d", ""))
	if r := w.next(); r["id"] != "d" || r["successful"] != true {
		t.Fatal(r)
	}
}

func TestSecondSocketConnectAnswersTheFirst(t *testing.T) {
	s := start(t, Options{})
	w := s.dial(nil)
	id := s.join(w)
	w.send(socketConnect(id, "d", ""))
	if r := w.next(); r["id"] != "c" || r["successful"] != true {
		t.Fatal(r)
	}
}

func TestClosedSocketLeavesTheSession(t *testing.T) {
	s := start(t, Options{})
	w := s.dial(nil)
	id := s.join(w, "/a")
	w.conn.Close()
	eventually(t, "the socket has gone", func() bool { return s.srv.Stats().Sockets == 0 })
	s.publish(say("/a", "x"))
	wantData(t, s.poll(id, "1"), texts("x"))
	w = s.dial(nil)
	s.publish(say("/a", "y"))
	w.send(socketConnect(id, "2", ""))
	w.want("y")
}

func TestNewSocketWins(t *testing.T) {
	s := start(t, Options{})
	older := s.dial(nil)
	id := s.join(older, "/a")
	newer := s.dial(nil)
	newer.send(socketConnect(id, "d", ""))
	if r := older.next(); r["id"] != "c" || r["successful"] != true {
		t.Fatalf("the old socket's connect is answered, not %v", r)
	}
	older.conn.Close()
	eventually(t, "the old socket has gone", func() bool { return s.srv.Stats().Sockets == 1 })
	s.publish(say("/a", "x"))
	newer.want("x")
}

func TestSocketMovesToAnotherSession(t *testing.T) {
	s := start(t, Options{})
	w := s.dial(nil)
	first := s.join(w, "/a")
	w.send(socketConnect("nobody", "x", ""))
	if r := w.next(); r["id"] != "x" || r["successful"] != false {
		t.Fatal(r)
	}
	s.publish(say("/a", "still mine")) // an unknown id must not take the socket away
	w.want("still mine")
	second := s.handshake("")
	s.subscribe(second, "/b")
	w.send(socketConnect(second, "d", ""))
	s.held(second)
	s.publish(say("/b", "b"))
	w.want("b")
	s.publish(say("/a", "a"))
	got := s.poll(first, "9") // ahead of it, perhaps, what no ping had asked for yet
	if got[len(got)-1] != "a" {
		t.Errorf("the first session queues: %v", got)
	}
}

func TestPollTakesOverFromSocket(t *testing.T) {
	s := start(t, Options{})
	w := s.dial(nil)
	id := s.join(w, "/a")
	got := s.connectAsync(t.Context(), id, "1")
	if r := w.next(); r["id"] != "c" || r["successful"] != true {
		t.Fatal(r)
	}
	s.publish(say("/a", "x"))
	wantData(t, data(<-got), texts("x"))
	w.send(socketConnect(id, "2", ""))
	s.held(id)
	s.publish(say("/a", "y"))
	w.want("y")
}

func TestLostPollAnswerComesOnTheSocket(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/a")
	s.publish(say("/a", "x"))
	wantData(t, s.poll(id, "1"), texts("x"))
	w := s.dial(nil)
	w.send(socketConnect(id, "1", ""))
	w.want("x")
	s.publish(say("/a", "y"))
	w.want("y")
}

func TestMessagesWrittenToADeadSocketComeAgain(t *testing.T) {
	s := start(t, Options{PingEvery: 50 * time.Millisecond, ProofAfter: time.Hour})
	conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.url, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	id := s.handshake("")
	s.subscribe(id, "/a")
	if err := conn.WriteMessage(websocket.TextMessage, []byte(socketConnect(id, "1", ""))); err != nil {
		t.Fatal(err)
	}
	s.held(id)
	s.publish(say("/a", "x")) // into a socket on which nobody reads: no pong comes
	eventually(t, "the silent socket is closed", func() bool { return s.srv.Stats().Sockets == 0 })
	s.publish(say("/a", "y"))
	wantData(t, s.poll(id, "2"), texts("x", "y"))
}

func TestPongProvesDelivery(t *testing.T) {
	s := start(t, Options{ProofAfter: 5 * time.Millisecond})
	w := s.dial(nil)
	id := s.join(w, "/a")
	for i := range 10 {
		s.publish(say("/a", fmt.Sprint(i)))
	}
	eventually(t, "the messages are proven", func() bool {
		sess := s.srv.session(id)
		sess.mu.Lock()
		defer sess.mu.Unlock()
		return len(sess.sent.All()) == 0 && len(sess.out.Items) == 0 && sess.sent.Last() == 10
	})
	w.conn.Close()
	s.publish(say("/a", "x"))
	eventually(t, "the socket has gone", func() bool { return s.srv.Stats().Sockets == 0 })
	wantData(t, s.poll(id, "1"), texts("x"))
}

func TestSlowSocketDoesNotDelayOthers(t *testing.T) {
	s := start(t, Options{WriteTimeout: 200 * time.Millisecond, QueueMessages: 200})
	conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.url, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() // it never reads
	slow := s.handshake("")
	s.subscribe(slow, "/a")
	if err := conn.WriteMessage(websocket.TextMessage, []byte(socketConnect(slow, "1", ""))); err != nil {
		t.Fatal(err)
	}
	s.held(slow)
	quick := s.dial(nil)
	s.join(quick, "/b")
	big := strings.Repeat("x", 8000)
	for i := 0; s.srv.session(slow) != nil; i++ {
		if i == 20_000 {
			t.Fatal("the slow client is never cut")
		}
		s.publish(say("/a", big))
		s.publish(say("/b", fmt.Sprint(i)))
		quick.want(fmt.Sprint(i))
	}
}

func TestFramesThatAreNoBayeuxAreIgnored(t *testing.T) {
	s := start(t, Options{})
	w := s.dial(nil)
	id := s.join(w, "/a")
	for _, bad := range []string{"{bad", "7", "", "\xff"} {
		w.send(bad)
	}
	if err := w.conn.WriteMessage(websocket.BinaryMessage, []byte(`{"channel":"/meta/disconnect","clientId":"`+id+`"}`)); err != nil {
		t.Fatal(err)
	}
	s.publish(say("/a", "x"))
	w.want("x")
}

func TestFrameOverTheLimit(t *testing.T) {
	s := start(t, Options{MaxBody: 1000})
	w := s.dial(nil)
	w.send(`"` + strings.Repeat("x", 1000) + `"`)
	w.wantClose(websocket.CloseMessageTooBig)
}

func TestSocketOrigins(t *testing.T) {
	const listed, foreign = "https://page.example.com", "https://stranger.example.org"
	for _, anyOrigin := range []bool{false, true} {
		s := start(t, Options{AllowedOrigins: []string{listed}, AnonymousFromAnyOrigin: anyOrigin})
		for _, origin := range []string{"", s.web.URL, listed, foreign} {
			header := http.Header{"Cookie": {"who=ann"}}
			if origin != "" {
				header.Set("Origin", origin)
			}
			if origin == foreign && !anyOrigin {
				_, res, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.url, "http"), header)
				if err == nil || res.StatusCode != http.StatusForbidden {
					t.Errorf("a stranger's upgrade: %v", err)
				}
				continue
			}
			w := s.dial(header)
			w.send(`{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["websocket"]}`)
			id, _ := w.next()["clientId"].(string)
			counts := origin == s.web.URL || origin == listed
			if r := s.subscribe(id, "/secret/1"); r["successful"] != counts {
				t.Errorf("from %q the cookie counts: %v, want %v", origin, r["successful"], counts)
			}
		}
	}
}

func TestEndedSessionClosesItsSocket(t *testing.T) {
	s := start(t, Options{CheckEvery: 5 * time.Millisecond})
	w := s.dial(nil)
	id := s.handshake("ann")
	w.send(socketConnect(id, "1", ""))
	s.held(id)
	s.door.set(func() { s.door.dead["ann"] = true })
	r := w.next()
	if advice, _ := r["advice"].(object); r["id"] != "1" || r["successful"] != false || advice["reconnect"] != "handshake" {
		t.Errorf("the held connect is answered to shake hands, not %v", r)
	}
	w.wantClose(websocket.ClosePolicyViolation)
}

func TestExpiredSessionClosesItsSocket(t *testing.T) {
	s := start(t, Options{Timeout: 10 * time.Millisecond, Expiry: time.Second, IdleSocket: time.Minute})
	w := s.dial(nil)
	w.send(socketConnect(s.handshake(""), "1", ""))
	w.wantClose(websocket.ClosePolicyViolation) // it never connects again
}

func TestIdleSocketIsClosed(t *testing.T) {
	s := start(t, Options{IdleSocket: 200 * time.Millisecond})
	busy := s.dial(nil)
	s.join(busy, "/a")
	s.dial(nil).wantClose(websocket.CloseNormalClosure)
	s.publish(say("/a", "x"))
	busy.want("x")
}

func TestPassingRefusalClosesTheSocket(t *testing.T) {
	s := start(t, Options{})
	w := s.dial(nil)
	id := s.join(w)
	s.door.set(func() { s.door.refuse = &Refusal{RetryAfter: time.Second} })
	w.send(`{"channel":"/meta/subscribe","clientId":"` + id + `","subscription":"/a"}`)
	w.wantClose(websocket.CloseTryAgainLater)
}

func TestEndClosesSockets(t *testing.T) {
	s := start(t, Options{})
	w, idle := s.dial(nil), s.dial(nil)
	s.join(w)
	s.end()
	if r := w.next(); r["id"] != "c" || r["successful"] != true {
		t.Errorf("the held connect is answered, not %v", r)
	}
	w.wantClose(websocket.CloseGoingAway)
	idle.wantClose(websocket.CloseGoingAway)
}

func TestEndCutsSocketsThatDoNotAnswer(t *testing.T) {
	s := start(t, Options{DrainTimeout: 50 * time.Millisecond})
	conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.url, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() // it never reads, so never answers the close
	eventually(t, "the socket is there", func() bool { return s.srv.Stats().Sockets == 1 })
	begin := time.Now()
	s.end()
	if took := time.Since(begin); took > time.Second {
		t.Errorf("the end took %v", took)
	}
}
