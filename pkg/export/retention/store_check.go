package retention

import (
	"context"
	"fmt"

	"exporthub/pkg/database"
)

// Differences compares the counters with the rows they count, and the rows with each other, and
// describes every difference; none is the empty slice.
func Differences(ctx context.Context, db *database.DB) ([]string, error) {
	var found []string
	read := func(ctx context.Context, tx *database.Tx, what, query string) error {
		lines, err := database.All(ctx, tx, func(row database.Scanner) (string, error) {
			var who string
			var counter, rows int64
			err := row.Scan(&who, &counter, &rows)
			return fmt.Sprintf("%s of %s: the counter says %d, the rows say %d", what, who, counter, rows), err
		}, query)
		found = append(found, lines...)
		return err
	}
	err := db.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		found = nil // a transaction that is tried again begins anew
		if err := read(ctx, tx, "slots", differentSlots); err != nil {
			return fmt.Errorf("compare slots: %w", err)
		}
		if err := read(ctx, tx, "days", differentDays); err != nil {
			return fmt.Errorf("compare days: %w", err)
		}
		if err := read(ctx, tx, "held slot", differentJobs); err != nil {
			return fmt.Errorf("compare jobs: %w", err)
		}
		if err := read(ctx, tx, "slots", uncountedSlots); err != nil {
			return fmt.Errorf("compare held slots: %w", err)
		}
		if err := read(ctx, tx, "days", uncountedDays); err != nil {
			return fmt.Errorf("compare held days: %w", err)
		}
		if err := read(ctx, tx, "files", differentFiles); err != nil {
			return fmt.Errorf("compare files: %w", err)
		}
		if err := read(ctx, tx, "export rows", missingRows); err != nil {
			return fmt.Errorf("compare export rows: %w", err)
		}
		return nil
	})
	return found, err
}

// Each query returns who, the counter and the number of rows, and no line where both agree. They
// are read in one snapshot, so that work under way is no difference.
const (
	differentSlots = `SELECT CAST(s.user_id AS CHAR(20)), s.active,
			(SELECT COUNT(*) FROM exports e WHERE e.user_id = s.user_id AND e.holds_slot = TRUE) AS held
		FROM export_slots s
		WHERE s.active <> (SELECT COUNT(*) FROM exports e WHERE e.user_id = s.user_id AND e.holds_slot = TRUE)`
	differentDays = `SELECT d.quota_day, d.used,
			(SELECT COUNT(*) FROM exports e WHERE e.user_id = d.user_id AND e.quota_day = d.quota_day AND e.holds_day = TRUE) AS held
		FROM export_days d
		WHERE d.used <> (SELECT COUNT(*) FROM exports e WHERE e.user_id = d.user_id AND e.quota_day = d.quota_day AND e.holds_day = TRUE)`
	// The active quota is used exactly while the job has not ended.
	differentJobs = `SELECT e.uuid, CASE WHEN e.holds_slot = TRUE THEN 1 ELSE 0 END,
			CASE WHEN j.state IN ('success', 'failure', 'cancelled') THEN 0 ELSE 1 END
		FROM exports e JOIN jobs j ON j.uuid = e.uuid
		WHERE (CASE WHEN e.holds_slot = TRUE THEN 1 ELSE 0 END) <> (CASE WHEN j.state IN ('success', 'failure', 'cancelled') THEN 0 ELSE 1 END)`
	// Held by rows of people and days that have no counter at all.
	uncountedSlots = `SELECT CAST(e.user_id AS CHAR(20)), 0, COUNT(*) FROM exports e
		WHERE e.holds_slot = TRUE AND NOT EXISTS (SELECT 1 FROM export_slots s WHERE s.user_id = e.user_id) GROUP BY e.user_id`
	uncountedDays = `SELECT e.quota_day, 0, COUNT(*) FROM exports e
		WHERE e.holds_day = TRUE AND NOT EXISTS (SELECT 1 FROM export_days d WHERE d.user_id = e.user_id AND d.quota_day = e.quota_day)
		GROUP BY e.user_id, e.quota_day`
	// A job has a file exactly when it succeeded.
	differentFiles = `SELECT e.uuid, CASE WHEN e.object_key IS NOT NULL THEN 1 ELSE 0 END, CASE WHEN j.state = 'success' THEN 1 ELSE 0 END
		FROM exports e JOIN jobs j ON j.uuid = e.uuid
		WHERE (CASE WHEN e.object_key IS NOT NULL THEN 1 ELSE 0 END) <> (CASE WHEN j.state = 'success' THEN 1 ELSE 0 END)`
	// A job of exports and its row here come and go together; one that was never admitted has
	// failed and has none.
	missingRows = `SELECT j.uuid, 0, 1 FROM jobs j WHERE j.kind = 'export' AND j.state <> 'failure' AND NOT EXISTS (SELECT 1 FROM exports e WHERE e.uuid = j.uuid)
		UNION ALL
		SELECT e.uuid, 1, 0 FROM exports e WHERE NOT EXISTS (SELECT 1 FROM jobs j WHERE j.uuid = e.uuid)`
)
