package admin

import (
	"context"
	"fmt"

	"exporthub/pkg/database"
)

// Event names something that happens in one system, or in the engine, and that others may have
// to do something about. Raising one runs the reactions of every module in the transaction in
// which it happens: what happened and what follows from it are stored together or not at all.
type Event string

// The events, and what data each is raised with.
const (
	// ExportEnded is an export that is over, however it ended; an Export. It is raised once, by
	// the transaction that ends the job.
	ExportEnded Event = "export.ended"
	// ImportEnded is an import that is over, whether it came to its end or broke off; an Import.
	// It is raised by the transaction that stores its last rows.
	ImportEnded Event = "import.ended"
	// ApprovalAwaited is what waits for a decision, for the first time or again because a
	// decision could not be applied; an Awaited.
	ApprovalAwaited Event = "approval.awaited"
	// ApprovalClaimed is a decision that was taken and will be applied by a job: nobody else
	// needs to decide; a Claimed.
	ApprovalClaimed Event = "approval.claimed"
	// ApprovalDecided is a decision that was applied, or finally could not be; a Decided.
	ApprovalDecided Event = "approval.decided"
)

// Export is an export that ended.
type Export struct {
	UUID     string
	OwnerID  int64  // who asked for it
	Status   string // success, failure, cancelled
	Title    string // what people call the list that was exported
	Filename string // of the file, when there is one
	Count    *int64 // rows, as far as known
	Reason   string // why it failed, in words its owner can act on
	Changed  string // what of the data its file holds otherwise, in words; empty is nothing
}

// Import is an import that ended.
type Import struct {
	// names the import, once and for all: raised again, it tells nobody anything again
	Key     string
	OwnerID int64  // who sent it
	Title   string // what people call the list that rows came into
	Reason  string // why it broke off, in words its owner can act on; empty when it came to its end
	// What became of its rows, as far as it came.
	Created, Updated, Unchanged, Failed int
}

// Notice is what a person reads about an event.
type Notice struct {
	To      int64  // the person; 0 where the event itself says who
	Head    string // what happened
	Title   string // to what
	Content string // what else there is to say
	Project string // the larger thing it belongs to
}

// Awaited is what waits for a decision: one thing, or all that one transaction makes wait.
type Awaited struct {
	System     string // whose they are: a module's name
	Permission string // whoever holds it may decide, and is told
	ActorID    int64  // who made them wait; 0 is the system
	Waiting    []Waiting
}

// Waiting is one thing that waits for a decision.
type Waiting struct {
	ID     int64 // in its system
	Notice Notice
}

// Claimed is what somebody has decided about, before it is applied.
type Claimed struct {
	System  string
	IDs     []int64
	ActorID int64
}

// Decided is a decision, applied.
type Decided struct {
	System string
	// names the decision, once and for all: raised again, it tells nobody anything again
	Key     string
	ActorID int64
	Notices []Notice // who is told what
}

// Reaction is what a system does about an event. An error undoes the event too, and everything
// else in its transaction.
type Reaction func(ctx context.Context, tx *database.Tx, data any) error

// React makes a Reaction of a function that takes the event's data as it is.
func React[T any](fn func(ctx context.Context, tx *database.Tx, data T) error) Reaction {
	return func(ctx context.Context, tx *database.Tx, data any) error {
		v, ok := data.(T)
		if !ok {
			return fmt.Errorf("admin: an event was raised with a %T, its reaction takes a %T", data, v)
		}
		return fn(ctx, tx, v)
	}
}
