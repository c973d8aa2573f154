package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"exporthub/pkg/errs"
)

// Codes of the errors this package makes for people; all are of kind Unavailable.
const (
	CodeUnavailable = "database_unavailable" // it can't be reached, or is shutting down
	// it can be, but no connection or lock was free in time
	CodeBusy = "database_busy"
	// the connection broke during COMMIT: the write may or may not have happened
	CodeCommitUnknown = "database_commit_unknown"
)

var (
	// ErrNested means Read or Write was called with the context of a running transaction it would
	// wait for or miss.
	ErrNested = errors.New("database: transaction inside a transaction: pass the Tx on instead")
	// ErrReadOnly means that a statement of a Read would write.
	ErrReadOnly = errors.New("database: write inside Read")
	// ErrFailed means a statement was sent after another of the same transaction had failed.
	ErrFailed = errors.New("database: an earlier statement of this transaction failed")
)

// IsNoRows reports whether err means that a query for one row found none.
func IsNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }

// IsUnique reports whether err is a violated primary key or unique index.
func IsUnique(err error) bool {
	switch postgresCode(err) {
	case "23505":
		return true
	}
	switch mysqlCode(err) {
	case 1062, 1586: // ER_DUP_ENTRY, ER_DUP_ENTRY_WITH_KEY_NAME
		return true
	}
	switch sqliteCode(err) {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return true
	}
	return false
}

// IsForeignKey reports whether err is a violated foreign key, from either side.
func IsForeignKey(err error) bool {
	code := mysqlCode(err)
	return postgresCode(err) == "23503" || code == 1451 || code == 1452 ||
		sqliteCode(err) == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
}

// isConflict reports whether another transaction was in the way, so that the same work may succeed
// in a new one.
func isConflict(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "40001", "40P01", "55P03": // serialization failure, deadlock, lock_timeout
			return true
		// a table changed under a prepared statement; the driver drops the plan with this error
		case "0A000":
			return strings.Contains(pg.Message, "cached plan")
		}
	}
	switch mysqlCode(err) {
	// deadlock, lock wait timeout, row or table changed since the snapshot, statement to be
	// re-prepared
	case 1213, 1205, 1020, 1412, 1615:
		return true
	}
	primary := sqliteCode(err) & 0xff
	return primary == sqlite3.SQLITE_BUSY || primary == sqlite3.SQLITE_LOCKED
}

// isUnreachable reports whether err means that there is no working connection to the database.
func isUnreachable(err error) bool {
	if code := postgresCode(err); code != "" {
		return postgresUnreachable(code)
	}
	if code := mysqlCode(err); code != 0 {
		return mysqlUnreachable(code)
	}
	switch code := sqliteCode(err); code & 0xff {
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL:
		return true
	}
	for _, target := range []error{
		driver.ErrBadConn, sql.ErrConnDone, mysql.ErrInvalidConn, mysql.ErrPktSync, mysql.ErrBusyBuffer, pgconn.ErrConnClosed,
		net.ErrClosed, io.EOF, io.ErrUnexpectedEOF,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return true
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		// from a deadline of the caller's or of its own, which says nothing of the database
		return false
	}
	var operation *net.OpError
	var name *net.DNSError
	return errors.As(err, &operation) || errors.As(err, &name)
}

func postgresUnreachable(code string) bool {
	switch code {
	case "57P01", "57P02", "57P03", "57P05", // shutting down, crashed, starting, idle session cut
		"53300", "25P03", "57014": // too many connections, idle transaction cut, statement timeout
		return true
	}
	return strings.HasPrefix(code, "08") || strings.HasPrefix(code, "58")
}

func mysqlUnreachable(code uint16) bool {
	switch code {
	case 1040, 1203, 1226, // too many connections, in all, of the user, by its limit
		// shutting down, connection aborted or killed
		1053, 1077, 1079, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 4031,
		1290, 1836, // read-only: a primary that has just stepped down
		1969, 3024, 1317: // statement timeout, query killed
		return true
	}
	return false
}

func postgresCode(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func mysqlCode(err error) uint16 {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

// sqliteCode is the extended result code, or 0.
func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// isStatementError reports whether the server or the way to it refused, as opposed to a mistake on
// our side of the driver such as a wrong destination of Scan.
func isStatementError(err error) bool {
	return postgresCode(err) != "" || mysqlCode(err) != 0 || sqliteCode(err) != 0 || isUnreachable(err)
}

// explain gives an error of the database its kind. A caller's cancellation or deadline stays what
// errors.Is finds, whatever the driver made of it; errors that have a kind keep it.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := ctx.Err(); cause != nil && wasInterrupted(err) {
		if errors.Is(err, cause) && errs.As(err) == nil {
			return err
		}
		return fmt.Errorf("%w: %v", cause, err)
	}
	switch {
	case errs.As(err) != nil:
		return err
	case isConflict(err):
		return busy(err)
	case isUnreachable(err):
		return unavailable(err)
	}
	return err
}

// wasInterrupted reports whether err is how a driver, or this package, tells of an ended context.
func wasInterrupted(err error) bool {
	if e := errs.As(err); e != nil {
		return e.Code == CodeUnavailable || e.Code == CodeBusy
	}
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, sql.ErrTxDone) ||
		errors.Is(err, ErrFailed) || isUnreachable(err) || isConflict(err) || sqliteCode(err)&0xff == sqlite3.SQLITE_INTERRUPT
}

func isCommitUnknown(err error) bool {
	e := errs.As(err)
	return e != nil && e.Code == CodeCommitUnknown
}

func unavailable(cause error) error {
	return &errs.Error{
		Kind:       errs.Unavailable,
		Code:       CodeUnavailable,
		Message:    "数据库暂时连不上，请稍后再试",
		RetryAfter: time.Second,
		Cause:      cause,
	}
}

func busy(cause error) error {
	return &errs.Error{
		Kind:       errs.Unavailable,
		Code:       CodeBusy,
		Message:    "数据库正忙，请稍后再试",
		RetryAfter: time.Second,
		Cause:      cause,
	}
}

func commitUnknown(cause error) error {
	return &errs.Error{
		Kind:    errs.Unavailable,
		Code:    CodeCommitUnknown,
		Message: "保存时与数据库断开，结果未知，请刷新确认后再操作",
		Cause:   cause,
	}
}
