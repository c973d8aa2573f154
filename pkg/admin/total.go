package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"exporthub/pkg/database"
)

// Totals are exact up to exactRows, and beyond that when counting takes no longer than exactTime.
const (
	exactRows = 10_000
	exactTime = 100 * time.Millisecond
)

// Total returns the number of matching rows of a list. count counts them; it stops at limit when
// limit is not 0. When counting takes too long and there are more than exactRows, the result is an
// estimate, and estimated is true. The estimate is the table's newest id: a selection that takes
// this long to count is most of the table.
func Total(ctx context.Context, db *database.DB, table string,
	count func(ctx context.Context, tx *database.Tx, limit int) (int, error)) (n int, estimated bool, err error) {
	return total(ctx, db, table, exactTime, count)
}

func total(ctx context.Context, db *database.DB, table string, patience time.Duration,
	count func(ctx context.Context, tx *database.Tx, limit int) (int, error)) (n int, estimated bool, err error) {
	hurried, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// The first try has its own transaction: after the timeout it can't be used any more.
	err = db.Read(hurried, func(ctx context.Context, tx *database.Tx) error {
		n, err = count(ctx, tx, 0)
		return err
	})
	if err == nil || ctx.Err() != nil || !errors.Is(hurried.Err(), context.DeadlineExceeded) {
		return n, false, err
	}
	err = db.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		if n, err = count(ctx, tx, exactRows+1); err != nil || n <= exactRows {
			return err
		}
		estimated = true
		n, err = database.One(ctx, tx, database.Scalar[int], "SELECT COALESCE(MAX(id), 0) FROM "+table)
		if err != nil {
			return fmt.Errorf("estimate %s: %w", table, err)
		}
		// Never below what a reader can page to: at least exactRows+1 rows are known to match.
		n = max(n, exactRows+1)
		return nil
	})
	return n, estimated, err
}
