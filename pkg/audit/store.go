package audit

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"exporthub/pkg/database"
)

// Record adds an entry in the transaction of what it tells of.
func Record(ctx context.Context, tx *database.Tx, e Entry) error {
	e = e.complete(ctx)
	var whole any // NULL where the short column holds everything
	if utf8.RuneCountInString(e.Detail) > shortDetail {
		whole = e.Detail
	}
	_, err := tx.Insert(ctx, `INSERT INTO audit (at, actor_id, action, subject, detail, whole_detail, address)
		VALUES (?, ?, ?, ?, ?, ?, ?)`,
		database.Micros(e.At), e.ActorID, e.Action, e.Subject, cut(e.Detail, shortDetail), whole, e.Address)
	if err != nil {
		return fmt.Errorf("write audit entry: %w", err)
	}
	return nil
}

// Known reports whether an action on a subject by the same person from the same address is recorded
// since an instant.
func Known(ctx context.Context, tx *database.Tx, e Entry, since time.Time) (bool, error) {
	n, err := database.One(ctx, tx, database.Scalar[int], `SELECT COUNT(*) FROM audit
		WHERE subject = ? AND at >= ? AND action = ? AND actor_id = ? AND address = ?`,
		e.Subject, database.Micros(since), e.Action, e.ActorID, e.Address)
	if err != nil {
		return false, fmt.Errorf("find audit entry: %w", err)
	}
	return n > 0, nil
}

// add raises the number of a counted row, which it makes where missing.
func add(ctx context.Context, tx *database.Tx, e Entry, bucket string, times int64) error {
	const raise = "UPDATE audit SET times = times + ? WHERE bucket = ?"
	// The UPDATE first: a row has one INSERT in its life and any number of these.
	n, err := tx.Exec(ctx, raise, times, bucket)
	if err == nil && n == 0 {
		err = tx.InsertIgnore(ctx, `INSERT INTO audit (at, actor_id, action, subject, detail, address, bucket, times)
			VALUES (?, ?, ?, ?, ?, ?, ?, 0)`,
			database.Micros(e.At), e.ActorID, e.Action, e.Subject, cut(e.Detail, shortDetail), e.Address, bucket)
		if err == nil {
			_, err = tx.Exec(ctx, raise, times, bucket)
		}
	}
	if err != nil {
		return fmt.Errorf("count audit entry: %w", err)
	}
	return nil
}

// purge removes the oldest rows of before an instant, at most limit of them. The second SELECT is
// for MariaDB, which refuses LIMIT directly inside IN.
func purge(ctx context.Context, tx *database.Tx, before time.Time, limit int) (int64, error) {
	n, err := tx.Exec(ctx, `DELETE FROM audit WHERE id IN (SELECT id FROM
		(SELECT id FROM audit WHERE at < ? ORDER BY at LIMIT ?) AS old)`, database.Micros(before), limit)
	if err != nil {
		return 0, fmt.Errorf("purge audit: %w", err)
	}
	return n, nil
}
