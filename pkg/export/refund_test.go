package export

import (
	"testing"

	"exporthub/pkg/export/record"
	"exporthub/pkg/job"
	"exporthub/pkg/testkit"
)

// A daily quota is released for what storage, database, disk and programs do, never for what a
// person asked for.
func TestOurs(t *testing.T) {
	for name, c := range map[string]struct {
		f    *job.Failure
		want bool
	}{
		"none":            {nil, false},
		"storage away":    {&job.Failure{Kind: "unavailable", Code: "storage"}, true},
		"not classified":  {&job.Failure{Kind: "internal", Code: "internal"}, true},
		"a wrong filter":  {&job.Failure{Kind: "invalid", Code: "invalid"}, false},
		"not allowed":     {&job.Failure{Kind: "forbidden", Code: "export_forbidden"}, false},
		"an unknown kind": {&job.Failure{Kind: "unknown", Code: "unknown"}, false},
		"a panic":         {&job.Failure{Kind: "internal", Code: job.CodePanic}, true},
		"workers lost":    {&job.Failure{Kind: "internal", Code: job.CodeWorkerLost}, true},
		"upload failed":   {&job.Failure{Kind: "unavailable", Code: record.CodeUploadFailed}, true},
	} {
		if got := ours(c.f); got != c.want {
			t.Errorf("%s: ours = %v, want %v", name, got, c.want)
		}
	}
}

func TestRefundsGolden(t *testing.T) { testkit.Golden(t, "refunds.md", refundTable()) }

func TestRetriesGolden(t *testing.T) { testkit.Golden(t, "retries.md", retryPolicy.Table()) }

func TestStagesDiagram(t *testing.T) {
	testkit.Golden(t, "stages.mmd", job.StageDiagram((&lifecycle{}).kind(nil)))
}
