package bayeux

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"exporthub/pkg/bayeux/internal/protocol"
)

// connectAsync makes a connect that is held, and returns where its replies will come.
func (s *site) connectAsync(ctx context.Context, id, msgID string) <-chan []object {
	s.t.Helper()
	got := make(chan []object, 1)
	go func() {
		replies, _ := s.tryPost(ctx, connectBody(id, msgID)) // an error leaves no replies
		got <- replies
	}()
	s.held(id)
	return got
}

func texts(list ...string) []any {
	var out []any
	for _, s := range list {
		out = append(out, s)
	}
	return out
}

func wantData(t testing.TB, got, want []any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("delivered %v, want %v", got, want)
	}
}

func TestHeldConnectDeliversReplyFirst(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	got := s.connectAsync(t.Context(), id, "7")
	if r := s.subscribe(id, "/a/b"); r["successful"] != true { // takes effect on the held connect
		t.Fatal(r)
	}
	s.publish(say("/a/b", "x"))
	replies := <-got
	if len(replies) != 2 || replies[0]["channel"] != "/meta/connect" || replies[0]["successful"] != true || replies[0]["id"] != "7" {
		t.Fatal(replies)
	}
	if want := (object{"channel": "/a/b", "data": "x"}); !reflect.DeepEqual(replies[1], want) {
		t.Fatalf("delivered %v, want %v", replies[1], want)
	}
}

func TestQueuedMessagesComeInOrder(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/a", "/b")
	var want []any
	for i := range 50 {
		text := fmt.Sprint(i)
		s.publish(say([]string{"/a", "/b", "/elsewhere"}[i%3], text))
		if i%3 != 2 {
			want = append(want, text)
		}
	}
	wantData(t, s.poll(id, "1"), want)
	s.unsubscribe(id, "/a")
	s.publish(say("/a", "unheard"))
	s.publish(say("/b", "received"))
	wantData(t, s.poll(id, "2"), texts("received"))
}

func (s *site) unsubscribe(id, channel string) {
	s.t.Helper()
	if r := s.post(`{"channel":"/meta/unsubscribe","clientId":"` + id + `","subscription":"` + channel + `"}`)[0]; r["successful"] != true {
		s.t.Fatal(r)
	}
}

func TestConnectIsHeldForTheTimeout(t *testing.T) {
	s := start(t, Options{Timeout: 30 * time.Millisecond})
	id := s.handshake("")
	begin := time.Now()
	wantData(t, s.poll(id, "1"), nil)
	if held := time.Since(begin); held < 30*time.Millisecond {
		t.Errorf("held for %v only", held)
	}
}

func TestSecondConnectWins(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/a")
	first := s.connectAsync(t.Context(), id, "1")
	second := make(chan []object, 1)
	go func() {
		replies, _ := s.tryPost(t.Context(), connectBody(id, "2"))
		second <- replies
	}()
	if replies := <-first; len(replies) != 1 || replies[0]["successful"] != true || replies[0]["id"] != "1" {
		t.Fatalf("the first gets an empty success, not %v", replies)
	}
	s.publish(say("/a", "x"))
	wantData(t, data(<-second), texts("x"))
}

func TestDeadPollLosesNothing(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/a")
	ctx, cancel := context.WithCancel(t.Context())
	dead := s.connectAsync(ctx, id, "1")
	cancel()
	<-dead
	eventually(t, "the server notices", func() bool {
		sess := s.srv.session(id)
		sess.mu.Lock()
		defer sess.mu.Unlock()
		return sess.poll == nil
	})
	s.publish(say("/a", "x"))
	wantData(t, s.poll(id, "2"), texts("x"))
}

func TestRepeatedConnectIDGetsItsBatchAgain(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/a")
	s.publish(say("/a", "x"))
	wantData(t, s.poll(id, "1"), texts("x"))
	s.publish(say("/a", "y"))
	// An id has one answer, which the next id proves, whichever request brought it.
	for range maxRepeats {
		wantData(t, s.poll(id, "1"), texts("x"))
	}
	wantData(t, s.poll(id, "2"), texts("y"))
	wantData(t, s.poll(id, "2"), texts("y"))
	wantData(t, s.pollNow(id, "3"), nil)
}

