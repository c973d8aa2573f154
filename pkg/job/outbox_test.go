package job

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/testkit"
)

// parcelOf is a parcel that tells data of a job.
func parcelOf(key, data string, progress bool) parcel {
	raw, _ := json.Marshal(data)
	return parcel{event: Event{Key: key, Streams: []string{"/s"}, Data: raw}, progress: progress}
}

// lanes gives a test an engine's outbox that nobody empties until it is started.
func lanes(t *testing.T) (*world, *outbox) {
	w := newWorld(t, dbtest.SQLite(t, schema...))
	return w, w.idleEngine(testKind(succeed), nil).out
}

func TestOutboxKeepsOrderAndDropsOverdueProgress(t *testing.T) {
	w, o := lanes(t)
	for i := range 3 {
		o.put(parcelOf("a", fmt.Sprintf("state %d", i), false))
		o.put(parcelOf("a", fmt.Sprintf("early %d", i), true))
		o.put(parcelOf("a", fmt.Sprintf("late %d", i), true))
	}
	w.start(o.e)()
	want := []string{"state 0", "state 1", "state 2", "late 2"}
	if got := w.bus.told("a"); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestOutboxIsBounded(t *testing.T) {
	w, o := lanes(t)
	o.put(parcelOf("a", "first", false))
	o.put(parcelOf("a", "progress", true))
	lane := o.lanes[slices.IndexFunc(o.lanes[:], func(l *lane) bool { return len(l.queue) > 0 })]
	for i := range outboxSize {
		p := parcelOf(fmt.Sprintf("other %d", i), "x", false)
		p.born = o.e.o.Now()
		lane.put(p)
	}
	if len(lane.queue) != outboxSize {
		t.Errorf("%d parcels, want %d", len(lane.queue), outboxSize)
	}
	w.start(o.e)()
	if got := w.bus.told("a"); len(got) != 0 {
		t.Errorf("told %q; want the progress dropped first and then the oldest", got)
	}
	if got := w.bus.told(fmt.Sprintf("other %d", outboxSize-1)); len(got) != 1 {
		t.Error("the newest was dropped")
	}
}

func TestOutboxTriesTheLatestAgain(t *testing.T) {
	w, o := lanes(t)
	w.bus.setDown(true)
	w.start(o.e)
	o.put(parcelOf("a", "one", false))
	testkit.Eventually(t, 5*time.Second, func() bool {
		w.bus.mu.Lock()
		defer w.bus.mu.Unlock()
		return w.bus.tries > 0
	})
	o.put(parcelOf("a", "two", false))
	o.put(parcelOf("a", "three", false))
	w.bus.setDown(false)
	w.awaitTold("a", "three")
	if got := w.bus.told("a"); slices.Contains(got, "one") && slices.Contains(got, "two") {
		t.Errorf("told %q; want no backlog of what is over", got)
	}
	o.put(parcelOf("a", "four", false))
	o.put(parcelOf("a", "five", false))
	if got := w.awaitTold("a", "five"); got[len(got)-2] != "four" {
		t.Errorf("told %q; want every event again", got)
	}
}

func TestOutboxForgetsWhatIsTooOld(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t, schema...))
	e := w.engine(testKind(succeed), func(o *Options) { o.EventTTL = time.Nanosecond })
	w.bus.setDown(true)
	e.out.put(parcelOf("a", "one", false))
	testkit.Eventually(t, 5*time.Second, func() bool {
		w.bus.mu.Lock()
		defer w.bus.mu.Unlock()
		return w.bus.tries > 0
	})
	w.bus.setDown(false)
	e.out.put(parcelOf("a", "two", false))
	if got := w.awaitTold("a", "two"); len(got) != 1 {
		t.Errorf("told %q, want only the new one", got)
	}
}

func TestOutboxAsksWhetherTheRunStillHolds(t *testing.T) {
	w, o := lanes(t)
	p := parcelOf("a", "one", false)
	p.live = func() bool { return false }
	o.put(p)
	o.put(parcelOf("a", "two", false))
	w.start(o.e)()
	if got := w.bus.told("a"); !slices.Equal(got, []string{"two"}) {
		t.Errorf("told %q, want two", got)
	}
}

// stuckBus takes no event until its caller's patience ends.
type stuckBus struct{}

func (stuckBus) Publish(ctx context.Context, _ Event) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestStuckBusHoldsUpNobody(t *testing.T) {
	engines(t, func(t *testing.T, w *world) {
		e := w.engine(testKind(succeed), func(o *Options) {
			// The reconciler rings, since the doorbell stands behind the bus.
			o.Publisher, o.CallTimeout, o.BellAge = stuckBus{}, time.Second, 50*time.Millisecond
		})
		w.bell.deliverTo(e)
		j := w.accept(e)
		w.awaitState(j.UUID, StateSuccess)
	})
}
