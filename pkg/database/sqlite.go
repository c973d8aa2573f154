package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
)

// openSQLite opens two pools on one file in WAL mode: one writer, whose transactions take the write
// lock at once (a lock taken late fails where it could have waited), and readers that can't write
// at all.
func openSQLite(ctx context.Context, src source, o Options) (read, write *sql.DB, err error) {
	if err := os.MkdirAll(filepath.Dir(src.path), 0o750); err != nil {
		return nil, nil, fmt.Errorf("make the database's directory: %w", err)
	}
	if err := makePrivate(src.path); err != nil {
		return nil, nil, fmt.Errorf("make the database: %w", err)
	}
	w, err := sqlite.NewConnector(sqliteDSN(src, o, "journal_mode(wal)"))
	if err != nil {
		return nil, nil, err
	}
	r, err := sqlite.NewConnector(sqliteDSN(src, o, "query_only(1)"))
	if err != nil {
		return nil, nil, err
	}
	write = sql.OpenDB(w)
	write.SetMaxOpenConns(1)
	if err := firstConn(ctx, write, o); err != nil {
		write.Close()
		return nil, nil, err
	}
	return sql.OpenDB(r), write, nil
}

// makePrivate makes the file where it is missing, so that nobody else on the machine may read it;
// SQLite gives its log the same mode. A file that is there is not touched: closing any descriptor
// of it would drop the locks that this process's other connections hold on it, and then the last
// process that looks into the database removes its log (https://www.sqlite.org/howtocorrupt.html,
// 2.2).
func makePrivate(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return file.Close()
}

// sqliteDSN is the driver's DSN with our settings and one pragma more.
func sqliteDSN(src source, o Options, pragma string) string {
	q := url.Values{
		"_txlock": {"immediate"},
		// Off: "x" is then always an identifier, as on the other engines, and a misspelt one is an
		// error.
		"_dqs": {"0"},
		"_pragma": {
			// First, since the others may have to wait.
			fmt.Sprintf("busy_timeout(%d)", max(o.BusyTimeout.Milliseconds(), 1)),
			pragma,
			"synchronous(" + src.sync + ")",
			"foreign_keys(1)",
			"case_sensitive_like(1)",
			// A long Read lets the log grow; give the space back afterwards.
			"journal_size_limit(67108864)",
		},
	}
	return "file:" + (&url.URL{Path: src.path}).EscapedPath() + "?" + q.Encode()
}

// firstConn makes the file and its WAL mode. Processes that start at once get BUSY here without
// SQLite's waiting, because changing the mode takes the whole file.
func firstConn(ctx context.Context, db *sql.DB, o Options) error {
	deadline := time.Now().Add(o.BusyTimeout)
	for try := 1; ; try++ {
		err := db.PingContext(ctx)
		if err == nil || !isConflict(err) || time.Now().After(deadline) {
			return err
		}
		if !pause(ctx, try) {
			return ctx.Err()
		}
	}
}

// oneTransaction wraps SQLite's connector so that transactions begun through database/sql become
// savepoints, and a whole run of migrations can sit inside one transaction begun by hand.
type oneTransaction struct{ driver.Connector }

func (c oneTransaction) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := conn.(sqliteConn)
	if !ok {
		conn.Close()
		return nil, errors.New("sqlite driver lacks an interface that migrations need")
	}
	return savepointConn{full}, nil
}

type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

type savepointConn struct{ sqliteConn }

func (c savepointConn) BeginTx(ctx context.Context, _ driver.TxOptions) (driver.Tx, error) {
	if _, err := c.ExecContext(ctx, "SAVEPOINT migration", nil); err != nil {
		return nil, err
	}
	return savepoint{c}, nil
}

type savepoint struct{ conn sqliteConn }

func (s savepoint) Commit() error {
	_, err := s.conn.ExecContext(context.Background(), "RELEASE migration", nil)
	return err
}

func (s savepoint) Rollback() error {
	if _, err := s.conn.ExecContext(context.Background(), "ROLLBACK TO migration", nil); err != nil {
		return err
	}
	return s.Commit()
}
