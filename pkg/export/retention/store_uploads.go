package retention

import (
	"context"
	"fmt"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/storage"
)

// Ledger keeps a store's unfinished uploads in the database, where the clean-up of every process
// finds them. It is safe for concurrent use.
type Ledger struct {
	db  *database.DB
	now func() time.Time
}

var _ storage.Ledger = (*Ledger)(nil)

// NewLedger returns the ledger of a database, which has to be migrated before the first upload.
func NewLedger(db *database.DB, now func() time.Time) *Ledger { return &Ledger{db, now} }

// Begun records an upload before its first part is sent, so that it can be aborted if the process
// dies.
func (l *Ledger) Begun(ctx context.Context, u storage.Unfinished) error {
	// A store that keeps uploads for ever has no time to expire, which is NULL and not year 1.
	var expires any
	if !u.Expires.IsZero() {
		expires = database.Micros(u.Expires)
	}
	return l.db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO unfinished_uploads (upload_id, bucket, object_key, begun_at, expires_at) VALUES (?, ?, ?, ?, ?)",
			u.ID, u.Bucket, u.Key, database.Micros(l.now()), expires)
		if err != nil {
			return fmt.Errorf("record an upload: %w", err)
		}
		return nil
	})
}

// Over removes the record of an upload that was completed or aborted. Removing it again is fine.
func (l *Ledger) Over(ctx context.Context, u storage.Unfinished) error {
	return l.db.Write(ctx, func(ctx context.Context, tx *database.Tx) error { return deleteUpload(ctx, tx, u.ID) })
}

// deleteUpload removes the record of an upload.
func deleteUpload(ctx context.Context, tx *database.Tx, id string) error {
	if _, err := tx.Exec(ctx, "DELETE FROM unfinished_uploads WHERE upload_id = ?", id); err != nil {
		return fmt.Errorf("delete an upload's row: %w", err)
	}
	return nil
}

// unfinished is an upload of which there is a record.
type unfinished struct {
	storage.Unfinished
	begun time.Time
}

// unfinishedUploads returns uploads after an id, in the order of ids. It is not by age: a walk has
// to be able to continue after any upload, and ids are unique.
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
