package export

import (
	"context"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/attempt"
	"exporthub/pkg/export/record"
	"exporthub/pkg/export/retention"
	"exporthub/pkg/job"
)

// Ended is an export that is over, for those who react in the transaction that ends it.
type Ended struct {
	UUID     string
	OwnerID  int64
	Dataset  string
	Service  string
	Status   string // success, failure, cancelled
	Filename string // of the file, when there is one
	Count    *int64 // rows, as far as known
	Reason   string // why it failed, in words its owner can act on
	Changed  string // what of the data its file holds otherwise, in words; empty is nothing
}

// lifecycle is what happens to an export's row when its job begins and ends, in the transactions of
// the job engine.
type lifecycle struct {
	cleaner *retention.Cleaner
	now     func() time.Time
	raise   func(ctx context.Context, tx *database.Tx, e Ended) error
}

// kind declares the jobs that are exports.
func (l *lifecycle) kind(attempts *attempt.Runner) *job.Definition[record.Args, record.Detail, record.File] {
	return job.Define(job.Spec[record.Args, record.Detail, record.File]{
		Name:   record.Kind,
		Stages: record.Stages(),
		Admit:  l.admit,
		Run:    attempts.Run,
		Ended:  l.ended,
		Render: render,
		Purge:  l.cleaner.Purge,
		Retry:  retryPolicy,
	})
}

// retryPolicy is the export's part of the table of retries.
var retryPolicy = job.RetryPolicy{Codes: map[string]job.Rule{
	job.CodeDamaged: {Message: "导出任务的参数无法读取，请重新提交"},
	// The next attempt would read the same row.
	record.CodeUnreadable: {Message: "数据中有无法读取的记录，任务已停止；请联系管理员并提供任务编号"},
}}

// admit lets a worker run only what was admitted and may still be exported, and names the
// attempt's file. A row of jobs alone is not enough: it could be written by hand.
func (l *lifecycle) admit(ctx context.Context, tx *database.Tx, j record.Record) (job.Admission, error) {
	r, err := record.ByID(ctx, tx, j.UUID)
	if database.IsNoRows(err) || err == nil && !r.ActiveQuota {
		return job.Admission{}, errs.New(errs.Forbidden, "该任务没有占用导出名额，不予执行")
	}
	if err != nil {
		return job.Admission{}, err
	}
	return job.Admission{}, record.BeginAttempt(ctx, tx, j.UUID, l.now())
}

// ended releases the quotas of a job in the transaction that ends it, records its file or removes
// what there is of one, records the end in the audit, and raises it. Of a damaged record the quotas
// are released all the same: the row of exports has what that needs.
func (l *lifecycle) ended(ctx context.Context, tx *database.Tx, j record.Record) error {
	r, err := record.ByID(ctx, tx, j.UUID)
	if err != nil && !database.IsNoRows(err) {
		return err
	}
	e := record.Of(j)
	if err == nil {
		if err := l.settle(ctx, tx, r, e); err != nil {
			return err
		}
	}
	if err := l.recordEnd(ctx, tx, e); err != nil {
		return err
	}
	return l.raise(ctx, tx, endedExport(e))
}

// settle releases the quotas that the export's row uses and decides about its file.
func (l *lifecycle) settle(ctx context.Context, tx *database.Tx, r record.Row, e record.Export) error {
	if err := record.ReleaseActive(ctx, tx, r); err != nil {
		return err
	}
	if releasesDaily(e.Job) {
		if err := record.ReleaseDaily(ctx, tx, r); err != nil {
			return err
		}
	}
	if e.State != job.StateSuccess || e.Detail.File == nil {
		return l.cleaner.DropFile(ctx, tx, e)
	}
	return record.StoreFile(ctx, tx, e.UUID, *e.Detail.File)
}

func endedExport(e record.Export) Ended {
	v := e.Event(false)
	end := Ended{
		UUID:     e.UUID,
		OwnerID:  e.OwnerID,
		Dataset:  e.Args.Dataset,
		Service:  e.Args.Service,
		Status:   string(v.Status),
		Filename: v.Filename,
		Count:    v.Count,
		Changed:  v.Changed,
	}
	if v.Error != nil {
		end.Reason = v.Error.Message
	}
	return end
}

// render is the kind's Render. Of a damaged record the row alone is published, so that subscribers
// learn of its end all the same.
func render(j record.Record) (any, []string) {
	e := record.Of(j)
	return e.Event(false), e.Streams()
}
