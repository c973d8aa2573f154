package job

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

// Spec declares a kind of job. Three types of its own go with it, all stored as JSON:
//
//   - Args is what an attempt needs to run; it is written once, with the row.
//   - Detail is what is known of the job so far; it is replaced as the job goes.
//   - End is what a successful run leaves.
type Spec[Args, Detail, End any] struct {
	Name   string      // as in the row: export, approval, import; 1 to 40 bytes
	Stages []StageSpec // the first is the one in which a job starts

	// Admit is asked in the transaction in which a worker takes the job. It admits the job (the
	// zero Admission), or says Later with a reason, which leaves the row queued and the worker
	// free. An error ends the job as failed, without having run; an Unavailable one is tried
	// again. Nil admits every job.
	Admit func(ctx context.Context, tx *database.Tx, j Record[Args, Detail, End]) (Admission, error)
	// Run does the work of one attempt and returns what it leaves, or an error about which Retry
	// decides. It must return soon after ctx is done, whose cause says why: ErrCancelled,
	// ErrReleased, ErrLost. Required.
	Run func(ctx context.Context, r *Run[Args, Detail]) (End, error)
	// Ended runs once, in the transaction that ends the job: what the job has taken from limits is
	// released here, and the reactions of others belong here. It is called for damaged records
	// too, since those must come to an end like all others. Nil does nothing.
	Ended func(ctx context.Context, tx *database.Tx, j Record[Args, Detail, End]) error
	// Render returns what subscribers receive of the job's current state, encoded as JSON, and the
	// streams it is published under; no streams publish nothing. It is a pure function of the
	// record, so that an event can be published again at any time. Required.
	Render func(j Record[Args, Detail, End]) (data any, streams []string)
	// Purge runs in the transaction that removes an old job's row. It removes what hangs on it and
	// returns true, or false while something of the job is still needed. Nil: nothing hangs on it.
	Purge func(ctx context.Context, tx *database.Tx, j Record[Args, Detail, End]) (bool, error)

	Retry RetryPolicy
}

// None is for a kind that stores no arguments, no detail or no end.
type None struct{}

// Record is a job with what its kind stores of it, decoded.
type Record[Args, Detail, End any] struct {
	Job
	Args   Args
	Detail Detail
	End    *End // of a job that succeeded
	// Damaged says that Args, Detail or End could not be decoded, and why; what could not is zero.
	// Such a job is never run. The engine logs it.
	Damaged error
}

// Definition is a kind of job with its types. The engine takes it as a Kind.
type Definition[Args, Detail, End any] struct{ k *kind }

// Kind is a Definition without its types, as the engine keeps it.
type Kind interface {
	// Name is the kind's name as in the rows.
	Name() string

	kind() *kind
}

// kind holds what the engine calls. Each function decodes the record it passes on.
type kind struct {
	name   string
	stages *stages
	retry  RetryPolicy

	check  func(j Job) error // why the record is damaged
	admit  func(ctx context.Context, tx *database.Tx, j Job) (Admission, error)
	run    func(ctx context.Context, a *attempt) (end json.RawMessage, err error)
	ended  func(ctx context.Context, tx *database.Tx, j Job) error
	render func(j Job) (data any, streams []string)
	purge  func(ctx context.Context, tx *database.Tx, j Job) (bool, error)
}

// Define makes a kind of job from its declaration. It panics when the declaration can't be right,
// as regexp.MustCompile does: declarations are written in code and made when the program starts.
func Define[Args, Detail, End any](spec Spec[Args, Detail, End]) *Definition[Args, Detail, End] {
	table, err := newStages(spec.Stages)
	switch {
	case spec.Name == "" || len(spec.Name) > 40:
		err = errors.Join(err, fmt.Errorf("name %q, want 1 to 40 bytes", spec.Name))
	case spec.Run == nil || spec.Render == nil:
		err = errors.Join(err, errors.New("Run and Render are required"))
	}
	if err != nil {
		panic(fmt.Errorf("job kind %s: %w", spec.Name, err))
	}
	d := &Definition[Args, Detail, End]{k: &kind{
		name:   spec.Name,
		stages: table,
		retry:  spec.Retry,
	}}
	d.bind(spec)
	return d
}

