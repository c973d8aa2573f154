package record

import (
	"context"

	"exporthub/pkg/auth"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/job"
)

// Record is the job of an export as the engine passes it to the kind.
type Record = job.Record[Args, Detail, File]

// Run is an attempt of an export.
type Run = job.Run[Args, Detail]

// Export is an export's job with its documents decoded. Detail.File is the file of one that
// succeeded, whichever release has written it.
type Export struct{ Record }

// Of returns the export of a decoded job. The release before stored the file in the detail alone.
func Of(r Record) Export {
	if r.End != nil {
		r.Detail.File = r.End
	}
	return Export{r}
}

// Read decodes an export's job. With an error the Export still carries the job and what could be
// decoded.
func Read(j job.Job) (Export, error) {
	r := job.Decode[Args, Detail, File](j)
	return Of(r), r.Damaged
}

// MayFollow reports whether the caller may see a person's exports: their own, or everybody's for an
// administrator. A nil caller is anonymous.
func MayFollow(p *auth.Principal, ownerID int64) bool {
	return p != nil && (p.UserID == ownerID || p.Role == auth.Administrator)
}

// MayReceive reports whether the caller may receive a person's events and files: their own, or, of
// somebody else, an administrator who sees everything whole. A link opens a file that was written
// for its owner's eyes.
func MayReceive(p *auth.Principal, ownerID int64, registry *dataset.Registry) bool {
	return MayFollow(p, ownerID) && (p.UserID == ownerID || registry.SeesAll(p.Can))
}

// Visible returns an export that the caller whom ctx carries may see. An unknown uuid, the job of
// another kind and another person's export are the same NotFound, so that uuids can't be tried out.
func Visible(ctx context.Context, jobs *job.Store, uuid string) (job.Job, error) {
	j, err := jobs.Get(ctx, uuid)
	if err != nil {
		return j, err
	}
	if j.Kind != Kind || !MayFollow(auth.From(ctx), j.OwnerID) {
		return j, NotFound()
	}
	return j, nil
}

// NotFound is the answer for an export that does not exist or that the caller may not know of.
func NotFound() error { return errs.New(errs.NotFound, "没有这个任务") }

// CodeForbidden is the code of the refusal of a person who may not export a list.
const CodeForbidden = "export_forbidden"

// Forbidden is the documented refusal of a person who may not export a list. Admission gives it,
// and an attempt too, since the permission can be taken away while the job is queued.
func Forbidden() error {
	return &errs.Error{
		Kind:    errs.Forbidden,
		Code:    CodeForbidden,
		Message: "你没有应用导出的权限",
	}
}
