package job

import (
	"testing"

	"exporthub/pkg/testkit"
)

func TestDiagramIsOfTheTable(t *testing.T) { testkit.Golden(t, "state.mmd", Diagram()) }

func TestTransitions(t *testing.T) {
	if len(States()) != len(transitions) {
		t.Fatalf("States has %d, the table %d", len(States()), len(transitions))
	}
	for _, from := range States() {
		for _, to := range transitions[from] {
			if !to.Known() || to == from {
				t.Errorf("%s -> %s is no transition", from, to)
			}
		}
		if from.Ended() != (len(transitions[from]) == 0) {
			t.Errorf("%s: Ended() = %v with %d ways out", from, from.Ended(), len(transitions[from]))
		}
		if from.Active() && !from.Can(StateFailure) {
			t.Errorf("%s can't fail", from)
		}
		if from.Active() && from != StateUploadFailure && !(from.Can(StateQueued) && from.Can(StateCancelled)) {
			t.Errorf("%s can't be handed back or cancelled", from)
		}
		if from.Can(StateQueued) && !from.Active() {
			t.Errorf("%s can be handed back by nobody", from)
		}
	}
	for _, c := range []struct {
		from, to State
		want     bool
	}{
		{StateQueued, StateStarting, true},
		{StateQueued, StateStart, false},
		{StateStart, StateSuccess, true},
		{StateWritingFile, StateSuccess, false},
		{StateBeforeUpload, StateUploadFailure, true},
		{StateUploadFailure, StateQueued, false},
		{StateSuccess, StateQueued, false},
		{StateUploading, StateUploading, false},
		{"unheard_of", StateFailure, false},
	} {
		if got := c.from.Can(c.to); got != c.want {
			t.Errorf("%s.Can(%s) = %v, want %v", c.from, c.to, got, c.want)
		}
	}
	if State("unheard_of").Active() || State("").Ended() || StateQueued.Active() {
		t.Error("unknown and queued states are neither active nor ended")
	}
}
