package attempt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/record"
)

// The progress at which each stage begins, in percent of the whole export. They are documented.
const (
	progressStart   = 3
	progressWritten = record.ProgressWritten
	progressSent    = 99
)

// errSlowCount is what a snapshot ends with when counting its rows took longer than Deps.CountTime.
var errSlowCount = errors.New("counting takes too long")

// write writes the rows of one snapshot. Their number is counted in the same snapshot, so that it
// is exact. Where that takes too long, the rows are written from another snapshot, whose progress
// goes by an estimate: on PostgreSQL a statement that timed out has ended the first one's
// transaction.
func (a *attempt) write(ctx context.Context, spool io.Writer) error {
	err := a.writeSnapshot(ctx, spool, a.count)
	if !errors.Is(err, errSlowCount) {
		return err
	}
	about, err := a.estimate(ctx)
	if err != nil {
		return err
	}
	a.deps.Logger.Info("counting takes too long, going by an estimate", "job", a.job.UUID, "rows", about)
	return a.writeSnapshot(ctx, spool, func(context.Context, *database.Tx) (expected, error) {
		return expected{rows: about, estimated: true}, nil
	})
}

// expected is how many rows will be written.
type expected struct {
	rows      int64
	estimated bool
}

// count counts the rows, within the time there is for it.
func (a *attempt) count(ctx context.Context, tx *database.Tx) (expected, error) {
	hurried, cancel := context.WithTimeout(ctx, a.deps.CountTime)
	defer cancel()
	n, err := a.set.Count(hurried, tx, a.sel)
	// Drivers word an aborted statement each in their own way, so the context decides. When both
	// have ended the attempt itself is over, and the count was not too slow.
	if err != nil && ctx.Err() == nil && hurried.Err() != nil {
		return expected{}, errSlowCount
	}
	if err != nil {
		return expected{}, fmt.Errorf("count %s: %w", a.set.Name, err)
	}
	return expected{rows: n}, nil
}

// someRows is assumed of a dataset that can't estimate how many rows it has. It only sets how fast
// the progress grows at first; copyRows corrects it upwards.
const someRows = 1_000_000

// estimate returns about how many rows there are, at least 1.
func (a *attempt) estimate(ctx context.Context) (int64, error) {
	if a.set.Estimate == nil {
		return someRows, nil
	}
	var n int64
	hurried, cancel := context.WithTimeout(ctx, a.deps.CountTime)
	defer cancel()
	err := a.deps.DB.Read(hurried, func(ctx context.Context, tx *database.Tx) (err error) {
		n, err = a.set.Estimate(ctx, tx, a.sel)
		return err
	})
	if err != nil && ctx.Err() == nil && hurried.Err() != nil {
		return someRows, nil
	}
	if err != nil {
		return 0, fmt.Errorf("estimate %s: %w", a.set.Name, err)
	}
	return max(n, 1), nil
}

// counter finds out how many rows a snapshot has.
type counter func(ctx context.Context, tx *database.Tx) (expected, error)

// writeSnapshot writes the rows of one snapshot. The snapshot closes with the last row and before
// the file is finished: on PostgreSQL an open one keeps the vacuum from cleaning up.
func (a *attempt) writeSnapshot(ctx context.Context, spool io.Writer, count counter) error {
	var w dataset.Writer
	err := a.deps.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		snapshot := a.deps.Now()
		about, err := count(ctx, tx)
		if err != nil {
			return err
		}
		a.detail.Count = &about.rows
		a.detail.Estimated = about.estimated
		if err := a.run.Advance(ctx, record.StageStart, progressStart, a.detail); err != nil {
			return err
		}
		if w, err = a.format.New(spool, a.sheet(about, snapshot)); err != nil {
			return err
		}
		if err := a.run.Advance(ctx, record.StageWritingFile, progressStart, a.detail); err != nil {
			return err
		}
		return a.copyRows(ctx, tx, w, about)
	})
	if w != nil {
		// Abort does nothing after Close. Otherwise it ends the goroutines that compress, after
		// which nothing writes to the caller's file.
		defer w.Abort()
	}
	if err != nil {
		return err
	}
	report, err := w.Close()
	if err != nil {
		return fmt.Errorf("finish file: %w", err)
	}
	d := &a.detail
	d.Rows = &report.Rows
	d.Count = &report.Rows
	d.Estimated = false
	d.Cut = report.Cut
	d.Replaced = report.Replaced
	d.OutOfSpan = report.OutOfSpan
	// A step, which is always published: progress may be throttled, and a short export would go
	// from 3 to 90 percent unseen.
	d.ETASeconds = nil
	return a.run.Advance(ctx, record.StageWritingFile, progressWritten, *d)
}

