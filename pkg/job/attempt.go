package job

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"exporthub/pkg/backoff"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

// attempt is an attempt that is running here. Run is the same in the hands of its kind.
type attempt struct {
	e      *Engine
	kind   *kind
	log    *slog.Logger
	cancel context.CancelCauseFunc
	began  time.Time

	// writing is held while the row is written: transitions and heartbeats, one after another.
	writing sync.Mutex

	mu       sync.Mutex
	job      Job  // as in the row, with the progress since
	shown    Job  // as its last event says; what heartbeats store
	detail   any  // newer than job.detail, encoded when it is needed; nil when there is none
	unsent   bool // the percentage has grown since the last event
	moving   bool // a transition is being written: progress waits for it
	over     bool // the kind's Run has returned, or the attempt is lost
	eventAt  time.Time
	written  time.Time // when the last transition was, by the database's clock
	known    time.Time // when it was answered, by the process's
	heldFrom time.Time // when the last write that extended the lease was sent
}

func (a *attempt) current() Job {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.job
}

// holds reports whether the lease can't have ended yet: a lease's length has not passed since the
// last renewal that succeeded was sent. It counts from the sending, because the database's clock
// started the lease somewhere between that and the answer.
func (a *attempt) holds() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.holdsLocked()
}

func (a *attempt) holdsLocked() bool {
	return apart(a.heldFrom, a.e.opts.Now()) < a.e.opts.Lease
}

// advance is Run.Advance.
func (a *attempt) advance(ctx context.Context, to Stage, progress int, detail any) error {
	raw, err := encode("detail", detail)
	if err != nil {
		return err
	}
	a.writing.Lock()
	defer a.writing.Unlock()
	from, next, err := a.beginMove(to, progress)
	if err != nil {
		return err
	}
	defer a.endMove()
	next.detail = raw
	var sent time.Time
	row, err := a.write(ctx, a.e.opts.HeartbeatDB, &next, func(ctx context.Context, tx *database.Tx) (Job, bool, error) {
		sent = a.e.opts.Now()
		return moveJob(ctx, tx, from, next, move{lease: a.e.opts.Lease})
	})
	if err != nil {
		return fmt.Errorf("advance job %s to %s: %w", from.UUID, to, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shown = row
	// Progress that came while the transition was written stays, to be published with what follows.
	reached := a.job.Progress
	a.job = row
	a.job.Progress = max(row.Progress, reached)
	a.unsent = a.job.Progress > row.Progress
	a.heldFrom = sent
	a.eventAt = a.e.opts.Now()
	a.written = row.UpdatedAt
	a.known = a.eventAt
	a.detail = nil
	a.e.publish(row, message{live: a.holds})
	if row.CancelRequested {
		a.cancel(ErrCancelled)
	}
	return nil
}

// beginMove checks a transition and holds back progress events until it is written, so that none is
// published under the old stage with a higher number.
func (a *attempt) beginMove(to Stage, progress int) (from, next Job, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	from = a.job
	if a.over {
		return from, next, ErrLost
	}
	if !a.kind.stages.can(from.Stage, to) {
		return from, next, fmt.Errorf("job %s can't advance from %s to %s", from.UUID, from.Stage, to)
	}
	a.moving = true
	a.encodeLocked()
	next = a.job
	next.Stage = to
	next.Step = from.Step + 1
	next.Progress = max(from.Progress, clamp(progress))
	return from, next, nil
}

func (a *attempt) endMove() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.moving = false
}

// progress is Run.Progress.
func (a *attempt) progress(percent int, detail any) {
	percent = clamp(percent)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return
	}
	a.detail = detail
	if percent > a.job.Progress {
		a.job.Progress = percent
		a.unsent = true
	}
	a.publishLocked()
}

// setDetail is Run.SetDetail.
func (a *attempt) setDetail(detail any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.detail = detail
}

// publishLocked publishes the current percentage if that is due and the lease certain.
func (a *attempt) publishLocked() {
	if !a.unsent || a.moving || a.over {
		return
	}
	now := a.e.opts.Now()
	if now.Sub(a.eventAt) < a.e.opts.ProgressEvery || !a.holdsLocked() {
		return
	}
	a.encodeLocked()
	a.job.Step++
	a.job.UpdatedAt = a.nowLocked(now)
	a.shown = a.job
	a.unsent = false
	a.eventAt = now
	a.e.publish(a.job, message{progress: true, live: a.holds})
}

// nowLocked is about what the database's clock says now: the time of a percentage that is published
// before any row holds it. It is behind by as long as the last answer took, never ahead, so that
// the next row is not older than an event before it; and it is later than the event before.
func (a *attempt) nowLocked(now time.Time) time.Time {
	at := a.written.Add(now.Sub(a.known)).Truncate(time.Microsecond)
	if at.After(a.job.UpdatedAt) {
		return at
	}
	return a.job.UpdatedAt.Add(time.Microsecond)
}

// encodeLocked encodes the newest detail. It is put off until something is published or written,
// because a kind may report progress with every row.
func (a *attempt) encodeLocked() {
	if a.detail == nil {
		return
	}
	raw, err := encode("detail", a.detail)
	if err != nil {
		a.log.Error("progress not understood", "error", err)
	} else {
		a.job.detail = raw
	}
	a.detail = nil
}

func clamp(progress int) int { return min(max(progress, 0), 100) }

// write stores a transition. While the database is away it tries again as long as the lease may
// last. A row that already says what next says was written by a try whose answer was lost. fn may
// change next.
func (a *attempt) write(ctx context.Context, db *database.DB, next *Job,
	fn func(ctx context.Context, tx *database.Tx) (Job, bool, error)) (Job, error) {
	for try := 1; ; try++ {
		var row Job
		wctx, cancel := context.WithTimeout(ctx, max(a.e.opts.Lease/2, time.Second))
		err := db.Write(wctx, func(ctx context.Context, tx *database.Tx) error {
			var ok bool
			var err error
			if row, ok, err = fn(ctx, tx); err != nil || ok {
				return err
			}
			row, err = getJob(ctx, tx, next.UUID)
			if err != nil && !errs.Is(err, errs.NotFound) {
				return err
			}
			if err != nil || !row.sameStep(*next) {
				return ErrLost
			}
			return nil
		})
		cancel()
		switch {
		case err == nil:
			return row, nil
		case errors.Is(err, ErrLost):
			a.lose()
			return Job{}, ErrLost
		case ctx.Err() != nil:
			return Job{}, err
		case !a.holds(), !errs.Is(err, errs.Unavailable) && try >= 3:
			// Other errors get a few tries too: a deadlock may take more than database's own.
			return Job{}, err
		}
		a.log.Warn("job not written, trying again", "state", stateColumn(next.State, next.Stage), "error", err)
		if !backoff.Sleep(ctx, a.e.opts.RenewEvery) {
			return Job{}, err
		}
	}
}

// sameStep reports whether two records of a job are of one step of one attempt.
func (j Job) sameStep(other Job) bool {
	return j.Attempt == other.Attempt && j.State == other.State && j.Stage == other.Stage && j.Step == other.Step
}

// lose ends a run whose attempt another worker has taken over.
func (a *attempt) lose() {
	a.log.Warn("attempt lost: another has taken the job over")
	a.mu.Lock()
	a.over = true
	a.heldFrom = time.Time{} // nothing of this run is published any more
	a.mu.Unlock()
	a.cancel(ErrLost)
}
