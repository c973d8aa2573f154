package retention

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/export/record"
	"exporthub/pkg/storage"
)

// Deps is what a Cleaner is made of. Everything without a stated default is required.
type Deps struct {
	DB       *database.DB
	Store    storage.Store
	Formats  record.Formats
	SpoolDir string         // where attempts write files before they are stored
	Location *time.Location // the zone whose midnight begins a day of quotas
	Now      func() time.Time
	Logger   *slog.Logger

	Grace time.Duration // how old something has to be before it is removed as left behind; 0 is 1 h
}

// Cleaner removes what exports leave behind. It is safe for concurrent use; see its methods for
// what should run in one process at a time.
type Cleaner struct {
	deps Deps
}

// New returns a Cleaner.
func New(d Deps) *Cleaner {
	d.Grace = cmp.Or(d.Grace, time.Hour)
	return &Cleaner{deps: d}
}

// unknownGraces is how many times Grace something must be old before it is removed though no job is
// known: rows may have been lost, or it may be another installation's.
const unknownGraces = 24

// Clean does one bounded round of the clean-up: files whose retention is over, objects that are
// no job's file, and uploads that nobody will finish. It may be aborted anywhere. One process at
// a time should run it, since two would walk the same objects.
func (c *Cleaner) Clean(ctx context.Context) error {
	var problems []error
	for _, step := range []struct {
		name string
		do   func(context.Context) (int, error)
	}{
		{"expired files", c.removeExpired},
		{"orphan objects", c.removeOrphans},
		{"unfinished uploads", c.abortUploads},
		{"idempotency keys", c.removeKeys},
	} {
		removed, err := step.do(ctx)
		if removed > 0 {
			c.deps.Logger.Info("cleaned up", "what", step.name, "removed", removed)
		}
		// A step that fails does not keep the others from their work: a store that refuses one
		// deletion would otherwise fill up with everything else.
		if err != nil {
			problems = append(problems, fmt.Errorf("clean up %s: %w", step.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(problems...)
}

// CleanLocal removes what is left of this process's work and on its machine: spool files, and
// uploads that were aborted. A store may know of an unfinished upload only in the process that
// began it. Every process that runs exports calls it for itself; several that share a folder may
// do so at the same time.
func (c *Cleaner) CleanLocal(ctx context.Context) (removed int, err error) {
	spooled, spoolErr := c.CleanSpool(ctx)
	swept, sweepErr := c.sweepStore(ctx)
	return spooled + swept, errors.Join(spoolErr, sweepErr)
}

// Purge removes an export's row with its old job, in the transaction that removes the job. It
// reports false while the row is still needed: by a file that is there, or by a day that still
// counts.
func (c *Cleaner) Purge(ctx context.Context, tx *database.Tx, e record.Record) (bool, error) {
	r, err := record.ByID(ctx, tx, e.UUID)
	if database.IsNoRows(err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	// Yesterday, not today: the clocks of two processes may disagree about when a day ends, and a
	// day that is purged too early would begin again with no quota used.
	lastDay := record.QuotaDay(c.deps.Now().Add(-24*time.Hour), c.deps.Location)
	return purgeExport(ctx, tx, r, lastDay)
}

// owners returns whose the files of these exports are now.
func (c *Cleaner) owners(ctx context.Context, uuids []string) (found map[string]owner, err error) {
	err = c.deps.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		found, err = ownersOf(ctx, tx, uuids)
		return err
	})
	return found, err
}

// older compares with the machine's clock, by which stores and file systems date what they hold.
func older(t time.Time, age time.Duration) bool { return time.Since(t) > age }
