package job

import (
	"context"
	"fmt"
	"time"

	"exporthub/pkg/database"
)

const (
	purgeBatch = 100 // rows read in one query
	purgeRound = 20  // batches of one call
)

// Purge removes jobs that ended longer ago than age, by the database's clock, oldest first, each
// with what its kind keeps of it in one transaction. It reads 2,000 jobs at most and returns how
// many it removed; what a kind still needs is passed over.
func (r *Runner) Purge(ctx context.Context, age time.Duration) (removed int, err error) {
	var last oldJob
	for range purgeRound {
		var rows []oldJob
		err := r.e.opts.HeartbeatDB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
			rows, err = oldJobs(ctx, tx, last, age, purgeBatch)
			return err
		})
		if err != nil {
			return removed, err
		}
		for _, row := range rows {
			gone, err := r.purgeOne(ctx, row.uuid)
			if err != nil {
				return removed, fmt.Errorf("purge job %s: %w", row.uuid, err)
			}
			if gone {
				removed++
			}
			last = row
		}
		if len(rows) < purgeBatch {
			return removed, nil
		}
	}
	return removed, nil
}

func (r *Runner) purgeOne(ctx context.Context, uuid string) (gone bool, err error) {
	err = r.e.opts.HeartbeatDB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		gone = false
		j, err := lockJob(ctx, tx, uuid)
		if err != nil || !j.State.Ended() {
			return err
		}
		kind := r.e.kindOf(j.Kind)
		if kind == nil {
			return nil // another release's; only that one knows what hangs on the row
		}
		err = guard(func() (err error) {
			gone, err = kind.purge(ctx, tx, j)
			return err
		})
		if err != nil || !gone {
			return err
		}
		return deleteJob(ctx, tx, uuid)
	})
	return gone && err == nil, err
}
