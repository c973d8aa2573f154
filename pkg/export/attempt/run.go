package attempt

import (
	"context"
	"os"

	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/record"
	"exporthub/pkg/job"
	"exporthub/pkg/storage"
)

// attempt is one run of one export. Only the goroutine of Run uses it, but for the store's calls of
// Progress, which happen inside Put.
type attempt struct {
	*Runner
	run     *job.Run
	export  record.Export
	set     dataset.Dataset
	sel     dataset.Selection
	columns []dataset.Column
	format  dataset.Format
	person  string        // who asked, as the information sheet names them
	detail  record.Detail // what the next step of the job will say
	putting bool          // the store was asked to take the file
}

// Run does one attempt: rows to a spool file, the file to the store. It returns the job's last
// detail, a record.Detail, or an error whose kind says whether another attempt may succeed. It returns
// soon after ctx is done.
func (r *Runner) Run(ctx context.Context, run *job.Run) (any, error) {
	a, err := r.prepare(ctx, run)
	if err != nil {
		return nil, err
	}
	spool, err := r.createSpool(run.Job())
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = spool.Close() // only read by now; the writes were checked
		// What can't be removed is left to the clean-up of this machine, which knows the name.
		_ = os.Remove(spool.Name())
	}()
	file, err := a.produce(ctx, spool)
	if err != nil {
		return nil, err
	}
	a.detail.File = &file
	a.detail.ETASeconds = nil
	return a.detail, nil
}

// prepare reads the request again in the light of what its owner may do now. Hours can lie between
// the admission and the attempt, and permissions, columns and formats change with releases.
func (r *Runner) prepare(ctx context.Context, run *job.Run) (*attempt, error) {
	e, err := record.Read(run.Job())
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, "导出任务的参数无法读取，请重新提交", err)
	}
	a := &attempt{
		Runner: r,
		run:    run,
		export: e,
	}
	var ok bool
	if a.set, ok = r.deps.Registry.Get(e.Args.Dataset); !ok {
		return nil, errs.New(errs.NotFound, "该列表已不能导出")
	}
	if a.format, ok = r.deps.Formats.Get(e.Args.Format); !ok {
		return nil, errs.New(errs.Unsupported, "该导出格式已不再支持")
	}
	owner, err := r.deps.People.Person(ctx, e.OwnerID)
	if err != nil {
		return nil, err
	}
	if !owner.Can(a.set.Permission) {
		return nil, record.Forbidden()
	}
	a.person = owner.Name
	if a.columns, err = a.set.PickFor(a.format, e.Args.Columns, owner.Can); err != nil {
		return nil, err
	}
	filter, err := record.DecodeFilter(a.set, e.Args.Filter)
	if err != nil {
		return nil, errs.Wrap(errs.Invalid, "筛选条件无法读取，请重新提交", err)
	}
	a.sel = dataset.Selection{
		Viewer: dataset.Viewer{
			UserID: e.OwnerID,
			Can:    owner.Can,
		},
		Filter:  filter,
		Columns: e.Args.Columns,
		IDs:     e.Args.IDs,
	}
	return a, nil
}

// produce writes the file and has it stored. When that fails it removes what was sent of the file.
func (a *attempt) produce(ctx context.Context, spool *os.File) (file record.File, err error) {
	key, err := a.key(ctx)
	if err != nil {
		return record.File{}, err
	}
	ahead := a.uploadAhead(ctx, spool, key)
	stored := false
	// Deferred, so that it happens even when a dataset panics: the engine recovers, and without this
	// the goroutine that uploads would read a file that is closed.
	defer func() {
		ahead.stop(0)
		if !stored && (ahead.began || a.putting) {
			a.discard(ctx, key)
		}
	}()
	if err := a.write(ctx, ahead); err != nil {
		return record.File{}, spoolError(err)
	}
	ahead.stop(aheadGrace)
	if file, err = a.store(ctx, spool, key); err != nil {
		return record.File{}, err
	}
	stored = true
	return file, nil
}

// key names the attempt's object. No other attempt uses it, and an object counts only once the job's
// row names it.
func (a *attempt) key(ctx context.Context) (string, error) {
	var unix int64
	err := a.deps.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		unix, err = record.AttemptUnix(ctx, tx, a.export.UUID)
		return err
	})
	if err != nil {
		return "", err
	}
	return storage.ObjectKey(unix, a.export.UUID, a.format.Extension)
}
