package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// migrationLock keeps other migrators of the same database out until unlock is called. It ends with
// the connection that holds it, so a killed migrator blocks nobody.
type migrationLock func(ctx context.Context, pool *sql.DB) (unlock func(context.Context) error, err error)

// lockPostgres takes an advisory lock per schema. It asks again and again instead of waiting in the
// server: a waiting statement holds a snapshot, and CREATE INDEX CONCURRENTLY of the migrator that
// works would wait for it for ever.
func lockPostgres(ctx context.Context, pool *sql.DB) (func(context.Context) error, error) {
	const key = "hashtextextended('exporthub migrations of ' || current_schema(), 0)"
	return lockSession(ctx, pool, "SELECT pg_advisory_unlock("+key+")", func(conn *sql.Conn) error {
		for try := 1; ; try++ {
			var got bool
			if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock("+key+")").Scan(&got); err != nil || got {
				return err
			}
			if !pause(ctx, try) {
				return ctx.Err()
			}
		}
	})
}

// lockMySQL takes a named lock per database; names are global to the server and at most 64
// characters.
func lockMySQL(ctx context.Context, pool *sql.DB) (func(context.Context) error, error) {
	const name = "CONCAT('exporthub migrations ', LEFT(SHA2(DATABASE(), 256), 32))"
	return lockSession(ctx, pool, "DO RELEASE_LOCK("+name+")", func(conn *sql.Conn) error {
		for {
			var got sql.NullInt64
			if err := conn.QueryRowContext(ctx, "SELECT GET_LOCK("+name+", 5)").Scan(&got); err != nil {
				return err
			}
			if !got.Valid {
				return errors.New("the server could not take the migrations' lock")
			}
			if got.Int64 == 1 {
				return nil
			}
		}
	})
}

// lockSession takes a lock on a connection that is kept until the unlock.
func lockSession(ctx context.Context, pool *sql.DB, release string, take func(*sql.Conn) error) (func(context.Context) error, error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if err := take(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return func(ctx context.Context) error {
		_, err := conn.ExecContext(ctx, release)
		return errors.Join(err, conn.Close())
	}, nil
}

// lockSQLite takes the write lock of the file, by a transaction around all migrations; see
// oneTransaction. The pool has one connection, so what goose does next it does inside.
func lockSQLite(ctx context.Context, pool *sql.DB) (func(context.Context) error, error) {
	for try := 1; ; try++ {
		_, err := pool.ExecContext(ctx, "BEGIN IMMEDIATE")
		if err == nil {
			break
		}
		if !isConflict(err) {
			return nil, err
		}
		if !pause(ctx, try) {
			return nil, ctx.Err()
		}
	}
	return func(ctx context.Context) error {
		// After an interruption SQLite has rolled back by itself, and this fails.
		if _, err := pool.ExecContext(ctx, "COMMIT"); err != nil {
			return fmt.Errorf("commit migrations: %w", err)
		}
		return nil
	}, nil
}
