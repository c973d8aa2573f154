package job

import (
	"encoding/json"
	"time"
)

// Job is one row of the table jobs: the truth about a piece of work, whatever queue or process
// carries it at the moment. Times are UTC; the zero time means "not yet".
//
// What only the kind understands (arguments, detail, end) is raw here. Definition.Decode reads it.
type Job struct {
	UUID    string
	Kind    string
	OwnerID int64 // the person who asked for it
	State   State
	Stage   Stage // of a running job
	// Attempt counts from 1. Every write names its attempt, so that a worker that was thought dead
	// changes nothing when it comes back.
	Attempt int
	// Failures counts the attempts that ended in a failure worth another try. Releases and
	// takeovers don't count: they say nothing about the job.
	Failures int
	// Takeovers counts the attempts whose worker was lost, so that a job that kills its workers
	// comes to an end.
	Takeovers int
	// Step counts the attempt's events; Seq makes it comparable across attempts.
	Step     int
	Progress int      // percent
	Failure  *Failure // why it failed; of a queued job, why its last attempt did
	// Waiting is why a queued job is not run yet, in the words of its kind (Later); empty when it
	// only waits for a worker.
	Waiting string

	CancelRequested bool
	RunAt           time.Time // not before, by the database's clock
	LeaseOwner      string
	LeaseUntil      time.Time // by the database's clock
	// Lost says that the row was read as running when its lease was over: no worker has it, and
	// none has taken it over yet.
	Lost       bool
	CreatedAt  time.Time
	StartedAt  time.Time // of this attempt
	FinishedAt time.Time
	UpdatedAt  time.Time

	args   json.RawMessage // written once
	detail json.RawMessage // replaced as the job goes
	end    json.RawMessage // of a job that succeeded
	column string          // the column state as it was read, for the compare-and-set
}

// Failure is why a job or an attempt of it failed.
type Failure struct {
	Kind    string `json:"kind"` // errs.Kind by name
	Code    string `json:"code"`
	Message string `json:"message"` // for the person who asked; says what to do
}

// seqPerAttempt leaves room for a million events in one attempt. A sequence number stays exact as
// a JSON number, whose integers end at 2^53, for nine billion attempts.
const seqPerAttempt = 1_000_000

// Seq orders the job's events over all attempts.
func (j Job) Seq() uint64 { return uint64(j.Attempt)*seqPerAttempt + uint64(j.Step) }
