package job

import (
	"context"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"exporthub/pkg/event"
)

const (
	// outboxShards is over how many shards jobs are spread. One slow call delays the jobs of its
	// own shard, a quarter of all.
	outboxShards = 4
	// outboxSize is how many messages a shard holds. When it is full the oldest progress is
	// dropped, and without any progress the oldest event: subscribers read the current state again.
	outboxSize  = 1024
	outboxPause = 100 * time.Millisecond
	outboxRest  = time.Second // the longest pause between tries while the bus is away
)

// message is an event on its way out, and the task that is enqueued after it.
type message struct {
	event    event.Event
	progress bool // a later event of the job makes it worthless
	// live is asked right before it is published: does its run still hold the job? Nil is always.
	live func() bool
	task *Task
	born time.Time
}

// outbox delivers what was committed, so that neither requests nor runs wait for the bus or the
// queue. A job's events leave in order, within one shard; while the bus is away only the latest of
// each job is kept, and tried again until EventTTL. A task is tried once: the reconciler enqueues
// it again.
type outbox struct {
	e      *Engine
	shards [outboxShards]*shard
}

// shard is a queue with one goroutine.
type shard struct {
	e    *Engine
	wake chan struct{} // holds one: something was put

	mu      sync.Mutex
	queue   []message
	failing bool
}

func newOutbox(e *Engine) *outbox {
	o := &outbox{e: e}
	for i := range o.shards {
		o.shards[i] = &shard{e: e, wake: make(chan struct{}, 1)}
	}
	return o
}

// start runs the shards until stop is closed; then each delivers what it still holds, once and
// within CallTimeout.
func (o *outbox) start(wg *sync.WaitGroup, stop <-chan struct{}) {
	for _, s := range o.shards {
		wg.Go(func() { s.run(stop) })
	}
}

// put never blocks.
func (o *outbox) put(m message) {
	if o.e.opts.Publisher == nil && m.task == nil {
		return
	}
	m.born = o.e.opts.Now()
	h := fnv.New32a()
	h.Write([]byte(m.event.Key))
	o.shards[h.Sum32()%outboxShards].put(m)
}

func (s *shard) put(m message) {
	s.mu.Lock()
	// What the new event makes worthless leaves first, so that a bus that is slow carries the
	// newest percentage and not a backlog of old ones. A message with a task stays for the task.
	s.queue = slices.DeleteFunc(s.queue, func(q message) bool {
		return q.event.Key == m.event.Key && q.task == nil && (q.progress || s.failing)
	})
	if len(s.queue) >= outboxSize {
		drop := max(0, slices.IndexFunc(s.queue, func(q message) bool { return q.progress }))
		s.queue = slices.Delete(s.queue, drop, drop+1)
	}
	s.queue = append(s.queue, m)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // it is awake already
	}
}

func (s *shard) take() (message, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return message{}, false
	}
	m := s.queue[0]
	s.queue = slices.Delete(s.queue, 0, 1)
	return m, true
}

func (s *shard) run(stop <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	pause := outboxPause
	for {
		select {
		case <-stop:
			s.flush()
			return
		default:
		}
		m, ok := s.take()
		if !ok {
			select {
			case <-s.wake:
			case <-stop:
			}
			continue
		}
		if s.deliver(context.Background(), m) {
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

func (s *shard) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), s.e.opts.CallTimeout)
	defer cancel()
	for ctx.Err() == nil {
		m, ok := s.take()
		if !ok || !s.deliver(ctx, m) {
			return
		}
	}
}

// deliver publishes a message's event, enqueues its task, and reports whether it needs no other try
// now. The task leaves whatever becomes of the event.
func (s *shard) deliver(ctx context.Context, m message) bool {
	err := s.publish(ctx, m)
	if m.task != nil {
		s.enqueue(ctx, m)
		m.task = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil && s.failing:
		s.failing = false
		s.e.log.Info("events are published again")
	case err != nil && !s.failing:
		s.failing = true
		s.e.log.Warn("events can't be published; the latest of each job is kept and tried again", "error", err)
	}
	if err == nil {
		return true
	}
	newer := slices.ContainsFunc(s.queue, func(q message) bool { return q.event.Key == m.event.Key })
	if !newer && s.e.opts.Now().Sub(m.born) < s.e.opts.EventTTL {
		// To the end, so that an event the bus will never take does not block the others.
		s.queue = append(s.queue, m)
	}
	return false
}

func (s *shard) publish(ctx context.Context, m message) error {
	if s.e.opts.Publisher == nil || len(m.event.Streams) == 0 || (m.live != nil && !m.live()) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.e.opts.CallTimeout)
	defer cancel()
	return s.e.opts.Publisher.Publish(ctx, m.event)
}

// enqueue is not tried again here: a queue that hangs must not delay the shard, and the reconciler
// finds the row.
func (s *shard) enqueue(ctx context.Context, m message) {
	t := *m.task
	if s.e.opts.Now().Sub(m.born) > s.e.opts.TaskAge {
		return // it waited behind calls that hung; by now the reconciler has it
	}
	ctx, cancel := context.WithTimeout(ctx, s.e.opts.CallTimeout)
	defer cancel()
	if err := s.e.opts.Queue.Enqueue(ctx, t); err != nil {
		s.e.log.Warn("task not enqueued; the reconciler will enqueue it",
			"job", t.UUID, "attempt", t.Attempt, "error", err)
	}
}
