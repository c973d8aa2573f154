// Package event is what happened to something, on its way to those who subscribe to it. The job
// engine, identities and the systems share these two types, so that none of them has to know
// another to publish. The Bayeux server has a type of the same shape, since it is a library by
// itself; the wiring converts between the two.
//
// Events are best effort. The database holds the truth, and a subscriber who missed an event reads
// the current state when it subscribes again. Everything here may be used from any goroutine.
package event

import (
	"context"
	"encoding/json"
)

// Event is one thing that happened, addressed to the streams it is published under.
type Event struct {
	Streams []string // the names it is published under; none publishes nothing
	// Key is the thing it is about, such as a job's uuid. Events of one Key replace one another.
	Key string
	// Seq orders the events of one Key. A subscriber ignores what is not newer than what it has.
	Seq   uint64
	Final bool            // the last event of its Key
	Data  json.RawMessage // what subscribers receive
}

// Publisher delivers events to the subscribers of their streams, on every replica.
type Publisher interface {
	// Publish returns once the bus has taken the event. An error means that it may not have;
	// publishing it again is safe, because subscribers recognise a repetition by Key and Seq.
	Publish(ctx context.Context, e Event) error
}
