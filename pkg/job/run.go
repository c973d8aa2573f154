package job

import (
	"context"
	"log/slog"
)

// Run is an attempt that is running, as its kind sees it. Its methods may be called from several
// goroutines, until Spec.Run returns.
type Run[Args, Detail any] struct {
	a      *attempt
	args   Args
	detail Detail
}

// Job returns the job as this run knows it.
func (r *Run[Args, Detail]) Job() Job { return r.a.current() }

// Args is what the job was enqueued with.
func (r *Run[Args, Detail]) Args() Args { return r.args }

// Detail is the detail that the attempt before has left; the zero value for the first.
func (r *Run[Args, Detail]) Detail() Detail { return r.detail }

// Logger adds the job, its kind and the attempt to each line.
func (r *Run[Args, Detail]) Logger() *slog.Logger { return r.a.log }

// Advance moves the job on to another stage, or stays in its stage with something worth storing at
// once (a further try of an upload), and notifies its subscribers. progress is in percent and never
// goes back within an attempt. detail replaces the stored one and must not be changed afterwards.
//
// While the database is away it tries again for as long as the lease may last. An error that is
// ErrLost means that another worker has the job now; Spec.Run returns it, as it returns any error
// of Advance.
func (r *Run[Args, Detail]) Advance(ctx context.Context, to Stage, progress int, detail Detail) error {
	return r.a.advance(ctx, to, progress, detail)
}

// Progress reports how far the work is, in percent of the whole job. It is cheap enough for every
// row: subscribers are notified at most every Options.ProgressEvery and only when the percentage
// has grown, and the row is updated with the next heartbeat. detail is as for Advance.
func (r *Run[Args, Detail]) Progress(progress int, detail Detail) {
	r.a.progress(progress, detail)
}

// SetDetail replaces the detail, to be stored with the event that comes next, at the latest with
// that of the end. It must not be changed afterwards.
func (r *Run[Args, Detail]) SetDetail(detail Detail) { r.a.setDetail(detail) }
