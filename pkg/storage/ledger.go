package storage

import (
	"context"
	"time"
)

// Ledger is where a store writes down the uploads it has begun and not ended, for other processes:
// some stores can't be asked what is unfinished in them. It is safe for concurrent use, and keeps
// an upload until Over is called for it.
type Ledger interface {
	// Begun writes an upload down. What is sent in it is sent after Begun has returned nil.
	Begun(ctx context.Context, u Unfinished) error
	// Over strikes an upload out; one that is not there is no error.
	Over(ctx context.Context, u Unfinished) error
}

// Unfinished names an upload that was begun and has not become an object. It holds all that another
// process, perhaps with other settings, needs to end it.
type Unfinished struct {
	ID      string // the store's name for it
	Bucket  string
	Key     string    // of the object it was to become
	Expires time.Time // when the store drops it by itself; zero is never
}

// Aborter is what a store offers besides whose uploads can be ended by any process. A store that
// leaves nothing behind, or finds it by itself, does not implement it.
type Aborter interface {
	// Abort ends an upload and removes what was sent in it; one that is over is no error. Others
	// are those of Delete.
	Abort(ctx context.Context, u Unfinished) error
}
