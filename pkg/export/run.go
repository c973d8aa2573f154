package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/job"
	"exporthub/pkg/storage"
)

// Where the bar stands at each stage, in percent.
const (
	progressStart   = 3
	progressWritten = 90
	progressSent    = 99
)

// largeFile is from what size on the upload is told step by step.
const largeFile = 4 << 20

// Kind is how the job engine runs exports.
func (s *Service) Kind() job.Kind {
	return job.Kind{
		Name: KindName, Run: s.run, Render: render,
		Admit: s.admitRun, Ended: s.ended, Forget: s.forget,
	}
}

// admitRun lets a worker run only what was admitted and may still be exported, and names the attempt's file.
func (s *Service) admitRun(ctx context.Context, tx *database.Tx, j job.Job) error {
	r, err := exportByID(ctx, tx, j.UUID)
	if database.IsNoRows(err) || err == nil && !r.HoldsSlot {
		return errs.New(errs.Forbidden, "该任务没有占用导出名额,不予执行")
	}
	if err != nil {
		return err
	}
	return beginAttempt(ctx, tx, j.UUID, s.o.Now())
}

// ended gives back what the job held, in the transaction that ends it.
func (s *Service) ended(ctx context.Context, tx *database.Tx, j job.Job) error {
	r, err := exportByID(ctx, tx, j.UUID)
	if database.IsNoRows(err) {
		return nil // never admitted: it holds nothing
	}
	if err != nil {
		return err
	}
	if err := releaseSlot(ctx, tx, r); err != nil {
		return err
	}
	if givesBack(j) {
		if err := releaseDay(ctx, tx, r); err != nil {
			return err
		}
	}
	e, err := readJob(j)
	if err != nil {
		return err
	}
	if j.State != job.StateSuccess || e.detail.File == nil {
		return s.dropFile(ctx, tx, e)
	}
	return storeFile(ctx, tx, j.UUID, *e.detail.File)
}

// givesBack reports whether an ended job's place in its day is free again.
func givesBack(j job.Job) bool {
	switch j.State {
	case job.StateCancelled:
		return j.Attempt == 1 && j.StartedAt.IsZero()
	case job.StateFailure:
		return j.Failure.Ours()
	}
	return false
}

// attempt is one run of one export.
type attempt struct {
	s       *Service
	r       *job.Run
	job     exportJob
	set     dataset.Dataset
	sel     dataset.Selection
	columns []dataset.Column
	format  dataset.Format
	person  string // who asked, as the information sheet names them
	started time.Time
	detail  detail
}

// run does one attempt: rows to a spool file, the file to the store.
func (s *Service) run(ctx context.Context, r *job.Run) (any, error) {
	a, err := s.prepare(ctx, r)
	if err != nil {
		return nil, err
	}
	spool, err := s.createSpool(r.Job())
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = spool.Close()           // read only by now; what mattered was checked
		_ = os.Remove(spool.Name()) // the sweep of leftovers takes what this could not
	}()
	if err := a.write(ctx, spool); err != nil {
		return nil, spoolError(err)
	}
	file, err := a.store(ctx, spool)
	if err != nil {
		return nil, err
	}
	a.detail.File = &file
	a.detail.ETASeconds = nil
	return a.detail, nil
}

// prepare reads the request again in the light of what its owner may do now.
func (s *Service) prepare(ctx context.Context, r *job.Run) (*attempt, error) {
	e, err := readJob(r.Job())
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, "导出任务的参数无法读取,请重新提交", err)
	}
	a := &attempt{s: s, r: r, job: e, started: s.o.Now()}
	var ok bool
	if a.set, ok = s.o.Registry.Get(e.payload.Dataset); !ok {
		return nil, errs.New(errs.NotFound, "该列表已不能导出")
	}
	if a.format, ok = s.formats[e.payload.Format]; !ok {
		return nil, errs.New(errs.Unsupported, "该导出格式已不再支持")
	}
	owner, err := s.o.People.Person(ctx, e.OwnerID)
	if err != nil {
		return nil, err
	}
	if !owner.Can(a.set.Permission) {
		return nil, &errs.Error{Kind: errs.Forbidden, Code: CodeForbidden, Message: "你没有应用导出的权限"}
	}
	a.person = owner.Name
	if a.columns, err = a.set.Pick(e.payload.Columns, owner.Can); err != nil {
		return nil, err
	}
	filter, err := decodeFilter(a.set, e.payload.Filter)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, "筛选条件无法读取,请重新提交", err)
	}
	a.sel = dataset.Selection{
		Viewer: dataset.Viewer{UserID: e.OwnerID, Can: owner.Can},
		Filter: filter, Columns: e.payload.Columns, IDs: e.payload.IDs,
	}
	return a, nil
}

