package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"exporthub/pkg/database"
)

// Totals are exact as long as that is cheap: always up to exactRows, beyond that when counting
// takes no longer than exactTime.
const (
	exactRows = 10_000
	exactTime = 100 * time.Millisecond
)

// Total returns how many rows of a list match. count counts them, stopping at limit when limit
// is not 0. When there are more than a list has to know exactly, the answer is an estimate, and
// estimated is true: the table's newest id, since what takes that long to count is much of a
// table.
func Total(ctx context.Context, db *database.DB, table string,
	count func(ctx context.Context, tx *database.Tx, limit int) (int, error)) (n int, estimated bool, err error) {
	return total(ctx, db, table, exactTime, count)
}

func total(ctx context.Context, db *database.DB, table string, patience time.Duration,
	count func(ctx context.Context, tx *database.Tx, limit int) (int, error)) (n int, estimated bool, err error) {
	hurried, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
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
		n = max(n, exactRows+1)
		return nil
	})
	return n, estimated, err
}
