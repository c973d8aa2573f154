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

// Run is an attempt that is running, in the hands of its kind. Its methods may be called from several goroutines, until
// Kind.Run returns.
type Run struct {
	e      *Engine
	kind   *Kind
	log    *slog.Logger
	cancel context.CancelCauseFunc
	began  time.Time

	// writing is held by whoever writes the row: transitions and heartbeats, one after another.
	writing sync.Mutex

	mu       sync.Mutex
	job      Job  // as in the row, with what Progress added since
	detail   any  // newer than job.Detail, to be encoded when it is needed
	untold   bool // the percentage has moved since the last event
	moving   bool // a transition is being written: progress waits for it
	over     bool // Kind.Run has returned, or the attempt is lost
	eventAt  time.Time
	heldFrom time.Time // when the last write that extended the lease was sent
}

// Job returns the job as this run knows it.
func (r *Run) Job() Job {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.job
}

// holds reports whether the lease can't have ended yet: a lease's length has not passed since the last renewal that
// succeeded was sent.
func (r *Run) holds() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.holdsLocked()
}

func (r *Run) holdsLocked() bool {
	return apart(r.heldFrom, r.e.o.Now()) < r.e.o.Lease
}

// Advance moves the job on to another active state, or stays in its state with something worth storing at once (a
// further try of an upload), and tells its followers. progress is in percent and never goes back within an attempt;
// detail replaces the stored one and must not be changed afterwards; nil keeps it.
//
// While the database is away it tries again for as long as the lease may last. An error that is ErrLost means the
// attempt is another's now; Kind.Run returns it, as it returns any error of Advance.
func (r *Run) Advance(ctx context.Context, to State, progress int, detail any) error {
	raw, err := encode("detail", detail)
	if err != nil {
		return err
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	from, next, err := r.begin(to, progress)
	if err != nil {
		return err
	}
	defer r.endMove()
	if detail != nil {
		next.Detail = raw
	}
	var sent time.Time
	row, err := r.write(ctx, r.e.o.HeartbeatDB, &next, func(ctx context.Context, tx *database.Tx) (Job, bool, error) {
		sent = r.e.o.Now()
		return moveJob(ctx, tx, from, next, move{lease: r.e.o.Lease})
	})
	if err != nil {
		return fmt.Errorf("advance job %s to %s: %w", from.UUID, to, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	row.Progress = max(row.Progress, r.job.Progress)
	r.untold = row.Progress > next.Progress
	r.job, r.heldFrom, r.eventAt = row, sent, r.e.o.Now()
	if detail != nil {
		r.detail = nil
	}
	r.e.tell(row, parcel{live: r.holds})
	if row.CancelRequested {
		r.cancel(ErrCancelled)
	}
	return nil
}

// begin checks a transition and stops progress events until it is written, so that none is told under the old state
// with a higher number.
func (r *Run) begin(to State, progress int) (from, next Job, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from = r.job
	switch {
	case r.over:
		return from, next, ErrLost
	case !to.Active(), to != from.State && !from.State.Can(to):
		return from, next, fmt.Errorf("job %s can't advance from %s to %s", from.UUID, from.State, to)
	}
	r.moving = true
	r.encodeLocked()
	next = r.job
	next.State, next.Step = to, from.Step+1
	next.Progress = max(from.Progress, clamp(progress))
	return from, next, nil
}

func (r *Run) endMove() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moving = false
}

// Progress notes how far the work is, in percent of the whole job. It is cheap enough for every row: followers are told
// at most every Options.ProgressEvery and only when the percentage has grown, and the row learns of it with the next
// heartbeat. detail is as for Advance.
func (r *Run) Progress(_ context.Context, progress int, detail any) {
	progress = clamp(progress)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	if detail != nil {
		r.detail = detail
	}
	if progress > r.job.Progress {
		r.job.Progress, r.untold = progress, true
	}
	r.tellLocked()
}

// tellLocked publishes the present percentage if that is due and the lease certain.
func (r *Run) tellLocked() {
	if !r.untold || r.moving || r.over {
		return
	}
	now := r.e.o.Now()
	if now.Sub(r.eventAt) < r.e.o.ProgressEvery || !r.holdsLocked() {
		return
	}
	r.encodeLocked()
	r.job.Step++
	r.untold, r.eventAt = false, now
	r.e.tell(r.job, parcel{progress: true, live: r.holds})
}

func (r *Run) encodeLocked() {
	raw, err := encode("detail", r.detail)
	if err != nil {
		r.log.Error("progress not understood", "error", err)
	}
	if raw != nil {
		r.job.Detail = raw
	}
	r.detail = nil
}

func clamp(progress int) int { return min(max(progress, 0), 100) }

// write stores a transition. While the database is away it tries again as long as the lease may last. A row that
// already stands as next says was written by a try whose answer was lost; fn may change next.
func (r *Run) write(ctx context.Context, db *database.DB, next *Job,
	fn func(ctx context.Context, tx *database.Tx) (Job, bool, error)) (Job, error) {
	for try := 1; ; try++ {
		var row Job
		wctx, cancel := context.WithTimeout(ctx, max(r.e.o.Lease/2, time.Second))
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
			if err != nil || row.Attempt != next.Attempt || row.State != next.State || row.Step != next.Step {
				return ErrLost
			}
			return nil
		})
		cancel()
		switch {
		case err == nil:
			return row, nil
		case errors.Is(err, ErrLost):
			r.lose()
			return Job{}, ErrLost
		case ctx.Err() != nil:
			return Job{}, err
		case !r.holds(), !errs.Is(err, errs.Unavailable) && try >= 3:
			return Job{}, err
		}
		r.log.Warn("job not written, trying again", "state", next.State, "error", err)
		if !backoff.Sleep(ctx, r.e.o.RenewEvery) {
			return Job{}, err
		}
	}
}

// lose ends a run whose attempt is another's.
func (r *Run) lose() {
	r.log.Warn("attempt lost: another has taken the job over")
	r.mu.Lock()
	r.over, r.heldFrom = true, time.Time{}
	r.mu.Unlock()
	r.cancel(ErrLost)
}
