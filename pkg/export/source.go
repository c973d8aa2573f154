package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/job"
)

// errSlowCount is what a snapshot ends with when counting its rows took longer than Options.CountTime.
var errSlowCount = errors.New("counting takes too long")

// write writes the rows of one snapshot. Their number is counted in it, so that it is exact; where that takes too long,
// the rows are written from another snapshot, whose bar goes by an estimate.
func (a *attempt) write(ctx context.Context, spool io.Writer) error {
	err := a.writeSnapshot(ctx, spool, a.count)
	if !errors.Is(err, errSlowCount) {
		return err
	}
	about, err := a.estimate(ctx)
	if err != nil {
		return err
	}
	a.s.o.Logger.Info("counting takes too long, going by an estimate", "job", a.job.UUID, "rows", about)
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
	hurried, cancel := context.WithTimeout(ctx, a.s.o.CountTime)
	defer cancel()
	n, err := a.set.Count(hurried, tx, a.sel)
	if err != nil && ctx.Err() == nil && hurried.Err() != nil {
		return expected{}, errSlowCount
	}
	if err != nil {
		return expected{}, fmt.Errorf("count %s: %w", a.set.Name, err)
	}
	return expected{rows: n}, nil
}

// someRows is what a dataset is taken to have that can't tell.
const someRows = 1_000_000

// estimate tells about how many rows there are.
func (a *attempt) estimate(ctx context.Context) (int64, error) {
	if a.set.Estimate == nil {
		return someRows, nil
	}
	var n int64
	hurried, cancel := context.WithTimeout(ctx, a.s.o.CountTime)
	defer cancel()
	err := a.s.o.DB.Read(hurried, func(ctx context.Context, tx *database.Tx) (err error) {
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

// writeSnapshot writes the rows of one snapshot, which closes with the last of them, before the file is finished.
func (a *attempt) writeSnapshot(ctx context.Context, spool io.Writer,
	count func(ctx context.Context, tx *database.Tx) (expected, error)) error {
	var w dataset.Writer
	err := a.s.o.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		snapshot := a.s.o.Now()
		about, err := count(ctx, tx)
		if err != nil {
			return err
		}
		a.detail.Count, a.detail.Estimated = &about.rows, about.estimated
		if err := a.r.Advance(ctx, job.StateStart, progressStart, a.detail); err != nil {
			return err
		}
		if w, err = a.format.New(spool, a.sheet(about, snapshot)); err != nil {
			return err
		}
		if err := a.r.Advance(ctx, job.StateWritingFile, progressStart, a.detail); err != nil {
			return err
		}
		return a.copyRows(ctx, tx, w, about)
	})
	if w != nil {
		defer w.Abort() // when it comes to nothing; the file is the caller's again after this
	}
	if err != nil {
		return err
	}
	report, err := w.Close()
	if err != nil {
		return fmt.Errorf("finish file: %w", err)
	}
	d := &a.detail
	d.Rows, d.Count, d.Estimated = &report.Rows, &report.Rows, false
	d.Cut, d.Replaced, d.OutOfSpan = report.Cut, report.Replaced, report.OutOfSpan
	// The last rows are told at once, however soon they came: the bar of a short export moves too.
	d.ETASeconds = nil
	return a.r.Advance(ctx, job.StateWritingFile, progressWritten, *d)
}

// stride is after how many rows the bar is looked at.
const stride = 100

func (a *attempt) copyRows(ctx context.Context, tx *database.Tx, w dataset.Writer, about expected) error {
	var n int64
	shown := progressStart
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
		if about.estimated && n > about.rows*9/10 {
			about.rows = n + n/4 // more than was thought: the bar slows down, and never goes back
			a.detail.Count = &about.rows
		}
		percent := progressStart + int(min(n, about.rows)*(progressWritten-progressStart)/max(about.rows, 1))
		if percent <= shown {
			continue
		}
		shown = percent
		total, rows, left := about.rows, n, int64(time.Since(began).Seconds()*float64(about.rows-n)/float64(n)+0.5)
		a.detail.Count, a.detail.Rows, a.detail.ETASeconds = &total, &rows, &left
		a.r.Progress(ctx, percent, a.detail)
	}
	return nil
}

// unreadable is the error of reading on after n rows. A stored row that is none is named to the person too.
func (a *attempt) unreadable(n int64, cause error) error {
	err := fmt.Errorf("read %s after row %d: %w", a.set.Name, n, cause)
	if row := (*database.RowError)(nil); errors.As(cause, &row) {
		e := errs.Newf(errs.Internal, "第 %d 行的数据无法读取，任务已停止；请联系管理员并提供任务编号", n+int64(row.N))
		e.Code, e.Cause = job.CodeUnreadable, err
		return e
	}
	return err
}

// sheet is the file's frame.
func (a *attempt) sheet(about expected, snapshot time.Time) dataset.Sheet {
	sheet := dataset.Sheet{Name: a.set.Title, Columns: a.columns, Location: a.s.o.Location, Header: a.set.Header}
	if !about.estimated {
		sheet.Rows = about.rows
	}
	if !a.set.NoInfo {
		sheet.Info = []dataset.InfoLine{
			{Label: "列表", Text: a.set.Title},
			{Label: "导出人", Text: a.person},
			{Label: "提交时间", Text: a.job.CreatedAt.In(a.s.o.Location).Format(time.DateTime)},
			{Label: "数据时间", Text: snapshot.In(a.s.o.Location).Format(time.DateTime)},
			{Label: "筛选条件", Text: describeFilter(a.set, a.job.payload)},
			{Label: "行数", Rows: true},
			{Label: "任务", Text: a.job.UUID},
		}
	}
	return sheet
}
