package bayeux

import (
	"context"
	"sync"
	"time"

	"exporthub/pkg/bayeux/internal/protocol"
)

// maxBatchWait is how long a connect that a message has ended waits for the rest of the batch it
// was published in.
const maxBatchWait = 50 * time.Millisecond

// batches knows when requests that publish several messages are under way, so that the messages of
// one share a response. Its zero value is ready.
type batches struct {
	mu   sync.Mutex
	open int
	done chan struct{} // closed when none is under way any more; nil when none is
}

// begin notes a batch and returns what ends it.
func (b *batches) begin() (end func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open++; b.open == 1 {
		b.done = make(chan struct{})
	}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.open--; b.open == 0 {
			close(b.done)
			b.done = nil
		}
	}
}

// wait waits until no batch is under way, for a short time.
func (b *batches) wait(ctx context.Context) {
	b.mu.Lock()
	done := b.done
	b.mu.Unlock()
	if done == nil {
		return
	}
	timer := time.NewTimer(maxBatchWait)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// handleAll carries out the messages of a request or frame.
func (x *exchange) handleAll(batch []protocol.Message) error {
	publishes := 0
	for i := range batch {
		if protocol.ValidName(batch[i].Channel) && !protocol.Reserved(batch[i].Channel) {
			publishes++
		}
	}
	end := func() {}
	if publishes > 1 {
		end = sync.OnceFunc(x.srv.batches.begin())
	}
	defer end()
	for i := range batch {
		if batch[i].Channel == protocol.MetaConnect {
			end() // a connect may wait, and nobody else's is to wait for it
		}
		if err := x.handle(&batch[i]); err != nil {
			return err
		}
	}
	return x.answerSubscribes()
}
