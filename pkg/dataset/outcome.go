package dataset

import "time"

// Outcome is how far an accepted export has come when its caller stops waiting for it.
type Outcome struct {
	Ended      bool      // it succeeded, failed or was cancelled
	Count      int64     // rows, as far as is known; 0 before the query is open
	FinishedAt time.Time // zero until it has ended
}
