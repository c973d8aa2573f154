package job

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/event"
	"exporthub/pkg/testkit"
)

// messageOf is a message that tells data of a job.
func messageOf(key, data string, progress bool) message {
	raw, _ := json.Marshal(data)
	return message{event: event.Event{Key: key, Streams: []string{"/s"}, Data: raw}, progress: progress}
}

// shards gives a test an engine's outbox that nobody empties until it is started.
func shards(t *testing.T) (*world, *testEngine) {
	w := newWorld(t, dbtest.SQLite(t, schema...))
	return w, w.idleEngine(testKind(succeed), nil)
}

func TestOutboxKeepsOrderAndDropsOverdueProgress(t *testing.T) {
	w, e := shards(t)
	o := e.out
	for i := range 3 {
		o.put(messageOf("a", fmt.Sprintf("state %d", i), false))
		o.put(messageOf("a", fmt.Sprintf("early %d", i), true))
		o.put(messageOf("a", fmt.Sprintf("late %d", i), true))
	}
	w.start(e)()
	want := []string{"state 0", "state 1", "state 2", "late 2"}
	if got := w.bus.told("a"); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestOutboxIsBounded(t *testing.T) {
	w, e := shards(t)
	o := e.out
	o.put(messageOf("a", "first", false))
	o.put(messageOf("a", "progress", true))
	shard := o.shards[slices.IndexFunc(o.shards[:], func(l *shard) bool { return len(l.queue) > 0 })]
	for i := range outboxSize {
		p := messageOf(fmt.Sprintf("other %d", i), "x", false)
		p.born = o.e.opts.Now()
		shard.put(p)
	}
	if len(shard.queue) != outboxSize {
		t.Errorf("%d messages, want %d", len(shard.queue), outboxSize)
	}
	w.start(e)()
	if got := w.bus.told("a"); len(got) != 0 {
		t.Errorf("told %q; want the progress dropped first and then the oldest", got)
	}
	if got := w.bus.told(fmt.Sprintf("other %d", outboxSize-1)); len(got) != 1 {
		t.Error("the newest was dropped")
	}
}

func TestOutboxTriesTheLatestAgain(t *testing.T) {
	w, e := shards(t)
	o := e.out
	w.bus.setDown(true)
	w.start(e)
	o.put(messageOf("a", "one", false))
	testkit.Eventually(t, 5*time.Second, func() bool {
		w.bus.mu.Lock()
		defer w.bus.mu.Unlock()
		return w.bus.tries > 0
	})
	o.put(messageOf("a", "two", false))
	o.put(messageOf("a", "three", false))
	w.bus.setDown(false)
	w.awaitTold("a", "three")
	if got := w.bus.told("a"); slices.Contains(got, "one") && slices.Contains(got, "two") {
		t.Errorf("told %q; want no backlog of what is over", got)
	}
	o.put(messageOf("a", "four", false))
	o.put(messageOf("a", "five", false))
	if got := w.awaitTold("a", "five"); got[len(got)-2] != "four" {
		t.Errorf("told %q; want every event again", got)
	}
}

func TestOutboxDropsWhatIsTooOld(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t, schema...))
	e := w.engine(testKind(succeed), func(o *Options) { o.EventTTL = time.Nanosecond })
	w.bus.setDown(true)
	e.out.put(messageOf("a", "one", false))
	testkit.Eventually(t, 5*time.Second, func() bool {
		w.bus.mu.Lock()
		defer w.bus.mu.Unlock()
		return w.bus.tries > 0
	})
	w.bus.setDown(false)
	e.out.put(messageOf("a", "two", false))
	if got := w.awaitTold("a", "two"); len(got) != 1 {
		t.Errorf("told %q, want only the new one", got)
	}
}

func TestOutboxAsksWhetherTheRunStillHolds(t *testing.T) {
	w, e := shards(t)
	o := e.out
	p := messageOf("a", "one", false)
	p.live = func() bool { return false }
	o.put(p)
	o.put(messageOf("a", "two", false))
	w.start(e)()
	if got := w.bus.told("a"); !slices.Equal(got, []string{"two"}) {
		t.Errorf("told %q, want two", got)
	}
}

// stuckBus takes no event until its caller's patience ends.
type stuckBus struct{}

func (stuckBus) Publish(ctx context.Context, _ event.Event) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestStuckBusHoldsUpNobody(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		e := w.engine(testKind(succeed), func(o *Options) {
			// The reconciler enqueues it, since the task waits behind the bus.
			o.Publisher, o.CallTimeout, o.TaskAge = stuckBus{}, time.Second, 50*time.Millisecond
		})
		w.queue.deliverTo(e)
		j := w.accept(e)
		w.awaitState(j.UUID, StateSuccess)
	})
}
