package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"

	"exporthub/pkg/backoff"
)

// A change of a table waits until nobody reads it, and everybody who comes later waits behind that
// change. One reader who does not end, a process that was stopped within a transaction, would so
// hold up every worker. Changes therefore wait shortly and often, with room for the others between.
const (
	tableWait  = 3 * time.Second // of one try
	tablePause = time.Second     // between tries
)

// tableLimit is how long a migration tries to change a table: a little longer than the server lets
// a silent reader live, after whose end the next try succeeds.
func (o Options) tableLimit() time.Duration { return max(o.IdleRead, 0) + time.Minute }

// untilFree calls try until it fails for another reason than a lock that another session holds, or
// the limit is over.
func untilFree(ctx context.Context, log *slog.Logger, limit time.Duration, try func() error) error {
	began := time.Now()
	for {
		err := try()
		if !isConflict(err) {
			return err
		}
		if time.Since(began) > limit {
			return fmt.Errorf("not free within %s, end the session that holds it: %w", limit, err)
		}
		log.WarnContext(ctx, "migration waits for a table that another session holds",
			"waited", time.Since(began).Round(time.Second), "error", err)
		if !backoff.Sleep(ctx, tablePause) {
			return errors.Join(ctx.Err(), err)
		}
	}
}

// apply runs the missing migrations. A file that waited for a table too long is tried again; on
// MySQL, where the statements before it in the file stay, patientConnector tries the statement.
func (db *DB) apply(ctx context.Context, provider *goose.Provider) ([]*goose.MigrationResult, error) {
	var all []*goose.MigrationResult
	try := func() error {
		results, err := provider.Up(ctx)
		var partial *goose.PartialError
		if errors.As(err, &partial) {
			results = partial.Applied
			err = fmt.Errorf("%s: %w", partial.Failed.Source.Path, partial.Err)
		}
		all = append(all, results...)
		return err
	}
	if db.src.dialect == MySQL {
		return all, try()
	}
	err := untilFree(ctx, db.opts.Logger, db.opts.tableLimit(), try)
	return all, err
}

// patientConnector makes connections to MySQL whose statements are tried again while another
// session holds what they need.
type patientConnector struct {
	mysqlConnector
	log   *slog.Logger
	limit time.Duration
}

func (c patientConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.mysqlConnector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	m, ok := conn.(*mysqlConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("connection is a %T", conn), conn.Close())
	}
	return patientConn{m, c}, nil
}

type patientConn struct {
	*mysqlConn
	from patientConnector
}

// ExecContext tries a statement until its table is free. Only the statement is undone by the
// server when it waited too long, not its transaction.
func (c patientConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	var result driver.Result
	err := untilFree(ctx, c.from.log, c.from.limit, func() (err error) {
		result, err = c.mysqlConn.ExecContext(ctx, query, args)
		return err
	})
	return result, err
}

// openMySQLForMigrations opens a pool of patient connections.
func openMySQLForMigrations(src source, o Options) (*sql.DB, error) {
	c, err := newMySQLConnector(src, o)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(patientConnector{c, o.Logger, o.tableLimit()}), nil
}
