package bayeux

import (
	"bytes"
	"encoding/json"
	"hash/fnv"
	"slices"
)

const (
	// maxRepeats bounds how often an id that was answered is taken for a repetition, for clients that use one id for
	// everything.
	maxRepeats = 5
	// maxPast is the number of past ids that are known. Under load a quick client can be that far ahead of a request it gave up.
	maxPast = 32
)

// turn says how a connect's id relates to those before it.
type turn int

const (
	fresh    turn = iota // not seen before
	pending              // that of the present connect, which has no answer yet
	repeated             // that of the last connect, which was answered
	late                 // that of a connect before it: a request that was long under way, on which nobody waits
)

// turns follows the ids of a session's connects. A client sends a new id only once it has an answer to the last, and the same id
// again when none came. So an id gets one answer, however often it is asked: a new id then proves that all of the last answer's messages
// arrived, whichever request brought them, and a request that comes late can take none with it. The zero value is ready.
type turns struct {
	id       json.RawMessage // the present connect's, nil when it had none
	past     [maxPast]uint32 // hashes of those before it; two that are equal by chance cost an empty answer
	count    int             // of those before it
	answered bool
	unproven []entry // went out with the answer
	repeats  int     // repetitions and late ones in a row
}

// begin judges a connect and, when it is fresh, makes it the present one.
func (t *turns) begin(id json.RawMessage) turn {
	if id != nil && bytes.Equal(id, t.id) {
		switch {
		case !t.answered:
			return pending
		case t.repeats < maxRepeats:
			t.repeats++
			return repeated
		}
	} else if t.knows(id) && t.repeats < maxRepeats {
		t.repeats++
		return late
	}
	if t.id != nil {
		t.past[t.count%maxPast] = hashOf(t.id)
		t.count++
	}
	t.id, t.repeats = id, 0
	t.reopen()
	return fresh
}

func (t *turns) knows(id json.RawMessage) bool {
	return id != nil && slices.Contains(t.past[:min(t.count, maxPast)], hashOf(id))
}

func hashOf(id json.RawMessage) uint32 {
	h := fnv.New32a()
	_, _ = h.Write(id) // never fails
	return h.Sum32()
}

// answer notes what the present connect's answer carries.
func (t *turns) answer(batch []entry) {
	t.answered, t.unproven = true, batch
}

// reopen leaves the present connect without an answer.
func (t *turns) reopen() {
	t.answered, t.unproven = false, nil
}
