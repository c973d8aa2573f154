package record

import (
	"encoding/json"
	"strings"
	"testing"

	"exporthub/pkg/job"
)

// The remaining time is published while something is left to do: not of a job that has ended,
// however it ended.
func TestAnEndHasNoRemainingTime(t *testing.T) {
	left := int64(35)
	for _, state := range job.States() {
		e := Export{Record{Job: job.Job{State: state, Stage: StageStart}, Detail: Detail{ETASeconds: &left}}}
		data, err := json.Marshal(e.Event(false))
		if err != nil {
			t.Fatal(err)
		}
		want := !state.Ended() && state != job.StateQueued
		if got := strings.Contains(string(data), `"eta_seconds":35`); got != want {
			t.Errorf("%s has the remaining time: %t, want %t", state, got, want)
		}
	}
}
