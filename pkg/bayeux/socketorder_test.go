package bayeux

import (
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"exporthub/pkg/bayeux/internal/queue"
)

func TestMessagesBeforeTheFirstConnectComeInFramesOfTheirOwnBeforeItsReply(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/a")
	long := strings.Repeat("x", maxSocketFrame/4) // so that the writer looks more than once
	for range 10 {
		s.publish(say("/a", long))
	}
	w := s.dial(nil)
	w.send(socketConnect(id, "1", now))
	for i := range 10 {
		if frame := <-w.frames; len(frame) != 1 || frame[0]["data"] != long {
			t.Fatalf("frame %d of %d messages: %.200v", i, len(frame), frame)
		}
	}
	if frame := <-w.frames; len(frame) != 1 || frame[0]["id"] != "1" {
		t.Errorf("then %.200v", frame)
	}
}

func TestSocketOfASessionThatNeverConnectedIsClosedByItsDisconnect(t *testing.T) {
	s := start(t, Options{})
	w := s.dial(nil)
	w.send(strings.Replace(shake, "long-polling", "websocket", 1))
	id, _ := w.next()["clientId"].(string)
	w.send(`{"channel":"/meta/disconnect","clientId":"` + id + `","id":"d"}`)
	if r := w.next(); r["id"] != "d" || r["successful"] != true {
		t.Fatalf("reply %v", r)
	}
	w.wantClose(websocket.CloseNormalClosure)
}

func TestDisconnectOfAnotherSessionLeavesTheSocket(t *testing.T) {
	s := start(t, Options{})
	w := s.dial(nil)
	s.join(w, "/a")
	other := s.handshake("")
	w.send(`{"channel":"/meta/disconnect","clientId":"` + other + `","id":"d"}`)
	if r := w.next(); r["id"] != "d" || r["successful"] != true {
		t.Fatalf("reply %v", r)
	}
	s.publish(say("/a", "still there"))
	w.want("still there")
}

func TestWaitingMessagesShareAFrame(t *testing.T) {
	s := start(t, Options{})
	w := s.dial(nil)
	sess := s.srv.session(s.join(w, "/a"))
	sess.mu.Lock() // so that the writer finds all of them
	for i := range 10 {
		sess.admitLocked(queue.Entry{NameKey: queue.NameKey{Name: "/a"}, Frame: queue.NewFrame("/a", []byte(strconv.Quote(strconv.Itoa(i))), 0)}, queue.Live)
	}
	sess.mu.Unlock()
	frame := <-w.frames
	if len(frame) != 10 || !reflect.DeepEqual(frame[9], object{"channel": "/a", "data": "9"}) {
		t.Errorf("a frame of %d: %v", len(frame), frame)
	}
}
