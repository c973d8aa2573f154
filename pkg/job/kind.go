package job

import (
	"context"
	"encoding/json"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/event"
)

// Kind is a sort of work as data: what an attempt does and what its followers are told.
type Kind struct {
	Name string // export, approval, import: as in the row
	// MaxFailures is how many transient failures end the job; 0 is 5.
	MaxFailures int
	// Backoff is how long to wait after the nth transient failure; nil is Options.RetryDelay, doubling to 30 times
	// that, with jitter.
	Backoff func(n int) time.Duration

	// Run does the work of one attempt. It returns the job's last detail, or an error whose kind says whether another
	// attempt may mend it. It must return soon after ctx is done, whose cause says why: ErrCancelled, ErrHandBack,
	// ErrLost.
	Run func(ctx context.Context, r *Run) (detail any, err error)
	// Admit is asked in the transaction in which a worker takes the job; an error ends the job as failed, unrun.
	// Nil admits.
	Admit func(ctx context.Context, tx *database.Tx, j Job) error
	// Ended runs in the transaction that ends the job, once: places are given back and others' reactions happen here.
	Ended func(ctx context.Context, tx *database.Tx, j Job) error
	// Forget runs in the transaction that removes an old job's row; it removes what hangs on it and returns true, or false
	// while something of the job is still needed. Nil: nothing hangs on it.
	Forget func(ctx context.Context, tx *database.Tx, j Job) (bool, error)
	// Render turns the job as it stands into what its followers receive and the streams it is published under. It is a
	// pure function of the row, so that an event can be told again at any time.
	Render func(j Job) (data json.RawMessage, streams []string)
}

// Event and Publisher are the shared ones.
type (
	Event     = event.Event
	Publisher = event.Publisher
)

// Doorbell is the delivery of a queued row to a worker: nothing but who and which attempt. N tells repeated rings of one
// attempt apart.
type Doorbell struct {
	UUID    string
	Attempt int
	N       int
}

// BellState is where a doorbell is.
type BellState uint8

// The states of a doorbell.
const (
	BellAbsent  BellState = iota // the queue does not know it
	BellWaiting                  // a worker has still to pick it up
	BellTaken                    // a worker holds it, or has held it
)

// Bell delivers doorbells.
type Bell interface {
	// Ring delivers d; ringing one that is already there is no error.
	Ring(ctx context.Context, d Doorbell) error
	// State tells where d is.
	State(ctx context.Context, d Doorbell) (BellState, error)
}
