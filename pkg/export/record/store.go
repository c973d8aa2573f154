package record

import (
	"context"
	"fmt"
	"time"

	"exporthub/pkg/database"
)

// Row is what an export's row holds beside its job. It comes and goes with the job.
type Row struct {
	UUID    string
	UserID  int64
	Dataset string
	Format  string
	// QuotaDay is the calendar day whose quota the export uses, which stays the day of its
	// admission when it runs past midnight.
	QuotaDay    string
	ActiveQuota bool   // it still uses one of its owner's active exports
	ObjectKey   string // empty until the file is stored
	Filename    string
	ContentType string
	ExpiresAt   time.Time
	CreatedAt   time.Time

	// What Insert stores and ByID does not read: the request that started the export. Both may be
	// empty.
	RequestID   string
	Fingerprint string
}

// QuotaDay is the calendar day in a zone to which an instant counts.
func QuotaDay(t time.Time, zone *time.Location) string { return t.In(zone).Format(time.DateOnly) }

// Insert stores the row of an export that was admitted, with both quotas used.
func Insert(ctx context.Context, tx *database.Tx, r Row) error {
	_, err := tx.Exec(ctx, `INSERT INTO exports
		(uuid, user_id, dataset, format, quota_day, holds_slot, holds_day, attempt_unix, created_at, request_id, fingerprint)
		VALUES (?, ?, ?, ?, ?, TRUE, TRUE, 0, ?, ?, ?)`,
		r.UUID, r.UserID, r.Dataset, r.Format, r.QuotaDay, database.Micros(r.CreatedAt), r.RequestID, r.Fingerprint)
	if err != nil {
		return fmt.Errorf("store export: %w", err)
	}
	return nil
}

// ByID returns an export's row; database.IsNoRows recognises the error of an unknown one.
func ByID(ctx context.Context, tx *database.Tx, uuid string) (Row, error) {
	r, err := database.One(ctx, tx, func(row database.Scanner) (r Row, err error) {
		var expires database.NullTime
		var created int64
		err = row.Scan(&r.UUID, &r.UserID, &r.Dataset, &r.Format, &r.QuotaDay, &r.ActiveQuota, &r.ObjectKey,
			&r.Filename, &r.ContentType, &expires, &created)
		if at := expires.Ptr(); at != nil {
			r.ExpiresAt = *at
		}
		r.CreatedAt = database.Time(created)
		return r, err
	}, `SELECT uuid, user_id, dataset, format, quota_day, holds_slot, COALESCE(object_key, ''), COALESCE(filename, ''),
		COALESCE(content_type, ''), expires_at, created_at FROM exports WHERE uuid = ?`, uuid)
	if err != nil {
		return r, fmt.Errorf("read export: %w", err)
	}
	return r, nil
}

// BeginAttempt gives the attempt the second by which its file is named: now, and at least one more
// than that of the attempt before. Clocks of two machines may disagree, and two attempts must never
// write the same object.
func BeginAttempt(ctx context.Context, tx *database.Tx, uuid string, now time.Time) error {
	// In one statement, so that two workers that take over at once still get different seconds.
	unix := now.Unix()
	n, err := tx.Exec(ctx, `UPDATE exports SET attempt_unix = CASE WHEN attempt_unix >= ? THEN attempt_unix + 1 ELSE ? END
		WHERE uuid = ?`, unix, unix, uuid)
	if err != nil {
		return fmt.Errorf("begin attempt: %w", err)
	}
	if n == 0 {
		return fmt.Errorf("begin attempt: export %s has no row", uuid)
	}
	return nil
}

// AttemptUnix returns the second by which the current attempt's file is named; 0 before the first.
func AttemptUnix(ctx context.Context, tx *database.Tx, uuid string) (int64, error) {
	unix, err := database.One(ctx, tx, database.Scalar[int64], "SELECT attempt_unix FROM exports WHERE uuid = ?", uuid)
	if err != nil {
		return 0, fmt.Errorf("read attempt: %w", err)
	}
	return unix, nil
}

// ReleaseActive releases the export's active quota. The condition on the row makes a second call
// change nothing, so the counter can't be released twice.
func ReleaseActive(ctx context.Context, tx *database.Tx, r Row) error {
	n, err := tx.Exec(ctx, "UPDATE exports SET holds_slot = FALSE WHERE uuid = ? AND holds_slot = TRUE", r.UUID)
	if err == nil && n == 1 {
		_, err = tx.Exec(ctx, "UPDATE export_slots SET active = active - 1 WHERE user_id = ?", r.UserID)
	}
	if err != nil {
		return fmt.Errorf("release active quota: %w", err)
	}
	return nil
}

// ReleaseDaily releases the export's daily quota. A second call changes nothing.
func ReleaseDaily(ctx context.Context, tx *database.Tx, r Row) error {
	n, err := tx.Exec(ctx, "UPDATE exports SET holds_day = FALSE WHERE uuid = ? AND holds_day = TRUE", r.UUID)
	if err == nil && n == 1 {
		_, err = tx.Exec(ctx, "UPDATE export_days SET used = used - 1 WHERE user_id = ? AND quota_day = ?",
			r.UserID, r.QuotaDay)
	}
	if err != nil {
		return fmt.Errorf("release daily quota: %w", err)
	}
	return nil
}

// StoreFile records where the finished file is.
func StoreFile(ctx context.Context, tx *database.Tx, uuid string, f File) error {
	_, err := tx.Exec(ctx, `UPDATE exports SET object_key = ?, filename = ?, content_type = ?, file_size = ?, expires_at = ?
		WHERE uuid = ?`, f.Key, f.Filename, f.ContentType, f.Size, database.Micros(f.ExpiresAt), uuid)
	if err != nil {
		return fmt.Errorf("store file: %w", err)
	}
	return nil
}
