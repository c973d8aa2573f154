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
