package bayeux

import (
	"reflect"
	"testing"
)

func TestHeldConnectDeliversReplyFirst(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	if r := s.subscribe(id, "/a/b"); r["successful"] != true {
		t.Fatal(r)
	}
	got := make(chan []object, 1)
	go func() {
		replies, _ := s.tryPost(t.Context(), connectBody(id, "7"))
		got <- replies
	}()
	s.held(id)
	s.publish(say("/a/b", "x"))
	replies := <-got
	if len(replies) != 2 || replies[0]["channel"] != "/meta/connect" || replies[0]["successful"] != true || replies[0]["id"] != "7" {
		t.Fatal(replies)
	}
	if want := (object{"channel": "/a/b", "data": "x"}); !reflect.DeepEqual(replies[1], want) {
		t.Fatalf("delivered %v, want %v", replies[1], want)
	}
}
