package record

import (
	"context"
	"encoding/json"
	"fmt"

	"exporthub/pkg/auth"
	"exporthub/pkg/errs"
	"exporthub/pkg/job"
)

// Export is an export's job with its two documents decoded.
type Export struct {
	job.Job
	Args   Args
	Detail Detail
}

// Read decodes the documents of an export's job. It is the only place that does. With an error the
// Export still carries the job and what could be decoded before.
func Read(j job.Job) (Export, error) {
	e := Export{Job: j}
	if err := json.Unmarshal(j.Payload, &e.Args); err != nil {
		return e, fmt.Errorf("arguments of export %s: %w", j.UUID, err)
	}
	// A job from before its first step has no detail, which is not an empty JSON document.
	if len(j.Detail) > 0 {
		if err := json.Unmarshal(j.Detail, &e.Detail); err != nil {
			return e, fmt.Errorf("detail of export %s: %w", j.UUID, err)
		}
	}
	return e, nil
}

// MayFollow reports whether the caller may see a person's exports: their own, or everybody's for an
// administrator. A nil caller is anonymous.
func MayFollow(p *auth.Principal, ownerID int64) bool {
	return p != nil && (p.UserID == ownerID || p.Role == auth.Administrator)
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

// Forbidden is the documented refusal of a person who may not export a list. Admission gives it, and
// an attempt too, since the permission can be taken away while the job is queued.
func Forbidden() error {
	return &errs.Error{
		Kind:    errs.Forbidden,
		Code:    CodeForbidden,
		Message: "你没有应用导出的权限",
	}
}
