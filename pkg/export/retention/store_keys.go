package retention

import (
	"context"
	"fmt"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/export/record"
)

// keyGrace is how long after its time an idempotency key is removed. The clocks of two processes
// may disagree about when that time was over.
const keyGrace = time.Hour

// removeKeys removes idempotency keys that mean nothing any more.
func (c *Cleaner) removeKeys(ctx context.Context) (removed int, err error) {
	before := c.deps.Now().Add(-record.KeyFor - keyGrace)
	err = c.deps.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		n, err := tx.Exec(ctx, "DELETE FROM export_requests WHERE created_at < ?", database.Micros(before))
		if err != nil {
			return fmt.Errorf("remove idempotency keys: %w", err)
		}
		removed = int(n)
		return nil
	})
	return removed, err
}
