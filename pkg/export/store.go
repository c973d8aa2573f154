package export

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/export/record"
)

// limitsOf returns the configured limits, changed by what is set for the person's role and then for
// the person.
func (a *admission) limitsOf(ctx context.Context, tx *database.Tx, who *auth.Principal) (Limits, error) {
	l := a.limits
	type line struct{ active, daily sql.NullInt64 }
	lines, err := database.All(ctx, tx, func(row database.Scanner) (v line, err error) {
		err = row.Scan(&v.active, &v.daily)
		return v, err
	}, `SELECT max_active, max_daily FROM export_limits
		WHERE (subject = 'role' AND subject_id = ?) OR (subject = 'person' AND subject_id = ?)
		ORDER BY CASE subject WHEN 'role' THEN 0 ELSE 1 END`, int64(who.Role), who.UserID)
	if err != nil {
		return l, fmt.Errorf("read export limits: %w", err)
	}
	// The person's line comes last. Each limit is overridden by itself: a line may set only one.
	for _, v := range lines {
		if v.active.Valid {
			l.Active = int(v.active.Int64)
		}
		if v.daily.Valid {
			l.Daily = int(v.daily.Int64)
		}
	}
	return l, nil
}

// lockPerson makes the counters of a person and a day where they are missing, and lets one
// request of that person at a time go on. The row is what racing requests wait for.
func lockPerson(ctx context.Context, tx *database.Tx, userID int64, day string) error {
	if err := tx.InsertIgnore(ctx, "INSERT INTO export_slots (user_id, active) VALUES (?, 0)", userID); err != nil {
		return fmt.Errorf("make active counter: %w", err)
	}
	err := tx.InsertIgnore(ctx, "INSERT INTO export_days (user_id, quota_day, used) VALUES (?, ?, 0)", userID, day)
	if err != nil {
		return fmt.Errorf("make daily counter: %w", err)
	}
	_, err = database.One(ctx, tx, database.Scalar[int],
		"SELECT active FROM export_slots WHERE user_id = ?"+tx.ForUpdate(), userID)
	if err != nil {
		return fmt.Errorf("lock active counter: %w", err)
	}
	return nil
}

// findEarlier returns the uuid of the accepted export that a request repeats, "" when there is
// none: one with the same request id, which a proxy keeps when it sends a request again, or one
// of the same content since an instant, where that is not zero. An id alone is not enough, since a
// client may send the same one with everything. What failed or was cancelled is no answer to
// repeat.
func findEarlier(ctx context.Context, tx *database.Tx, r record.Row, since time.Time) (string, error) {
	after := int64(math.MaxInt64)
	if !since.IsZero() {
		after = database.Micros(since)
	}
	id, err := database.One(ctx, tx, database.Scalar[string], `SELECT e.uuid FROM exports e JOIN jobs j ON j.uuid = e.uuid
		WHERE e.user_id = ? AND e.fingerprint = ? AND (e.request_id = ? AND e.request_id <> '' OR e.created_at > ?)
			AND j.state NOT IN ('failure', 'cancelled')
		ORDER BY e.created_at, e.uuid LIMIT 1`,
		r.UserID, r.Fingerprint, r.RequestID, after)
	if database.IsNoRows(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find earlier export: %w", err)
	}
	return id, nil
}

// useActive counts one more active export of a person, and reports false when that would exceed the
// limit. The comparison is part of the update, since two requests may read the same counter.
func useActive(ctx context.Context, tx *database.Tx, userID int64, limit int) (bool, error) {
	n, err := tx.Exec(ctx, "UPDATE export_slots SET active = active + 1 WHERE user_id = ? AND active < ?", userID, limit)
	if err != nil {
		return false, fmt.Errorf("use active quota: %w", err)
	}
	return n == 1, nil
}

// useDaily counts one more export of a person's day, and reports false when that would exceed the
// limit.
func useDaily(ctx context.Context, tx *database.Tx, userID int64, day string, limit int) (bool, error) {
	n, err := tx.Exec(ctx, "UPDATE export_days SET used = used + 1 WHERE user_id = ? AND quota_day = ? AND used < ?",
		userID, day, limit)
	if err != nil {
		return false, fmt.Errorf("use daily quota: %w", err)
	}
	return n == 1, nil
}

// usedOn returns how many exports of a person's day are used.
func usedOn(ctx context.Context, tx *database.Tx, userID int64, day string) (int, error) {
	n, err := database.One(ctx, tx, database.Scalar[int],
		"SELECT used FROM export_days WHERE user_id = ? AND quota_day = ?", userID, day)
	// Before the first export of a day there is no counter; its transaction was refused and
	// rolled back.
	if database.IsNoRows(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read day: %w", err)
	}
	return n, nil
}

// activeExport returns the uuid of the person's oldest active export, "" when there is none.
func activeExport(ctx context.Context, tx *database.Tx, userID int64) (string, error) {
	id, err := database.One(ctx, tx, database.Scalar[string],
		"SELECT uuid FROM exports WHERE user_id = ? AND holds_slot = TRUE ORDER BY created_at, uuid LIMIT 1", userID)
	if database.IsNoRows(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("find active export: %w", err)
	}
	return id, nil
}

// activeOf returns how many of a person's exports are queued or running.
func activeOf(ctx context.Context, tx *database.Tx, userID int64) (int, error) {
	n, err := database.One(ctx, tx, database.Scalar[int], "SELECT active FROM export_slots WHERE user_id = ?", userID)
	// Before a person's first export there is no counter.
	if database.IsNoRows(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read active exports: %w", err)
	}
	return n, nil
}
