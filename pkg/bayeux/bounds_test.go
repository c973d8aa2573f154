package bayeux

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"exporthub/pkg/bayeux/internal/protocol"
)

const shake = `{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}`

// from is an Options.Address that tests choose by a header.
func from(r *http.Request) string { return r.Header.Get("From") }

// postFrom sends a body from an address and returns the one reply.
func (s *site) postFrom(addr, body string) object {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("From", addr)
	w := httptest.NewRecorder()
	s.srv.ServeHTTP(w, req)
	return decode(s.t, w.Body.Bytes())[0]
}

// wantPutOff checks that a handshake is advised to come back, not at once and not at the same time
// as others.
func wantPutOff(t *testing.T, r object) {
	t.Helper()
	advice, _ := r["advice"].(object)
	interval, _ := advice["interval"].(float64)
	if r["successful"] != false || r["clientId"] != nil || advice["reconnect"] != "handshake" || interval < 5000 || interval > 10_000 {
		t.Errorf("reply %v", r)
	}
}

func TestSessionsPerAddress(t *testing.T) {
	s := start(t, Options{Address: from, MaxSessionsPerAddress: 2})
	first := s.postFrom("a", shake)
	for _, r := range []object{first, s.postFrom("a", shake)} {
		s.subscribe(r["clientId"].(string), "/news")
	}
	wantPutOff(t, s.postFrom("a", shake))
	if r := s.postFrom("b", shake); r["successful"] != true {
		t.Error("another address suffers:", r)
	}
	s.post(`{"channel":"/meta/disconnect","clientId":"` + first["clientId"].(string) + `"}`)
	if r := s.postFrom("a", shake); r["successful"] != true {
		t.Error("a place that was given back:", r)
	}
}

func TestHandshakeRate(t *testing.T) {
	s := start(t, Options{Address: from, HandshakeRate: 1, HandshakeBurst: 3})
	for range 3 {
		if r := s.postFrom("a", shake); r["successful"] != true {
			t.Fatal(r)
		}
	}
	last := s.postFrom("a", shake)
	if wantPutOff(t, last); last["error"] != "500::Too many handshakes" {
		t.Errorf("told %v", last["error"])
	}
	if r := s.postFrom("b", shake); r["successful"] != true {
		t.Error("another address suffers:", r)
	}
	eventually(t, "a second later there is one more", func() bool { return s.postFrom("a", shake)["successful"] == true })
}

func TestAddressesAreDropped(t *testing.T) {
	s := start(t, Options{Address: from, HandshakeRate: 1_000_000, CheckEvery: time.Millisecond})
	for i := range 100 {
		s.postFrom(fmt.Sprint(i), `{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"ext":{"token":"bad"}}`)
	}
	eventually(t, "none is left", func() bool {
		s.srv.mu.Lock()
		defer s.srv.mu.Unlock()
		return len(s.srv.addresses) == 0
	})
}

func TestRemoteAddress(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7:80":                     "192.0.2.7",
		"[::ffff:192.0.2.7]:80":            "192.0.2.7",
		"[2001:db8:1:2:3:4:5:6]:80":        "2001:db8:1:2::/64",
		"[fe80::1%eth0]:80":                "fe80::/64",
		"@":                                "@",
		"pipe:80":                          "pipe",
		"[2001:db8:1:2:ffff:ffff::1]:8080": "2001:db8:1:2::/64",
	} {
		if got := RemoteAddress(&http.Request{RemoteAddr: addr}); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
}

func TestNestingIsBounded(t *testing.T) {
	s := start(t, Options{MaxNesting: 5})
	nested := func(n int) string {
		return `[{"channel":"/a","data":` + strings.Repeat("[", n) + `"[[[[[[\"]]{{{{{{"` + strings.Repeat("]", n) + `}]`
	}
	if r := s.post(nested(3)); r[0]["error"] != "403:/a:Forbidden channel" {
		t.Errorf("at the bound: %v", r)
	}
	if _, err := s.tryPost(t.Context(), nested(50_000)); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("deeper than can be parsed: %v", err)
	}
}

// A client sends a message again for ever that gets another answer than a reply.
func TestMessagesBeyondABoundAreRefusedOneByOne(t *testing.T) {
	s := start(t, Options{MaxNesting: 5, MaxBatch: 3})
	deep := `{"channel":"/a","clientId":"c","id":"1","data":[[[[]]]]}`
	flat := `{"channel":"/a","clientId":"c","id":"2","data":[[[]]]}`
	connect := `{"channel":"/meta/connect","clientId":"c","id":"3","data":[[[[]]]]}`
	const tooDeep, tooMany = "400::Nested too deep", "400::Too many messages in one batch"
	for _, row := range []struct {
		batch  []string
		errors []any
	}{
		{[]string{deep, flat}, []any{tooDeep, "403:/a:Forbidden channel"}},
		{[]string{connect}, []any{tooDeep}},
		{[]string{flat, flat, flat, flat}, []any{tooMany, tooMany, tooMany, tooMany}},
		{[]string{`[[[[[]]]]]`}, []any{tooDeep}},
	} {
		body := `[` + strings.Join(row.batch, ",") + `]`
		var got []any
		for _, r := range s.post(body) {
			got = append(got, r["error"])
			if id := r["id"]; row.batch[0][0] == '{' && (id == nil || r["channel"] == nil) || r["successful"] != false {
				t.Errorf("%s: %v", body, r)
			}
			if r["channel"] == protocol.MetaConnect && r["clientId"] != nil {
				t.Errorf("a failed connect names its client: %v", r)
			}
		}
		if !reflect.DeepEqual(got, row.errors) {
			t.Errorf("%s: got %v, want %v", body, got, row.errors)
		}
	}
	if _, err := s.tryPost(t.Context(), `[`+strings.Repeat("{},", 30)+`{}]`); err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("a batch without measure: %v", err)
	}
	w := s.dial(nil)
	w.send(`[` + deep + `]`)
	if r := w.next(); r["id"] != "1" || r["error"] != tooDeep {
		t.Errorf("over a socket: %v", r)
	}
}

