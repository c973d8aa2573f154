package job

import "strings"

// The release before wrote one column, state, for what is now a lifecycle and a stage: queued, an
// export's stages, and the ends. During a deploy its processes work on the same rows, so this
// release expands the schema and no more: state keeps its old meaning, and stage is written beside
// it. The release after can contract: write "running" into state, which this one reads already.
// docs/releases.md has the rules.

// oldStages are the stages that the release before knows. It takes a row in any of them for held
// by a worker, and takes it over when its lease has ended.
var oldStages = []Stage{
	"starting", "start", "writing_file", "before_upload", "uploading", "upload_failure",
}

// oldStage is how a stage that the release before does not know is written for it: the work has
// begun, and nothing it knows has been reached.
const oldStage = "start"

// stateColumn is what the column state holds of a job.
func stateColumn(s State, stage Stage) string {
	if s != StateRunning {
		return string(s)
	}
	for _, known := range oldStages {
		if stage == known {
			return string(stage)
		}
	}
	return oldStage
}

// readState turns the two columns into a state and a stage. A row that a process of the release
// before has moved holds a stage that is out of date: it is believed only where it says the same
// as state.
func readState(state, stage string) (State, Stage) {
	switch s := State(state); {
	case s == StateRunning:
		return s, Stage(stage) // written by the release after
	case s.Known():
		return s, ""
	}
	if stage != "" && stateColumn(StateRunning, Stage(stage)) == state {
		return StateRunning, Stage(stage)
	}
	return StateRunning, Stage(state)
}

// ColumnState is the state that a value of the column state means, for packages that join their own
// rows with jobs.
func ColumnState(column string) State {
	state, _ := readState(column, "")
	return state
}

// runningStates are the values of the column state of a job that a worker holds, as a list for SQL.
var runningStates = func() string {
	quoted := []string{"'" + string(StateRunning) + "'"}
	for _, s := range oldStages {
		quoted = append(quoted, "'"+string(s)+"'")
	}
	return "(" + strings.Join(quoted, ", ") + ")"
}()