// write counts and writes the rows of one snapshot. The snapshot closes with the last row, before the file is finished.
func (a *attempt) write(ctx context.Context, spool *os.File) error {
	var w dataset.Writer
	err := a.s.o.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		snapshot := a.s.o.Now()
		count, err := a.set.Count(ctx, tx, a.sel)
		if err != nil {
			return fmt.Errorf("count %s: %w", a.set.Name, err)
		}
		a.detail.Count = &count
		if err := a.r.Advance(ctx, job.StateStart, progressStart, a.detail); err != nil {
			return err
		}
		if w, err = a.format.New(spool, a.sheet(count, snapshot)); err != nil {
			return err
		}
		if err := a.r.Advance(ctx, job.StateWritingFile, progressStart, a.detail); err != nil {
			return err
		}
		if err := a.copyRows(ctx, tx, w, count); err != nil {
			return err
		}
		// The last rows are told at once, however soon they came: the bar of a short export moves too.
		return a.r.Advance(ctx, job.StateWritingFile, progressWritten, a.detail)
	})
	if err != nil {
		if w != nil {
			_, _ = w.Close() // releases what the writer holds; its file is no file
		}
		return err
	}
	report, err := w.Close()
	if err != nil {
		return fmt.Errorf("finish file: %w", err)
	}
	a.detail.Rows, a.detail.Cut, a.detail.Replaced = &report.Rows, report.Cut, report.Replaced
	return nil
}

// stride is after how many rows the bar is looked at.
const stride = 100

func (a *attempt) copyRows(ctx context.Context, tx *database.Tx, w dataset.Writer, count int64) error {
	var n int64
	shown := progressStart
	began := time.Now()
	for row, err := range a.set.Rows(ctx, tx, a.sel, a.columns) {
		if err != nil {
			return fmt.Errorf("read %s after row %d: %w", a.set.Name, n, err)
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
		percent := progressStart + int(min(n, count)*(progressWritten-progressStart)/max(count, 1))
		if percent == shown {
			continue
		}
		shown = percent
		rows, left := n, int64(time.Since(began).Seconds()*float64(count-n)/float64(n)+0.5)
		a.detail.Rows, a.detail.ETASeconds = &rows, &left
		a.r.Progress(ctx, percent, a.detail)
	}
	return nil
}

// sheet is the file's frame.
func (a *attempt) sheet(count int64, snapshot time.Time) dataset.Sheet {
	sheet := dataset.Sheet{Name: a.set.Title, Columns: a.columns, Location: a.s.o.Location, Header: a.set.Header}
	if !a.set.NoInfo {
		sheet.Info = []dataset.InfoLine{
			{Label: "列表", Text: a.set.Title},
			{Label: "导出人", Text: a.person},
			{Label: "提交时间", Text: a.job.CreatedAt.In(a.s.o.Location).Format(time.DateTime)},
			{Label: "数据时间", Text: snapshot.In(a.s.o.Location).Format(time.DateTime)},
			{Label: "筛选条件", Text: describeFilter(a.job.payload)},
			{Label: "行数", Text: strconv.FormatInt(count, 10)},
			{Label: "任务", Text: a.job.UUID},
		}
	}
	return sheet
}

// createSpool makes the file that an attempt writes.
func (s *Service) createSpool(j job.Job) (*os.File, error) {
	if err := os.MkdirAll(s.o.SpoolDir, 0o700); err != nil {
		return nil, spoolError(fmt.Errorf("make spool directory: %w", err))
	}
	name := filepath.Join(s.o.SpoolDir, fmt.Sprintf("%s-%d-*.part", j.UUID, j.Attempt))
	f, err := os.CreateTemp(s.o.SpoolDir, filepath.Base(name))
	if err != nil {
		return nil, spoolError(fmt.Errorf("make spool file: %w", err))
	}
	return f, nil
}

// spoolError tells a full or broken disk apart from other failures.
func spoolError(err error) error {
	if errs.As(err) != nil {
		return err
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &errs.Error{Kind: errs.Unavailable, Code: "disk_full", Message: "服务器磁盘空间不足,请稍后再试或联系管理员", Cause: err}
	}
	var path *os.PathError
	if errors.As(err, &path) {
		return &errs.Error{Kind: errs.Unavailable, Code: "disk", Message: "服务器写文件失败,请稍后再试或联系管理员", Cause: err}
	}
	return err
}

// store sends the finished file, trying again what another try may mend, and says where it can be fetched.
func (a *attempt) store(ctx context.Context, spool *os.File) (storedFile, error) {
	size, err := spool.Seek(0, io.SeekEnd)
	if err != nil {
		return storedFile{}, spoolError(fmt.Errorf("size of spool file: %w", err))
	}
	a.detail.FileSize, a.detail.ETASeconds = &size, nil
	if err := a.r.Advance(ctx, job.StateBeforeUpload, progressWritten, a.detail); err != nil {
		return storedFile{}, err
	}
	file, err := a.file(ctx, size)
	if err != nil {
		return storedFile{}, err
	}
	if size > largeFile {
		if err := a.r.Advance(ctx, job.StateUploading, progressWritten, a.detail); err != nil {
			return storedFile{}, err
		}
	}
	if err := a.upload(ctx, spool, file); err != nil {
		a.discard(ctx, file.Key)
		return storedFile{}, err
	}
	return file, nil
}

// file names the attempt's object and signs the link to it.
func (a *attempt) file(ctx context.Context, size int64) (storedFile, error) {
	var unix int64
	err := a.s.o.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		unix, err = attemptUnix(ctx, tx, a.job.UUID)
		return err
	})
	if err != nil {
		return storedFile{}, err
	}
	key, err := storage.ObjectKey(unix, a.job.UUID, a.format.Extension)
	if err != nil {
		return storedFile{}, err
	}
	expires := a.s.o.Now().Add(a.s.o.Retention).Truncate(time.Second)
	return storedFile{
		Key: key, Filename: a.job.payload.Filename + "." + a.format.Extension, ContentType: a.format.ContentType,
		Size: size, URL: a.s.fileURL(key, expires), ExpiresAt: expires,
	}, nil
}

