package export

import (
	"encoding/json"
	"strings"
	"testing"

	"exporthub/pkg/job"
)

// What was left to do is told while something is left: not of a job that has ended, however it ended.
func TestAnEndHasNoRemainingTime(t *testing.T) {
	left := int64(35)
	for _, state := range job.States() {
		e := exportJob{Job: job.Job{State: state}, detail: detail{ETASeconds: &left}}
		data, err := json.Marshal(e.event(false))
		if err != nil {
			t.Fatal(err)
		}
		want := !state.Ended() && state != job.StateQueued
		if got := strings.Contains(string(data), `"eta_seconds":35`); got != want {
			t.Errorf("%s tells the remaining time: %t, want %t", state, got, want)
		}
	}
}

func TestWhySaysThatACancellationIsOnItsWay(t *testing.T) {
	e := exportJob{Job: job.Job{State: job.StateWritingFile, CancelRequested: true}}
	if got := why(e); got != "正在取消" {
		t.Errorf("why = %q", got)
	}
	e.State = job.StateCancelled
	if got := why(e); got != "" {
		t.Errorf("of the cancelled job why = %q", got)
	}
}
