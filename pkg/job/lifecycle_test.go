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
		if from != StateQueued && !from.Ended() && !(from.Can(StateFailure) && from.Can(StateQueued) && from.Can(StateCancelled)) {
			t.Errorf("%s can't fail, be released or be cancelled", from)
		}
	}
	for _, c := range []struct {
		from, to State
		want     bool
	}{
		{StateQueued, StateRunning, true},
		{StateQueued, StateSuccess, false},
		{StateRunning, StateSuccess, true},
		{StateSuccess, StateQueued, false},
		{StateRunning, StateRunning, false},
		{"unknown", StateFailure, false},
	} {
		if got := c.from.Can(c.to); got != c.want {
			t.Errorf("%s.Can(%s) = %v, want %v", c.from, c.to, got, c.want)
		}
	}
	if State("unknown").Ended() || State("").Ended() || StateQueued.Ended() || StateRunning.Ended() {
		t.Error("unknown, queued and running states have not ended")
	}
}

// allowed checks every move between two stages of the tests' kind, and to every state, against the
// moves that an export of the release before could make.
func TestStagesNarrowTheLifecycle(t *testing.T) {
	table, err := newStages(testStages())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, to Stage
		want     bool
	}{
		{stageStarting, stageStart, true},
		{stageStarting, stageUploading, false},
		{stageStart, stageWriting, true},
		{stageBeforeUpload, stageUploadFailure, true},
		{stageUploading, stageUploading, true},
		{stageUploadFailure, stageStarting, false},
		{"unknown", stageStart, false},
		{stageStart, "unknown", false},
	} {
		if got := table.can(c.from, c.to); got != c.want {
			t.Errorf("can(%s, %s) = %v, want %v", c.from, c.to, got, c.want)
		}
	}
	for _, c := range []struct {
		from Stage
		to   State
		want bool
	}{
		{stageStart, StateSuccess, true},
		{stageWriting, StateSuccess, false},
		{stageWriting, StateQueued, true},
		{stageWriting, StateCancelled, true},
		{stageUploadFailure, StateFailure, true},
		{stageUploadFailure, StateQueued, false},
		{stageUploadFailure, StateCancelled, false},
		{stageUploadFailure, StateSuccess, false},
		{"of another release", StateQueued, true},
	} {
		from, to := Job{State: StateRunning, Stage: c.from}, Job{State: c.to}
		if got := table.allows(from, to); got != c.want {
			t.Errorf("allows(%s, %s) = %v, want %v", c.from, c.to, got, c.want)
		}
	}
}

func TestStagesThatCantBe(t *testing.T) {
	for name, list := range map[string][]StageSpec{
		"none":                   nil,
		"without a name":         {{}},
		"a state's name":         {{Name: "queued"}},
		"twice":                  {{Name: "a"}, {Name: "a"}},
		"leads nowhere":          {{Name: "a", Next: []Stage{"b"}}},
		"fails and succeeds":     {{Name: "a", Succeeds: true, Fails: lostUploading}},
		"fails and has a follow": {{Name: "a", Next: []Stage{"a"}, Fails: lostUploading}},
	} {
		if _, err := newStages(list); err == nil {
			t.Errorf("stages %s were accepted", name)
		}
	}
}
