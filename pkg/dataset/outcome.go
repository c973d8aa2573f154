package dataset

import (
	"time"
)

// Outcome is how far an accepted export has come when its caller stops waiting for it.
type Outcome struct {
	Ended      bool      // it succeeded, failed or was cancelled
	Count      int64     // rows; exact unless counting takes too long
	FinishedAt time.Time // zero until it has ended
	// Err says why it ended without a file; nil otherwise. It is an *errs.Error in words for the
	// person: Unavailable, with a time, where the same request may succeed later, else Internal.
	Err error
}