func (a *attempt) upload(ctx context.Context, spool *os.File, file storedFile) error {
	delay := a.s.o.UploadDelay
	for try := 1; ; try++ {
		err := a.s.o.Store.Put(ctx, file.Key, spool, file.Size, storage.PutOptions{
			ContentType: file.ContentType,
			Progress:    func(sent int64) { a.sent(ctx, sent, file.Size) },
		})
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if try == a.s.o.UploadTries || !errs.Is(err, errs.Unavailable) && !errs.Is(err, errs.Internal) {
			return a.uploadFailed(ctx, err)
		}
		a.s.o.Logger.Warn("storing a file failed, trying again", "job", a.job.UUID, "try", try, "error", err)
		if err := wait(ctx, delay); err != nil {
			return err
		}
		delay *= 2
		a.detail.UploadAttempt = try + 1
		now := a.r.Job()
		if err := a.r.Advance(ctx, now.State, now.Progress, a.detail); err != nil {
			return err
		}
	}
}

func (a *attempt) uploadFailed(ctx context.Context, cause error) error {
	if err := a.r.Advance(ctx, job.StateUploadFailure, a.r.Job().Progress, a.detail); err != nil {
		return err
	}
	return &errs.Error{Kind: errs.Unavailable, Code: "upload_failed", Message: "文件上传失败,请稍后重新导出", Cause: cause}
}

// sent moves the bar of a large file's upload.
func (a *attempt) sent(ctx context.Context, sent, size int64) {
	if size <= largeFile {
		return
	}
	percent := progressWritten + int(sent*(progressSent-progressWritten)/size)
	a.r.Progress(ctx, percent, a.detail)
}

// discardTimeout bounds the removal of an attempt's own object.
const discardTimeout = 5 * time.Second

// discard removes what an attempt that came to nothing may have stored. The key is the attempt's own, so nobody else's
// file can be meant.
func (a *attempt) discard(ctx context.Context, key string) {
	// The attempt may be over because its context is; the removal has to happen all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardTimeout)
	defer cancel()
	if err := a.s.o.Store.Delete(ctx, key); err != nil {
		a.s.o.Logger.Warn("an abandoned file was not removed", "job", a.job.UUID, "error", err)
	}
}

// wait pauses, and returns early with the reason when ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