func TestClientWithOneIDForEverything(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/a")
	var o inOrder
	for i := range 3 {
		s.publish(say("/a", fmt.Sprint(i)))
		for o.next == i {
			for _, d := range s.poll(id, "c") {
				if err := o.take(d.(string)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// A long id is echoed like any other, but neither kept for the time of a hold nor to know
// repetitions by.
func TestLongIDIsEchoedAndNotKept(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	long := strings.Repeat("x", protocol.MaxMessageID)
	for range 2 {
		// At once.
		if r := s.post(connectBody(id, long))[0]; r["id"] != long || r["successful"] != true {
			t.Fatal(r)
		}
	}
	w := s.dial(nil)
	w.send(socketConnect(id, long, ""))
	if r := w.next(); r["id"] != long || r["successful"] != true {
		t.Fatal(r)
	}
}

func TestLateConnectTakesNothing(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/a")
	s.pollNow(id, "1")
	got := s.connectAsync(t.Context(), id, "2")
	// A copy of the first, long under way: answered at once, for nobody.
	wantData(t, s.poll(id, "1"), nil)
	s.publish(say("/a", "x"))
	wantData(t, data(<-got), texts("x"))
}

func TestEqualConnectsGetTheSameAnswer(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/a")
	first := s.connectAsync(t.Context(), id, "1")
	second := make(chan []object, 1)
	go func() {
		replies, _ := s.tryPost(t.Context(), connectBody(id, "1"))
		second <- replies
	}()
	eventually(t, "both wait", func() bool {
		sess := s.srv.session(id)
		sess.mu.Lock()
		defer sess.mu.Unlock()
		return sess.poll != nil && sess.poll.waiting == 2
	})
	s.publish(say("/a", "x"))
	wantData(t, data(<-first), texts("x"))
	wantData(t, data(<-second), texts("x"))
	s.publish(say("/a", "y"))
	wantData(t, s.poll(id, "2"), texts("y"))
}

// brokenWriter is a connection that breaks before the response is out.
type brokenWriter struct{ http.ResponseWriter }

func (brokenWriter) Write([]byte) (int, error) { return 0, fmt.Errorf("broken pipe") }

func TestUnwrittenBatchGoesBack(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/a")
	s.publish(say("/a", "x"))
	s.publish(say("/a", "y"))
	s.web.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.srv.ServeHTTP(brokenWriter{w}, r) })
	if _, err := s.tryPost(t.Context(), connectBody(id, "1")); err == nil {
		t.Fatal("the broken response arrived")
	}
	s.web.Config.Handler = s.srv
	wantData(t, s.poll(id, "2"), texts("x", "y"))
}

func TestDisconnectReleasesTheConnect(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	got := s.connectAsync(t.Context(), id, "1")
	if r := s.post(`{"channel":"/meta/disconnect","clientId":"` + id + `"}`)[0]; r["successful"] != true {
		t.Fatal(r)
	}
	if replies := <-got; len(replies) != 1 || replies[0]["successful"] != true {
		t.Fatalf("the held connect ends with an empty success, not %v", replies)
	}
	if n := s.srv.Stats(); n != (Stats{}) {
		t.Errorf("left: %+v", n)
	}
}

func TestSessionExpires(t *testing.T) {
	s := start(t, Options{Timeout: 100 * time.Millisecond, Expiry: 500 * time.Millisecond})
	id := s.handshake("")
	s.subscribe(id, "/a")
	for i := range 6 { // longer than the expiry, which each connect puts off
		s.poll(id, fmt.Sprint(i))
	}
	if s.srv.Stats().Sessions != 1 {
		t.Fatal("a client that connects expired")
	}
	eventually(t, "the session expires", func() bool { return s.srv.Stats() == Stats{} })
	r := s.post(connectBody(id, "9"))[0]
	if advice, _ := r["advice"].(object); r["successful"] != false || advice["reconnect"] != "handshake" {
		t.Errorf("an expired client is sent to the handshake, not %v", r)
	}
}

func TestRevokedSessionEnds(t *testing.T) {
	s := start(t, Options{CheckEvery: 5 * time.Millisecond})
	id := s.handshake("ann")
	s.subscribe(id, "/secret/1")
	got := s.connectAsync(t.Context(), id, "1")
	s.door.set(func() { s.door.dead["ann"] = true })
	replies := <-got
	if advice, _ := replies[0]["advice"].(object); len(replies) != 1 || replies[0]["successful"] != false || advice["reconnect"] != "handshake" {
		t.Errorf("the held connect is answered to shake hands, not %v", replies)
	}
	r := s.post(`{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"ext":{"token":"ann"}}`)[0]
	if advice, _ := r["advice"].(object); advice["reconnect"] != "none" {
		t.Errorf("and the handshake to stop, not %v", r)
	}
}

func TestRevocationIsSeenOnConnect(t *testing.T) {
	s := start(t, Options{CheckEvery: time.Hour})
	id := s.handshake("ann")
	s.door.set(func() { s.door.dead["ann"] = true })
	if r := s.post(connectBody(id, "1"))[0]; r["error"] != "401:"+id+":Unknown client" || s.srv.Stats().Sessions != 0 {
		t.Errorf("connect: %v, left %+v", r, s.srv.Stats())
	}
}

func TestExpiredPrincipalEnds(t *testing.T) {
	s := start(t, Options{CheckEvery: 5 * time.Millisecond})
	sess, err := s.srv.open(Principal{ID: "ann", Expires: time.Now().Add(20 * time.Millisecond)}, "", false)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the session ends", func() bool { return s.srv.session(sess.id) == nil })
}

func TestInvalidGrantDropsTheSubscription(t *testing.T) {
	s := start(t, Options{CheckEvery: 5 * time.Millisecond})
	gone := make(chan struct{})
	s.door.valid = func(channel string) bool {
		select {
		case <-gone:
			return channel != "/a"
		default:
			return true
		}
	}
	id := s.handshake("")
	s.subscribe(id, "/a", "/b")
	close(gone)
	eventually(t, "the subscription is dropped", func() bool { return s.srv.Stats().Subscriptions == 1 })
	s.publish(say("/a", "unheard"))
	s.publish(say("/b", "received"))
	wantData(t, s.poll(id, "1"), texts("received"))
}

func TestPassingRefusalAsksTheClientToTryAgain(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/a")
	s.publish(say("/a", "x"))
	s.door.set(func() { s.door.refuse = &Refusal{RetryAfter: time.Second} })
	batch := `[` + connectBody(id, "1") + `,{"channel":"/meta/subscribe","clientId":"` + id + `","subscription":"/b"}]`
	res, body := s.do("POST", "/faye", batch, map[string]string{"Content-Type": "application/json"})
	if res.StatusCode != 503 || res.Header.Get("Retry-After") != "5" || json.Valid([]byte(body)) {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	s.door.set(func() { s.door.refuse = nil })
	wantData(t, data(s.post(batch)), texts("x")) // what the failed answer would have carried
	if n := s.srv.Stats().Subscriptions; n != 2 {
		t.Errorf("%d subscriptions, want 2", n)
	}
	s.door.set(func() { s.door.refuse = &Refusal{Code: 404, Text: "Unknown: channel"} })
	if r := s.subscribe(id, "/c"); r["error"] != "404:/c:Unknown_ channel" {
		t.Errorf("a refusal chooses its code: %v", r)
	}
}

func TestEndReleasesPolls(t *testing.T) {
	s := start(t, Options{DrainSpread: 3 * time.Second})
	id := s.handshake("")
	got := s.connectAsync(t.Context(), id, "1")
	s.end()
	replies := <-got
	advice, _ := replies[0]["advice"].(object)
	if interval, _ := advice["interval"].(float64); replies[0]["successful"] != true || advice["reconnect"] != "retry" || interval > 3000 {
		t.Errorf("the last answer is %v", replies)
	}
	res, body := s.do("POST", "/faye", `[]`, nil)
	if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || json.Valid([]byte(body)) {
		t.Errorf("after the end: %d %s", res.StatusCode, body)
	}
	if err := s.srv.Run(t.Context()); err == nil {
		t.Error("a second Run is an error")
	}
}

func TestClientIDs(t *testing.T) {
	known := make(map[string]bool)
	for range 1000 {
		id := newClientID()
		if len(id) != 31 || known[id] || slices.ContainsFunc([]rune(id), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
			t.Fatalf("clientId %q", id)
		}
		known[id] = true
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, opt := range []Options{
		{Mount: "faye"}, {Mount: "/faye/"}, {Timeout: time.Minute, Expiry: time.Minute}, {Timeout: -1}, {MaxBatch: -1},
		{AllowedOrigins: []string{"example.com"}}, {AllowedOrigins: []string{"https://example.com/"}},
	} {
		if _, err := New(&door{}, &LocalBus{}, opt); err == nil {
			t.Errorf("%+v is accepted", opt)
		}
	}
	if _, err := New(nil, &LocalBus{}, Options{}); err == nil {
		t.Error("a server without an Authorizer is accepted")
	}
	if _, err := New(&door{}, nil, Options{}); err == nil {
		t.Error("a server without a Bus is accepted")
	}
}
