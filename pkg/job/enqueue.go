package job

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"exporthub/pkg/backoff"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

// New is a job to be accepted. Only Definition.New makes one, so that what is stored is what the
// kind reads.
type New struct {
	UUID    string // canonical text; empty makes one
	OwnerID int64

	kind         string
	args, detail json.RawMessage
}

// Enqueue writes a queued job in the caller's transaction. Once that has committed, the queued
// event is published and the task enqueued, both in the background: a queue that is away neither
// fails nor slows the request, and the reconciler enqueues it later.
//
// A UUID that a job has already is of kind Conflict. A kind that is not registered is an error.
func (e *Engine) Enqueue(ctx context.Context, tx *database.Tx, n New) (Job, error) {
	if e.kindOf(n.kind) == nil {
		return Job{}, fmt.Errorf("enqueue: kind %q is not registered", n.kind)
	}
	if n.UUID == "" {
		n.UUID = uuid.NewString()
	} else if id, err := uuid.Parse(n.UUID); err != nil || id.String() != n.UUID {
		return Job{}, errs.Invalidf("uuid", "不是规范的 UUID")
	}
	j := Job{
		UUID:    n.UUID,
		Kind:    n.kind,
		OwnerID: n.OwnerID,
		State:   StateQueued,
		Attempt: 1,
		Step:    1,
		args:    n.args,
		detail:  n.detail,
	}
	if err := insertJob(ctx, tx, j); err != nil {
		if database.IsUnique(err) {
			err = errs.Wrap(errs.Conflict, "这个编号的任务已经存在", err)
		}
		return Job{}, fmt.Errorf("enqueue %s: %w", n.kind, err)
	}
	j, err := getJob(ctx, tx, j.UUID)
	if err != nil {
		return Job{}, err
	}
	tx.AfterCommit(func(context.Context) {
		e.publish(j, message{task: &Task{UUID: j.UUID, Attempt: j.Attempt}})
	})
	return j, nil
}

// Cancel ends a queued job at once and asks the worker of a running one to end it, which sees it
// with its next heartbeat. It returns the job's record after that. Cancelling a cancelled job again
// is fine; one that ended otherwise is of kind Conflict, an unknown one NotFound.
func (e *Engine) Cancel(ctx context.Context, uuid string) (Job, error) {
	var row Job
	var ended bool
	err := e.opts.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		ended = false
		if row, err = lockJob(ctx, tx, uuid); err != nil {
			return err
		}
		switch {
		case row.State == StateCancelled:
			return nil
		case row.State.Ended():
			return errs.New(errs.Conflict, "任务已经结束，不能取消")
		case row.State == StateQueued:
			row, ended, err = e.settle(ctx, tx, row, endedJob(row, StateCancelled, nil), move{})
			return err
		}
		row.CancelRequested, err = requestCancel(ctx, tx, row)
		return err
	})
	if err != nil {
		return Job{}, fmt.Errorf("cancel job %s: %w", uuid, err)
	}
	if ended {
		e.publish(row, message{})
		e.opts.Attempt(row.Kind, string(row.State))
	}
	if row.CancelRequested {
		e.running.cancel(row)
	}
	return row, nil
}

// Wait returns the job as soon as its Seq has passed sinceSeq or it has ended, or its record at the
// moment when ctx ends. It polls the row every Options.WaitEvery; more than Options.MaxWaiters at
// once are refused as TooMany.
func (e *Engine) Wait(ctx context.Context, uuid string, sinceSeq uint64) (Job, error) {
	defer e.waiters.Add(-1)
	if e.waiters.Add(1) > int64(e.opts.MaxWaiters) {
		return Job{}, &errs.Error{
			Kind:       errs.TooMany,
			Message:    "等待任务结果的请求过多，请稍后再试",
			RetryAfter: time.Second,
		}
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
		// With jitter, so that the waiters of one job don't poll in step.
		if !backoff.Sleep(ctx, backoff.Around(e.opts.WaitEvery, 0.2)) {
			return last, nil
		}
	}
}
