package export

import (
	"context"

	"exporthub/pkg/auth"
	"exporthub/pkg/export/record"
	"exporthub/pkg/job"
)

// operate is the permission to act on other people's jobs.
const operate = "job.operate"

// Cancel ends an export of the caller whom ctx carries, or anybody's for one who may operate
// jobs. One that waits ends at once; a running one is asked to, which its worker sees with its
// next heartbeat. Cancelling again is fine; Conflict means that it ended otherwise, NotFound that
// there is none the caller may know of.
func (s *Service) Cancel(ctx context.Context, uuid string) (job.Job, error) {
	j, err := s.rows.Get(ctx, uuid)
	if err != nil {
		return job.Job{}, err
	}
	// Not record.Visible: an administrator sees everybody's exports, but needs a permission to
	// end them.
	who := auth.From(ctx)
	if who == nil || j.Kind != record.Kind || j.OwnerID != who.UserID && !who.Can(operate) {
		return job.Job{}, record.NotFound()
	}
	return s.jobs.Cancel(ctx, uuid)
}
