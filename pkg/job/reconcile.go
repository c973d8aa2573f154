package job

import (
	"context"
	"sync/atomic"
	"time"

	"exporthub/pkg/backoff"
	"exporthub/pkg/database"
)

const (
	takeoverBatch = 100 // expired leases looked at in one tick; the rest wait for the next
	bellBatch     = 200 // waiting rows whose doorbells are looked at in one tick, in turn
)

// reconciler looks after everybody's jobs while its process leads. Every process ticks, leader or not, to know how long
// it has had the database: after an outage nobody's lease is believed to have ended until everybody has had one whole
// lease's time to renew.
//
// Takeovers and doorbells have a loop each, so that a queue that hangs delays no takeover.
type reconciler struct {
	e       *Engine
	leading atomic.Bool

	// Of lead's goroutine:
	goodSince time.Time // first good tick since the database was last lost; zero while it is
	lastGood  time.Time

	// Of ring's goroutine:
	cursor waiting
	eager  bool // the whole backlog is looked at once, however young: the queue may have started empty
	taken  map[string]takenBell
	broken bool // the queue could not be asked last time
}

// takenBell is a waiting row whose doorbell a worker has, or had.
type takenBell struct {
	attempt int
	n       int       // the last ring that is known of
	since   time.Time // when it was first seen taken
	seen    bool      // in this round
}

func newReconciler(e *Engine) *reconciler {
	return &reconciler{e: e, eager: true, taken: map[string]takenBell{}}
}

// every is the time to the next tick, spread so that processes started together do not stay in step.
func (r *reconciler) every() time.Duration { return spread(r.e.o.ReconcileEvery) }

// spread is d, give or take a tenth.
func spread(d time.Duration) time.Duration { return backoff.Around(d, 0.1) }

// lead ticks until ctx ends, then gives up the lead.
func (r *reconciler) lead(ctx context.Context) {
	for backoff.Sleep(ctx, r.every()) {
		r.tick(ctx)
	}
	if !r.leading.Swap(false) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.e.o.CallTimeout)
	defer cancel()
	err := r.e.o.HeartbeatDB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		return dropLead(ctx, tx, leadName, r.e.o.Owner, 0)
	})
	if err != nil {
		r.e.log.Warn("reconciler's lead not given up; it ends by itself", "error", err)
	}
}

func (r *reconciler) tick(ctx context.Context) {
	// A tick that takes longer than this is no proof that the others could renew meanwhile.
	tctx, cancel := context.WithTimeout(ctx, max(r.e.o.Lease/4, r.e.o.CallTimeout))
	defer cancel()
	var leader bool
	err := r.e.o.HeartbeatDB.Write(tctx, func(ctx context.Context, tx *database.Tx) (err error) {
		leader, err = takeLead(ctx, tx, leadName, r.e.o.Owner, r.e.o.LeaderLease)
		return err
	})
	now := r.e.o.Now()
	if err != nil {
		if ctx.Err() != nil {
			return // ending; whether we led stays known, so that the lead is given up
		}
		if !r.goodSince.IsZero() {
			r.e.log.Warn("reconciler lost the database", "error", err)
		}
		r.goodSince = time.Time{}
		r.leading.Store(false)
		return
	}
	if r.goodSince.IsZero() || apart(r.lastGood, now) > r.e.o.Lease/2 {
		r.goodSince = now
	}
	r.lastGood = now
	if r.leading.Swap(leader) != leader {
		r.e.log.Info("reconciler", "leading", leader)
	}
	if leader && now.Sub(r.goodSince) >= r.e.o.Lease {
		r.takeOver(tctx)
	}
}

// apart is how long ago then was, by the monotonic or the wall clock, whichever says more: one stands still while a
// machine sleeps.
func apart(then, now time.Time) time.Duration {
	return max(now.Sub(then), now.Round(0).Sub(then.Round(0)))
}

// takeOver gives the jobs of workers that fell silent to the next.
func (r *reconciler) takeOver(ctx context.Context) {
	var jobs []Job
	err := r.e.o.HeartbeatDB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		jobs, err = expiredJobs(ctx, tx, takeoverBatch)
		return err
	})
	for _, j := range jobs {
		if err = r.takeOverOne(ctx, j); err != nil && ctx.Err() != nil {
			break
		}
		if err != nil {
			r.e.log.Error("job not taken over, trying again", "job", j.UUID, "kind", j.Kind, "error", err)
		}
	}
	if err != nil && len(jobs) == 0 {
		r.e.log.Error("expired leases not found", "error", err)
	}
}

