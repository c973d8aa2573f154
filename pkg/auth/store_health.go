package auth

import (
	"context"
	"time"

	"exporthub/pkg/database"
)

// healthPair is a key of login_failures that no pair of person and address hashes to.
const healthPair = "health"

// CheckWrites reports whether the database takes a write at the moment. It really writes a row, of
// this package's most transient table: a statement that changes nothing succeeds on a full disk. The
// row is one for all processes and is swept like any other.
func (s *Service) CheckWrites(ctx context.Context) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO login_failures (pair, wrong_at, locked_until, expires_at) VALUES (?, '', 0, ?)`+
			tx.OnConflictSet("pair", "expires_at"), healthPair, database.Micros(s.now().Add(time.Hour)))
		return err
	})
}
