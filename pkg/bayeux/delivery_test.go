package bayeux

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// step is an event of a job: data is "<key><seq>", with an exclamation mark when it is the last.
func step(stream, key string, seq uint64, final bool) Event {
	text := fmt.Sprint(key, seq)
	if final {
		text += "!"
	}
	e := say(stream, text)
	e.Key, e.Seq, e.Final = key, seq, final
	return e
}

func TestAliasesOfOneStream(t *testing.T) {
	s := start(t, Options{})
	s.door.set(func() {
		s.door.alias = map[string]string{"/export/1": "user:1", "/export/1-sig": "user:1", "/export/j": "job:j"}
	})
	id := s.handshake("")
	s.subscribe(id, "/export/1", "/export/1-sig", "/export/j")
	e := step("user:1", "j", 1, false)
	e.Streams = []string{"user:1", "job:j", "user:1"}
	s.publish(e)
	got := make(map[string]int)
	for _, m := range s.post(connectBody(id, "1"))[1:] {
		got[m["channel"].(string)]++
	}
	if len(got) != 3 || got["/export/1"] != 1 || got["/export/1-sig"] != 1 || got["/export/j"] != 1 {
		t.Errorf("each name gets it once: %v", got)
	}
}

func TestOldEventsAreDropped(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/a")
	for _, e := range []Event{
		step("/a", "j", 1, false), step("/a", "j", 3, false), step("/a", "j", 2, false), step("/a", "j", 3, false), step("/a", "k", 2, false),
		step("/a", "j", 4, true), step("/a", "j", 4, true), step("/a", "j", 3, false), step("/a", "u", 0, false), step("/a", "u", 0, false),
	} {
		s.publish(e)
	}
	wantData(t, s.poll(id, "1"), texts("j1", "j3", "k2", "j4!", "u0", "u0"))
}

// gate is a Latest that waits to be let through.
type gate struct {
	entered, leave chan struct{}
	events         []Event
	err            error
}

func newGate(events ...Event) *gate {
	return &gate{make(chan struct{}), make(chan struct{}), events, nil}
}

