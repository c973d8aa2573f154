package job

import (
	"slices"
	"strings"
)

// State is where a job is in its lifecycle. The engine owns it: every kind of job has the same
// five, and a kind that wants to say more of a running job does so by its stages.
type State string

// The lifecycle. A job ends in exactly one of the last three.
const (
	StateQueued    State = "queued"  // waits for a worker
	StateRunning   State = "running" // a worker holds it by a lease
	StateSuccess   State = "success"
	StateFailure   State = "failure"
	StateCancelled State = "cancelled"
)

// States lists every state in the order in which a job passes them.
func States() []State {
	return []State{StateQueued, StateRunning, StateSuccess, StateFailure, StateCancelled}
}

// transitions is the whole lifecycle. Back to queued always means the next attempt. A job that was
// not admitted fails out of queued, without having run.
var transitions = map[State][]State{
	StateQueued:    {StateRunning, StateFailure, StateCancelled},
	StateRunning:   {StateQueued, StateSuccess, StateFailure, StateCancelled},
	StateSuccess:   {},
	StateFailure:   {},
	StateCancelled: {},
}

// Ended reports whether a job in this state is over for good.
func (s State) Ended() bool {
	return s == StateSuccess || s == StateFailure || s == StateCancelled
}

// Can reports whether a job may go from this state to another. Staying is no transition.
func (s State) Can(to State) bool { return slices.Contains(transitions[s], to) }

// Known reports whether there is such a state.
func (s State) Known() bool {
	_, ok := transitions[s]
	return ok
}

// Diagram draws the lifecycle in Mermaid's notation, from the table that the engine obeys.
func Diagram() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n    [*] --> queued\n")
	for _, from := range States() {
		for _, to := range transitions[from] {
			writeArrow(&b, string(from), string(to), to == StateQueued)
		}
		if from.Ended() {
			b.WriteString("    " + string(from) + " --> [*]\n")
		}
	}
	return b.String()
}

func writeArrow(b *strings.Builder, from, to string, nextAttempt bool) {
	b.WriteString("    " + from + " --> " + to)
	if nextAttempt {
		b.WriteString(": attempt + 1")
	}
	b.WriteString("\n")
}
