package job

import (
	"context"
	"time"

	"exporthub/pkg/backoff"
	"exporthub/pkg/database"
)

// taskBatch is how many waiting rows one poll checks, in turn.
const taskBatch = 200

// lostTasks finds waiting rows whose tasks the queue has lost. It belongs to one goroutine.
type lostTasks struct {
	e      *Engine
	cursor waiting
	// eager says that the whole backlog is checked, however young: the queue may have started
	// empty.
	eager  bool
	taken  map[string]takenTask
	broken bool // the queue could not be asked last time
}

// takenTask is a waiting row whose task a worker has, or has had.
type takenTask struct {
	attempt int
	n       int       // the last task of it that is known of
	since   time.Time // when it was first seen taken
	seen    bool      // in this round
}

func newLostTasks(e *Engine) lostTasks {
	return lostTasks{e: e, eager: true, taken: map[string]takenTask{}}
}

// enqueueLost checks the tasks of waiting rows until ctx ends.
func (r *reconciler) enqueueLost(ctx context.Context) {
	t := &r.tasks
	for backoff.Sleep(ctx, r.every()) {
		if !r.leading.Load() {
			// The next time this process leads, the backlog is unknown again.
			t.cursor = waiting{}
			t.eager = true
			clear(t.taken)
			continue
		}
		err := t.checkBatch(ctx)
		switch {
		case err != nil && ctx.Err() == nil && !t.broken:
			t.broken = true
			r.e.log.Warn("tasks of waiting jobs can't be checked", "error", err)
		case err == nil && t.broken:
			t.broken = false
			r.e.log.Info("tasks of waiting jobs are checked again")
		}
		if err != nil {
			t.cursor = waiting{} // the oldest first when it is back
		}
	}
}

// checkBatch checks the next waiting rows; after the last one the round is complete and the next
// begins.
func (t *lostTasks) checkBatch(ctx context.Context) error {
	age := t.e.opts.TaskAge
	if t.eager {
		age = 0
	}
	var rows []waiting
	err := t.e.opts.HeartbeatDB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		rows, err = waitingJobs(ctx, tx, t.cursor, age, taskBatch)
		return err
	})
	if err != nil {
		return err
	}
	for _, w := range rows {
		if err := t.check(ctx, w); err != nil {
			return err
		}
		t.cursor = w
	}
	if len(rows) < taskBatch {
		t.endRound()
	}
	return nil
}

// endRound drops what is remembered of rows that wait no longer.
func (t *lostTasks) endRound() {
	t.cursor = waiting{}
	t.eager = false
	for id, known := range t.taken {
		if !known.seen {
			delete(t.taken, id)
			continue
		}
		known.seen = false
		t.taken[id] = known
	}
}

// check enqueues the task of a row again when it is gone, and another one, under the next number,
// when it was taken without the row being taken: its worker died between the two.
func (t *lostTasks) check(ctx context.Context, w waiting) error {
	ctx, cancel := context.WithTimeout(ctx, t.e.opts.CallTimeout)
	defer cancel()
	known, ok := t.taken[w.uuid]
	if !ok || known.attempt != w.attempt {
		known = takenTask{attempt: w.attempt}
	}
	task := Task{UUID: w.uuid, Attempt: w.attempt, N: known.n}
	state, err := t.e.opts.Queue.State(ctx, task)
	if err != nil {
		return err
	}
	now := t.e.opts.Now()
	switch {
	case state == TaskPending:
		known.since = time.Time{}
	case state == TaskAbsent:
		known.since = time.Time{}
		err = t.enqueue(ctx, task)
	case known.since.IsZero():
		known.since = now
	case now.Sub(known.since) >= t.e.opts.TaskTakenFor:
		// Another leader may have enqueued it before; then this does nothing and the next poll
		// finds it.
		known.n++
		known.since = time.Time{}
		task.N = known.n
		err = t.enqueue(ctx, task)
	}
	if known.n == 0 && known.since.IsZero() {
		// Nothing to remember: that is the rule, and it keeps a long backlog from filling the map.
		delete(t.taken, w.uuid)
		return err
	}
	known.seen = true
	t.taken[w.uuid] = known
	return err
}

func (t *lostTasks) enqueue(ctx context.Context, task Task) error {
	if err := t.e.opts.Queue.Enqueue(ctx, task); err != nil {
		return err
	}
	t.e.log.Info("task enqueued again", "job", task.UUID, "attempt", task.Attempt, "n", task.N)
	return nil
}
