package job

import (
	"fmt"
	"slices"
	"strings"
)

// Stage is where a running job is, in the words of its kind. A job that does not run has none.
type Stage string

// StageSpec is one stage of a kind and what may follow it.
type StageSpec struct {
	Name Stage // 1 to 40 bytes
	// Next are the stages that may follow. Staying in a stage is always allowed.
	Next []Stage
	// Succeeds says that a run may end successfully in this stage.
	Succeeds bool
	// Fails, when set, says that a job in this stage can only fail: its subscribers have been
	// notified that it is over. It is neither cancelled nor tried again, and when its worker is
	// lost here, this is the failure it ends with.
	Fails *Failure
}

// stages is the kind's half of the state machine, checked.
type stages struct {
	list   []StageSpec
	byName map[Stage]*StageSpec
}

// newStages checks a kind's stages. The first is the one a job enters when a worker takes it.
func newStages(list []StageSpec) (*stages, error) {
	if len(list) == 0 {
		return nil, fmt.Errorf("no stages: a kind has at least the one in which its jobs start")
	}
	t := &stages{list: list, byName: make(map[Stage]*StageSpec, len(list))}
	for i := range list {
		s := &list[i]
		switch {
		case s.Name == "" || len(s.Name) > 40:
			return nil, fmt.Errorf("stage %d: name %q, want 1 to 40 bytes", i, s.Name)
		case State(s.Name).Known():
			// Both are written into one column until every running release knows stages.
			return nil, fmt.Errorf("stage %s: this is the name of a state", s.Name)
		case t.byName[s.Name] != nil:
			return nil, fmt.Errorf("stage %s: declared twice", s.Name)
		case s.Fails != nil && (s.Succeeds || len(s.Next) > 0):
			return nil, fmt.Errorf("stage %s: fails, so nothing else can follow", s.Name)
		}
		t.byName[s.Name] = s
	}
	for _, s := range list {
		for _, next := range s.Next {
			if t.byName[next] == nil {
				return nil, fmt.Errorf("stage %s: the next stage %q is not declared", s.Name, next)
			}
		}
	}
	return t, nil
}

// first is the stage that a job enters when a worker takes it.
func (t *stages) first() Stage { return t.list[0].Name }

// can reports whether a running job may go from one stage to another, or stay.
func (t *stages) can(from, to Stage) bool {
	s := t.byName[from]
	return s != nil && (from == to || slices.Contains(s.Next, to))
}

// succeeds reports whether a run may end successfully in a stage.
func (t *stages) succeeds(s Stage) bool { return t.byName[s] != nil && t.byName[s].Succeeds }

// fails returns the failure that a job in this stage can only end with; nil where it is still open.
// A stage that this release does not know, written by another, is open.
func (t *stages) fails(s Stage) *Failure {
	if spec := t.byName[s]; spec != nil {
		return spec.Fails
	}
	return nil
}

// allows reports whether the engine may move a job so. Stages narrow what the lifecycle allows.
func (t *stages) allows(from, to Job) bool {
	switch {
	case !from.State.Can(to.State):
		return false
	case from.State != StateRunning:
		return true
	case to.State == StateSuccess:
		return t.succeeds(from.Stage)
	case to.State == StateFailure:
		return true
	}
	return t.fails(from.Stage) == nil
}

// StageDiagram draws the state machine of a kind in Mermaid's notation: the lifecycle with the
// kind's stages in the place of running.
func StageDiagram(k Kind) string {
	t := k.kind().stages
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n    [*] --> queued\n")
	writeArrow(&b, "queued", string(t.first()), false)
	writeArrow(&b, "queued", "failure", false)
	writeArrow(&b, "queued", "cancelled", false)
	for _, s := range t.list {
		for _, next := range s.Next {
			writeArrow(&b, string(s.Name), string(next), false)
		}
		if s.Succeeds {
			writeArrow(&b, string(s.Name), "success", false)
		}
		if s.Fails == nil {
			writeArrow(&b, string(s.Name), "queued", true)
		}
		writeArrow(&b, string(s.Name), "failure", false)
		if s.Fails == nil {
			writeArrow(&b, string(s.Name), "cancelled", false)
		}
	}
	for _, s := range States() {
		if s.Ended() {
			b.WriteString("    " + string(s) + " --> [*]\n")
		}
	}
	return b.String()
}
