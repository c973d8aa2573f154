package delivery

import (
	"context"
	"fmt"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
)

// lockExport keeps others from recording a download of the same export until the transaction
// ends, so that ranges that are fetched at once count as one.
func lockExport(ctx context.Context, tx *database.Tx, uuid string) error {
	_, err := database.One(ctx, tx, database.Scalar[string],
		"SELECT uuid FROM exports WHERE uuid = ?"+tx.ForUpdate(), uuid)
	// An export that was purged in the meantime can't be locked. Its download is recorded all the
	// same.
	if err != nil && !database.IsNoRows(err) {
		return fmt.Errorf("lock export: %w", err)
	}
	return nil
}

// recorded reports whether the same fetch is in the audit since an instant: the same file, by the
// same person, from the same address.
func recorded(ctx context.Context, tx *database.Tx, e auth.AuditEntry, since time.Time) (bool, error) {
	n, err := database.One(ctx, tx, database.Scalar[int], `SELECT COUNT(*) FROM audit
		WHERE subject = ? AND at >= ? AND action = ? AND actor_id = ? AND address = ?`,
		e.Subject, database.Micros(since), e.Action, e.ActorID, e.Address)
	if err != nil {
		return false, fmt.Errorf("find download: %w", err)
	}
	return n > 0, nil
}
