package job

import (
	"context"
	"hash/fnv"
	"slices"
	"sync"
	"time"
)

const (
	outboxLanes = 4    // jobs are spread over them, so that one slow call holds up a quarter of the others
	outboxSize  = 1024 // parcels in a lane; then the oldest progress is dropped, then the oldest event
	outboxPause = 100 * time.Millisecond
	outboxRest  = time.Second // the longest pause between tries while the bus is away
)

// parcel is an event on its way out, and the doorbell that is rung after it.
type parcel struct {
	event    Event
	progress bool        // a later event of the job makes it worthless
	live     func() bool // asked right before it is published: does its run still hold the job? Nil is always
	ring     *Doorbell
	born     time.Time
}

// outbox delivers what was committed. A job's events leave in order, one lane each; while the bus is away only the
// latest of each job is kept, and tried again until EventTTL. A doorbell is tried once: the reconciler rings again.
type outbox struct {
	e     *Engine
	lanes [outboxLanes]*lane
}

type lane struct {
	e    *Engine
	wake chan struct{} // holds one: something was put

	mu      sync.Mutex
	queue   []parcel
	failing bool
}

func newOutbox(e *Engine) *outbox {
	o := &outbox{e: e}
	for i := range o.lanes {
		o.lanes[i] = &lane{e: e, wake: make(chan struct{}, 1)}
	}
	return o
}

// start runs the lanes until stop is closed; then each delivers what it still holds, once and within CallTimeout.
func (o *outbox) start(wg *sync.WaitGroup, stop <-chan struct{}) {
	for _, l := range o.lanes {
		wg.Go(func() { l.run(stop) })
	}
}

// put never blocks.
func (o *outbox) put(p parcel) {
	if o.e.o.Publisher == nil && p.ring == nil {
		return
	}
	p.born = o.e.o.Now()
	h := fnv.New32a()
	h.Write([]byte(p.event.Key))
	o.lanes[h.Sum32()%outboxLanes].put(p)
}

func (l *lane) put(p parcel) {
	l.mu.Lock()
	l.queue = slices.DeleteFunc(l.queue, func(q parcel) bool {
		return q.event.Key == p.event.Key && q.ring == nil && (q.progress || l.failing)
	})
	if len(l.queue) >= outboxSize {
		drop := max(0, slices.IndexFunc(l.queue, func(q parcel) bool { return q.progress }))
		l.queue = slices.Delete(l.queue, drop, drop+1)
	}
	l.queue = append(l.queue, p)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // it is awake already
	}
}

func (l *lane) take() (parcel, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return parcel{}, false
	}
	p := l.queue[0]
	l.queue = slices.Delete(l.queue, 0, 1)
	return p, true
}

func (l *lane) run(stop <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	pause := outboxPause
	for {
		select {
		case <-stop:
			l.flush()
			return
		default:
		}
		p, ok := l.take()
		if !ok {
			select {
			case <-l.wake:
			case <-stop:
			}
			continue
		}
		if l.deliver(context.Background(), p) {
			pause = outboxPause
			continue
		}
		timer.Reset(pause)
		pause = min(2*pause, outboxRest)
		select {
		case <-timer.C:
		case <-stop:
		}
	}
}

func (l *lane) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), l.e.o.CallTimeout)
	defer cancel()
	for ctx.Err() == nil {
		p, ok := l.take()
		if !ok || !l.deliver(ctx, p) {
			return
		}
	}
}

// deliver publishes a parcel's event, rings its bell, and reports whether it needs no other try now.
func (l *lane) deliver(ctx context.Context, p parcel) bool {
	err := l.publish(ctx, p)
	if p.ring != nil {
		l.ring(ctx, p)
		p.ring = nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil && l.failing:
		l.failing = false
		l.e.log.Info("events are published again")
	case err != nil && !l.failing:
		l.failing = true
		l.e.log.Warn("events can't be published; the latest of each job is kept and tried again", "error", err)
	}
	if err == nil {
		return true
	}
	newer := slices.ContainsFunc(l.queue, func(q parcel) bool { return q.event.Key == p.event.Key })
	if !newer && l.e.o.Now().Sub(p.born) < l.e.o.EventTTL {
		// To the end, so that an event the bus will never take does not stand in the way of the others.
		l.queue = append(l.queue, p)
	}
	return false
}

func (l *lane) publish(ctx context.Context, p parcel) error {
	if l.e.o.Publisher == nil || len(p.event.Streams) == 0 || (p.live != nil && !p.live()) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.e.o.CallTimeout)
	defer cancel()
	return l.e.o.Publisher.Publish(ctx, p.event)
}

// ring is not tried again here: a bell that hangs must not hold up the lane, and the reconciler finds the row.
func (l *lane) ring(ctx context.Context, p parcel) {
	d := *p.ring
	if l.e.o.Now().Sub(p.born) > l.e.o.BellAge {
		return // it stood behind calls that hung; by now it is the reconciler's
	}
	ctx, cancel := context.WithTimeout(ctx, l.e.o.CallTimeout)
	defer cancel()
	if err := l.e.o.Bell.Ring(ctx, d); err != nil {
		l.e.log.Warn("doorbell not rung; the reconciler will", "job", d.UUID, "attempt", d.Attempt, "error", err)
	}
}
