package attempt

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"exporthub/pkg/backoff"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/record"
	"exporthub/pkg/storage"
)

// largeFile is the size in bytes from which on the progress of the upload is published. A smaller
// file is sent before anybody could read a percentage.
const largeFile = 4 << 20

// store sends the finished file, trying again where another try may succeed, and says where it can
// be fetched.
func (a *attempt) store(ctx context.Context, spool *os.File, key, sum string) (record.File, error) {
	size, err := spool.Seek(0, io.SeekEnd)
	if err != nil {
		return record.File{}, spoolError(fmt.Errorf("size of spool file: %w", err))
	}
	a.detail.FileSize = &size
	a.detail.ETASeconds = nil
	if err := a.run.Advance(ctx, record.StageBeforeUpload, progressWritten, a.detail); err != nil {
		return record.File{}, err
	}
	file := a.file(key, size)
	file.SHA256 = sum
	if size > largeFile {
		if err := a.run.Advance(ctx, record.StageUploading, progressWritten, a.detail); err != nil {
			return record.File{}, err
		}
	}
	a.putting = true
	if err := a.upload(ctx, spool, file); err != nil {
		return record.File{}, err
	}
	return file, nil
}

// file describes the attempt's object and signs the link to it.
func (a *attempt) file(key string, size int64) record.File {
	// Links carry whole seconds, and the record must not promise a fraction more than the link.
	expires := a.deps.Now().Add(a.deps.Retention).Truncate(time.Second)
	f := record.File{
		Key:         key,
		Filename:    a.args.Filename + "." + a.format.Extension,
		ContentType: a.format.ContentType,
		Size:        size,
		URL:         a.deps.FileURL(key, expires),
		ExpiresAt:   expires,
	}
	for _, c := range a.columns {
		f.Columns = append(f.Columns, record.FileColumn{Key: c.Key, Masked: c.Masked})
	}
	return f
}

// upload puts the file into the store. Retries happen within the attempt, since the file is there
// and another attempt would read all rows again.
func (a *attempt) upload(ctx context.Context, spool *os.File, file record.File) error {
	delay := a.deps.UploadDelay
	for try := 1; ; try++ {
		err := a.deps.Store.Put(ctx, file.Key, spool, file.Size, storage.PutOptions{
			ContentType: file.ContentType,
			Progress:    func(sent int64) { a.sent(ctx, sent, file.Size) },
		})
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx) // the reason the engine gave, not the store's words for it
		}
		// Refusals such as a wrong credential stay refusals; an unknown error may be a passing one.
		if try == a.deps.UploadTries || !errs.Is(err, errs.Unavailable) && !errs.Is(err, errs.Internal) {
			return a.uploadFailed(ctx, err)
		}
		a.deps.Logger.Warn("storing a file failed, trying again", "job", a.job.UUID, "try", try, "error", err)
		if !backoff.Sleep(ctx, delay) {
			return context.Cause(ctx)
		}
		delay *= 2
		a.detail.UploadAttempt = try + 1
		// Neither stage nor progress change with a retry; the step publishes the number of the try.
		now := a.run.Job()
		if err := a.run.Advance(ctx, now.Stage, now.Progress, a.detail); err != nil {
			return err
		}
	}
}

// uploadFailed ends the upload. Old pages take upload_failure for the end, so the job can only fail
// after it.
func (a *attempt) uploadFailed(ctx context.Context, cause error) error {
	if err := a.run.Advance(ctx, record.StageUploadFailure, a.run.Job().Progress, a.detail); err != nil {
		return err
	}
	return &errs.Error{
		Kind:    errs.Unavailable,
		Code:    record.CodeUploadFailed,
		Message: "文件上传失败，请稍后重新导出",
		Cause:   cause,
	}
}

// sent publishes the progress of a large file's upload. A store may report bytes again after a
// retry; the engine drops a percentage that goes back.
func (a *attempt) sent(ctx context.Context, sent, size int64) {
	if size <= largeFile {
		return
	}
	percent := progressWritten + int(sent*(progressSent-progressWritten)/size)
	a.run.Progress(percent, a.detail)
}

// discardTimeout bounds the removal of an attempt's own object.
const discardTimeout = 5 * time.Second

// discard removes what a failed attempt may have stored. The key belongs to this attempt alone, so
// it can't be the file of another one.
func (a *attempt) discard(ctx context.Context, key string) {
	// The attempt may have failed because its context ended; the removal has to happen all the
	// same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), discardTimeout)
	defer cancel()
	if err := a.deps.Store.Delete(ctx, key); err != nil {
		// The clean-up finds it: the key is older than the row's attempt, or the job has ended.
		a.deps.Logger.Warn("an abandoned file was not removed", "job", a.job.UUID, "error", err)
	}
}
