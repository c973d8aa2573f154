package delivery

import (
	"context"
	"fmt"

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
