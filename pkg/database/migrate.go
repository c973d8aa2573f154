package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

// migrationTable records the versions that were applied.
const migrationTable = "schema_migrations"

// Migrate brings the schema up to date with the migrations of all packages. Each source is the
// embedded folder of one package (nil is none), its files are named like 20261121000100_people.sql,
// and all together run in the order of their times. Two files of one time, an unknown macro or a
// name of another form are errors before anything runs.
//
// A file is SQL for all engines, after the line "-- +goose Up", with these macros:
//
//	{{id}}       the type of the key column id: BIGINT, numbered by the database
//	{{text}}     the type of text of any length; VARCHAR(n) is for what is indexed
//	{{bytes}}    the type of bytes of any length
//	{{bool}}     the type of TRUE and FALSE
//	{{table}}    after the closing parenthesis of CREATE TABLE: makes MySQL compare text as the
//	             others do
//	{{now}}      the clock in BIGINT microseconds, for rows that are inserted
//	{{if sqlite}} {{if postgres}} {{if mysql}} ... {{else}} ... {{end}}   what has no common form
//
// Any number of processes may call Migrate at once; one works, the others wait and find it done. A
// file that fails leaves nothing behind on PostgreSQL and SQLite; MySQL commits each CREATE and
// ALTER by itself, so a file should hold one change. Versions in the database that no source has,
// left by a newer program, are logged and left alone, so that the older one goes on during a
// deploy.
func Migrate(ctx context.Context, db *DB, sources ...fs.FS) error {
	pool, lock, err := db.openForMigrations()
	if err != nil {
		return fmt.Errorf("migrate: %w", explain(ctx, err))
	}
	defer pool.Close()
	m, err := newMacros(ctx, db.src.dialect, pool)
	if err != nil {
		return fmt.Errorf("migrate: %w", explain(ctx, err))
	}
	files, err := collect(m, sources)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if len(files) == 0 {
		return nil
	}
	provider, err := goose.NewProvider(gooseDialects[db.src.dialect], pool, files,
		goose.WithTableName(migrationTable), goose.WithAllowOutofOrder(true), goose.WithDisableGlobalRegistry(true),
		goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if db.src.dialect == SQLite {
		// The transaction of a whole run is a write; let this process's other writers queue rather
		// than time out.
		select {
		case db.family.turn <- struct{}{}:
			defer func() { <-db.family.turn }()
		case <-ctx.Done():
			return fmt.Errorf("migrate: %w", ctx.Err())
		}
	}
	results, err := db.up(ctx, pool, lock, provider)
	if err != nil {
		return fmt.Errorf("migrate: %w", explain(ctx, err))
	}
	for _, r := range results {
		db.opts.Logger.InfoContext(ctx, "migration applied", "file", r.Source.Path, "took", r.Duration)
	}
	return db.warnOfNewer(ctx, pool, files)
}

// up runs what is missing under the lock. Not goose's own lock, which it takes only after it has
// looked at its table and made it: two programs that start on an empty database get in each other's
// way there.
func (db *DB) up(ctx context.Context, pool *sql.DB, lock migrationLock, provider *goose.Provider) (_ []*goose.MigrationResult, err error) {
	unlock, err := lock(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	defer func() { err = errors.Join(err, unlock(context.WithoutCancel(ctx))) }()
	if err := repairVersionTable(ctx, pool); err != nil {
		return nil, fmt.Errorf("version table: %w", err)
	}
	return db.apply(ctx, provider)
}

// repairVersionTable finishes what a migrator killed at the wrong moment began: on MySQL the table
// is there before its first row, without which goose refuses to work.
func repairVersionTable(ctx context.Context, pool *sql.DB) error {
	var n int
	err := pool.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+migrationTable).Scan(&n)
	if mysqlCode(err) == 1146 || postgresCode(err) == "42P01" || sqliteCode(err) != 0 || err == nil && n > 0 {
		return nil // no table yet, or a good one
	}
	if err == nil {
		_, err = pool.ExecContext(ctx, "INSERT INTO "+migrationTable+" (version_id, is_applied) VALUES (0, TRUE)")
	}
	return err
}

var gooseDialects = map[Dialect]goose.Dialect{
	SQLite:   goose.DialectSQLite3,
	Postgres: goose.DialectPostgres,
	MySQL:    goose.DialectMySQL,
}

// openForMigrations opens a pool without the time limits of ordinary statements, and the lock that
// fits it.
func (db *DB) openForMigrations() (*sql.DB, migrationLock, error) {
	o := db.opts
	// An index on a table of millions of rows takes longer than any statement of the program.
	o.StatementTimeout = -1
	o.IdleWrite = -1
	o.LockTimeout = tableWait
	switch db.src.dialect {
	case SQLite:
		base, err := sqlite.NewConnector(sqliteDSN(db.src, o, "journal_mode(wal)"))
		if err != nil {
			return nil, nil, err
		}
		pool := sql.OpenDB(oneTransaction{base})
		pool.SetMaxOpenConns(1)
		return pool, lockSQLite, nil
	case Postgres:
		pool, err := openPostgres(db.src, o)
		return pool, lockPostgres, err
	default:
		pool, err := openMySQLForMigrations(db.src, o)
		return pool, lockMySQL, err
	}
}

// warnOfNewer logs what is in the database and not in the program.
func (db *DB) warnOfNewer(ctx context.Context, pool *sql.DB, files memFS) error {
	known := map[int64]bool{0: true} // goose's own first row
	for _, f := range files {
		known[f.version] = true
	}
	rows, err := pool.QueryContext(ctx, "SELECT version_id FROM "+migrationTable)
	if err != nil {
		return fmt.Errorf("migrate: list applied versions: %w", explain(ctx, err))
	}
	defer rows.Close()
	for rows.Next() {
		var version int64
		if err := rows.Scan(&version); err != nil {
			return fmt.Errorf("migrate: list applied versions: %w", err)
		}
		if !known[version] {
			db.opts.Logger.WarnContext(ctx, "database has a migration this program does not know; is a newer one deployed?", "version", version)
		}
	}
	return explain(ctx, rows.Err())
}
