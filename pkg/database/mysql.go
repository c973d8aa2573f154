package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

// sqlMode makes MySQL speak the others' SQL: bad values are errors, "x" is an identifier, || joins
// strings, a backslash is a backslash, 0 is an id like any other.
const sqlMode = "STRICT_ALL_TABLES,ONLY_FULL_GROUP_BY,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE," +
	"NO_ENGINE_SUBSTITUTION,ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,NO_AUTO_VALUE_ON_ZERO"

// openMySQL also returns the way to kill a connection of the pool.
func openMySQL(src source, o Options) (*sql.DB, func(context.Context, int64) error, error) {
	c, err := newMySQLConnector(src, o)
	if err != nil {
		return nil, nil, err
	}
	return sql.OpenDB(c), c.kill, nil
}

func newMySQLConnector(src source, o Options) (mysqlConnector, error) {
	cfg := mysql.NewConfig()
	cfg.User = src.url.User.Username()
	cfg.Passwd, _ = src.url.User.Password()
	cfg.Net, cfg.Addr = "tcp", src.url.Host
	cfg.DBName = strings.Trim(src.url.Path, "/")
	cfg.TLSConfig = src.tls
	cfg.Collation = "utf8mb4_bin"
	cfg.Loc = time.UTC
	cfg.ParseTime = true
	// a conditional UPDATE that sets the value a row has already counts the row
	cfg.ClientFoundRows = true
	cfg.Logger = mysqlLogger{o.Logger}
	cfg.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return dialer(o).DialContext(ctx, network, addr)
	}
	if o.StatementTimeout > 0 {
		// The server ends a statement before this; only a server that fell silent reaches it.
		cfg.ReadTimeout = o.StatementTimeout + 30*time.Second
	}
	base, err := mysql.NewConnector(cfg)
	if err != nil {
		return mysqlConnector{}, fmt.Errorf("mysql database URL: %w", err)
	}
	return mysqlConnector{base, mysqlSetup(o)}, nil
}

// mysqlSetup is the statements for each new connection. lock_wait_timeout is for tables, whose
// default is a day, and the other one for rows. The M! comments are read by MariaDB only,
// the !50708 one by MySQL only (MariaDB skips the numbers 50700 to 50999).
func mysqlSetup(o Options) []string {
	return []string{
		"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", // for Read; Write names its own
		fmt.Sprintf("SET time_zone = '+00:00', sql_mode = '%s', innodb_lock_wait_timeout = %d, lock_wait_timeout = %d"+
			"/*M!100300 , max_statement_time = %d, idle_write_transaction_timeout = %d, idle_readonly_transaction_timeout = %d */"+
			"/*!50708 , max_execution_time = %s */",
			sqlMode, max(seconds(o.LockTimeout), 1), max(seconds(o.LockTimeout), 1),
			seconds(o.StatementTimeout), seconds(o.IdleWrite), seconds(o.IdleRead), millis(o.StatementTimeout)),
	}
}

// seconds is a duration as MySQL's timeouts take it, rounded up; negative is 0, no timeout.
func seconds(d time.Duration) int64 { return int64((max(d, 0) + time.Second - 1) / time.Second) }

// mysqlConnector runs the setup on every new connection. The driver's own way, parameters in the
// DSN, can't set the isolation level under a name that both MySQL and MariaDB know.
type mysqlConnector struct {
	driver.Connector
	setup []string
}

func (c mysqlConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := conn.(mysqlDriverConn)
	if !ok {
		return nil, errors.Join(errors.New("mysql driver lacks an interface"), conn.Close())
	}
	m := &mysqlConn{mysqlDriverConn: full}
	for _, statement := range c.setup {
		if _, err := full.ExecContext(ctx, statement, nil); err != nil {
			return nil, errors.Join(fmt.Errorf("set up mysql connection: %w", err), conn.Close())
		}
	}
	if m.id, err = connectionID(ctx, full); err != nil {
		return nil, errors.Join(fmt.Errorf("set up mysql connection: %w", err), conn.Close())
	}
	return m, nil
}

// mysqlDriverConn is all that database/sql makes use of in the driver's connection.
type mysqlDriverConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// mysqlConn is a connection that knows its number in the server.
type mysqlConn struct {
	mysqlDriverConn
	id int64
}

func connectionID(ctx context.Context, conn driver.QueryerContext) (int64, error) {
	rows, err := conn.QueryContext(ctx, "SELECT CAST(CONNECTION_ID() AS SIGNED)", nil)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	row := make([]driver.Value, 1)
	if err := rows.Next(row); err != nil {
		return 0, err
	}
	id, ok := row[0].(int64)
	if !ok {
		return 0, fmt.Errorf("connection id is a %T", row[0])
	}
	return id, nil
}

// kill ends a connection of the pool from outside. For a cancelled statement the driver only closes
// its end, which the server notices when it has worked the statement through.
func (c mysqlConnector) kill(ctx context.Context, id int64) error {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	execer, ok := conn.(driver.ExecerContext)
	if !ok {
		return errors.New("mysql driver lacks an interface")
	}
	_, err = execer.ExecContext(ctx, fmt.Sprintf("KILL CONNECTION %d", id), nil)
	if mysqlCode(err) == 1094 {
		return nil // it is gone already
	}
	return err
}

// mysqlID is the number of a connection in the server.
func mysqlID(conn *sql.Conn) (id int64, err error) {
	err = conn.Raw(func(driverConn any) error {
		m, ok := driverConn.(*mysqlConn)
		if !ok {
			return fmt.Errorf("connection is a %T", driverConn)
		}
		id = m.id
		return nil
	})
	return id, err
}

// isBroken reports whether the driver has given the connection up.
func isBroken(conn *sql.Conn) bool {
	err := conn.Raw(func(driverConn any) error {
		if v, ok := driverConn.(driver.Validator); ok && !v.IsValid() {
			return driver.ErrBadConn
		}
		return nil
	})
	return err != nil
}

// mysqlLogger takes the driver's lines, which tell of broken connections whose errors the callers
// get anyway.
type mysqlLogger struct{ log *slog.Logger }

func (l mysqlLogger) Print(v ...any) {
	l.log.Debug("mysql driver", "message", fmt.Sprint(v...))
}
