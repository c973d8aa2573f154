package bayeux

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"exporthub/pkg/bayeux/internal/protocol"
)

// Event is what a server publishes.
type Event struct {
	// Streams are the streams it belongs to; every subscription fed by one of them gets it once.
	Streams []string
	// Key names the thing the event is about, a job for example. Of several events with one Key and
	// Phase a slow client may get only the newest. An empty Key marks an event that stands for
	// itself: never replaced, never dropped as old.
	Key string
	// Phase is what of the Key the event is about, such as the stage of a job. A slow client is
	// spared events that a later one of the same Phase replaces, but gets one of every Phase.
	Phase string
	// Seq orders the events of one Key: one that is not newer than what a subscription already got
	// is dropped. 0 means unordered.
	Seq uint64
	// Final marks the last event of its Key, which is never replaced by another.
	Final bool
	// Position is when the event was published, in microseconds of Unix time, greater than that of
	// every event before it. The Bus sets it on delivery, the same on all servers, so that a client
	// can go on at another server without a gap or a repetition. 0 where a Bus does not.
	Position uint64
	// Data is the JSON delivered as the message's data.
	Data json.RawMessage
}

// ValidChannel reports whether events can be published to a channel of that name: it is valid in
// form, no pattern, and not in the protocol's own /meta or /service.
func ValidChannel(name string) bool {
	return protocol.ValidName(name) && !protocol.Reserved(name)
}

// Bus carries events from publishers to every server.
type Bus interface {
	// Publish sends the event to all servers that are running.
	Publish(ctx context.Context, e Event) error
	// Run calls deliver for each event, events of one Key in the order of their Publish calls,
	// until ctx ends; then it returns nil. Once it is connected, and each time its connection was
	// lost and is back, it calls resync. Neither function blocks, and neither is called after Run
	// has returned. An error means that the bus can't go on.
	Run(ctx context.Context, deliver func(Event), resync func()) error
}

// LocalBus is a Bus within one process, for tests and for a single server. Its zero value is ready
// to use. Publish delivers before it returns; an event published while no server runs is lost.
type LocalBus struct {
	mu       sync.Mutex
	next     int
	servers  map[int]func(Event)
	position uint64
	memory
}

var (
	_ Bus    = (*LocalBus)(nil)
	_ Memory = (*LocalBus)(nil)
)

// Publish delivers the event to every running server.
func (b *LocalBus) Publish(_ context.Context, e Event) error {
	if !json.Valid(e.Data) {
		return fmt.Errorf("bayeux: event data is not JSON")
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.position = max(b.position+1, uint64(time.Now().UnixMicro()))
	e.Position = b.position
	b.memory.publish(e)
	// Under the lock, so that all servers see events in one order. deliver does not block.
	for _, deliver := range b.servers {
		deliver(e)
	}
	return nil
}

// Run registers deliver until ctx ends.
func (b *LocalBus) Run(ctx context.Context, deliver func(Event), resync func()) error {
	b.mu.Lock()
	if b.servers == nil {
		b.servers = make(map[int]func(Event))
	}
	id := b.next
	b.next++
	b.servers[id] = deliver
	b.mu.Unlock()
	resync()
	<-ctx.Done()
	b.mu.Lock()
	delete(b.servers, id)
	b.mu.Unlock()
	return nil
}