// stride is after how many rows the progress and the context are checked. Both are cheap, but not
// for each of millions of rows.
const stride = 100

// copyRows writes every row of the snapshot.
func (a *attempt) copyRows(ctx context.Context, tx *database.Tx, w dataset.Writer, about expected) error {
	var n int64
	shown := progressStart
	// The process's clock, not Deps.Now: a test may hold the latter still, and this one only
	// measures.
	began := time.Now()
	for row, err := range a.set.Rows(ctx, tx, a.sel, a.columns) {
		if err != nil {
			return a.unreadable(n, err)
		}
		if err := w.Write(row); err != nil {
			return fmt.Errorf("write row %d: %w", n+1, err)
		}
		if n++; n%stride != 0 {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		// An estimate that turns out too low is raised before the progress reaches its end. The
		// progress then grows more slowly and never goes back.
		if about.estimated && n > about.rows*9/10 {
			about.rows = n + n/4
			a.detail.Count = &about.rows
		}
		percent := progressStart + int(min(n, about.rows)*(progressWritten-progressStart)/max(about.rows, 1))
		// The last percentage is the step that follows the last row: sent here too it would come
		// twice.
		if percent <= shown || percent >= progressWritten {
			continue
		}
		shown = percent
		a.showRows(ctx, percent, n, about.rows, time.Since(began))
	}
	return nil
}

// showRows publishes how many of all rows have been written in the time since the first.
func (a *attempt) showRows(ctx context.Context, percent int, written, total int64, since time.Duration) {
	left := int64(since.Seconds()*float64(total-written)/float64(written) + 0.5)
	a.detail.Count = &total
	a.detail.Rows = &written
	a.detail.ETASeconds = &left
	a.run.Progress(percent, a.detail)
}

// unreadable is the error of a read that failed after n rows. When a stored row is at fault the
// message names the row, since only then can somebody repair the data.
func (a *attempt) unreadable(n int64, cause error) error {
	err := fmt.Errorf("read %s after row %d: %w", a.set.Name, n, cause)
	if row := (*database.RowError)(nil); errors.As(cause, &row) {
		e := errs.Newf(errs.Internal, "第 %d 行的数据无法读取，任务已停止；请联系管理员并提供任务编号", n+int64(row.N))
		e.Code = record.CodeUnreadable
		e.Cause = err
		return e
	}
	return err
}

// sheet is the file's frame: its heading, and the sheet that says what it is of.
func (a *attempt) sheet(about expected, snapshot time.Time) dataset.Sheet {
	sheet := dataset.Sheet{
		Name:     a.set.Title,
		Columns:  a.columns,
		Location: a.deps.Location,
		Header:   a.set.Header,
	}
	// Formats divide the rows into sheets by the announced number, so an estimate is not announced.
	if !about.estimated {
		sheet.Rows = about.rows
	}
	if a.set.NoInfo {
		return sheet
	}
	local := func(t time.Time) string { return t.In(a.deps.Location).Format(time.DateTime) }
	sheet.Info = []dataset.InfoLine{
		{Label: "列表", Text: a.set.Title},
		{Label: "导出人", Text: a.person},
		{Label: "提交时间", Text: local(a.job.CreatedAt)},
		{Label: "数据时间", Text: local(snapshot)},
		{Label: "筛选条件", Text: record.DescribeFilter(a.set, a.args)},
		{Label: "行数", Rows: true},
		{Label: "任务", Text: a.job.UUID},
	}
	return sheet
}