// bind puts the types between the engine, which has rows, and the kind, which has records.
func (d *Definition[Args, Detail, End]) bind(spec Spec[Args, Detail, End]) {
	d.k.check = func(j Job) error { return d.Decode(j).Damaged }
	d.k.admit = func(ctx context.Context, tx *database.Tx, j Job) (Admission, error) {
		if spec.Admit == nil {
			return Admission{}, nil
		}
		return spec.Admit(ctx, tx, d.Decode(j))
	}
	d.k.run = func(ctx context.Context, a *attempt) (json.RawMessage, error) {
		r := d.Decode(a.current())
		end, err := spec.Run(ctx, &Run[Args, Detail]{a: a, args: r.Args, detail: r.Detail})
		if err != nil {
			return nil, err
		}
		raw, err := encode("end", end)
		if err != nil {
			return nil, &faultError{err}
		}
		return raw, nil
	}
	d.k.ended = func(ctx context.Context, tx *database.Tx, j Job) error {
		if spec.Ended == nil {
			return nil
		}
		return spec.Ended(ctx, tx, d.Decode(j))
	}
	d.k.render = func(j Job) (any, []string) { return spec.Render(d.Decode(j)) }
	d.k.purge = func(ctx context.Context, tx *database.Tx, j Job) (bool, error) {
		if spec.Purge == nil {
			return true, nil
		}
		return spec.Purge(ctx, tx, d.Decode(j))
	}
}

// Name is the kind's name as in the rows.
func (d *Definition[Args, Detail, End]) Name() string { return d.k.name }

func (d *Definition[Args, Detail, End]) kind() *kind { return d.k }

// Decode reads what the kind stores of a job.
func (d *Definition[Args, Detail, End]) Decode(j Job) Record[Args, Detail, End] {
	return Decode[Args, Detail, End](j)
}

// Decode reads what a kind with these types stores of a job. This is the only place where that is
// decoded; what can't be is named by Damaged.
func Decode[Args, Detail, End any](j Job) Record[Args, Detail, End] {
	r := Record[Args, Detail, End]{Job: j}
	err := decode("arguments", j.args, &r.Args)
	err = errors.Join(err, decode("detail", j.detail, &r.Detail))
	if len(j.end) > 0 {
		var end End
		endErr := decode("end", j.end, &end)
		if err = errors.Join(err, endErr); endErr == nil {
			r.End = &end
		}
	}
	if err != nil {
		r.Damaged = fmt.Errorf("record of job %s: %w", j.UUID, err)
	}
	return r
}

// New is a job of this kind for Engine.Enqueue.
func (d *Definition[Args, Detail, End]) New(ownerID int64, args Args) (New, error) {
	raw, err := encode("arguments", args)
	if err != nil {
		return New{}, fmt.Errorf("job of kind %s: %w", d.k.name, err)
	}
	var none Detail
	detail, err := encode("detail", none)
	if err != nil {
		return New{}, fmt.Errorf("job of kind %s: %w", d.k.name, err)
	}
	return New{OwnerID: ownerID, kind: d.k.name, args: raw, detail: detail}, nil
}

// Admission is a kind's answer to a worker that is about to run a job. The zero value admits it.
type Admission struct {
	later  bool
	reason string
	after  time.Duration
}

// Later leaves the job queued: it is offered to a worker again after the given time, at least a
// second, and keeps none busy until then. reason is for the person who asked, 1 to 200 bytes; a
// longer one is cut. The attempt is not used up, and no event is published: the record says why.
func Later(reason string, after time.Duration) Admission {
	return Admission{later: true, reason: reason, after: max(after, time.Second)}
}

// encode is how arguments, details and ends are stored.
func encode(what string, v any) (json.RawMessage, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", what, err)
	}
	return raw, nil
}

// decode reads a stored document. An empty one is the zero value: rows of kinds that store none.
func decode(what string, raw json.RawMessage, into any) error {
	if len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("decode %s: %w", what, err)
	}
	return nil
}

// damagedFailure is how a job whose record can't be decoded fails.
func damagedFailure(cause error) error {
	return &errs.Error{Kind: errs.Invalid, Code: CodeDamaged, Cause: cause}
}
