package bayeux

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// shakeAs is a handshake of a person, who is known by name.
func shakeAs(who string) string {
	return strings.Replace(shake, `{`, `{"ext":{"token":"`+who+`"},`, 1)
}

// network64 names one of many /64s, eight of each /48.
func network64(i int) string { return fmt.Sprintf("2001:db8:%x:%x::/64", i/8, i%8) }

// opened returns the number of sessions of an address's networks, narrowest first.
func (s *site) opened(addr string) (counts []int) {
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	for _, a := range s.srv.knownLocked(addr) {
		if a == nil {
			counts = append(counts, 0)
			continue
		}
		counts = append(counts, a.sessions)
	}
	return counts
}

// Strangers from many networks shake hands without end. They fill what anonymous sessions may have
// and take it from one another, not from the people who are signed in and not from old pages that
// follow a capability.
func TestStrangersLeaveRoomForThePeople(t *testing.T) {
	const (
		all       = 400
		reserved  = 200
		following = 50
		perNet    = 30
	)
	s := start(t, Options{
		Address:               from,
		MaxSessions:           all,
		ReservedSessions:      reserved,
		MaxSessionsPerAddress: perNet,
	})
	var pages []string
	for i := range following {
		id, _ := s.postFrom(fmt.Sprintf("192.0.2.%d", i), shake)["clientId"].(string)
		s.subscribe(id, "/news")
		pages = append(pages, id)
	}
	for range 2 * perNet {
		for i := range 32 {
			if r := s.postFrom(network64(i), shake); r["successful"] != true {
				t.Fatal("a stranger who could have had an idle one's place:", r)
			}
		}
	}
	if n := s.srv.Stats().Sessions; n != all-reserved {
		t.Errorf("strangers have %d sessions, want the %d they may", n, all-reserved)
	}
	for i := range 32 {
		if n := s.opened(network64(i)); n[0] > perNet || n[1] > 2*perNet {
			t.Errorf("%s has %d sessions, its /48 %d", network64(i), n[0], n[1])
		}
	}
	for i := range reserved {
		if r := s.postFrom(network64(i%32), shakeAs(fmt.Sprint("person", i))); r["successful"] != true {
			t.Fatalf("person %d: %v", i, r)
		}
	}
	for _, id := range pages {
		if s.srv.session(id) == nil {
			t.Error("a session that follows was given up")
		}
	}
	// People may have all of it.
	if r := s.postFrom("192.0.2.1", shakeAs("one more")); r["successful"] != true {
		t.Error("a person, while strangers are idle:", r)
	}
	if n := s.srv.Stats().Sessions; n > all {
		t.Errorf("%d sessions", n)
	}
}

// A capability that is known to an attacker makes sessions that are not given up; a network has a
// bounded number of them.
func TestSubscribersAreBoundedByNetwork(t *testing.T) {
	s := start(t, Options{Address: from, MaxSessionsPerAddress: 3})
	follow := func(addr string) object {
		r := s.postFrom(addr, shake)
		if id, ok := r["clientId"].(string); ok {
			s.subscribe(id, "/news")
		}
		return r
	}
	for i := range 6 {
		if r := follow(network64(i % 2)); r["successful"] != true {
			t.Fatal(r)
		}
	}
	wantPutOff(t, follow(network64(0)))
	wantPutOff(t, follow(network64(7))) // of the same /48
	if r := follow(network64(8)); r["successful"] != true {
		t.Error("another /48 suffers:", r)
	}
}

// What is given up is what was idle longest, and a session that gives up its last subscription is
// idle from then on.
func TestTheOldestIdleSessionIsGivenUp(t *testing.T) {
	s := start(t, Options{Address: from, MaxSessionsPerAddress: 2})
	first := s.postFrom("a", shake)["clientId"].(string)
	s.subscribe(first, "/news")
	second := s.postFrom("a", shake)["clientId"].(string)
	s.post(`{"channel":"/meta/unsubscribe","clientId":"` + first + `","subscription":"/news"}`)
	s.postFrom("a", shake)
	if s.srv.session(first) == nil || s.srv.session(second) != nil {
		t.Error("the one that was idle for less was given up")
	}
	// The client of one that is over waits before it comes back, or two of them would take each
	// other's place without a pause.
	held := make(chan object, 1)
	go func() { held <- s.post(connectBody(first, "1"))[0] }()
	s.held(first)
	s.postFrom("a", shake)
	s.postFrom("a", shake)
	wantPutOff(t, <-held)
}

