package bayeux

import (
	"encoding/json"
	"math"
	"strconv"
)

// ackLog is the server's side of the ack extension: a connect reply numbers the batch it brings, the next connect says up to which
// number batches were received, and what comes after that is sent again.
type ackLog struct {
	last    uint64 // number of the newest batch
	pending []ackBatch
}

type ackBatch struct {
	number  uint64
	entries []entry
}

// add notes a batch and returns the reply's ext. An empty batch has no number of its own: nothing is outstanding then, so
// it repeats the last.
func (a *ackLog) add(batch []entry) json.RawMessage {
	if len(batch) > 0 {
		a.last++
		a.pending = append(a.pending, ackBatch{a.last, batch})
	}
	ext := append([]byte(`{"ack":`), strconv.FormatUint(a.last, 10)...)
	return append(ext, '}')
}

// confirm forgets the batches up to the one that was received and puts the later ones back to the front of the queue. A connect that
// says nothing counts as the proof that it is for any other client: everything has come.
func (a *ackLog) confirm(received *int64, q *queue) {
	pending := a.pending
	a.pending = nil
	if received == nil {
		return
	}
	var again []entry
	for _, b := range pending {
		if *received < 0 || b.number > uint64(*received) {
			again = append(again, b.entries...)
		}
	}
	q.putBack(again)
}

// asksForAcks reports whether a handshake's ext negotiates the extension.
func (m *message) asksForAcks() bool {
	switch raw := m.extMember("ack"); string(raw) {
	case "", "null":
		return false
	case "true":
		return true
	default:
		var form map[string]json.RawMessage
		return json.Unmarshal(raw, &form) == nil && string(form["enabled"]) == "true"
	}
}

// maxAck is the greatest integer that every client can tell.
const maxAck = 1 << 53

// received is what a connect acknowledges: the number of the last batch its client got, negative for none, which is also what anything but
// an integer says; nil when it says nothing.
func (m *message) received() *int64 {
	raw := m.extMember("ack")
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var n float64
	received := int64(-1)
	if json.Unmarshal(raw, &n) == nil && n == math.Trunc(n) && math.Abs(n) <= maxAck {
		received = int64(n)
	}
	return &received
}

// extMember returns one member of ext, by its exact name.
func (m *message) extMember(name string) json.RawMessage {
	var ext map[string]json.RawMessage
	if raw := m.fields["ext"]; len(raw) == 0 || raw[0] != '{' || json.Unmarshal(raw, &ext) != nil {
		return nil
	}
	return ext[name]
}
