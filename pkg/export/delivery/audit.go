package delivery

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"exporthub/pkg/audit"
	"exporthub/pkg/backoff"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

// byLink is added to the detail of a download by somebody who is not known: the link was all they
// showed. The actor of such a row is 0; whose export it was, its subject says.
const byLink = " (by link)"

// sameFetch is for how long ranges of one file, fetched by the same person from the same address,
// are one download: a download that was cut is resumed, and download managers fetch several parts
// at once.
const sameFetch = time.Hour

// How a download is recorded while the database takes no writes.
const (
	// maxPending is how many rows may wait to be written. Beyond it downloads are refused: a longer
	// outage must not turn into a hole in the audit.
	maxPending = 10_000
	// pendingFirst is the pause before the first try to write what waits, pendingLast the longest.
	pendingFirst = time.Second
	pendingLast  = 30 * time.Second
	// flushTimeout bounds the last try at the end of the process.
	flushTimeout = 2 * time.Second
)

// Fetch is one request for a file that is going to be answered with some of its bytes.
type Fetch struct {
	File    File
	Actor   int64  // who fetches it; 0 when only the link is known
	Address string // where the request comes from
	// Partial says that the answer is a range. It is recorded once for all ranges of a fetch.
	Partial bool
}

// downloads records them in the audit. A row that can't be written, because the database takes no
// writes for now, waits in memory: the person gets their file, and the row follows. It is safe for
// concurrent use.
type downloads struct {
	db       *database.DB
	now      func() time.Time
	log      *slog.Logger
	draining context.Context // ends with Links.Drain

	mu      sync.Mutex
	pending []pendingRow
	running sync.WaitGroup // the goroutine that writes what waits; there is one while anything does
	active  bool
}

// pendingRow is a download that is not recorded yet.
type pendingRow struct {
	entry   audit.Entry
	partial bool
}

// record records a download before its first byte is sent. It fails only when the row can neither
// be written nor wait.
func (a *downloads) record(ctx context.Context, f Fetch) error {
	row := pendingRow{
		entry: audit.Entry{
			At:      a.now(),
			ActorID: f.Actor,
			Action:  audit.ExportDownload,
			Subject: f.File.UUID,
			Detail:  f.File.Filename,
			Address: f.Address,
		},
		partial: f.Partial,
	}
	if f.Actor == 0 {
		row.entry.Detail += byLink
	}
	// The rows that wait come first: this one is the same download as one of them, or a later one.
	a.mu.Lock()
	waits := len(a.pending) > 0
	a.mu.Unlock()
	if waits {
		return a.postpone(row, errs.New(errs.Unavailable, ""))
	}
	err := a.write(ctx, row)
	if err == nil || !errs.Is(err, errs.Unavailable) || ctx.Err() != nil {
		return err
	}
	return a.postpone(row, err)
}

// write writes one row, unless a range is part of a download that is recorded already.
func (a *downloads) write(ctx context.Context, row pendingRow) error {
	return a.db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		if row.partial {
			if err := lockExport(ctx, tx, row.entry.Subject); err != nil {
				return err
			}
			known, err := audit.Known(ctx, tx, row.entry, row.entry.At.Add(-sameFetch))
			if err != nil || known {
				return err
			}
		}
		return audit.Record(ctx, tx, row.entry)
	})
}

// postpone keeps a row until the database takes writes again.
func (a *downloads) postpone(row pendingRow, cause error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.draining.Err() != nil:
		return cause // the process ends, and would take the row with it
	case len(a.pending) >= maxPending:
		a.log.Error("downloads are refused: too many wait to be recorded", "waiting", len(a.pending), "error", cause)
		return cause
	}
	a.pending = append(a.pending, row)
	if !a.active {
		a.active = true
		a.log.Warn("a download is recorded later: the database takes no writes", "error", cause)
		a.running.Go(a.writePending)
	}
	return nil
}

// writePending writes what waits until nothing does or the process drains.
func (a *downloads) writePending() {
	for pause := pendingFirst; backoff.Sleep(a.draining, pause); {
		if a.flush(a.draining) {
			a.log.Info("downloads are recorded again")
			return
		}
		pause = min(2*pause, pendingLast)
	}
	// The last try, and with it the last chance: what can't be written goes to the log.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.draining), flushTimeout)
	defer cancel()
	if a.flush(ctx) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, row := range a.pending {
		a.log.Error("a download could not be recorded", "at", row.entry.At, "actor", row.entry.ActorID,
			"subject", row.entry.Subject, "detail", row.entry.Detail, "address", row.entry.Address)
	}
	a.pending = nil
	a.active = false
}

// flush writes what waits, in order, and reports whether nothing waits any more. Only writePending
// calls it, so the first row stays the first while it is written.
func (a *downloads) flush(ctx context.Context) bool {
	for {
		a.mu.Lock()
		if len(a.pending) == 0 {
			a.active = false
			a.mu.Unlock()
			return true
		}
		row := a.pending[0]
		a.mu.Unlock()
		err := a.write(ctx, row)
		if err != nil && (errs.Is(err, errs.Unavailable) || ctx.Err() != nil) {
			return false
		}
		if err != nil {
			// Waiting longer would not help this row, and it must not keep the others back.
			a.log.Error("a download could not be recorded", "subject", row.entry.Subject,
				"actor", row.entry.ActorID, "address", row.entry.Address, "error", err)
		}
		a.mu.Lock()
		a.pending = a.pending[1:]
		a.mu.Unlock()
	}
}

// wait returns when nothing waits to be written, once draining has ended.
func (a *downloads) wait() {
	// postpone checks draining and starts the goroutine under the lock. Once the lock was free
	// after draining ended, no goroutine is started any more.
	a.mu.Lock()
	waiting := len(a.pending)
	a.mu.Unlock()
	if waiting > 0 {
		a.log.Info("downloads wait to be recorded", "waiting", waiting)
	}
	a.running.Wait()
}
