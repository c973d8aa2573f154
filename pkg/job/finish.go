package job

import (
	"context"
	"errors"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

// requeuedJob is j waiting for its next attempt.
func requeuedJob(j Job) Job {
	j.State, j.Attempt, j.Step, j.Progress, j.LeaseOwner, j.Failure = StateQueued, j.Attempt+1, 1, 0, "", nil
	return j
}

// endedJob is j after its end.
func endedJob(j Job, state State, f *Failure) Job {
	j.State, j.Step, j.LeaseOwner, j.Failure = state, j.Step+1, "", f
	if state == StateSuccess {
		j.Progress = 100
	}
	return j
}

// settle writes a transition out of an attempt, and in the same transaction what the kind does when a job ends.
func (e *Engine) settle(ctx context.Context, tx *database.Tx, from, to Job, m move) (Job, bool, error) {
	if !from.State.Can(to.State) {
		return Job{}, false, errs.Newf(errs.Internal, "job %s can't go from %s to %s", from.UUID, from.State, to.State)
	}
	row, ok, err := moveJob(ctx, tx, from, to, m)
	if err != nil || !ok || !row.State.Ended() {
		return row, ok, err
	}
	kind := e.kinds[row.Kind]
	if kind == nil {
		return Job{}, false, errs.Newf(errs.Internal, "job %s is of kind %s, unknown here", row.UUID, row.Kind)
	}
	if kind.Ended != nil {
		err = guard(func() error { return kind.Ended(ctx, tx, row) })
	}
	return row, err == nil, err
}

// outcome is where an attempt leads.
type outcome struct {
	name  string // for metrics and logs
	next  Job
	delay time.Duration
}

// finish writes the end of the attempt and tells it. Where that can't be written while the lease may last, the job is
// left to whoever takes it over.
func (r *Run) finish(ctx context.Context, cause error, detail any, err error) {
	r.mu.Lock()
	lost := errors.Is(cause, ErrLost)
	r.over = true
	r.encodeLocked()
	from := r.job
	r.mu.Unlock()
	if lost {
		r.e.o.Attempt(r.kind.Name, "lost")
		return
	}
	o := r.decide(from, cause, detail, err)
	row, writeErr := r.write(ctx, r.e.o.DB, &o.next, func(ctx context.Context, tx *database.Tx) (Job, bool, error) {
		// Whoever asked for the end has been told that it will come, so it wins over whatever was reached meanwhile.
		if from.State.Can(StateCancelled) && o.next.State != StateCancelled {
			now, err := lockJob(ctx, tx, from.UUID)
			if err != nil {
				return Job{}, false, err
			}
			if now.CancelRequested && now.Attempt == from.Attempt {
				o = outcome{name: "cancelled", next: endedJob(from, StateCancelled, nil)}
			}
		}
		return r.e.settle(ctx, tx, from, o.next, move{delay: o.delay})
	})
	if writeErr != nil {
		r.log.Error("end of attempt not written; the job goes to whoever takes it over", "outcome", o.name, "error", writeErr)
		r.e.o.Attempt(r.kind.Name, "lost")
		return
	}
	p := parcel{}
	if row.State == StateQueued && o.delay == 0 {
		p.ring = &Doorbell{UUID: row.UUID, Attempt: row.Attempt}
	}
	r.e.tell(row, p)
	r.e.o.Attempt(r.kind.Name, o.name)
	r.logEnd(o, row, err)
}

// decide is the table of outcomes.
func (r *Run) decide(from Job, cause error, detail any, err error) outcome {
	if err == nil {
		raw, encodeErr := encode("detail", detail)
		if encodeErr == nil && from.State.Can(StateSuccess) {
			next := endedJob(from, StateSuccess, nil)
			if raw != nil {
				next.Detail = raw
			}
			return outcome{name: "success", next: next}
		}
		// A fault in the kind's code, which another attempt would repeat.
		r.log.Error("run returned success where it can't", "state", from.State, "error", encodeErr)
		_, f := judge(errs.New(errs.Internal, ""))
		return outcome{name: "failure", next: endedJob(from, StateFailure, f)}
	}
	var panic *panicError
	again, f := judge(err)
	if errors.As(err, &panic) {
		again, f = false, panicked()
	}
	switch {
	case from.State == StateUploadFailure:
		return outcome{name: "failure", next: endedJob(from, StateFailure, f)}
	case errors.Is(cause, ErrCancelled):
		return outcome{name: "cancelled", next: endedJob(from, StateCancelled, nil)}
	case errors.Is(cause, ErrHandBack):
		return outcome{name: "hand_back", next: requeuedJob(from)}
	case again && from.Failures+1 < r.kind.maxFailures():
		next := requeuedJob(from)
		next.Failures, next.Failure = from.Failures+1, f
		return outcome{name: "retry", next: next, delay: r.e.backoff(r.kind, next.Failures)}
	}
	next := endedJob(from, StateFailure, f)
	if again {
		next.Failures++
	}
	return outcome{name: "failure", next: next}
}

// logEnd writes the one line of a finished attempt.
func (r *Run) logEnd(o outcome, row Job, err error) {
	args := []any{"outcome", o.name, "took", r.e.o.Now().Sub(r.began).Round(time.Millisecond)}
	var panic *panicError
	switch {
	case errors.As(err, &panic):
		r.log.Error("attempt ended", append(args, "panic", panic.value, "stack", string(panic.stack))...)
	case o.name == "failure" || o.name == "retry":
		r.log.Warn("attempt ended", append(args, "error", err, "delay", o.delay)...)
	default:
		r.log.Info("attempt ended", append(args, "state", row.State)...)
	}
}

func (k *Kind) maxFailures() int {
	if k.MaxFailures > 0 {
		return k.MaxFailures
	}
	return 5
}

func (e *Engine) backoff(k *Kind, n int) time.Duration {
	if k.Backoff != nil {
		return max(k.Backoff(n), 0)
	}
	return retryDelay(e.o.RetryDelay, n)
}
