package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"exporthub/pkg/backoff"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

// firstProgress is what a job shows once a worker has taken it, in percent.
const firstProgress = 1

var (
	errStale   = errors.New("job: stale task")
	errRefused = errors.New("job: not admitted")
	errLater   = errors.New("job: not admitted yet")
)

// take makes the job this process's. The attempt is nil when there is nothing to run.
func (e *Engine) take(ctx context.Context, uuid string, number int) (*attempt, error) {
	ctx, cancel := context.WithTimeout(ctx, max(e.opts.Lease, time.Second))
	defer cancel()
	var (
		row   Job
		sent  time.Time
		kind  *kind
		admit Admission
	)
	err := e.opts.HeartbeatDB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		j, err := waitingJob(ctx, tx, uuid, number)
		if err != nil {
			return err
		}
		if kind = e.kindOf(j.Kind); kind == nil {
			e.log.Error("job of a kind unknown here, left to others", "job", uuid, "kind", j.Kind)
			return errStale
		}
		sent = e.opts.Now()
		var ok bool
		row, ok, err = moveJob(ctx, tx, j, e.takenJob(kind, j), move{
			lease: e.opts.Lease,
			only:  "run_at <= " + tx.NowMicros(),
		})
		switch {
		case err != nil:
			return err
		case !ok:
			return errStale
		}
		admit, err = e.admit(ctx, tx, kind, row)
		return err
	})
	switch {
	case errors.Is(err, errStale):
		return nil, nil
	case errors.Is(err, errLater):
		return nil, e.postpone(ctx, uuid, number, admit)
	case errors.Is(err, errRefused) && !errs.Is(err, errs.Unavailable):
		return nil, e.refuse(ctx, kind, uuid, number, err)
	case err != nil:
		return nil, err
	}
	return e.newAttempt(kind, row, sent), nil
}

// newAttempt is the attempt of a row that was taken by a statement sent at the given time.
func (e *Engine) newAttempt(kind *kind, row Job, sent time.Time) *attempt {
	now := e.opts.Now()
	return &attempt{
		e:        e,
		kind:     kind,
		job:      row,
		shown:    row,
		heldFrom: sent,
		began:    sent,
		eventAt:  now,
		written:  row.UpdatedAt,
		known:    now,
		log:      e.log.With("job", row.UUID, "kind", row.Kind, "attempt", row.Attempt),
	}
}

// takenJob is j in the hands of this process, in its kind's first stage.
func (e *Engine) takenJob(kind *kind, j Job) Job {
	j.State = StateRunning
	j.Stage = kind.stages.first()
	j.Step++
	j.Progress = firstProgress
	j.Failure = nil
	j.Waiting = ""
	j.LeaseOwner = e.opts.Owner
	return j
}

// admit asks the kind. What it has changed in the transaction is undone with the taking, unless it
// admits the job.
func (e *Engine) admit(ctx context.Context, tx *database.Tx, kind *kind, j Job) (Admission, error) {
	if err := kind.check(j); err != nil {
		return Admission{}, fmt.Errorf("%w: %w", errRefused, damagedFailure(err))
	}
	var admission Admission
	err := guard(func() (err error) {
		admission, err = kind.admit(ctx, tx, j)
		return err
	})
	if err != nil {
		return Admission{}, fmt.Errorf("%w: %w", errRefused, err)
	}
	if admission.later {
		return admission, errLater
	}
	return admission, nil
}

// waitingJob returns the job if it is queued in that attempt, else errStale.
func waitingJob(ctx context.Context, tx *database.Tx, uuid string, number int) (Job, error) {
	j, err := getJob(ctx, tx, uuid)
	if errs.Is(err, errs.NotFound) || err == nil && (j.State != StateQueued || j.Attempt != number) {
		return Job{}, errStale
	}
	return j, err
}

// postpone leaves a job queued that its kind does not want to run yet. The reconciler enqueues it
// again when it is due.
func (e *Engine) postpone(ctx context.Context, uuid string, number int, admission Admission) error {
	err := e.opts.HeartbeatDB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		return postponeJob(ctx, tx, uuid, number, admission.reason, admission.after)
	})
	if err == nil {
		e.log.Debug("job postponed", "job", uuid, "attempt", number, "reason", admission.reason)
	}
	return err
}

// refuse ends a job that was not admitted, in a transaction of its own, since the failed one may be
// unusable.
func (e *Engine) refuse(ctx context.Context, kind *kind, uuid string, number int, cause error) error {
	_, failure := kind.retry.judge(cause)
	e.log.Warn("job not admitted", "job", uuid, "attempt", number, "error", cause)
	var row Job
	var ok bool
	err := e.opts.HeartbeatDB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		j, err := waitingJob(ctx, tx, uuid, number)
		if err != nil {
			return err
		}
		row, ok, err = e.settle(ctx, tx, j, endedJob(j, StateFailure, failure), move{})
		return err
	})
	if errors.Is(err, errStale) {
		return nil
	}
	if err == nil && ok {
		e.publish(row, message{})
		e.opts.Attempt(row.Kind, string(row.State))
	}
	return err
}

// work runs a job that was taken and returns when its attempt has ended, its heartbeat with it.
func (e *Engine) work(ctx context.Context, a *attempt) {
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a.cancel = cancel
	e.running.add(a)
	defer e.running.remove(a)
	e.publish(a.job, message{live: a.holds})

	beatCtx, stopBeat := context.WithCancel(ctx)
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		for backoff.Sleep(beatCtx, e.opts.RenewEvery) {
			a.beat(beatCtx)
		}
	}()
	defer func() {
		stopBeat()
		<-beating
	}()

	var end json.RawMessage
	err := guard(func() (err error) {
		end, err = a.kind.run(runCtx, a)
		return err
	})
	// The heartbeat goes on until the end is written, which may take several tries.
	a.finish(ctx, context.Cause(runCtx), end, err)
}

// beat renews the lease, stores how far the run has said to be, and sees whether it has been
// cancelled or lost. What no event has said yet is not stored: a late subscriber is sent what the
// row says, and the others would be sent it again under another number.
func (a *attempt) beat(ctx context.Context) {
	a.writing.Lock()
	defer a.writing.Unlock()
	a.mu.Lock()
	a.publishLocked() // what ProgressEvery held back, if nothing came after it
	j := a.shown
	a.mu.Unlock()

	ctx, stop := context.WithTimeout(ctx, max(a.e.opts.Lease/2, time.Second))
	defer stop()
	var held, cancelled bool
	var sent time.Time
	err := a.e.opts.HeartbeatDB.Write(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		sent = a.e.opts.Now()
		held, cancelled, err = renewJob(ctx, tx, j, a.e.opts.Lease)
		return err
	})
	a.mu.Lock()
	over := a.over
	if err == nil && held {
		a.heldFrom = sent
	}
	a.mu.Unlock()
	switch {
	case err != nil && !errors.Is(err, context.Canceled):
		a.log.Warn("lease not renewed", "error", err)
	case err == nil && !held && !over:
		a.lose()
	case cancelled:
		a.cancel(ErrCancelled)
	}
}
