package queue

import (
	"fmt"
	"testing"
)

func TestMarksAreDroppedOldestFirst(t *testing.T) {
	var m Marks
	admit := func(key string) bool {
		return m.Admit(&Entry{NameKey: NameKey{"/a", key}, Seq: 1, Final: true}, Live, 3)
	}
	for i := range 5 {
		admit(fmt.Sprint(i))
	}
	if len(m.marks) != 3 || len(m.order) != 3 {
		t.Fatalf("%d marks, want 3", len(m.marks))
	}
	if admit("4") || !admit("0") {
		t.Error("the newest are kept, the oldest dropped")
	}
}

func TestUnackedMessages(t *testing.T) {
	u := Unacked{}
	lim := Limits{Messages: 3, Bytes: 1000}
	e := Entry{Frame: NewFrame("/a", []byte(`1`), 0)}
	if last := u.Add([]Entry{e, e}, lim); last != 2 {
		t.Fatalf("last %d", last)
	}
	if last := u.Add([]Entry{e, e}, lim); last != 4 || len(u.entries) != 3 {
		t.Fatalf("last %d, kept %d", last, len(u.entries))
	}
	u.Prove(99) // a made-up pong
	u.Prove(1)  // an old one
	if len(u.entries) != 3 {
		t.Fatalf("kept %d of 3", len(u.entries))
	}
	u.Prove(3)
	if len(u.entries) != 1 || u.bytes != len(e.Frame.Array()) {
		t.Fatalf("kept %d in %d bytes", len(u.entries), u.bytes)
	}
	u.Prove(4)
	if len(u.entries) != 0 || u.bytes != 0 {
		t.Fatalf("kept %d in %d bytes", len(u.entries), u.bytes)
	}
}
