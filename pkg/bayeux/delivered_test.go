package bayeux

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// marked is an Options.Repeat for data that are strings.
func marked(data json.RawMessage) json.RawMessage {
	if bytes.HasSuffix(data, []byte(`(again)"`)) {
		return data
	}
	return append(bytes.TrimSuffix(bytes.Clone(data), []byte(`"`)), `(again)"`...)
}

// cut closes the client's end without a goodbye and waits until the server has noticed.
func (s *site) cut(w *wire) {
	s.t.Helper()
	before := s.srv.Stats().Sockets
	w.conn.NetConn().Close()
	eventually(s.t, "the socket has gone", func() bool { return s.srv.Stats().Sockets < before })
}

// What was sent and may not have arrived comes again: of a job its newest progress only, marked,
// and what was never sent as it is.
func TestRecallNeverGoesBack(t *testing.T) {
	s := start(t, Options{Repeat: marked, ProofAfter: time.Hour})
	w := s.dial(nil)
	id := s.join(w, "/a")
	for seq := range uint64(4) {
		s.publish(step("/a", "j", seq+1, false))
	}
	s.publish(say("/a", "message"))
	w.want("j1", "j2", "j3", "j4", "message")
	for range 3 { // cut three times, before anything is acknowledged
		s.cut(w)
		w = s.dial(nil)
		w.send(socketConnect(id, "", ""))
		w.want("j4(again)", "message(again)")
	}
	s.publish(step("/a", "j", 5, true))
	w.want("j5!")
}

// The ping after an end goes out at once, and its answer ends the matter.
func TestAcknowledgedEndIsNotSentAgain(t *testing.T) {
	s := start(t, Options{Repeat: marked, ProofAfter: time.Hour, PingEvery: time.Hour})
	w := s.dial(nil)
	id := s.join(w, "/a")
	s.publish(step("/a", "j", 1, true))
	w.want("j1!")
	s.acknowledged(id)
	s.cut(w)
	w = s.dial(nil)
	w.send(socketConnect(id, "", ""))
	s.held(id)
	s.publish(say("/a", "next"))
	w.want("next")
}

// acknowledged waits until nothing of the session is on its way.
func (s *site) acknowledged(id string) {
	s.t.Helper()
	eventually(s.t, "all is acknowledged", func() bool {
		sess := s.srv.session(id)
		sess.mu.Lock()
		defer sess.mu.Unlock()
		return len(sess.sent.All()) == 0 && sess.out.Len() == 0 && sess.connects.unproven == nil
	})
}

// The connect that follows the answer to the last proves what was sent before that answer.
func TestNextConnectProvesDeliveryOnASocket(t *testing.T) {
	s := start(t, Options{ProofAfter: time.Hour, PingEvery: time.Hour, Timeout: 50 * time.Millisecond})
	w := s.dial(nil)
	w.conn.SetPingHandler(func(string) error { return nil }) // no pong ever
	id := s.join(w, "/a")
	s.publish(step("/a", "j", 1, true))
	w.want("j1!")
	for w.next()["successful"] == nil { // the connect's answer, when its time is over
	}
	w.send(socketConnect(id, "2", ""))
	s.acknowledged(id)
}

// receivers are the ways in which a client can receive an end and make that known.
var receivers = map[string]func(s *site, id string){
	"websocket": func(s *site, id string) {
		w := s.dial(nil)
		w.send(socketConnect(id, "1", ""))
		w.want("j9!")
		s.acknowledged(id)
	},
	"long-polling": func(s *site, id string) {
		wantData(s.t, s.poll(id, "1"), texts("j9!"))
		s.pollNow(id, "2")
	},
	"event stream": func(s *site, id string) {
		e := s.stream(id, "")
		m := e.message()
		if m.frame[0]["data"] != "j9!" {
			s.t.Fatalf("stream: %v", m)
		}
		s.stream(id, m.id) // the stream was ended for the browser to come back
		s.acknowledged(id)
	},
}

// An end that the person has received is not replayed to a new session, on any server of the bus,
// as it would be with every page load; a session that is there gets it whatever the person's other
// sessions got.
func TestEndIsReplayedOnceToAPerson(t *testing.T) {
	for name, receive := range receivers {
		t.Run(name, func(t *testing.T) {
			s, other := twoServers(t)
			waiting, first := s.handshake(""), s.handshake("")
			s.subscribe(waiting, "/a")
			s.subscribe(first, "/a")
			s.ended("j", other, func() { receive(s, first) })
			for _, each := range []*site{s, other} {
				id := each.handshake("")
				each.subscribe(id, "/a")
				wantData(t, each.poll(id, "1"), texts("k1"))
			}
			wantData(t, s.poll(waiting, "1"), texts("j9!"))

			other.door.set(func() { other.door.audience = "person 2" })
			id := other.handshake("")
			other.subscribe(id, "/a")
			wantData(t, other.poll(id, "1"), texts("j9!", "k1"))
		})
	}
}

