package history

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestHistoryIsBounded(t *testing.T) {
	h := New(Limits{PerStream: 3, Bytes: 100_000, Keep: time.Hour})
	add := func(stream string, size int) {
		h.Add([]string{stream, stream}, Record{Data: []byte(strings.Repeat("x", size))})
	}
	for range 10_000 {
		add("/busy", 1)
	}
	if kept, _, _ := h.Since(Query{Stream: "/busy", Live: h.Now(), Most: 10}); len(kept) != 3 || len(h.all) > 2100 {
		t.Errorf("%d events of a stream, %d records", len(kept), len(h.all))
	}
	for i := range 100 {
		add(fmt.Sprint("/", i), 10_000)
	}
	if h.bytes > 100_000 || len(h.streams) > 10 {
		t.Errorf("%d bytes in %d streams", h.bytes, len(h.streams))
	}
	h.limits.Keep = time.Nanosecond
	for deadline := time.Now().Add(10 * time.Second); len(h.streams) > 0; h.Trim() {
		if time.Now().After(deadline) {
			t.Fatal("old events are kept")
		}
	}
	if h.bytes != 0 || h.gone != 0 || h.all != nil {
		t.Errorf("left: %d bytes, %d gone, %d records", h.bytes, h.gone, len(h.all))
	}
}

// Positions that a bus sets are the same on all servers, so what came after one is exact. Those
// that only this server uses are compared with some room, and what may have been received is
// marked.
func TestForeignPositions(t *testing.T) {
	for _, c := range []struct {
		shared  bool
		want    int
		repeats int
	}{
		{shared: true, want: 1},
		{shared: false, want: 3, repeats: 2},
	} {
		h := New(Limits{PerStream: 10, Bytes: 1 << 20, Keep: time.Hour})
		at := uint64(time.Now().UnixMicro())
		for i := range uint64(3) {
			r := Record{Data: []byte("1")}
			if c.shared {
				r.Position = at + 1000*i
			}
			h.Add([]string{"/a"}, r)
		}
		after := at + 1500
		if !c.shared {
			list, _, _ := h.Since(Query{Stream: "/a", Live: h.Now(), Most: 10})
			after = list[1].Position
			h.streams["/a"][1].Position-- // so that no event has the position
		}
		list, _, _ := h.Since(Query{Stream: "/a", After: after, Live: h.Now(), Most: 10})
		repeats := 0
		for _, r := range list {
			if r.Repeat {
				repeats++
			}
		}
		if len(list) != c.want || repeats != c.repeats {
			t.Errorf("shared %v: %d events, %d marked", c.shared, len(list), repeats)
		}
	}
}
