package export

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/record"
	"exporthub/pkg/export/retention"
	"exporthub/pkg/job"
)

// lifecycle is what happens to an export's row when its job begins and ends, in the transactions of
// the job engine.
type lifecycle struct {
	cleaner *retention.Cleaner
	now     func() time.Time
	log     *slog.Logger
}

// admit lets a worker run only what was admitted and may still be exported, and names the
// attempt's file. A row of jobs alone is not enough: it could be written by hand.
func (l *lifecycle) admit(ctx context.Context, tx *database.Tx, j job.Job) error {
	r, err := record.ByID(ctx, tx, j.UUID)
	if database.IsNoRows(err) || err == nil && !r.ActiveQuota {
		return errs.New(errs.Forbidden, "该任务没有占用导出名额，不予执行")
	}
	if err != nil {
		return err
	}
	return record.BeginAttempt(ctx, tx, j.UUID, l.now())
}

// ended releases the quotas of a job in the transaction that ends it, and records its file or removes
// what there is of one.
func (l *lifecycle) ended(ctx context.Context, tx *database.Tx, j job.Job) error {
	r, err := record.ByID(ctx, tx, j.UUID)
	if database.IsNoRows(err) {
		return nil // it was never admitted and uses no quota
	}
	if err != nil {
		return err
	}
	if err := record.ReleaseActive(ctx, tx, r); err != nil {
		return err
	}
	if releasesDaily(j) {
		if err := record.ReleaseDaily(ctx, tx, r); err != nil {
			return err
		}
	}
	e, err := record.Read(j)
	if err != nil {
		return err
	}
	if j.State != job.StateSuccess || e.Detail.File == nil {
		return l.cleaner.DropFile(ctx, tx, e)
	}
	return record.StoreFile(ctx, tx, j.UUID, *e.Detail.File)
}

// releasesDaily reports whether an ended job's daily quota can be used again: it was cancelled before
// it started, or failed for a reason that is ours.
func releasesDaily(j job.Job) bool {
	switch j.State {
	case job.StateCancelled:
		return j.Attempt == 1 && j.StartedAt.IsZero()
	case job.StateFailure:
		return j.Failure.Ours()
	}
	return false
}

// render is the kind's Render. Of a job whose documents can't be decoded the row alone is published,
// so that its subscribers learn of its end all the same.
func (l *lifecycle) render(j job.Job) (json.RawMessage, []string) {
	e, err := record.Read(j)
	if err != nil {
		l.log.Error("an export's documents can't be read; its event has the row alone", "job", j.UUID, "error", err)
	}
	return e.JSON(false), e.Streams()
}
