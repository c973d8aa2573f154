package export

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"exporthub/pkg/errs"
	"exporthub/pkg/export/record"
	"exporthub/pkg/job"
)

// releasesDaily reports whether an ended job's daily quota can be used again: it was cancelled
// before it started, or failed for a reason that is ours.
func releasesDaily(j job.Job) bool {
	switch j.State {
	case job.StateCancelled:
		return j.Attempt == 1 && j.StartedAt.IsZero()
	case job.StateFailure:
		return ours(j.Failure)
	}
	return false
}

// The failures that are ours: what storage, database, disk and programs do, never what a person
// asked for. Codes come before kinds.
var (
	oursByCode = map[string]bool{
		job.CodePanic:           true,
		job.CodeWorkerLost:      true,
		record.CodeUploadFailed: true,
		record.CodeUnreadable:   true,
		// The person's request was readable when it was admitted.
		job.CodeDamaged: true,
	}
	oursByKind = map[errs.Kind]bool{
		errs.Internal:    true,
		errs.Unavailable: true,
	}
)

// ours reports whether an export failed for a reason that is ours, and not the person's.
func ours(f *job.Failure) bool {
	if f == nil {
		return false
	}
	if oursByCode[f.Code] {
		return true
	}
	for kind, is := range oursByKind {
		if kind.String() == f.Kind {
			return is
		}
	}
	return false
}

// refundTable writes what becomes of the daily quota of an export that fails, in Markdown.
func refundTable() string {
	var b strings.Builder
	b.WriteString("| failure | daily quota |\n|---|---|\n")
	row := func(f job.Failure) {
		quota := "used"
		if ours(&f) {
			quota = "released"
		}
		name := f.Code
		if name == "" {
			name = f.Kind
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, quota)
	}
	for _, kind := range errs.Kinds() {
		row(job.Failure{Kind: kind.String()})
	}
	for _, code := range slices.Sorted(maps.Keys(oursByCode)) {
		row(job.Failure{Kind: errs.Invalid.String(), Code: code})
	}
	return b.String()
}