// A client whose server died shakes hands with another one. It gets the end that it has missed,
// whatever the person's other sessions got.
func TestEndReachesAClientThatLostItsServer(t *testing.T) {
	for name, receive := range receivers {
		t.Run(name, func(t *testing.T) {
			s, other := twoServers(t)
			dead, first := s.handshake(""), s.handshake("")
			s.subscribe(dead, "/a")
			s.subscribe(first, "/a")
			s.ended("j", other, func() { receive(s, first) })

			m := other.post(connectBody(dead, "1"))[0]
			if m["successful"] == true {
				t.Fatalf("another server knows the session: %v", m)
			}
			id := other.handshake("")
			other.subscribe(id, "/a")
			wantData(t, other.poll(id, "1"), texts("j9!", "k1"))
		})
	}
}

// twoServers are servers of one bus that replay, to one person's new sessions, the end of the job j
// and what k does.
func twoServers(t *testing.T) (s, other *site) {
	s = start(t, Options{Repeat: marked})
	other = startOn(t, s.bus, Options{Repeat: marked})
	for _, each := range []*site{s, other} {
		each.door.set(func() {
			each.door.audience = "person 1"
			each.door.latest = latestOf() // there was no job yet
		})
	}
	return s, other
}

// ended publishes the end of a job, which is replayed from then on, and waits until it is known
// that the person received it.
func (s *site) ended(key string, other *site, receive func()) {
	s.t.Helper()
	end := step("/a", key, 9, true)
	s.publish(end)
	receive()
	newest, _ := s.bus.Newest(s.t.Context(), []string{key})
	eventually(s.t, "the servers know", func() bool {
		got, _ := s.bus.Received(s.t.Context(), []End{{"person 1", key, 9, newest[0].Position}})
		return got[0]
	})
	for _, each := range []*site{s, other} {
		each.door.set(func() { each.door.latest = latestOf(end, step("/a", "k", 1, false)) })
	}
}

// startOn runs another server on a bus.
func startOn(t *testing.T, bus *LocalBus, opt Options) *site {
	t.Helper()
	s := &site{t: t, bus: bus, door: &door{dead: map[string]bool{}, alias: map[string]string{}}}
	opt.Timeout = 10 * time.Second
	opt.DrainSpread = time.Millisecond
	srv, err := New(s.door, bus, opt)
	if err != nil {
		t.Fatal(err)
	}
	s.srv = srv
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = srv.Run(ctx) })
	s.web = httptest.NewServer(srv)
	s.url = s.web.URL + "/faye"
	t.Cleanup(func() {
		cancel()
		running.Wait()
		s.web.Close()
	})
	eventually(t, "the bus is up", func() bool {
		bus.mu.Lock()
		defer bus.mu.Unlock()
		return len(bus.servers) == 2
	})
	return s
}

// What Latest reads lags behind the events. It is brought up to what was published, whichever
// server has seen it, and marked.
func TestLatestIsNeverOlderThanWhatWasPublished(t *testing.T) {
	s := start(t, Options{Repeat: marked})
	s.publish(step("/a", "j", 49, false))
	other := startOn(t, s.bus, Options{Repeat: marked}) // which has not seen it
	for _, each := range []*site{s, other} {
		each.door.latest = latestOf(step("/a", "j", 3, false))
		id := each.handshake("")
		each.subscribe(id, "/a")
		wantData(t, each.poll(id, "1"), texts("j49(again)"))
	}
}

// A client that goes on at another server gets what it missed, once.
func TestReplayAtAnotherServerRepeatsNothing(t *testing.T) {
	s := start(t, Options{})
	other := startOn(t, s.bus, Options{})
	id := s.handshake("")
	s.subscribeReplay(id, "/a", `true`)
	for _, text := range []string{"1", "2", "3"} {
		s.publish(say("/a", text))
	}
	last := s.wait(id, 3)[1]
	there := other.handshake("")
	other.subscribeReplay(there, "/a", strings.TrimSuffix(jsonOf(position(last)), ".0"))
	wantData(t, other.poll(there, "1"), texts("3"))
}

func jsonOf(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
