package delivery

import (
	"context"
	"net/url"
	"strings"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/record"
	"exporthub/pkg/job"
)

// CodeFailed is the code of the answer for an export that failed while its request waited. The edge
// shows the text of errors with this code (httpapi.CodeJobFailed).
const CodeFailed = "job_failed"

// linkSlack is how much longer than a file a link that waits is good: it is made before the file,
// whose own expiry decides.
const linkSlack = 24 * time.Hour

// retryAfter is the Retry-After of a file that is not ready yet. How long the export
// takes is unknown here, so it is short.
const retryAfter = 5 * time.Second

// Wait waits, up to Deps.Wait, for the end of an export that the caller may see, and returns how
// far it has come. The caller was promised an answer and follows the job by other means, so
// trouble with waiting is logged and what is known is returned. Only an unknown or another
// person's export is an error.
func (l *Links) Wait(ctx context.Context, uuid string) (dataset.Outcome, error) {
	j, err := record.Visible(ctx, l.jobs, uuid)
	if err != nil {
		return dataset.Outcome{}, err
	}
	later, err := l.awaitEnd(ctx, j, l.deps.Wait)
	if err == nil {
		j = later
	} else if ctx.Err() == nil {
		l.deps.Logger.Warn("waiting for an export ended early", "job", uuid, "error", err)
	}
	e, err := record.Read(j)
	if err != nil {
		return dataset.Outcome{}, err
	}
	out := dataset.Outcome{
		Ended:      j.State.Ended(),
		FinishedAt: j.FinishedAt,
		Err:        failed(j),
	}
	if e.Detail.Count != nil {
		out.Count = *e.Detail.Count
	}
	if !out.Ended && (e.Detail.Count == nil || e.Detail.Estimated) {
		out.Count = l.countRows(ctx, e, out.Count)
	}
	return out, nil
}

// failedRetry is the Retry-After of an export that failed for a reason that may pass.
const failedRetry = time.Minute

// failed says why a job ended without a file, as the answer to the request that asked for it; nil
// for every other job.
func failed(j job.Job) error {
	if !j.State.Ended() || j.State == job.StateSuccess {
		return nil
	}
	e := &errs.Error{
		Kind:    errs.Internal,
		Code:    CodeFailed,
		Message: endedBecause(j),
	}
	// Only what was away may be back. A request that failed for its own reasons fails again.
	if j.Failure != nil && j.Failure.Kind == errs.Unavailable.String() {
		e.Kind = errs.Unavailable
		e.RetryAfter = failedRetry
	}
	return e
}

// countTime bounds the count for an answer that was promised a number. Together with the wait
// before it, it stays below the time after which common proxies give up (30 s).
const countTime = 4 * time.Second

// countRows counts what an export that has not counted yet will hold, as its owner may see it.
// What is known already is returned when that can't be done in time: the number is shown beside
// the link, and must not cost the person the link.
func (l *Links) countRows(ctx context.Context, e record.Export, known int64) int64 {
	set, ok := l.deps.Registry.Get(e.Args.Dataset)
	if !ok {
		return known
	}
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	n, err := func() (n int64, err error) {
		owner, err := l.deps.People.Person(ctx, e.OwnerID)
		if err != nil {
			return 0, err
		}
		sel, err := e.Args.Selection(set, owner)
		if err != nil {
			return 0, err
		}
		err = l.deps.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
			n, err = set.Count(ctx, tx, sel)
			return err
		})
		return n, err
	}()
	if err != nil {
		l.deps.Logger.Info("the rows of an export were not counted in time", "job", e.UUID, "error", err)
		return known
	}
	return n
}

// Drain ends every wait that is under way, and those to come, with what is known at that moment.
// It is for the end of the process, which waiting requests would delay for minutes. It returns
// when the downloads that waited to be recorded are, or have been logged.
func (l *Links) Drain() {
	l.drain()
	l.downloads.wait()
}