// Strangers at one's address use up neither the handshakes nor the sessions of those who are known.
func TestAnAddressOfStrangersDoesNotBindItsPeople(t *testing.T) {
	s := start(t, Options{
		Address:               from,
		HandshakeRate:         1,
		HandshakeBurst:        3,
		MaxSessionsPerAddress: 1,
	})
	for s.postFrom("a", shake)["successful"] == true {
	}
	for i := range 10 {
		if r := s.postFrom("a", shakeAs(fmt.Sprint("person", i))); r["successful"] != true {
			t.Fatal(r)
		}
	}
	// One who is known is counted too.
	for range 3 {
		s.postFrom("a", shakeAs("ann"))
	}
	wantPutOff(t, s.postFrom("b", shakeAs("ann")))
}

func TestHandshakesAreCountedByWiderNetworkToo(t *testing.T) {
	s := start(t, Options{Address: from, HandshakeRate: 1, HandshakeBurst: 2})
	for i := range 4 {
		if r := s.postFrom(network64(i), shake); r["successful"] != true {
			t.Fatal(r)
		}
	}
	wantPutOff(t, s.postFrom(network64(4), shake))
}

// tryDial opens a websocket from an address and returns it, or nil, with the status of the answer.
func (s *site) tryDial(addr string) (*websocket.Conn, int) {
	s.t.Helper()
	conn, res, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.url, "http"), http.Header{"From": {addr}})
	if err != nil {
		if res == nil {
			s.t.Fatal(err)
		}
		return nil, res.StatusCode
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn, res.StatusCode
}

// carry makes a socket carry a new session of a person.
func (s *site) carry(conn *websocket.Conn, who string) {
	s.t.Helper()
	id := s.handshake(who)
	if err := conn.WriteMessage(websocket.TextMessage, []byte(connectBody(id, "1"))); err != nil {
		s.t.Fatal(err)
	}
	s.held(id)
}

func TestSocketsPerAddress(t *testing.T) {
	s := start(t, Options{Address: from, MaxSockets: 3, MaxSocketsPerAddress: 2})
	var first *websocket.Conn
	for i, want := range []struct {
		addr   string
		status int
	}{{"a", 101}, {"a", 101}, {"a", 503}, {"b", 101}, {"c", 503}} {
		conn, status := s.tryDial(want.addr)
		if status != want.status {
			t.Fatalf("socket %d: %d, want %d", i, status, want.status)
		}
		if conn != nil {
			s.carry(conn, "")
		}
		if i == 0 {
			first = conn
		}
	}
	first.Close()
	eventually(t, "a place is given back", func() bool { _, status := s.tryDial("a"); return status == 101 })
}

// Sockets that carry no session are closed for others, the oldest first.
func TestLooseSocketsMakeRoom(t *testing.T) {
	s := start(t, Options{Address: from, MaxSockets: 4, MaxSocketsPerAddress: 2, IdleSocket: time.Hour})
	carrying, _ := s.tryDial(network64(0))
	s.carry(carrying, "ann")
	for i := range 40 {
		if _, status := s.tryDial(network64(i % 16)); status != 101 {
			t.Fatalf("socket %d: %d", i, status)
		}
	}
	// The places of those that were closed are free at once, whatever their readers are at.
	s.srv.mu.Lock()
	places := s.srv.places
	s.srv.mu.Unlock()
	if places > 4 {
		t.Errorf("%d sockets", places)
	}
	eventually(t, "the others have gone", func() bool { return s.srv.Stats().Sockets <= 4 })
	if err := carrying.WriteMessage(websocket.TextMessage, []byte(`[]`)); err != nil {
		t.Error("the socket that carries a session is closed:", err)
	}
	if _, body, err := carrying.ReadMessage(); err != nil || string(body) != "[]" {
		t.Errorf("it answers %s, %v", body, err)
	}
}

// A session that subscribes in the moment in which it is chosen stays.
func TestASessionThatFollowsIsNotGivenUp(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	sess := s.srv.session(id)
	s.subscribe(id, "/news")
	s.srv.giveUp(sess)
	if s.srv.session(id) == nil {
		t.Error("it was given up")
	}
}
