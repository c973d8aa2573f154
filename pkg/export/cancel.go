package export

import (
	"context"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
	"exporthub/pkg/job"
	"exporthub/pkg/storage"
)

// operate is the permission to act on other people's jobs.
const operate = "job.operate"

// Cancel ends an export of the caller that ctx carries, or anybody's for one who may operate jobs. One that waits ends at
// once; a running one is asked to, which its worker sees with its next heartbeat. Cancelling again is fine; Conflict means
// that it ended otherwise, NotFound that there is none the caller may know of.
func (s *Service) Cancel(ctx context.Context, uuid string) (job.Job, error) {
	j, err := s.store.Get(ctx, uuid)
	if err != nil {
		return job.Job{}, err
	}
	who := auth.From(ctx)
	if who == nil || j.Kind != KindName || j.OwnerID != who.UserID && !who.Can(operate) {
		return job.Job{}, errs.New(errs.NotFound, "没有这个任务")
	}
	return s.jobs.Cancel(ctx, uuid)
}

// dropTimeout bounds the removal of the file of an export that ended without one.
const dropTimeout = 2 * time.Second

// dropFile removes what the last attempt may have stored, once its end is committed: an end can be asked for while the
// upload is under way, and a worker can be lost right after it. What can't be removed now is left to the clean-up.
func (s *Service) dropFile(ctx context.Context, tx *database.Tx, e exportJob) error {
	format, ok := s.formats[e.payload.Format]
	if !ok || e.Progress < progressWritten {
		return nil
	}
	unix, err := attemptUnix(ctx, tx, e.UUID)
	if err != nil || unix == 0 {
		return err
	}
	key, err := storage.ObjectKey(unix, e.UUID, format.Extension)
	if err != nil {
		return err
	}
	tx.AfterCommit(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, dropTimeout)
		defer cancel()
		if err := s.o.Store.Delete(ctx, key); err != nil {
			s.o.Logger.Warn("the file of an export that ended without one was not removed", "job", e.UUID, "error", err)
		}
	})
	return nil
}
