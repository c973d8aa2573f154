package job

import (
	"context"
	"errors"
	"fmt"
	"time"

	"exporthub/pkg/backoff"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

// firstProgress is what a job shows once a worker has taken it, in percent.
const firstProgress = 1

// Handle answers a doorbell: it takes the job if it still waits in that attempt, runs it to the attempt's end, and
// returns nil then, as for a doorbell that is stale or came while the engine drains. An error means that the job could
// not be taken because the database can't be reached, and the doorbell should be delivered again.
//
// ctx ends the waiting for a free slot, and the taking; a job that was taken runs on whatever becomes of ctx, held by
// its lease.
func (e *Engine) Handle(ctx context.Context, uuid string, attempt int) error {
	if !e.enter() {
		return nil
	}
	defer e.leave()
	if e.slots != nil {
		select {
		case e.slots <- struct{}{}:
			defer func() { <-e.slots }()
		case <-e.draining:
			return nil
		case <-ctx.Done():
			return nil // the row still waits; the reconciler rings again
		}
	}
	r, err := e.take(ctx, uuid, attempt)
	if err != nil {
		return fmt.Errorf("take job %s, attempt %d: %w", uuid, attempt, err)
	}
	if r != nil {
		e.work(context.WithoutCancel(ctx), r)
	}
	return nil
}

var (
	errStale   = errors.New("job: stale doorbell")
	errRefused = errors.New("job: not admitted")
)

// take makes the job ours. The Run is nil when there is nothing to run.
func (e *Engine) take(ctx context.Context, uuid string, attempt int) (*Run, error) {
	ctx, cancel := context.WithTimeout(ctx, max(e.o.Lease, time.Second))
	defer cancel()
	var (
		row  Job
		sent time.Time
		kind *Kind
	)
	err := e.o.HeartbeatDB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		j, err := waitingJob(ctx, tx, uuid, attempt)
		if err != nil {
			return err
		}
		if kind = e.kinds[j.Kind]; kind == nil {
			e.log.Error("job of a kind unknown here, left to others", "job", uuid, "kind", j.Kind)
			return errStale
		}
		next := j
		next.State, next.Step, next.Progress, next.Failure, next.LeaseOwner = StateStarting, j.Step+1, firstProgress, nil, e.o.Owner
		sent = e.o.Now()
		var ok bool
		row, ok, err = moveJob(ctx, tx, j, next, move{lease: e.o.Lease, only: "run_at <= " + tx.NowMicros()})
		switch {
		case err != nil:
			return err
		case !ok:
			return errStale
		case kind.Admit == nil:
			return nil
		}
		if err := guard(func() error { return kind.Admit(ctx, tx, row) }); err != nil {
			return fmt.Errorf("%w: %w", errRefused, err)
		}
		return nil
	})
	switch {
	case errors.Is(err, errStale):
		return nil, nil
	case errors.Is(err, errRefused) && !errs.Is(err, errs.Unavailable):
		return nil, e.refuse(ctx, uuid, attempt, err)
	case err != nil:
		return nil, err
	}
	return &Run{
		e: e, kind: kind, job: row, heldFrom: sent, began: sent, eventAt: e.o.Now(),
		log: e.log.With("job", row.UUID, "kind", row.Kind, "attempt", row.Attempt),
	}, nil
}

// waitingJob returns the job if it is queued in that attempt, else errStale.
func waitingJob(ctx context.Context, tx *database.Tx, uuid string, attempt int) (Job, error) {
	j, err := getJob(ctx, tx, uuid)
	if errs.Is(err, errs.NotFound) || err == nil && (j.State != StateQueued || j.Attempt != attempt) {
		return Job{}, errStale
	}
	return j, err
}

// refuse ends a job that was not admitted, in a transaction of its own, since the failed one may be unusable.
func (e *Engine) refuse(ctx context.Context, uuid string, attempt int, cause error) error {
	_, failure := judge(cause)
	e.log.Warn("job not admitted", "job", uuid, "attempt", attempt, "error", cause)
	var row Job
	var ok bool
	err := e.o.HeartbeatDB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		j, err := waitingJob(ctx, tx, uuid, attempt)
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
		e.tell(row, parcel{})
		e.o.Attempt(row.Kind, string(row.State))
	}
	return err
}

// work runs a job that was taken and returns when its attempt has ended, its heartbeat with it.
func (e *Engine) work(ctx context.Context, r *Run) {
	runCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.cancel = cancel
	e.mu.Lock()
	e.runs[r] = struct{}{}
	if e.handBack {
		cancel(ErrHandBack)
	}
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		delete(e.runs, r)
		e.mu.Unlock()
	}()
	e.tell(r.job, parcel{live: r.holds})

	beatCtx, stopBeat := context.WithCancel(ctx)
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		for backoff.Sleep(beatCtx, e.o.RenewEvery) {
			r.beat(beatCtx)
		}
	}()
	defer func() {
		stopBeat()
		<-beating
	}()

	var detail any
	err := guard(func() (err error) {
		detail, err = r.kind.Run(runCtx, r)
		return err
	})
	r.finish(ctx, context.Cause(runCtx), detail, err)
}

// beat renews the lease, stores how far the run is, and sees whether it has been cancelled or lost.
func (r *Run) beat(ctx context.Context) {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.Lock()
	r.tellLocked() // what ProgressEvery held back, if nothing came after it
	r.encodeLocked()
	j := r.job
	r.mu.Unlock()

	ctx, stop := context.WithTimeout(ctx, max(r.e.o.Lease/2, time.Second))
	defer stop()
	var held, cancelled bool
	var sent time.Time
	err := r.e.o.HeartbeatDB.Write(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		sent = r.e.o.Now()
		held, cancelled, err = renewJob(ctx, tx, j, r.e.o.Lease)
		return err
	})
	r.mu.Lock()
	over := r.over
	if err == nil && held {
		r.heldFrom = sent
	}
	r.mu.Unlock()
	switch {
	case err != nil && !errors.Is(err, context.Canceled):
		r.log.Warn("lease not renewed", "error", err)
	case err == nil && !held && !over:
		r.lose()
	case cancelled:
		r.cancel(ErrCancelled)
	}
}