// takeOverOne ends what must not run again and puts the rest back.
func (r *reconciler) takeOverOne(ctx context.Context, j Job) error {
	to := requeuedJob(j)
	to.Takeovers++
	switch {
	case j.State == StateUploadFailure:
		to = endedJob(j, StateFailure, uploadFailed())
	case j.CancelRequested:
		to = endedJob(j, StateCancelled, nil)
	case to.Takeovers >= r.e.o.MaxTakeovers:
		to = endedJob(j, StateFailure, workerLost())
		to.Takeovers = j.Takeovers + 1
	}
	var row Job
	var ok bool
	err := r.e.o.HeartbeatDB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		now, err := lockJob(ctx, tx, j.UUID)
		if err != nil {
			return err
		}
		if now.CancelRequested != j.CancelRequested {
			ok = false // the next tick sees it
			return nil
		}
		// Still expired: its worker may have renewed since we looked.
		row, ok, err = r.e.settle(ctx, tx, j, to, move{only: expired(tx)})
		return err
	})
	if err != nil || !ok {
		return err
	}
	r.e.log.Warn("job taken over: its worker fell silent", "job", j.UUID, "kind", j.Kind, "attempt", j.Attempt,
		"worker", j.LeaseOwner, "state", row.State)
	p, name := parcel{}, string(row.State)
	if row.State == StateQueued {
		p.ring, name = &Doorbell{UUID: row.UUID, Attempt: row.Attempt}, "takeover"
	}
	r.e.tell(row, p)
	r.e.o.Attempt(row.Kind, name)
	return nil
}

// ring looks after the doorbells of waiting rows until ctx ends.
func (r *reconciler) ring(ctx context.Context) {
	for backoff.Sleep(ctx, r.every()) {
		if !r.leading.Load() {
			// The next time we lead, the backlog is unknown again.
			r.cursor, r.eager = waiting{}, true
			clear(r.taken)
			continue
		}
		err := r.ringBatch(ctx)
		switch {
		case err != nil && ctx.Err() == nil && !r.broken:
			r.broken = true
			r.e.log.Warn("doorbells can't be looked after", "error", err)
		case err == nil && r.broken:
			r.broken = false
			r.e.log.Info("doorbells are looked after again")
		}
		if err != nil {
			r.cursor = waiting{} // the oldest first when it is back
		}
	}
}

// ringBatch looks at the next waiting rows; after the last one the round is complete and the next begins.
func (r *reconciler) ringBatch(ctx context.Context) error {
	age := r.e.o.BellAge
	if r.eager {
		age = 0
	}
	var rows []waiting
	err := r.e.o.HeartbeatDB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		rows, err = waitingJobs(ctx, tx, r.cursor, age, bellBatch)
		return err
	})
	if err != nil {
		return err
	}
	for _, w := range rows {
		if err := r.look(ctx, w); err != nil {
			return err
		}
		r.cursor = w
	}
	if len(rows) < bellBatch {
		r.cursor, r.eager = waiting{}, false
		for id, t := range r.taken {
			if !t.seen {
				delete(r.taken, id)
				continue
			}
			t.seen = false
			r.taken[id] = t
		}
	}
	return nil
}

// look rings for a row whose doorbell is gone, and rings anew, under the next number, for one whose doorbell was taken
// without the row being taken: its worker died between the two.
func (r *reconciler) look(ctx context.Context, w waiting) error {
	ctx, cancel := context.WithTimeout(ctx, r.e.o.CallTimeout)
	defer cancel()
	known, ok := r.taken[w.uuid]
	if !ok || known.attempt != w.attempt {
		known = takenBell{attempt: w.attempt}
	}
	bell := Doorbell{UUID: w.uuid, Attempt: w.attempt, N: known.n}
	state, err := r.e.o.Bell.State(ctx, bell)
	if err != nil {
		return err
	}
	now := r.e.o.Now()
	switch {
	case state == BellWaiting:
		known.since = time.Time{}
	case state == BellAbsent:
		known.since = time.Time{}
		err = r.ringOne(ctx, bell)
	case known.since.IsZero():
		known.since = now
	case now.Sub(known.since) >= r.e.o.BellTaken:
		// Another leader may have rung it before us; then this does nothing and the next look finds it.
		known.n, known.since = known.n+1, time.Time{}
		bell.N = known.n
		err = r.ringOne(ctx, bell)
	}
	if known.n == 0 && known.since.IsZero() {
		delete(r.taken, w.uuid) // nothing to remember: the rule, and it keeps a long backlog from filling the map
		return err
	}
	known.seen = true
	r.taken[w.uuid] = known
	return err
}

func (r *reconciler) ringOne(ctx context.Context, d Doorbell) error {
	if err := r.e.o.Bell.Ring(ctx, d); err != nil {
		return err
	}
	r.e.log.Info("doorbell rung again", "job", d.UUID, "attempt", d.Attempt, "n", d.N)
	return nil
}
