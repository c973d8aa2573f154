package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3/lock"
)

var (
	_ lock.SessionLocker = postgresLock{}
	_ lock.SessionLocker = mysqlLock{}
	_ lock.SessionLocker = sqliteLock{}
)

// The locks below end with the connection that holds them, so a killed migrator blocks nobody.

// postgresLock is an advisory lock per schema.
type postgresLock struct{}

const postgresLockKey = "hashtextextended('exporthub migrations of ' || current_schema(), 0)"

// SessionLock asks again and again instead of waiting in the server: a waiting statement holds a snapshot, and CREATE
// INDEX CONCURRENTLY of the migrator that works would wait for it for ever.
func (postgresLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	for try := 1; ; try++ {
		var got bool
		if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock("+postgresLockKey+")").Scan(&got); err != nil || got {
			return err
		}
		if !pause(ctx, try) {
			return ctx.Err()
		}
	}
}

func (postgresLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock("+postgresLockKey+")")
	return err
}

// mysqlLock is a named lock per database; names are global to the server and at most 64 characters.
type mysqlLock struct{}

const mysqlLockName = "CONCAT('exporthub migrations ', LEFT(SHA2(DATABASE(), 256), 32))"

func (mysqlLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	for {
		var got sql.NullInt64
		if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+mysqlLockName+", 5)").Scan(&got); err != nil {
			return err
		}
		if !got.Valid {
			return errors.New("the server could not take the migrations' lock")
		}
		if got.Int64 == 1 {
			return nil
		}
	}
}

func (mysqlLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "DO RELEASE_LOCK("+mysqlLockName+")")
	return err
}

// sqliteLock is the write lock of the file, held by one transaction around all migrations; see oneTransaction.
type sqliteLock struct{}

func (sqliteLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	for try := 1; ; try++ {
		_, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE")
		if err == nil || !isConflict(err) {
			return err
		}
		if !pause(ctx, try) {
			return ctx.Err()
		}
	}
}

func (sqliteLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
		// Interrupted, SQLite has rolled back by itself; then this says so again.
		_, rollback := conn.ExecContext(ctx, "ROLLBACK")
		return fmt.Errorf("commit migrations: %w", errors.Join(err, rollback))
	}
	return nil
}
