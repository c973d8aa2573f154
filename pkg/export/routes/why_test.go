package routes

import (
	"testing"

	"exporthub/pkg/export/record"
	"exporthub/pkg/job"
)

// A job whose lease is over and that nobody has taken over waits, whatever stage it was in.
func TestAJobWithoutItsWorkerWaits(t *testing.T) {
	left := int64(2)
	e := record.Export{Record: record.Record{
		Job:    job.Job{State: job.StateRunning, Stage: record.StageWritingFile, Attempt: 1},
		Detail: record.Detail{ETASeconds: &left},
	}}
	if got := shownStatus(e.Job); got != record.StatusWritingFile || why(e) != "" || e.Event(false).ETASeconds == nil {
		t.Errorf("in a worker's hands it is %s, %q", got, why(e))
	}
	e.Lost = true
	if got := shownStatus(e.Job); got != record.StatusQueued || why(e) != lostWorker || e.Event(false).ETASeconds != nil {
		t.Errorf("without a worker it is %s, %q", got, why(e))
	}
}

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
