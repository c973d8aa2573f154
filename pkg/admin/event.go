package admin

import (
	"context"
	"fmt"
	"time"

	"exporthub/pkg/database"
)

// Event names something that happens in one module, or in the engine, and to which others may
// react. Raising one runs the reactions of every module in the transaction in which it happens: the
// fact and its consequences are stored together or not at all. This is how modules work together
// without importing one another.
type Event string

// The events, and what data each is raised with.
const (
	// ExportEnded carries an Export. The transaction that ends the job raises it, once, whether
	// the export succeeded, failed or was cancelled.
	ExportEnded Event = "export.ended"
	// ImportEnded carries an Import. The transaction that stores the last rows raises it; for an
	// aborted import, a transaction after it.
	ImportEnded Event = "import.ended"
	// ApprovalAwaited carries an Awaited: things that wait for a decision, for the first time, or
	// again because a decision could not be applied.
	ApprovalAwaited Event = "approval.awaited"
	// ApprovalClaimed carries a Claimed: a decision that a job will apply. From here on no other
	// person needs to decide.
	ApprovalClaimed Event = "approval.claimed"
	// ApprovalDecided carries a Decided: a decision that was applied, or that finally failed.
	ApprovalDecided Event = "approval.decided"
)

// Export is an export that ended.
type Export struct {
	UUID     string
	OwnerID  int64  // the person who asked for it
	Status   string // success, failure, cancelled
	Title    string // Chinese name of the exported list
	Filename string // empty when there is no file
	Count    *int64 // rows; nil when the export ended before counting
	Reason   string // for a failure, in words its owner can act on
	Changed  string // how the file differs from the data, in words; empty when it does not
}

// Import is an import that ended.
type Import struct {
	// Key identifies this import. Messages are unique by it, so that an event raised twice sends
	// one message.
	Key     string
	OwnerID int64  // the person who sent it
	Title   string // Chinese name of the list that received the rows
	Reason  string // why it was aborted, in words its owner can act on; empty when it was not
	// The counts say what happened to its rows; for an aborted import, to those before the abort.
	Created   int
	Updated   int
	Unchanged int
	Failed    int
}

// Notice is the text of a message to one person about an event. Texts may be longer than a message
// holds; message cuts them.
type Notice struct {
	To      int64  // the person; 0 where the event defines the recipients
	Head    string // what happened
	Title   string // the thing it happened to
	Content string // details
	Project string // the larger thing it belongs to
}

// Awaited is what waits for a decision: all that one transaction makes wait.
type Awaited struct {
	System     string // the module's name
	Permission string // people who hold it may decide and get a message
	ActorID    int64  // the person who caused it; 0 is the system
	Waiting    []Waiting
}

// Waiting is one thing that waits for a decision.
type Waiting struct {
	ID     int64     // unique within its module
	Since  time.Time // when it began to wait; zero is now
	Notice Notice
}

// Claimed is a decision before it is applied.
type Claimed struct {
	System  string  // the module's name
	IDs     []int64 // as in Waiting
	ActorID int64   // the decider
}

// Decided is a decision after it was applied.
type Decided struct {
	System string // the module's name
	// Key identifies this decision. Messages are unique by it, so that an event raised twice
	// sends one message.
	Key     string
	ActorID int64    // the decider
	Notices []Notice // one for each person to notify
}

// Reaction is what a module does when an event is raised. It must do its work in tx. An error rolls
// the transaction back, and the event with it.
type Reaction func(ctx context.Context, tx *database.Tx, data any) error

// React makes a Reaction of a function with typed data. Data of another type is an error of the
// module that raised it.
func React[T any](fn func(ctx context.Context, tx *database.Tx, data T) error) Reaction {
	return func(ctx context.Context, tx *database.Tx, data any) error {
		v, ok := data.(T)
		if !ok {
			return fmt.Errorf("admin: an event was raised with a %T, its reaction takes a %T", data, v)
		}
		return fn(ctx, tx, v)
	}
}
