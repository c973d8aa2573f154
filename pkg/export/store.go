package export

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
)

// exportRow is what an export's row holds beside its job.
type exportRow struct {
	UUID        string
	UserID      int64
	Dataset     string
	Format      string
	QuotaDay    string
	HoldsSlot   bool
	ObjectKey   string // empty until the file is stored
	Filename    string
	ContentType string
	ExpiresAt   time.Time
	CreatedAt   time.Time
}

// limits returns the configured limits, changed by what is set for the person's role and then for the person.
func (s *Service) limits(ctx context.Context, tx *database.Tx, who *auth.Principal) (Limits, error) {
	l := s.o.Limits
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

// ensureCounters makes the rows that the conditional updates below change, so that racing requests meet on a row lock.
func ensureCounters(ctx context.Context, tx *database.Tx, userID int64, day string) error {
	if err := tx.InsertIgnore(ctx, "INSERT INTO export_slots (user_id, active) VALUES (?, 0)", userID); err != nil {
		return fmt.Errorf("make slot: %w", err)
	}
	if err := tx.InsertIgnore(ctx, "INSERT INTO export_days (user_id, quota_day, used) VALUES (?, ?, 0)", userID, day); err != nil {
		return fmt.Errorf("make day: %w", err)
	}
	return nil
}

func takeSlot(ctx context.Context, tx *database.Tx, userID int64, limit int) (bool, error) {
	n, err := tx.Exec(ctx, "UPDATE export_slots SET active = active + 1 WHERE user_id = ? AND active < ?", userID, limit)
	if err != nil {
		return false, fmt.Errorf("take slot: %w", err)
	}
	return n == 1, nil
}

func takeDay(ctx context.Context, tx *database.Tx, userID int64, day string, limit int) (bool, error) {
	n, err := tx.Exec(ctx, "UPDATE export_days SET used = used + 1 WHERE user_id = ? AND quota_day = ? AND used < ?", userID, day, limit)
	if err != nil {
		return false, fmt.Errorf("take day: %w", err)
	}
	return n == 1, nil
}

func usedOn(ctx context.Context, tx *database.Tx, userID int64, day string) (int, error) {
	n, err := database.One(ctx, tx, database.Scalar[int],
		"SELECT used FROM export_days WHERE user_id = ? AND quota_day = ?", userID, day)
	if database.IsNoRows(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read day: %w", err)
	}
	return n, nil
}

// activeExport returns the uuid of the person's oldest export that holds a slot, "" when none does.
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

func insertExport(ctx context.Context, tx *database.Tx, r exportRow) error {
	_, err := tx.Exec(ctx, `INSERT INTO exports
		(uuid, user_id, dataset, format, quota_day, holds_slot, holds_day, attempt_unix, created_at)
		VALUES (?, ?, ?, ?, ?, TRUE, TRUE, 0, ?)`,
		r.UUID, r.UserID, r.Dataset, r.Format, r.QuotaDay, database.Micros(r.CreatedAt))
	if err != nil {
		return fmt.Errorf("store export: %w", err)
	}
	return nil
}

// exportByID returns an export's row; IsNoRows knows the error of an unknown one.
func exportByID(ctx context.Context, tx *database.Tx, id string) (exportRow, error) {
	r, err := database.One(ctx, tx, func(row database.Scanner) (r exportRow, err error) {
		var expires database.NullTime
		var created int64
		err = row.Scan(&r.UUID, &r.UserID, &r.Dataset, &r.Format, &r.QuotaDay, &r.HoldsSlot, &r.ObjectKey, &r.Filename,
			&r.ContentType, &expires, &created)
		if at := expires.Ptr(); at != nil {
			r.ExpiresAt = *at
		}
		r.CreatedAt = database.Time(created)
		return r, err
	}, `SELECT uuid, user_id, dataset, format, quota_day, holds_slot, COALESCE(object_key, ''), COALESCE(filename, ''),
		COALESCE(content_type, ''), expires_at, created_at FROM exports WHERE uuid = ?`, id)
	if err != nil {
		return r, fmt.Errorf("read export: %w", err)
	}
	return r, nil
}

// beginAttempt gives the attempt the second its file is named by: now, and at least one more than the attempt before, so
// that no two attempts ever write the same object.
func beginAttempt(ctx context.Context, tx *database.Tx, id string, now time.Time) error {
	unix := now.Unix()
	n, err := tx.Exec(ctx, `UPDATE exports SET attempt_unix = CASE WHEN attempt_unix >= ? THEN attempt_unix + 1 ELSE ? END
		WHERE uuid = ?`, unix, unix, id)
	if err != nil {
		return fmt.Errorf("begin attempt: %w", err)
	}
	if n == 0 {
		return fmt.Errorf("begin attempt: export %s has no row", id)
	}
	return nil
}

func attemptUnix(ctx context.Context, tx *database.Tx, id string) (int64, error) {
	unix, err := database.One(ctx, tx, database.Scalar[int64], "SELECT attempt_unix FROM exports WHERE uuid = ?", id)
	if err != nil {
		return 0, fmt.Errorf("read attempt: %w", err)
	}
	return unix, nil
}

// releaseSlot gives the export's slot back, once.
func releaseSlot(ctx context.Context, tx *database.Tx, r exportRow) error {
	n, err := tx.Exec(ctx, "UPDATE exports SET holds_slot = FALSE WHERE uuid = ? AND holds_slot = TRUE", r.UUID)
	if err == nil && n == 1 {
		_, err = tx.Exec(ctx, "UPDATE export_slots SET active = active - 1 WHERE user_id = ?", r.UserID)
	}
	if err != nil {
		return fmt.Errorf("give slot back: %w", err)
	}
	return nil
}

// releaseDay gives the export's place in its day back, once.
func releaseDay(ctx context.Context, tx *database.Tx, r exportRow) error {
	n, err := tx.Exec(ctx, "UPDATE exports SET holds_day = FALSE WHERE uuid = ? AND holds_day = TRUE", r.UUID)
	if err == nil && n == 1 {
		_, err = tx.Exec(ctx, "UPDATE export_days SET used = used - 1 WHERE user_id = ? AND quota_day = ?", r.UserID, r.QuotaDay)
	}
	if err != nil {
		return fmt.Errorf("give day back: %w", err)
	}
	return nil
}

func storeFile(ctx context.Context, tx *database.Tx, id string, f storedFile) error {
	_, err := tx.Exec(ctx, `UPDATE exports SET object_key = ?, filename = ?, content_type = ?, file_size = ?, expires_at = ?
		WHERE uuid = ?`, f.Key, f.Filename, f.ContentType, f.Size, database.Micros(f.ExpiresAt), id)
	if err != nil {
		return fmt.Errorf("store file: %w", err)
	}
	return nil
}