// awaitEnd returns the job once it has ended, or its current state when bound is over, ctx ends or
// the process drains.
func (l *Links) awaitEnd(ctx context.Context, j job.Job, bound time.Duration) (job.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	defer context.AfterFunc(l.draining, cancel)()
	for !j.State.Ended() && ctx.Err() == nil {
		later, err := l.deps.Jobs.Wait(ctx, j.UUID, j.Seq())
		// A query that our own deadline aborted is no trouble worth reporting.
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

// WaitLink returns a link to the file of an accepted export under a name of the caller's choice,
// the one its file will have. It can be used from now on: a GET waits for the file where it has
// to.
func (l *Links) WaitLink(uuid, filename string) string {
	path := WaitPath + url.PathEscape(filename)
	signature := l.deps.Signer.Sign(waitSubject(uuid, filename), l.deps.Now().Add(l.deps.Retention+linkSlack))
	return l.deps.PublicURL + path + "?s=" + url.QueryEscape(uuid+"."+signature)
}

// waitSubject is what the signature of a link that waits is of. The colon separates the parts for
// certain: admission refuses it in file names, and no uuid has one.
func waitSubject(uuid, filename string) string { return WaitPath + filename + ":" + uuid }

// Await checks a link that waits from every side, as Open does, waits for its file, and checks
// again: rights may have been taken away in the meantime. An export that ended without a file is an
// *EndedError.
func (l *Links) Await(ctx context.Context, name, signature string) (File, error) {
	return l.await(ctx, name, signature, l.deps.FileWait)
}

// Peek is Await without waiting: ready reports whether the file is there.
func (l *Links) Peek(ctx context.Context, name, signature string) (f File, ready bool, err error) {
	f, err = l.await(ctx, name, signature, 0)
	if errs.CodeOf(err) == codeNotReady {
		return f, false, nil
	}
	return f, err == nil, err
}

// codeNotReady is the code of the answer for a file that did not come in time.
const codeNotReady = "export_not_ready"

// await is Await, waiting no longer than bound.
func (l *Links) await(ctx context.Context, name, signature string, bound time.Duration) (File, error) {
	id, signature, _ := strings.Cut(signature, ".")
	if err := l.deps.Signer.Verify(waitSubject(id, name), signature, l.deps.Now()); err != nil {
		return File{}, err
	}
	f, err := l.awaitable(ctx, id, name)
	if err != nil {
		return f, err
	}
	j, err := l.jobs.Get(ctx, id)
	if err != nil {
		return f, err
	}
	if !j.State.Ended() && bound > 0 {
		if j, err = l.awaitEnd(ctx, j, bound); err != nil {
			return f, err
		}
		if ctx.Err() != nil {
			return f, context.Cause(ctx)
		}
	}
	switch {
	case !j.State.Ended():
		return f, &errs.Error{
			Kind:       errs.Unavailable,
			Code:       codeNotReady,
			Message:    "文件仍在生成，请稍后再打开此链接",
			RetryAfter: retryAfter,
		}
	case j.State != job.StateSuccess:
		return f, &EndedError{Why: endedBecause(j)}
	}
	return l.awaitable(ctx, id, name)
}

// awaitable reads the export of a link whose signature was good, as far as it has come, and checks
// the rights of its owner.
func (l *Links) awaitable(ctx context.Context, uuid, name string) (File, error) {
	row, err := l.row(ctx, uuid)
	switch {
	case database.IsNoRows(err):
		// The signature was ours, so the export existed: it was purged, not mistyped.
		return File{}, errs.New(errs.Gone, "链接已过期，文件不再保留")
	case err != nil:
		return File{}, err
	case row.ObjectKey != "" && row.Filename != name:
		return File{}, errs.New(errs.NotFound, "文件不存在")
	case row.ObjectKey != "" && !l.deps.Now().Before(row.ExpiresAt):
		return File{}, errs.New(errs.Gone, "链接已过期，文件不再保留")
	}
	return l.permit(ctx, row)
}

// EndedError says that an export ended without a file.
type EndedError struct{ Why string } // in words for the person who opened the link

// Error implements error.
func (e *EndedError) Error() string { return e.Why }

// endedBecause says in words why an export ended without a file.
func endedBecause(j job.Job) string {
	if j.State == job.StateCancelled {
		return "导出已取消，请重新导出"
	}
	if j.Failure != nil && j.Failure.Message != "" {
		return "导出失败:" + j.Failure.Message
	}
	return "导出失败，请重新导出"
}
