package bayeux

import (
	"bytes"
	"encoding/json"
	"hash/fnv"
	"slices"

	"exporthub/pkg/bayeux/internal/queue"
)

const (
	// maxRepeats bounds how often an id that was answered is taken for a repetition, for clients
	// that use one id for everything.
	maxRepeats = 5
	// maxPast is the number of past ids that are known. Under load a quick client can be that far
	// ahead of a request it gave up.
	maxPast = 32
)

// idKind says how a connect's id relates to those before it.
type idKind int

const (
	fresh    idKind = iota // not seen before
	pending                // that of the present connect, which has no answer yet
	repeated               // that of the last connect, which was answered
	// That of a connect before it: a request that was long under way and abandoned.
	late
)

// connectIDs follows the ids of a session's connects. A client sends a new id only once it has an
// answer to the last, and the same id again when none came. So an id gets one answer, however often
// it is asked: a new id then proves that all of the last answer's messages arrived, whichever
// request brought them, and a request that comes late can take none with it. The zero value is
// ready.
type connectIDs struct {
	id       json.RawMessage // the present connect's, nil when it had none
	past     [maxPast]uint32 // hashes of those before it; two equal by chance cost an empty answer
	count    int             // of those before it
	answered bool
	unproven []queue.Entry // went out with the answer
	repeats  int           // repetitions and late ones in a row
}

// begin judges a connect and, when it is fresh, makes it the present one. It returns what a fresh
// one proves to have arrived: the messages of the answer before it.
func (c *connectIDs) begin(id json.RawMessage) (kind idKind, arrived []queue.Entry) {
	if id != nil && bytes.Equal(id, c.id) {
		switch {
		case !c.answered:
			return pending, nil
		case c.repeats < maxRepeats:
			c.repeats++
			return repeated, nil
		}
	} else if c.knows(id) && c.repeats < maxRepeats {
		c.repeats++
		return late, nil
	}
	if c.id != nil {
		c.past[c.count%maxPast] = hashOf(c.id)
		c.count++
	}
	c.id = id
	c.repeats = 0
	arrived = c.unproven
	c.reopen()
	return fresh, arrived
}

func (c *connectIDs) knows(id json.RawMessage) bool {
	return id != nil && slices.Contains(c.past[:min(c.count, maxPast)], hashOf(id))
}

func hashOf(id json.RawMessage) uint32 {
	h := fnv.New32a()
	_, _ = h.Write(id) // never fails
	return h.Sum32()
}

// answer records what the present connect's answer carries.
func (c *connectIDs) answer(batch []queue.Entry) {
	c.answered = true
	c.unproven = batch
}

// reopen leaves the present connect without an answer.
func (c *connectIDs) reopen() {
	c.answered = false
	c.unproven = nil
}
