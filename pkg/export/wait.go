package export

import (
	"context"
	"net/url"
	"strings"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/job"
)

// Wait waits, up to Options.Wait, for the end of an export that the caller may follow, and returns how far it has come. A
// job that can't be waited for is told as far as it is known: whoever asks has been promised an answer, and follows the
// job by other means. Only an export that is unknown, or another's, is an error.
func (s *Service) Wait(ctx context.Context, uuid string) (dataset.Outcome, error) {
	j, err := s.owned(ctx, uuid)
	if err != nil {
		return dataset.Outcome{}, err
	}
	later, err := s.awaitEnd(ctx, j, s.o.Wait)
	if err == nil {
		j = later
	} else if ctx.Err() == nil {
		s.o.Logger.Warn("waiting for an export ended early", "job", uuid, "error", err)
	}
	e, err := readJob(j)
	if err != nil {
		return dataset.Outcome{}, err
	}
	out := dataset.Outcome{Ended: j.State.Ended(), FinishedAt: j.FinishedAt}
	if e.detail.Count != nil {
		out.Count = *e.detail.Count
	}
	return out, nil
}

// Drain ends every wait that is under way, and those to come, with what is known at that moment. It is for the end of the
// process, which waiting requests would hold up for minutes.
func (s *Service) Drain() { s.drain() }

// awaitEnd returns the job once it has ended, or as it is when bound is over, ctx ends or the process drains.
func (s *Service) awaitEnd(ctx context.Context, j job.Job, bound time.Duration) (job.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	defer context.AfterFunc(s.draining, cancel)()
	for !j.State.Ended() && ctx.Err() == nil {
		later, err := s.jobs.Wait(ctx, j.UUID, j.Seq())
		if err != nil && ctx.Err() != nil {
			return j, nil
		}
		if err != nil {
			return j, err
		}
		j = later
	}
	return j, nil
}

// mediaPath is where links that wait for their file are fetched.
const mediaPath = "/media/exports/"

// linkSlack is how much longer than a file such a link is good: it is made before the file, whose own end decides.
const linkSlack = 24 * time.Hour

// WaitLink returns a link to the file of an accepted export under a name of the caller's choice, the one its file will
// have. It is good by itself, from now on: a GET waits for the file where it has to.
func (s *Service) WaitLink(uuid, filename string) string {
	path := mediaPath + url.PathEscape(filename)
	signature := s.o.Signer.Sign(mediaSubject(uuid, filename), s.o.Now().Add(s.o.Retention+linkSlack))
	return s.o.PublicURL + path + "?s=" + url.QueryEscape(uuid+"."+signature)
}

// mediaSubject is what such a link's signature is of. Neither part holds the character between them: a file name none, as
// Queue refuses it, and a uuid of ours.
func mediaSubject(uuid, filename string) string { return mediaPath + filename + ":" + uuid }

// awaitLink checks a link that waits from every side, as openLink does, waits for its file, and checks again.
func (s *Service) awaitLink(ctx context.Context, name, signature string) (download, error) {
	id, signature, _ := strings.Cut(signature, ".")
	if err := s.o.Signer.Verify(mediaSubject(id, name), signature, s.o.Now()); err != nil {
		return download{}, err
	}
	d, err := s.mediaDownload(ctx, id, name)
	if err != nil {
		return d, err
	}
	j, err := s.store.Get(ctx, id)
	if err != nil {
		return d, err
	}
	if !j.State.Ended() {
		if j, err = s.awaitEnd(ctx, j, s.o.FileWait); err != nil {
			return d, err
		}
		if ctx.Err() != nil {
			return d, context.Cause(ctx)
		}
	}
	switch {
	case !j.State.Ended():
		return d, &errs.Error{Kind: errs.Unavailable, Code: "export_not_ready",
			Message: "文件仍在生成，请稍后再打开此链接", RetryAfter: activeRetry}
	case j.State != job.StateSuccess:
		return d, &noFile{endedBecause(j)}
	}
	if d, err = s.mediaDownload(ctx, id, name); err != nil {
		return d, err
	}
	return d, nil
}

// mediaDownload reads the export of a link whose signature was good, as far as it is, and checks its owner's rights.
func (s *Service) mediaDownload(ctx context.Context, id, name string) (download, error) {
	var d download
	err := s.o.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		d.exportRow, err = exportByID(ctx, tx, id)
		return err
	})
	switch {
	case database.IsNoRows(err):
		// The signature was ours, so it was there.
		return d, errs.New(errs.Gone, "链接已过期，文件不再保留")
	case err != nil:
		return d, err
	case d.ObjectKey != "" && d.Filename != name:
		return d, errs.New(errs.NotFound, "文件不存在")
	case d.ObjectKey != "" && !s.o.Now().Before(d.ExpiresAt):
		return d, errs.New(errs.Gone, "链接已过期，文件不再保留")
	}
	return d, s.permit(ctx, &d)
}

// noFile says that an export ended without a file.
type noFile struct{ why string }

func (e *noFile) Error() string { return e.why }

func endedBecause(j job.Job) string {
	if j.State == job.StateCancelled {
		return "导出已取消，请重新导出"
	}
	if j.Failure != nil && j.Failure.Message != "" {
		return "导出失败:" + j.Failure.Message
	}
	return "导出失败，请重新导出"
}
