package retention

import (
	"context"
	"fmt"
	"strings"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/export/record"
	"exporthub/pkg/job"
)

// expiredFile is a stored file whose retention is over; the zero value is before all of them.
type expiredFile struct {
	uuid    string
	key     string
	expires int64 // microseconds, as the row has it, so that paging compares it unchanged
}

// expiredFiles returns files that expired before an instant and are still there, after the given
// one, the oldest first. Paging by expiry and uuid passes files that could not be removed.
func expiredFiles(ctx context.Context, tx *database.Tx, before time.Time, after expiredFile, limit int) ([]expiredFile, error) {
	files, err := database.All(ctx, tx, func(row database.Scanner) (f expiredFile, err error) {
		return f, row.Scan(&f.uuid, &f.key, &f.expires)
	}, `SELECT uuid, object_key, expires_at FROM exports
		WHERE file_removed_at IS NULL AND object_key IS NOT NULL AND expires_at < ?
			AND (expires_at > ? OR (expires_at = ? AND uuid > ?))
		ORDER BY expires_at, uuid LIMIT ?`,
		database.Micros(before), after.expires, after.expires, after.uuid, limit)
	if err != nil {
		return nil, fmt.Errorf("find expired files: %w", err)
	}
	return files, nil
}

// markRemoved records that the file is no longer in the store.
func markRemoved(ctx context.Context, tx *database.Tx, uuid string, now time.Time) error {
	_, err := tx.Exec(ctx, "UPDATE exports SET file_removed_at = ? WHERE uuid = ?", database.Micros(now), uuid)
	if err != nil {
		return fmt.Errorf("mark the file as removed: %w", err)
	}
	return nil
}

// owner is the job that a stored object or a spool file belongs to.
type owner struct {
	state       job.State
	attempt     int
	attemptUnix int64  // of the current attempt; an object with a lower one is an older attempt's
	key         string // of the file that counts; empty without one
}

// ownersOf returns the jobs of those of the uuids that are known. Ask after listing files, never
// before: what was stored before the question has its row by then.
func ownersOf(ctx context.Context, tx *database.Tx, uuids []string) (map[string]owner, error) {
	owners := make(map[string]owner, len(uuids))
	if len(uuids) == 0 {
		return owners, nil // "IN ()" is no SQL
	}
	args := make([]any, len(uuids))
	for i, id := range uuids {
		args[i] = id
	}
	_, err := database.All(ctx, tx, func(row database.Scanner) (none struct{}, err error) {
		var id string
		var o owner
		var state string
		err = row.Scan(&id, &state, &o.attempt, &o.attemptUnix, &o.key)
		o.state = job.ColumnState(state)
		owners[id] = o
		return none, err
	}, `SELECT e.uuid, j.state, j.attempt, e.attempt_unix,
			CASE WHEN e.file_removed_at IS NULL THEN COALESCE(e.object_key, '') ELSE '' END
		FROM exports e JOIN jobs j ON j.uuid = e.uuid
		WHERE e.uuid IN (?`+strings.Repeat(", ?", len(uuids)-1)+")", args...)
	if err != nil {
		return nil, fmt.Errorf("find the jobs of files: %w", err)
	}
	return owners, nil
}

// cleanupPosition returns the position of a walk; "" is its beginning.
func cleanupPosition(ctx context.Context, tx *database.Tx, name string) (string, error) {
	position, err := database.One(ctx, tx, database.Scalar[string], "SELECT position FROM export_cleanup WHERE name = ?", name)
	if database.IsNoRows(err) {
		return "", nil
	}
	return position, err
}

// saveCleanupPosition records the position of a walk.
func saveCleanupPosition(ctx context.Context, tx *database.Tx, name, position string) error {
	_, err := tx.Exec(ctx, "INSERT INTO export_cleanup (name, position) VALUES (?, ?)"+tx.OnConflictSet("name", "position"),
		name, position)
	if err != nil {
		return fmt.Errorf("save the position of the clean-up: %w", err)
	}
	return nil
}

// purgeExport removes an export's row, and its day's counter once that counts nothing any more. It
// reports false while the file is there or the day, which is not before lastDay, still counts.
func purgeExport(ctx context.Context, tx *database.Tx, r record.Row, lastDay string) (bool, error) {
	if r.QuotaDay >= lastDay {
		return false, nil
	}
	// Whether the row uses the daily quota is part of the condition and not read before it, so
	// that a release at the same moment can't be counted twice.
	for _, counted := range []bool{true, false} {
		n, err := tx.Exec(ctx, `DELETE FROM exports WHERE uuid = ? AND holds_day = ? AND holds_slot = FALSE
			AND (object_key IS NULL OR file_removed_at IS NOT NULL)`, r.UUID, counted)
		if err != nil {
			return false, fmt.Errorf("purge export: %w", err)
		}
		if n == 1 {
			return true, purgeDay(ctx, tx, r, counted)
		}
	}
	return false, nil
}

// purgeDay takes a purged export out of its day's counter, and removes a counter that is 0.
func purgeDay(ctx context.Context, tx *database.Tx, r record.Row, counted bool) error {
	if counted {
		_, err := tx.Exec(ctx, "UPDATE export_days SET used = used - 1 WHERE user_id = ? AND quota_day = ?",
			r.UserID, r.QuotaDay)
		if err != nil {
			return fmt.Errorf("purge from the day: %w", err)
		}
	}
	_, err := tx.Exec(ctx, "DELETE FROM export_days WHERE user_id = ? AND quota_day = ? AND used = 0",
		r.UserID, r.QuotaDay)
	if err != nil {
		return fmt.Errorf("purge day: %w", err)
	}
	return nil
}
