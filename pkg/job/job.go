package job

import (
	"encoding/json"
	"time"
)

// Job is one row of the table jobs: the truth about a piece of work, whatever queue or process carries it at the moment.
// Times are UTC; zero means "not yet".
type Job struct {
	UUID    string
	Kind    string
	OwnerID int64 // who asked for it
	State   State
	// Attempt counts from 1 and fences: whoever holds a lower one changes and publishes nothing.
	Attempt int
	// Failures counts the attempts that ended in a transient failure; hand-backs and takeovers don't count.
	Failures int
	// Takeovers counts the attempts whose worker was lost, so that a job that kills its workers comes to an end.
	Takeovers int
	// Count of the attempt's events; Seq makes it comparable across attempts.
	Step     int
	Progress int             // percent
	Payload  json.RawMessage // what the kind needs to run it, written once
	Detail   json.RawMessage // what the kind knows of it so far, replaced as it goes
	Failure  *Failure        // why it failed, in StateFailure (and in queued after a transient failure)

	CancelRequested bool
	RunAt           time.Time // not before, by the database's clock
	LeaseOwner      string
	LeaseUntil      time.Time // by the database's clock
	CreatedAt       time.Time
	StartedAt       time.Time // of this attempt
	FinishedAt      time.Time
	UpdatedAt       time.Time
}

// Failure is why a job or an attempt of it failed.
type Failure struct {
	Kind    string `json:"kind"` // errs.Kind by name
	Code    string `json:"code"`
	Message string `json:"message"` // words the person who asked can act on
}

// seqPerAttempt leaves room for a million events in one attempt; a sequence number stays exact as a JSON number for
// nine billion attempts.
const seqPerAttempt = 1_000_000

// Seq orders the job's events over all attempts.
func (j Job) Seq() uint64 { return uint64(j.Attempt)*seqPerAttempt + uint64(j.Step) }
