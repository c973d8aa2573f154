package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

// requeuedJob is j waiting for its next attempt.
func requeuedJob(j Job) Job {
	j.State = StateQueued
	j.Stage = ""
	j.Attempt++
	j.Step = 1
	j.Progress = 0
	j.LeaseOwner = ""
	j.Failure = nil
	return j
}

// endedJob is j after its end.
func endedJob(j Job, state State, f *Failure) Job {
	j.State = state
	j.Stage = ""
	j.Step++
	j.LeaseOwner = ""
	j.Failure = f
	if state == StateSuccess {
		j.Progress = 100
	}
	return j
}

// settle writes a transition out of an attempt, and in the same transaction what the kind does when
// a job ends.
func (e *Engine) settle(ctx context.Context, tx *database.Tx, from, to Job, m move) (Job, bool, error) {
	kind := e.kindOf(from.Kind)
	if kind != nil && !kind.stages.allows(from, to) || !from.State.Can(to.State) {
		return Job{}, false, errs.Newf(errs.Internal, "job %s can't go from %s %s to %s",
			from.UUID, from.State, from.Stage, to.State)
	}
	row, ok, err := moveJob(ctx, tx, from, to, m)
	if err != nil || !ok || !row.State.Ended() {
		return row, ok, err
	}
	if kind == nil {
		// Only its kind knows what has to be released with the end.
		return Job{}, false, errs.Newf(errs.Internal, "job %s is of kind %s, unknown here", row.UUID, row.Kind)
	}
	if damaged := kind.check(row); damaged != nil {
		e.log.Error("job ends with a record that can't be read", "job", row.UUID, "error", damaged)
	}
	err = guard(func() error { return kind.ended(ctx, tx, row) })
	return row, err == nil, err
}

// outcome is where an attempt leads.
type outcome struct {
	name  string // for metrics and logs
	next  Job
	delay time.Duration
}

// finish writes the end of the attempt and publishes it. Where that can't be written while the
// lease may last, the job is left to the worker that takes it over.
func (a *attempt) finish(ctx context.Context, cause error, end json.RawMessage, err error) {
	a.mu.Lock()
	lost := errors.Is(cause, ErrLost)
	a.over = true
	a.encodeLocked()
	from := a.job
	a.mu.Unlock()
	if lost {
		a.e.opts.Attempt(a.kind.name, "lost")
		return
	}
	o := a.decide(from, cause, end, err)
	row, writeErr := a.write(ctx, a.e.opts.DB, &o.next, func(ctx context.Context, tx *database.Tx) (Job, bool, error) {
		// A request to cancel was answered with yes, so it wins over whatever was reached
		// meanwhile.
		if a.kind.stages.fails(from.Stage) == nil && o.next.State != StateCancelled {
			now, err := lockJob(ctx, tx, from.UUID)
			if err != nil {
				return Job{}, false, err
			}
			if now.CancelRequested && now.Attempt == from.Attempt {
				o = outcome{name: "cancelled", next: endedJob(from, StateCancelled, nil)}
			}
		}
		return a.e.settle(ctx, tx, from, o.next, move{delay: o.delay})
	})
	if writeErr != nil {
		a.log.Error("end of attempt not written; another worker will take the job over",
			"outcome", o.name, "error", writeErr)
		a.e.opts.Attempt(a.kind.name, "lost")
		return
	}
	var m message
	if row.State == StateQueued && o.delay == 0 {
		m.task = &Task{UUID: row.UUID, Attempt: row.Attempt}
	}
	a.e.publish(row, m)
	a.e.opts.Attempt(a.kind.name, o.name)
	a.logEnd(o, row, err)
}

// decide is the table of outcomes. The order matters: an end that was published already is not
// taken back, and a cancellation counts before the error it has caused.
func (a *attempt) decide(from Job, cause error, end json.RawMessage, err error) outcome {
	if err == nil && !a.kind.stages.succeeds(from.Stage) {
		err = &faultError{fmt.Errorf("run of job %s returned success in stage %s, where it can't", from.UUID, from.Stage)}
		a.log.Error("run returned success where it can't", "state", from.Stage)
	}
	if err == nil {
		next := endedJob(from, StateSuccess, nil)
		next.end = end
		return outcome{name: "success", next: next}
	}
	again, f := a.kind.retry.judge(err)
	var panicked *panicError
	var fault *faultError
	switch {
	case errors.As(err, &panicked):
		again = false
		f = a.kind.retry.engineFailure(CodePanic)
	case errors.As(err, &fault):
		again = false
	}
	switch {
	case a.kind.stages.fails(from.Stage) != nil:
		return outcome{name: "failure", next: endedJob(from, StateFailure, f)}
	case errors.Is(cause, ErrCancelled):
		return outcome{name: "cancelled", next: endedJob(from, StateCancelled, nil)}
	case errors.Is(cause, ErrReleased):
		return outcome{name: outcomeReleased, next: requeuedJob(from)}
	case again && from.Failures+1 < a.kind.retry.maxFailures():
		next := requeuedJob(from)
		next.Failures = from.Failures + 1
		next.Failure = f
		return outcome{
			name:  "retry",
			next:  next,
			delay: a.kind.retry.delay(a.e.opts.RetryDelay, next.Failures),
		}
	}
	next := endedJob(from, StateFailure, f)
	if again {
		next.Failures++
	}
	return outcome{name: "failure", next: next}
}

// outcomeReleased keeps the name under which the metric exporthub_job_attempts_total was released.
const outcomeReleased = "hand_back"

// faultError is a fault in a kind's code, which another attempt would repeat.
type faultError struct{ error }

func (f *faultError) Unwrap() error { return f.error }

// logEnd writes the one line of a finished attempt.
func (a *attempt) logEnd(o outcome, row Job, err error) {
	args := []any{"outcome", o.name, "took", a.e.opts.Now().Sub(a.began).Round(time.Millisecond)}
	var panicked *panicError
	switch {
	case errors.As(err, &panicked):
		a.log.Error("attempt ended", append(args, "panic", panicked.value, "stack", string(panicked.stack))...)
	case o.name == "failure" || o.name == "retry":
		a.log.Warn("attempt ended", append(args, "error", err, "delay", o.delay)...)
	default:
		a.log.Info("attempt ended", append(args, "state", row.State)...)
	}
}
