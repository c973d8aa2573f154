package job

import (
	"slices"
	"strings"
)

// State is where a job stands. The names are part of the documented progress events.
type State string

// The states in the order in which a job passes them.
const (
	StateQueued        State = "queued"
	StateStarting      State = "starting"       // a worker has taken it
	StateStart         State = "start"          // the extent of the work is known
	StateWritingFile   State = "writing_file"   // rows are being written
	StateBeforeUpload  State = "before_upload"  // the file is complete
	StateUploading     State = "uploading"      // the file is being sent
	StateUploadFailure State = "upload_failure" // the last try to send it failed; failure follows
	StateSuccess       State = "success"
	StateFailure       State = "failure"
	StateCancelled     State = "cancelled"
)

// States lists every state in the order in which a job passes them.
func States() []State {
	return []State{
		StateQueued, StateStarting, StateStart, StateWritingFile, StateBeforeUpload, StateUploading, StateUploadFailure,
		StateSuccess, StateFailure, StateCancelled,
	}
}

// transitions is the whole state machine. Back to queued always means the next attempt. A job of a kind that makes no
// file succeeds out of starting or start; one that was not admitted fails out of queued. Nothing leads out of
// upload_failure but failure, because those who follow the job have been told that it is over.
var transitions = map[State][]State{
	StateQueued:        {StateStarting, StateFailure, StateCancelled},
	StateStarting:      {StateStart, StateSuccess, StateQueued, StateFailure, StateCancelled},
	StateStart:         {StateWritingFile, StateSuccess, StateQueued, StateFailure, StateCancelled},
	StateWritingFile:   {StateBeforeUpload, StateQueued, StateFailure, StateCancelled},
	StateBeforeUpload:  {StateUploading, StateUploadFailure, StateSuccess, StateQueued, StateFailure, StateCancelled},
	StateUploading:     {StateUploadFailure, StateSuccess, StateQueued, StateFailure, StateCancelled},
	StateUploadFailure: {StateFailure},
	StateSuccess:       {},
	StateFailure:       {},
	StateCancelled:     {},
}

// Active reports whether a worker holds a job in this state, by a lease. A queued job is neither active nor ended.
func (s State) Active() bool { return s.Known() && s != StateQueued && !s.Ended() }

// Ended reports whether a job in this state is over for good.
func (s State) Ended() bool { return s == StateSuccess || s == StateFailure || s == StateCancelled }

// Can reports whether a job may go from this state to another. Staying is no transition.
func (s State) Can(to State) bool { return slices.Contains(transitions[s], to) }

// Known reports whether there is such a state.
func (s State) Known() bool {
	_, ok := transitions[s]
	return ok
}

// activeStates are those in which a lease counts, as a list for SQL: they are constants of this file.
var activeStates = func() string {
	var quoted []string
	for _, s := range States() {
		if s.Active() {
			quoted = append(quoted, "'"+string(s)+"'")
		}
	}
	return "(" + strings.Join(quoted, ", ") + ")"
}()

// Diagram draws the state machine in Mermaid's notation, from the table that the engine obeys.
func Diagram() string {
	var b strings.Builder
	b.WriteString("stateDiagram-v2\n    [*] --> queued\n")
	for _, from := range States() {
		for _, to := range transitions[from] {
			b.WriteString("    " + string(from) + " --> " + string(to))
			if to == StateQueued {
				b.WriteString(": attempt + 1")
			}
			b.WriteString("\n")
		}
		if from.Ended() {
			b.WriteString("    " + string(from) + " --> [*]\n")
		}
	}
	return b.String()
}
