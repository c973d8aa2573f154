package job

import (
	"context"
	"sync/atomic"
	"time"

	"exporthub/pkg/backoff"
	"exporthub/pkg/database"
)

// takeoverBatch is how many expired leases one tick takes over; the rest wait for the next.
const takeoverBatch = 100

// reconciler repairs what was lost between rows, queue and workers, for all processes, while its
// own process leads. Every process ticks, leader or not, to know how long it has had the database:
// after an outage no lease is believed to have ended until every worker has had one whole lease's
// time to renew.
//
// Takeovers and tasks have a loop each, so that a queue that hangs delays no takeover.
type reconciler struct {
	e       *Engine
	leading atomic.Bool

	// Of lead's goroutine:
	goodSince time.Time // first good tick since the database was last lost; zero while it is
	lastGood  time.Time

	tasks lostTasks // of enqueueLost's goroutine
}

func newReconciler(e *Engine) *reconciler {
	return &reconciler{e: e, tasks: newLostTasks(e)}
}

// every is the time to the next tick, spread so that processes started together don't keep step.
func (r *reconciler) every() time.Duration { return spread(r.e.opts.ReconcileEvery) }

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
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.e.opts.CallTimeout)
	defer cancel()
	err := r.e.opts.HeartbeatDB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		return dropLead(ctx, tx, leadName, r.e.opts.Owner, 0)
	})
	if err != nil {
		r.e.log.Warn("reconciler's lead not given up; it ends by itself", "error", err)
	}
}

func (r *reconciler) tick(ctx context.Context) {
	// A tick that takes longer than this is no proof that the others could renew meanwhile.
	tctx, cancel := context.WithTimeout(ctx, max(r.e.opts.Lease/4, r.e.opts.CallTimeout))
	defer cancel()
	var leader bool
	err := r.e.opts.HeartbeatDB.Write(tctx, func(ctx context.Context, tx *database.Tx) (err error) {
		leader, err = takeLead(ctx, tx, leadName, r.e.opts.Owner, r.e.opts.LeaderLease)
		return err
	})
	now := r.e.opts.Now()
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
	if r.goodSince.IsZero() || apart(r.lastGood, now) > r.e.opts.Lease/2 {
		r.goodSince = now
	}
	r.lastGood = now
	if r.leading.Swap(leader) != leader {
		r.e.log.Info("reconciler", "leading", leader)
	}
	if leader && now.Sub(r.goodSince) >= r.e.opts.Lease {
		r.takeOver(tctx)
	}
}

// apart is how long ago then was, by the monotonic or the wall clock, the longer of the two: one
// stands still while a machine sleeps.
func apart(then, now time.Time) time.Duration {
	return max(now.Sub(then), now.Round(0).Sub(then.Round(0)))
}

// takeOver gives the jobs of workers that fell silent to the next.
func (r *reconciler) takeOver(ctx context.Context) {
	var jobs []Job
	err := r.e.opts.HeartbeatDB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		jobs, err = expiredJobs(ctx, tx, takeoverBatch)
		return err
	})
	for _, j := range jobs {
		if err = r.takeOverOne(ctx, j); err != nil && ctx.Err() != nil {
			break
		}
		if err != nil {
			// One job that can't be taken over must not keep the others from it.
			r.e.log.Error("job not taken over, trying again", "job", j.UUID, "kind", j.Kind, "error", err)
		}
	}
	if err != nil && len(jobs) == 0 {
		r.e.log.Error("expired leases not found", "error", err)
	}
}

// takeOverOne ends what must not run again and puts the rest back into the queue.
func (r *reconciler) takeOverOne(ctx context.Context, j Job) error {
	to := r.takenOver(j)
	var row Job
	var ok bool
	err := r.e.opts.HeartbeatDB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		now, err := lockJob(ctx, tx, j.UUID)
		if err != nil {
			return err
		}
		if now.CancelRequested != j.CancelRequested {
			ok = false // decided anew in the next tick
			return nil
		}
		// Still expired: its worker may have renewed since the row was read.
		row, ok, err = r.e.settle(ctx, tx, j, to, move{only: expired(tx)})
		return err
	})
	if err != nil || !ok {
		return err
	}
	r.e.log.Warn("job taken over: its worker fell silent", "job", j.UUID, "kind", j.Kind, "attempt", j.Attempt,
		"worker", j.LeaseOwner, "state", row.State)
	var m message
	outcome := string(row.State)
	if row.State == StateQueued {
		m.task = &Task{UUID: row.UUID, Attempt: row.Attempt}
		outcome = "takeover"
	}
	r.e.publish(row, m)
	r.e.opts.Attempt(row.Kind, outcome)
	return nil
}

// takenOver decides where a job goes whose worker is lost.
func (r *reconciler) takenOver(j Job) Job {
	kind := r.e.kindOf(j.Kind)
	takeovers := j.Takeovers + 1
	var to Job
	switch {
	case kind != nil && kind.stages.fails(j.Stage) != nil:
		return endedJob(j, StateFailure, kind.stages.fails(j.Stage))
	case j.CancelRequested:
		return endedJob(j, StateCancelled, nil)
	case kind != nil && takeovers >= r.e.opts.MaxTakeovers:
		to = endedJob(j, StateFailure, kind.retry.engineFailure(CodeWorkerLost))
	default:
		// So are jobs of kinds unknown here: queued again, they wait for a worker that knows them.
		to = requeuedJob(j)
	}
	to.Takeovers = takeovers
	return to
}
