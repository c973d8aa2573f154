package job

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"exporthub/pkg/backoff"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

// New is a job to be accepted.
type New struct {
	UUID    string // canonical text; empty makes one
	Kind    string
	OwnerID int64
	Payload any // what the kind needs to run it, as JSON
	Detail  any // what its followers see from the start, as JSON
}

// Enqueue writes a queued job in the caller's transaction. Once that has committed, the queued event is published and
// the doorbell rung, both in the background: a queue that is away neither fails nor slows the request, and the
// reconciler rings later.
//
// A UUID that is already a job's is of kind Conflict.
func (e *Engine) Enqueue(ctx context.Context, tx *database.Tx, n New) (Job, error) {
	if e.kinds[n.Kind] == nil {
		return Job{}, fmt.Errorf("enqueue: no kind %q", n.Kind)
	}
	if n.UUID == "" {
		n.UUID = uuid.NewString()
	} else if id, err := uuid.Parse(n.UUID); err != nil || id.String() != n.UUID {
		return Job{}, errs.Invalidf("uuid", "不是规范的 UUID")
	}
	j := Job{UUID: n.UUID, Kind: n.Kind, OwnerID: n.OwnerID, State: StateQueued, Attempt: 1, Step: 1}
	var err error
	if j.Payload, err = encode("payload", n.Payload); err != nil {
		return Job{}, err
	}
	if j.Detail, err = encode("detail", n.Detail); err != nil {
		return Job{}, err
	}
	if err := insertJob(ctx, tx, j); err != nil {
		if database.IsUnique(err) {
			err = errs.Wrap(errs.Conflict, "这个编号的任务已经存在", err)
		}
		return Job{}, fmt.Errorf("enqueue %s: %w", n.Kind, err)
	}
	if j, err = getJob(ctx, tx, j.UUID); err != nil {
		return Job{}, err
	}
	tx.AfterCommit(func(context.Context) {
		e.tell(j, parcel{ring: &Doorbell{UUID: j.UUID, Attempt: j.Attempt}})
	})
	return j, nil
}

// Cancel ends a queued job at once and asks the worker of a running one to end it, which sees it with its next
// heartbeat. It returns the job as it stands then. Cancelling a cancelled job again is fine; one that ended otherwise is
// of kind Conflict, an unknown one NotFound.
func (e *Engine) Cancel(ctx context.Context, uuid string) (Job, error) {
	var row Job
	var now bool
	err := e.o.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		now = false
		if row, err = lockJob(ctx, tx, uuid); err != nil {
			return err
		}
		switch {
		case row.State == StateCancelled:
			return nil
		case row.State.Ended():
			return errs.New(errs.Conflict, "任务已经结束，不能取消")
		case row.State == StateQueued:
			row, now, err = e.settle(ctx, tx, row, endedJob(row, StateCancelled, nil), move{})
			return err
		}
		row.CancelRequested, err = requestCancel(ctx, tx, row)
		return err
	})
	if err != nil {
		return Job{}, fmt.Errorf("cancel job %s: %w", uuid, err)
	}
	if now {
		e.tell(row, parcel{})
		e.o.Attempt(row.Kind, string(row.State))
	}
	if row.CancelRequested {
		e.cancelHere(row)
	}
	return row, nil
}

// cancelHere spares a run of this process the wait for its heartbeat.
func (e *Engine) cancelHere(j Job) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for r := range e.runs {
		if have := r.Job(); have.UUID == j.UUID && have.Attempt == j.Attempt {
			r.cancel(ErrCancelled)
		}
	}
}

// Wait returns the job as soon as its Seq has passed sinceSeq or it has ended, or as it stands when ctx ends. It looks
// at the row every Options.WaitEvery; more than Options.MaxWaiters at once are refused as TooMany.
func (e *Engine) Wait(ctx context.Context, uuid string, sinceSeq uint64) (Job, error) {
	defer e.waiters.Add(-1)
	if e.waiters.Add(1) > int64(e.o.MaxWaiters) {
		return Job{}, &errs.Error{Kind: errs.TooMany, Message: "等待任务结果的请求过多，请稍后再试", RetryAfter: time.Second}
	}
	var last Job
	for {
		j, err := e.store.Get(ctx, uuid)
		switch {
		case err != nil && ctx.Err() != nil && last.UUID != "":
			return last, nil
		case err != nil:
			return Job{}, err
		case j.Seq() > sinceSeq || j.State.Ended():
			return j, nil
		}
		last = j
		if !backoff.Sleep(ctx, backoff.Around(e.o.WaitEvery, 0.2)) {
			return last, nil
		}
	}
}
