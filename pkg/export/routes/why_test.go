package routes

import (
	"context"
	"strings"
	"testing"

	"exporthub/pkg/export/record"
	"exporthub/pkg/job"
)

// idle are handlers beside one worker that has nothing to do.
func idle() *handlers {
	return &handlers{deps: Deps{Workers: func(context.Context) (job.Workers, error) {
		return job.Workers{Alive: 1, Slots: 1}, nil
	}}}
}

// A job whose lease is over and that nobody has taken over waits, whatever stage it was in.
func TestAJobWithoutItsWorkerWaits(t *testing.T) {
	left := int64(2)
	e := record.Export{Record: record.Record{
		Job:    job.Job{State: job.StateRunning, Stage: record.StageWritingFile, Attempt: 1},
		Detail: record.Detail{ETASeconds: &left},
	}}
	why := func() string { return idle().why(t.Context(), e) }
	if got := shownStatus(e.Job); got != record.StatusWritingFile || why() != "" || e.Event(false).ETASeconds == nil {
		t.Errorf("in a worker's hands it is %s, %q", got, why())
	}
	e.Lost = true
	want := "执行任务的进程已退出，等待其他进程接手"
	if got := shownStatus(e.Job); got != record.StatusQueued || why() != want || e.Event(false).ETASeconds != nil {
		t.Errorf("without a worker it is %s, %q", got, why())
	}
}

func TestWhySaysThatACancellationIsOnItsWay(t *testing.T) {
	e := record.Export{Record: record.Record{Job: job.Job{State: job.StateRunning, CancelRequested: true}}}
	if got := idle().why(t.Context(), e); got != "正在取消" {
		t.Errorf("why = %q", got)
	}
	e.State = job.StateCancelled
	if got := idle().why(t.Context(), e); got != "" {
		t.Errorf("of the cancelled job why = %q", got)
	}
}

// A kind that puts its job off says why itself.
func TestWhyIsTheKindsOwnReason(t *testing.T) {
	e := record.Export{Record: record.Record{Job: job.Job{State: job.StateQueued, Waiting: "该列表同时导出的任务已满"}}}
	if got := idle().why(t.Context(), e); got != e.Waiting {
		t.Errorf("why = %q", got)
	}
}

// The tag of a record changes with the reason, or a client that asks with its tag would show the
// old one for as long as the row stays.
func TestTheTagCoversTheReason(t *testing.T) {
	j := job.Job{State: job.StateQueued}
	none, busy := recordOut{Status: record.StatusQueued, Why: "a"}, recordOut{Status: record.StatusQueued, Why: "b"}
	if etag(j, none) == etag(j, busy) || !strings.HasPrefix(etag(j, none), `"`) {
		t.Errorf("tags %s and %s", etag(j, none), etag(j, busy))
	}
}
