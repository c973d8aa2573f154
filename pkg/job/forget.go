package job

import (
	"context"
	"fmt"
	"time"

	"exporthub/pkg/database"
)

const (
	forgetBatch = 100 // rows looked at in one query
	forgetRound = 20  // batches of one call
)

// Forget removes jobs that ended longer ago than age, by the database's clock, oldest first, each with what its kind keeps
// of it in one transaction. It looks at 2,000 jobs at most and returns how many it removed; what a kind still needs is
// passed over.
func (e *Engine) Forget(ctx context.Context, age time.Duration) (removed int, err error) {
	var last oldJob
	for range forgetRound {
		var rows []oldJob
		err := e.o.HeartbeatDB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
			rows, err = oldJobs(ctx, tx, last, age, forgetBatch)
			return err
		})
		if err != nil {
			return removed, err
		}
		for _, row := range rows {
			gone, err := e.forgetOne(ctx, row.uuid)
			if err != nil {
				return removed, fmt.Errorf("forget job %s: %w", row.uuid, err)
			}
			if gone {
				removed++
			}
			last = row
		}
		if len(rows) < forgetBatch {
			return removed, nil
		}
	}
	return removed, nil
}

func (e *Engine) forgetOne(ctx context.Context, uuid string) (gone bool, err error) {
	err = e.o.HeartbeatDB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		gone = false
		j, err := lockJob(ctx, tx, uuid)
		if err != nil || !j.State.Ended() {
			return err
		}
		kind := e.kinds[j.Kind]
		if kind == nil {
			return nil // another version's; it knows what hangs on the row
		}
		if gone = true; kind.Forget != nil {
			if err := guard(func() (err error) { gone, err = kind.Forget(ctx, tx, j); return err }); err != nil {
				return err
			}
		}
		if !gone {
			return nil
		}
		return deleteJob(ctx, tx, uuid)
	})
	return gone && err == nil, err
}