func (g *gate) latest(ctx context.Context, _ string) ([]Event, error) {
	select {
	case g.entered <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case <-g.leave:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return g.events, g.err
}

func TestLatestComesBeforeLive(t *testing.T) {
	s := start(t, Options{})
	g := newGate(step("/a", "j", 5, false), step("/a", "k", 1, true))
	s.door.set(func() { s.door.latest = g.latest })
	id := s.handshake("")
	confirmed := s.subscribeAsync(id, "/a")
	<-g.entered
	for _, e := range []Event{step("/a", "j", 4, false), step("/a", "j", 5, false), step("/a", "j", 6, false), say("/a", "plain")} {
		s.publish(e)
	}
	wantData(t, s.pollNow(id, "1"), nil)
	select {
	case r := <-confirmed:
		t.Fatalf("confirmed before Latest was read: %v", r)
	default:
	}
	g.leave <- struct{}{}
	if r := <-confirmed; r["successful"] != true {
		t.Fatal(r)
	}
	wantData(t, s.poll(id, "2"), texts("j5", "k1!", "j6", "plain"))
}

func TestLatestThatFailsLeavesLiveEvents(t *testing.T) {
	s := start(t, Options{})
	g := newGate(step("/a", "j", 5, false))
	g.err = errors.New("database away")
	s.door.set(func() { s.door.latest = g.latest })
	id := s.handshake("")
	confirmed := s.subscribeAsync(id, "/a")
	<-g.entered
	s.publish(step("/a", "j", 4, false))
	g.leave <- struct{}{}
	if r := <-confirmed; r["successful"] != true {
		t.Fatal(r)
	}
	wantData(t, s.poll(id, "1"), texts("j4"))
}

func TestSecondSubscribeTellsActiveThingsAgain(t *testing.T) {
	s := start(t, Options{})
	events := []Event{step("/a", "active", 2, false), step("/a", "ended", 3, true)}
	s.door.set(func() { s.door.latest = func(context.Context, string) ([]Event, error) { return events, nil } })
	id := s.handshake("")
	s.subscribe(id, "/a")
	wantData(t, s.poll(id, "1"), texts("active2", "ended3!"))
	s.subscribe(id, "/a") // while it is subscribed, as each subscribe() of a page does
	wantData(t, s.poll(id, "2"), texts("active2"))
	s.unsubscribe(id, "/a")
	s.subscribe(id, "/a")
	wantData(t, s.poll(id, "3"), texts("active2"))
	s.publish(step("/a", "active", 4, true))
	wantData(t, s.poll(id, "4"), texts("active4!"))
	s.subscribe(id, "/a") // Latest, read before the end, is out of date
	s.subscribe(id, "/b")
	// Under another name it is another matter, but not older than what was published.
	wantData(t, s.poll(id, "5"), texts("active4!", "ended3!"))
}

func TestUnsubscribeDuringLatest(t *testing.T) {
	s := start(t, Options{})
	g := newGate(step("/a", "j", 1, false))
	s.door.set(func() { s.door.latest = g.latest })
	id := s.handshake("")
	confirmed := s.subscribeAsync(id, "/a")
	<-g.entered
	s.unsubscribe(id, "/a")
	g.leave <- struct{}{}
	<-confirmed
	s.door.set(func() { s.door.latest = nil })
	s.subscribe(id, "/b")
	s.publish(say("/b", "only"))
	wantData(t, s.poll(id, "1"), texts("only"))
	if n := s.srv.Stats().Subscriptions; n != 1 {
		t.Errorf("%d subscriptions, want 1", n)
	}
}

func TestResyncDeliversWhatIsNewer(t *testing.T) {
	s := start(t, Options{})
	state := []Event{step("/a", "j", 1, false), step("/a", "k", 1, false), say("/a", "plain")}
	s.door.set(func() {
		s.door.latest = func(context.Context, string) ([]Event, error) {
			s.door.mu.Lock()
			defer s.door.mu.Unlock()
			return state, nil
		}
	})
	id := s.handshake("")
	s.subscribe(id, "/a")
	wantData(t, s.poll(id, "1"), texts("j1", "k1", "plain"))
	s.door.set(func() { state = []Event{step("/a", "j", 4, true), step("/a", "k", 1, false), say("/a", "plain")} })
	s.srv.resync()
	wantData(t, s.poll(id, "2"), texts("j4!"))
}

func TestSlowClientGetsNewestAndFinals(t *testing.T) {
	const steps = 5000
	s := start(t, Options{CoalesceAfter: 10, QueueMessages: 100})
	id := s.handshake("")
	s.subscribe(id, "/a")
	for i := range uint64(steps) {
		s.publish(step("/a", "j", i+1, false))
		if i%1000 == 0 {
			s.publish(step("/a", fmt.Sprint("end", i, "-"), 1, true))
		}
	}
	got := s.poll(id, "1")
	if len(got) > 2*20 {
		t.Errorf("%d messages kept", len(got))
	}
	finals := 0
	for _, d := range got {
		if strings.HasSuffix(d.(string), "!") {
			finals++
		}
	}
	if last := got[len(got)-1]; finals != steps/1000 || last != fmt.Sprint("j", steps) {
		t.Errorf("%d finals, last %v", finals, last)
	}
}

func TestFewEventsAreNotCoalesced(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/a")
	for i := range uint64(20) { // a whole quick export, between two polls
		s.publish(step("/a", "j", i+1, i == 19))
	}
	if got := s.poll(id, "1"); len(got) != 20 {
		t.Errorf("%d of 20 events arrived", len(got))
	}
}

func TestOverflowEndsTheSession(t *testing.T) {
	for name, opt := range map[string]Options{"messages": {QueueMessages: 20}, "bytes": {QueueBytes: 1000}} {
		s := start(t, opt)
		slow, other := s.handshake(""), s.handshake("")
		s.subscribe(slow, "/a")
		s.subscribe(other, "/b")
		for i := range 200 {
			s.publish(say("/a", fmt.Sprint(i)))
		}
		s.publish(say("/b", "x"))
		if r := s.post(connectBody(slow, "1"))[0]; r["error"] != "401:"+slow+":Unknown client" {
			t.Errorf("%s: the slow client goes on: %v", name, r)
		}
		wantData(t, s.poll(other, "1"), texts("x"))
	}
}

func TestOneLargeEventFits(t *testing.T) {
	s := start(t, Options{QueueBytes: 100})
	id := s.handshake("")
	s.subscribe(id, "/a")
	large := strings.Repeat("x", 1000)
	s.publish(say("/a", large))
	wantData(t, s.poll(id, "1"), texts(large))
}

func TestBadEventDataIsNotDelivered(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/a")
	if err := s.bus.Publish(t.Context(), Event{Streams: []string{"/a"}, Data: json.RawMessage(`{"a":`)}); err == nil {
		t.Error("the bus takes what is no JSON")
	}
	s.srv.deliver(Event{Streams: []string{"/a"}, Data: json.RawMessage(`{"a":`)})
	s.srv.deliver(Event{Streams: []string{"/a"}, Data: json.RawMessage("{\n\"a\": \"\xff\"\n}")})
	replies := s.post(connectBody(id, "1"))
	if len(replies) != 2 || replies[1]["data"].(object)["a"] != "\uFFFD" {
		t.Errorf("delivered %v", replies)
	}
}

func TestPatterns(t *testing.T) {
	s := start(t, Options{AllowPatterns: true})
	id := s.handshake("")
	if r := s.subscribe(id, "/secret/*"); r["error"] != "403:/secret/*:Forbidden channel" {
		t.Error("a pattern is authorised like a name:", r)
	}
	s.subscribe(id, "/a/*", "/a/**", "/a/b")
	for _, stream := range []string{"/a", "/a/b", "/a/b/c", "/z"} {
		s.publish(say(stream, stream))
		s.publish(step(stream, "j"+stream+"-", 1, false))
	}
	wantData(t, s.poll(id, "1"), texts("/a/b", "j/a/b-1", "/a/b/c", "j/a/b/c-1"))
	s.unsubscribe(id, "/a/**")
	s.unsubscribe(id, "/a/b")
	s.publish(say("/a/b", "one"))
	s.publish(say("/a/b/c", "two deep"))
	replies := s.post(connectBody(id, "2"))
	if len(replies) != 2 || replies[1]["channel"] != "/a/b" || replies[1]["data"] != "one" {
		t.Errorf("under the stream's name: %v", replies)
	}
}
