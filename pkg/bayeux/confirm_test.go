package bayeux

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// stage is an event of a job's stage: data is "<key><seq>".
func stage(key, phase string, seq uint64) Event {
	e := step("/a", key, seq, false)
	e.Phase = phase
	return e
}

// A client that was answered may start a job at once. What Latest reads after the answer would make
// the job's first stages look old, so the answer waits for Latest, on a socket as over HTTP.
func TestSubscribeIsConfirmedWhenLatestWasRead(t *testing.T) {
	s := start(t, Options{})
	g := newGate(stage("old", "start", 3))
	s.door.set(func() { s.door.latest = g.latest })
	w := s.dial(nil)
	id := s.handshake("")
	w.send(socketConnect(id, "1", ""))
	s.held(id)
	w.send(`{"channel":"/meta/subscribe","clientId":"` + id + `","subscription":"/a","id":"s"}`)
	<-g.entered
	w.send(`[]`) // is answered at once, since the socket is read on
	if frame := <-w.frames; len(frame) != 0 {
		t.Fatalf("confirmed before Latest was read: %v", frame)
	}
	g.leave <- struct{}{}
	if r := w.next(); r["id"] != "s" || r["successful"] != true {
		t.Fatalf("not the confirmation: %v", r)
	}
	w.want("old3") // after the answer, before which the stock client has no callback
	for i, phase := range []string{"queued", "starting", "start"} {
		s.publish(stage("new", phase, uint64(i+1)))
	}
	w.want("new1", "new2", "new3")
}

// Each subscribe of a page reads Latest again, while the page goes on to receive live events. What
// is read ahead of them must not make those that are on their way look old.
func TestLatestAheadOfLiveEventsSkipsNone(t *testing.T) {
	for name, again := range map[string]func(s *site, id string){
		"a second subscribe": func(s *site, id string) { s.subscribe(id, "/a") },
		"a resync":           func(s *site, _ string) { s.srv.resync() },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, Options{})
			calls := make(chan struct{}, 3)
			var state []Event
			s.door.latest = func(context.Context, string) ([]Event, error) {
				defer func() { calls <- struct{}{} }()
				s.door.mu.Lock()
				defer s.door.mu.Unlock()
				return state, nil
			}
			id := s.handshake("")
			s.subscribe(id, "/a")
			<-calls
			s.publish(stage("j", "queued", 1))
			// The database has the job's third stage already, the bus will bring it later.
			s.door.set(func() { state = []Event{stage("j", "start", 3)} })
			again(s, id)
			<-calls
			s.publish(stage("j", "starting", 2))
			s.publish(stage("j", "start", 3))
			s.publish(stage("j", "writing", 4))
			wantData(t, s.pollAll(id, 4), texts("j1", "j2", "j3", "j4"))
		})
	}
}

// What never comes live is delivered all the same, after Options.LatestDelay.
func TestLatestAheadOfLostEventsIsDelivered(t *testing.T) {
	s := start(t, Options{LatestDelay: time.Millisecond})
	s.door.latest = latestOf()
	id := s.handshake("")
	s.subscribe(id, "/a")
	s.publish(stage("j", "queued", 1))
	s.door.set(func() { s.door.latest = latestOf(stage("j", "start", 3)) })
	s.subscribe(id, "/a")
	wantData(t, s.pollAll(id, 2), texts("j1", "j3"))
}

// A slow client may miss percentages that later ones of their stage replace, never a stage.
func TestSlowClientGetsEveryPhase(t *testing.T) {
	s := start(t, Options{CoalesceAfter: 10, QueueMessages: 100})
	id := s.handshake("")
	s.subscribe(id, "/a")
	phases := []string{"queued", "starting", "start", "writing", "upload"}
	seq := uint64(0)
	for _, phase := range phases {
		for range 200 {
			seq++
			s.publish(stage("j", phase, seq))
		}
	}
	got := s.poll(id, "1")
	text := fmt.Sprint(got)
	for i, phase := range phases {
		if last := fmt.Sprint("j", 200*(i+1)); !strings.Contains(text, last) {
			t.Errorf("nothing of %s: %v", phase, got)
		}
	}
	if len(got) > 40 {
		t.Errorf("%d messages kept", len(got))
	}
}

// A client that gives up before its subscribe is confirmed leaves nothing behind that holds back
// the events of the session.
func TestAbandonedSubscribeReleasesItsEvents(t *testing.T) {
	s := start(t, Options{})
	g := newGate(stage("j", "start", 3))
	s.door.set(func() { s.door.latest = g.latest })
	id := s.handshake("")
	ctx, cancel := context.WithCancel(t.Context())
	given := make(chan error, 1)
	go func() {
		_, err := s.tryPost(ctx, `{"channel":"/meta/subscribe","clientId":"`+id+`","subscription":"/a"}`)
		given <- err
	}()
	<-g.entered
	cancel()
	<-given
	s.publish(stage("j", "writing", 4))
	g.leave <- struct{}{}
	got := s.pollAll(id, 1)
	if got[len(got)-1] == "j3" {
		got = append(got, s.pollAll(id, 1)...)
	}
	if got[len(got)-1] != "j4" {
		t.Errorf("got %v", got)
	}
}
