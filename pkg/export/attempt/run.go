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
	run     *record.Run
	job     job.Job
	args    record.Args
	set     dataset.Dataset
	sel     dataset.Selection
	columns []dataset.Column
	format  dataset.Format
	person  string        // who asked, as the information sheet names them
	detail  record.Detail // what the next step of the job will say
	putting bool          // the store was asked to take the file
}

// Run does one attempt: rows to a spool file, the file to the store. It returns the file, or an
// error about which the kind's retry policy decides. It returns soon after ctx is done.
func (r *Runner) Run(ctx context.Context, run *record.Run) (record.File, error) {
	a, err := r.prepare(ctx, run)
	if err != nil {
		return record.File{}, err
	}
	spool, err := r.createSpool(run.Job())
	if err != nil {
		return record.File{}, err
	}
	defer func() {
		_ = spool.Close() // only read by now; the writes were checked
		// What can't be removed is left to the clean-up of this machine, which knows the name.
		_ = os.Remove(spool.Name())
	}()
	file, err := a.produce(ctx, spool)
	if err != nil {
		return record.File{}, err
	}
	// The release before reads the file from the detail.
	a.detail.File = &file
	a.detail.ETASeconds = nil
	run.SetDetail(a.detail)
	return file, nil
}

// prepare reads the request again in the light of what its owner may do now. Hours can lie between
// the admission and the attempt, and permissions, columns and formats change with releases.
func (r *Runner) prepare(ctx context.Context, run *record.Run) (*attempt, error) {
	a := &attempt{
		Runner: r,
		run:    run,
		job:    run.Job(),
		args:   run.Args(),
	}
	var ok bool
	if a.set, ok = r.deps.Registry.Get(a.args.Dataset); !ok {
		return nil, errs.New(errs.NotFound, "该列表已不能导出")
	}
	if a.format, ok = r.deps.Formats.Get(a.args.Format); !ok {
		return nil, errs.New(errs.Unsupported, "该导出格式已不再支持")
	}
	owner, err := r.deps.People.Person(ctx, a.job.OwnerID)
	if err != nil {
		return nil, err
	}
	if !owner.Can(a.set.Permission) {
		return nil, record.Forbidden()
	}
	a.person = owner.Name
	if a.columns, err = a.set.PickFor(a.format, a.args.Columns, owner.Can); err != nil {
		return nil, err
	}
	if a.sel, err = a.args.Selection(a.set, owner); err != nil {
		return nil, errs.Wrap(errs.Invalid, "筛选条件无法读取，请重新提交", err)
	}
	// The owner may have lost the right to see a column since.
	if err := a.set.CheckFilter(a.sel.Filter, owner.Can); err != nil {
		return nil, err
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
	// Deferred, so that it happens even when a dataset panics: the engine recovers, and without
	// this the goroutine that uploads would read a file that is closed.
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
	if file, err = a.store(ctx, spool, key, ahead.sum()); err != nil {
		return record.File{}, err
	}
	stored = true
	return file, nil
}

// key names the attempt's object. No other attempt uses it, and an object counts only once the
// job's row names it.
func (a *attempt) key(ctx context.Context) (string, error) {
	var unix int64
	err := a.deps.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		unix, err = record.AttemptUnix(ctx, tx, a.job.UUID)
		return err
	})
	if err != nil {
		return "", err
	}
	return storage.ObjectKey(unix, a.job.UUID, a.format.Extension)
}
