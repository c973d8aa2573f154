package bayeux

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

const ackHandshake = `{"channel":"/meta/handshake","version":"1.0","minimumVersion":"1.0","supportedConnectionTypes":["websocket","long-polling"],"ext":{"ack":true}}`

// ackSession is a session that acknowledges, subscribed to /a.
func (s *site) ackSession() string {
	s.t.Helper()
	r := s.post(ackHandshake)[0]
	if ext, _ := r["ext"].(object); ext["ack"] != true {
		s.t.Fatalf("handshake: %v", r)
	}
	id, _ := r["clientId"].(string)
	s.subscribe(id, "/a")
	return id
}

// ackConnect is a connect that acknowledges a batch.
func ackConnect(id, kind, msgID string, ack int, more string) string {
	return fmt.Sprintf(`{"channel":"/meta/connect","clientId":%q,"connectionType":%q,"id":%q,"ext":{"ack":%d}%s}`, id, kind, msgID, ack, more)
}

const now = `,"advice":{"timeout":0}`

func ackOf(r object) float64 {
	ext, _ := r["ext"].(object)
	n, ok := ext["ack"].(float64)
	if !ok {
		return -1
	}
	return n
}

func TestAcknowledgedBatchesOverPolling(t *testing.T) {
	s := start(t, Options{})
	id := s.ackSession()
	steps := []struct {
		publish string
		ack     int
		want    []any
		number  float64
	}{
		{"", -1, nil, 0},
		{"1", 0, []any{"1"}, 1},
		{"2", 0, []any{"1", "2"}, 2}, // the last answer was lost
		{"", 1, []any{"1", "2"}, 3},  // and the next one
		{"", 3, nil, 3},
		{"3", 3, []any{"3"}, 4},
		{"", 99, nil, 4}, // more than there was is all there was
		{"4", 4, []any{"4"}, 5},
	}
	for i, step := range steps {
		if step.publish != "" {
			s.publish(say("/a", step.publish))
		}
		replies := s.post(ackConnect(id, "long-polling", fmt.Sprint(i), step.ack, now))
		if got := data(replies); !reflect.DeepEqual(got, step.want) || ackOf(replies[0]) != step.number {
			t.Errorf("step %d: got %v with number %v, want %v with %v", i, got, ackOf(replies[0]), step.want, step.number)
		}
	}
	s.publish(say("/a", "5"))
	s.pollNow(id, "x")
	if got := s.pollNow(id, "y"); got != nil {
		t.Errorf("a client that does not tell is taken to have received: %v", got)
	}
}

// Only an integer says what was received; anything else is no reason to drop it.
func TestOddAcknowledgementsProveNothing(t *testing.T) {
	s := start(t, Options{})
	for _, odd := range []string{`"0"`, `"1"`, `0.5`, `1e20`, `-1e20`, `1e999`, `true`, `{}`, `[1]`, `-1`} {
		id := s.ackSession()
		s.publish(say("/a", "1"))
		if got := data(s.post(ackConnect(id, "long-polling", "1", 0, now))); len(got) != 1 {
			t.Fatal(got)
		}
		connect := ackConnect(id, "long-polling", "2", 7, now)
		if got := data(s.post(strings.Replace(connect, `{"ack":7}`, `{"ack":`+odd+`}`, 1))); !reflect.DeepEqual(got, []any{"1"}) {
			t.Errorf("%s: got %v", odd, got)
		}
		if got := data(s.post(strings.Replace(connect, `{"ack":7}`, `{"ack":2.0e0}`, 1))); got != nil {
			t.Errorf("%s, then a whole number in another form: got %v", odd, got)
		}
	}
}

func TestReplacedPollCarriesNoNumber(t *testing.T) {
	s := start(t, Options{})
	id := s.ackSession()
	first := make(chan object, 1)
	go func() { first <- s.post(ackConnect(id, "long-polling", "1", 0, ""))[0] }()
	s.held(id)
	s.post(ackConnect(id, "long-polling", "2", 0, now))
	// It could overtake the answer that has the messages, and its number would then claim their
	// receipt.
	if r := <-first; r["successful"] != true || ackOf(r) != -1 {
		t.Errorf("the first connect: %v", r)
	}
}

func TestAcknowledgedMessagesTravelInConnectRepliesOnASocket(t *testing.T) {
	s := start(t, Options{})
	id := s.ackSession()
	w := s.dial(nil)
	w.send(ackConnect(id, "websocket", "1", 0, ""))
	s.held(id)
	s.publish(say("/a", "1"))
	if r := w.next(); r["id"] != "1" || ackOf(r) != 1 {
		t.Fatalf("the reply comes first: %v", r)
	}
	w.want("1")
	s.publish(say("/a", "2")) // no connect is held
	w.send(`[]`)
	select {
	case frame := <-w.frames:
		if len(frame) != 0 {
			t.Fatalf("pushed %v", frame)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no heartbeat")
	}
	w.send(ackConnect(id, "websocket", "2", 1, ""))
	if r := w.next(); r["id"] != "2" || ackOf(r) != 2 {
		t.Fatalf("the second: %v", r)
	}
	w.want("2")
	w.conn.Close()

	again := s.dial(nil) // 2 was not acknowledged
	again.send(ackConnect(id, "websocket", "3", 1, ""))
	if r := again.next(); r["id"] != "3" || ackOf(r) != 3 {
		t.Fatalf("on a new socket: %v", r)
	}
	again.want("2")
}

func TestAckIsOfferedOnlyWhenAsked(t *testing.T) {
	s := start(t, Options{})
	for ext, want := range map[string]bool{
		`{"ack":true}`: true, `{"ack":{"enabled":true}}`: true,
		`{"ack":false}`: false, `{"ack":{"enabled":false}}`: false, `{"ack":1}`: false, `{"Ack":true}`: false, `{}`: false,
	} {
		r := s.post(`{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["websocket"],"ext":` + ext + `}`)[0]
		if _, got := r["ext"]; got != want {
			t.Errorf("%s: %v", ext, r)
		}
	}
	id := s.handshake("")
	if r := s.post(ackConnect(id, "long-polling", "1", 3, now))[0]; r["ext"] != nil {
		t.Errorf("a session that did not negotiate it: %v", r)
	}
}
