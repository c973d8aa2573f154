package queue

import (
	"encoding/json"
	"strconv"
)

// Batches is the server's side of CometD's ack extension. A connect reply numbers the batch that
// it brings, the next connect says up to which number batches were received, and the later ones
// are sent again. Its zero value is ready.
type Batches struct {
	last    uint64 // number of the newest batch
	pending []batch
}

type batch struct {
	number  uint64
	entries []Entry
}

// Add records a batch and returns the reply's ext. An empty batch gets no number: nothing is
// outstanding then, so the ext repeats the last.
func (b *Batches) Add(entries []Entry) json.RawMessage {
	if len(entries) > 0 {
		b.last++
		b.pending = append(b.pending, batch{b.last, entries})
	}
	ext := append([]byte(`{"ack":`), strconv.FormatUint(b.last, 10)...)
	return append(ext, '}')
}

// Confirm drops the batches up to the one that was received and puts the later ones back to the
// front of the queue. A connect that says nothing counts for what it is from any other client: the
// proof that everything arrived.
//
// It returns what arrived. What did not is sent as it was, every event and unmarked: the client has
// said that it never got it.
func (b *Batches) Confirm(received *int64, q *Queue) (arrived []Entry) {
	pending := b.pending
	b.pending = nil
	var again []Entry
	for _, p := range pending {
		if received == nil || *received >= 0 && p.number <= uint64(*received) {
			arrived = append(arrived, p.entries...)
		} else {
			again = append(again, p.entries...)
		}
	}
	q.PutBack(again)
	return arrived
}
