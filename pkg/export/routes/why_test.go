package routes

import (
	"testing"

	"exporthub/pkg/export/record"
	"exporthub/pkg/job"
)

func TestWhySaysThatACancellationIsOnItsWay(t *testing.T) {
	e := record.Export{Record: record.Record{Job: job.Job{State: job.StateRunning, CancelRequested: true}}}
	if got := why(e); got != "正在取消" {
		t.Errorf("why = %q", got)
	}
	e.State = job.StateCancelled
	if got := why(e); got != "" {
		t.Errorf("of the cancelled job why = %q", got)
	}
}
