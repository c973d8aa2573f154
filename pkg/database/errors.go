package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"exporthub/pkg/errs"
)

// Codes of the errors this package makes for people; all are of kind Unavailable.
const (
	CodeUnavailable = "database_unavailable" // it can't be reached, or is shutting down
	// it can be, but no connection or lock was free in time
	CodeBusy = "database_busy"
	// it can be reached and read, and takes no writes: its disk is full, or it is a standby
	CodeUnwritable = "database_unwritable"
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

// IsUnwritable reports whether err means that the database answers and takes no writes now: its
// disk is full, or it is a standby. What can be served without a write still can.
func IsUnwritable(err error) bool {
	e := errs.As(err)
	return e != nil && e.Code == CodeUnwritable
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
	if errs.As(err) != nil {
		return err
	}
	switch meaningOf(err) {
	case conflict, exhausted:
		return busy(err)
	case unreachable, unknown:
		return unavailable(err)
	case unwritable, readOnly:
		return cannotWrite(err)
	}
	return err
}

// explainRead is explain for a Read, which asks for a transaction that takes no writes: that the
// engine refuses one is our own mistake, and no state of the database that passes.
func explainRead(ctx context.Context, err error) error {
	if err != nil && errs.As(err) == nil && meaningOf(err) == readOnly {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	return explain(ctx, err)
}

// wasInterrupted reports whether err is how a driver, or this package, tells of an ended context.
func wasInterrupted(err error) bool {
	if e := errs.As(err); e != nil {
		return e.Code == CodeUnavailable || e.Code == CodeBusy
	}
	for _, target := range []error{context.Canceled, context.DeadlineExceeded, sql.ErrTxDone, ErrFailed} {
		if errors.Is(err, target) {
			return true
		}
	}
	// Engines answer a cancellation in several ways: a cancelled statement, a killed connection, an
	// interrupt. All of them are in the tables.
	switch meaningOf(err) {
	case conflict, exhausted, unreachable, unknown:
		return true
	}
	return false
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

// unwritableRetry is how long a client should wait for a database that takes no writes: a full disk
// or a failover takes longer to mend than a lost connection.
const unwritableRetry = 10 * time.Second

func cannotWrite(cause error) error {
	return &errs.Error{
		Kind:       errs.Unavailable,
		Code:       CodeUnwritable,
		Message:    "数据库暂时不能保存数据，请稍后再试",
		RetryAfter: unwritableRetry,
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
