package export

import (
	"context"
	"fmt"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/storage"
)

// Ledger keeps a store's unfinished uploads in the database, where the clean-up of every process finds them. It is safe
// for concurrent use.
type Ledger struct {
	db  *database.DB
	now func() time.Time
}

var _ storage.Ledger = (*Ledger)(nil)

// NewLedger returns the ledger of a database, which has to be migrated before the first upload.
func NewLedger(db *database.DB, now func() time.Time) *Ledger { return &Ledger{db, now} }

// Begun writes an upload down.
func (l *Ledger) Begun(ctx context.Context, u storage.Unfinished) error {
	var expires any
	if !u.Expires.IsZero() {
		expires = database.Micros(u.Expires)
	}
	return l.db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO unfinished_uploads (upload_id, bucket, object_key, begun_at, expires_at) VALUES (?, ?, ?, ?, ?)",
			u.ID, u.Bucket, u.Key, database.Micros(l.now()), expires)
		if err != nil {
			return fmt.Errorf("write an upload down: %w", err)
		}
		return nil
	})
}

// Over strikes an upload out.
func (l *Ledger) Over(ctx context.Context, u storage.Unfinished) error {
	return l.db.Write(ctx, func(ctx context.Context, tx *database.Tx) error { return strikeUpload(ctx, tx, u.ID) })
}

func strikeUpload(ctx context.Context, tx *database.Tx, id string) error {
	if _, err := tx.Exec(ctx, "DELETE FROM unfinished_uploads WHERE upload_id = ?", id); err != nil {
		return fmt.Errorf("strike an upload out: %w", err)
	}
	return nil
}

// unfinished is an upload that is written down.
type unfinished struct {
	storage.Unfinished
	begun time.Time
}

// unfinishedUploads returns uploads after an id, in its order.
func unfinishedUploads(ctx context.Context, tx *database.Tx, after string, limit int) ([]unfinished, error) {
	all, err := database.All(ctx, tx, func(row database.Scanner) (u unfinished, err error) {
		var begun int64
		var expires database.NullTime
		err = row.Scan(&u.ID, &u.Bucket, &u.Key, &begun, &expires)
		u.begun = database.Time(begun)
		if at := expires.Ptr(); at != nil {
			u.Expires = *at
		}
		return u, err
	}, "SELECT upload_id, bucket, object_key, begun_at, expires_at FROM unfinished_uploads WHERE upload_id > ? ORDER BY upload_id LIMIT ?",
		after, limit)
	if err != nil {
		return nil, fmt.Errorf("find unfinished uploads: %w", err)
	}
	return all, nil
}