func TestSlowBodyIsCut(t *testing.T) {
	s := start(t, Options{BodyTimeout: 20 * time.Millisecond})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.web.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "POST /faye HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nmess")
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400") {
		t.Errorf("%q %v", answer, err)
	}
}

func TestConnectsWithoutEndAreSlowedDown(t *testing.T) {
	s := start(t, Options{})
	sess, err := s.srv.open(Principal{}, "", false)
	if err != nil {
		t.Fatal(err)
	}
	for i := range quickBurst {
		if sess.pace(0) != 0 {
			t.Fatalf("connect %d has to wait", i)
		}
	}
	if sess.pace(0) != quickPause || sess.pace(time.Second) != time.Second {
		t.Error("a loop of connects is not slowed down, or a held one is")
	}
}

func TestEqualConnectsAreBounded(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	sess := s.srv.session(id)
	c := connectRequest{id: []byte(`"1"`), hold: time.Second}
	first := sess.startPoll(c)
	for range maxEqualPolls - 1 {
		if sess.startPoll(c) != first {
			t.Fatal("an equal connect is not joined")
		}
	}
	if p := sess.startPoll(c); p == first || !p.ended {
		t.Error("any number of requests can be held for one session")
	}
}

// TestMemoryReturnsAfterAFlood has many strangers shake hands, subscribe and be sent things, and
// never come back.
func TestMemoryReturnsAfterAFlood(t *testing.T) {
	const strangers = 1500
	s := start(t, Options{CheckEvery: 10 * time.Millisecond,
		MaxSessions: strangers, ReservedSessions: -1, HandshakeBurst: 2 * strangers, HandshakeRate: 1_000_000, Address: from, ReplayFor: 100 * time.Millisecond})
	inUse := func() int64 {
		runtime.GC()
		runtime.GC() // what pools held
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := inUse()
	for i := range strangers {
		r := s.postFrom(fmt.Sprint(i), shake)
		id, _ := r["clientId"].(string)
		if id == "" {
			t.Fatal(r)
		}
		s.postFrom("x", `{"channel":"/meta/subscribe","clientId":"`+id+fmt.Sprintf(`","subscription":["/a","/b/%d","/c/%d"]}`, i, i))
		s.publish(say(fmt.Sprintf("/b/%d", i), strings.Repeat("x", 1000)))
	}
	full := inUse()
	s.srv.mu.RLock()
	sessions := slices.Collect(maps.Values(s.srv.sessions))
	s.srv.mu.RUnlock()
	for _, sess := range sessions {
		sess.onTimer(time.Now().Add(s.srv.opt.Expiry)) // as the clock will
	}
	sessions = nil
	eventually(t, "the strangers are purged", func() bool { return s.srv.Stats() == Stats{} })
	eventually(t, "their memory is returned", func() bool { return inUse()-before < (full-before)/20 })
	t.Logf("%d kB before, %d kB in the flood, %d kB after", before>>10, full>>10, inUse()>>10)
	if r := s.postFrom("x", shake); r["successful"] != true {
		t.Error("afterwards:", r)
	}
}

func TestChecksDoNotWaitForOneAnother(t *testing.T) {
	s := start(t, Options{CheckEvery: 5 * time.Millisecond})
	leave := make(chan struct{})
	// Else a round that began with the slow one alone would wait for it for ever.
	var both atomic.Bool
	s.door.valid = func(channel string) bool {
		if !both.Load() {
			return true
		}
		if channel == "/slow" {
			<-leave
		}
		return channel == "/slow"
	}
	slow, quick := s.handshake(""), s.handshake("")
	s.subscribe(slow, "/slow")
	s.subscribe(quick, "/quick")
	both.Store(true)
	defer close(leave)
	eventually(t, "the quick one is dropped meanwhile", func() bool { return s.srv.Stats().Subscriptions == 1 })
}

func TestPrincipalsTimeEndsTheSessionToTheMoment(t *testing.T) {
	s := start(t, Options{CheckEvery: time.Hour}) // no round of checks helps
	sess, err := s.srv.open(Principal{ID: "ann", Expires: time.Now().Add(50 * time.Millisecond)}, "", false)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it ends", func() bool { return s.srv.session(sess.id) == nil })
}
