package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"exporthub/pkg/backoff"
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
		return errs.New(errs.Forbidden, "该任务没有占用导出名额，不予执行")
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
	putting bool // the store was asked to take the file
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
	file, err := a.produce(ctx, spool)
	if err != nil {
		return nil, err
	}
	a.detail.File = &file
	a.detail.ETASeconds = nil
	return a.detail, nil
}

// produce writes the file and has it stored. What was sent of it is removed when it comes to nothing.
func (a *attempt) produce(ctx context.Context, spool *os.File) (file storedFile, err error) {
	key, err := a.key(ctx)
	if err != nil {
		return storedFile{}, err
	}
	ahead := a.follow(ctx, spool, key)
	stored := false
	defer func() { // even when a dataset panics
		ahead.stop(0)
		if !stored && (ahead.began || a.putting) {
			a.discard(ctx, key)
		}
	}()
	if err := a.write(ctx, ahead); err != nil {
		return storedFile{}, spoolError(err)
	}
	ahead.stop(aheadGrace)
	if file, err = a.store(ctx, spool, key); err != nil {
		return storedFile{}, err
	}
	stored = true
	return file, nil
}

// prepare reads the request again in the light of what its owner may do now.
func (s *Service) prepare(ctx context.Context, r *job.Run) (*attempt, error) {
	e, err := readJob(r.Job())
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, "导出任务的参数无法读取，请重新提交", err)
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
		return nil, errs.Wrap(errs.Invalid, "筛选条件无法读取，请重新提交", err)
	}
	a.sel = dataset.Selection{
		Viewer: dataset.Viewer{UserID: e.OwnerID, Can: owner.Can},
		Filter: filter, Columns: e.payload.Columns, IDs: e.payload.IDs,
	}
	return a, nil
}

// CheckSpool reports whether files can be written where exports write theirs.
func (s *Service) CheckSpool(context.Context) error {
	if err := os.MkdirAll(s.o.SpoolDir, 0o700); err != nil {
		return fmt.Errorf("make spool directory: %w", err)
	}
	f, err := os.CreateTemp(s.o.SpoolDir, ".check-*")
	if err != nil {
		return fmt.Errorf("write into the spool directory: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// createSpool makes the file that an attempt writes.
func (s *Service) createSpool(j job.Job) (*os.File, error) {
	if err := os.MkdirAll(s.o.SpoolDir, 0o700); err != nil {
		return nil, spoolError(fmt.Errorf("make spool directory: %w", err))
	}
	f, err := os.CreateTemp(s.o.SpoolDir, fmt.Sprintf("%s-%d-*.part", j.UUID, j.Attempt))
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
		return &errs.Error{Kind: errs.Unavailable, Code: "disk_full", Message: "服务器磁盘空间不足，请稍后再试或联系管理员", Cause: err}
	}
	var path *os.PathError
	if errors.As(err, &path) {
		return &errs.Error{Kind: errs.Unavailable, Code: "disk", Message: "服务器写文件失败，请稍后再试或联系管理员", Cause: err}
	}
	return err
}

// store sends the finished file, trying again what another try may mend, and says where it can be fetched.
func (a *attempt) store(ctx context.Context, spool *os.File, key string) (storedFile, error) {
	size, err := spool.Seek(0, io.SeekEnd)
	if err != nil {
		return storedFile{}, spoolError(fmt.Errorf("size of spool file: %w", err))
	}
	a.detail.FileSize, a.detail.ETASeconds = &size, nil
	if err := a.r.Advance(ctx, job.StateBeforeUpload, progressWritten, a.detail); err != nil {
		return storedFile{}, err
	}
	file := a.file(key, size)
	if size > largeFile {
		if err := a.r.Advance(ctx, job.StateUploading, progressWritten, a.detail); err != nil {
			return storedFile{}, err
		}
	}
	a.putting = true
	if err := a.upload(ctx, spool, file); err != nil {
		return storedFile{}, err
	}
	return file, nil
}

// key names the attempt's object, which is its own: whatever is sent under it counts only once the job's row names it.
func (a *attempt) key(ctx context.Context) (string, error) {
	var unix int64
	err := a.s.o.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		unix, err = attemptUnix(ctx, tx, a.job.UUID)
		return err
	})
	if err != nil {
		return "", err
	}
	return storage.ObjectKey(unix, a.job.UUID, a.format.Extension)
}

// file describes the attempt's object and signs the link to it.
func (a *attempt) file(key string, size int64) storedFile {
	expires := a.s.o.Now().Add(a.s.o.Retention).Truncate(time.Second)
	f := storedFile{
		Key: key, Filename: a.job.payload.Filename + "." + a.format.Extension, ContentType: a.format.ContentType,
		Size: size, URL: a.s.fileURL(key, expires), ExpiresAt: expires,
	}
	for _, c := range a.columns {
		f.Columns = append(f.Columns, fileColumn{Key: c.Key, Masked: c.Masked})
	}
	return f
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
		if !backoff.Sleep(ctx, delay) {
			return context.Cause(ctx)
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
	return &errs.Error{Kind: errs.Unavailable, Code: "upload_failed", Message: "文件上传失败，请稍后重新导出", Cause: cause}
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
