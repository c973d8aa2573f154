package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// meaning is what an error of an engine says about trying again. The tables of the engines' codes
// are in codes_postgres.go, codes_mysql.go and codes_sqlite.go; what is in none of them is a fault
// of the statement or its values, which no other try mends.
type meaning uint8

const (
	// faulty: the statement, its values or our settings are wrong. It stays an internal error.
	faulty meaning = iota
	// conflict: another transaction was in the way, or the schema changed under this one. Write
	// runs its function again.
	conflict
	// exhausted: the engine answers and lacks connections, memory, locks or time. Another try at
	// once would only add to its load.
	exhausted
	// unreachable: there is no working connection. Write tries twice more, since the pool may be
	// full of dead ones.
	unreachable
	// unknown: the engine can't say whether the statement took effect. During COMMIT that is
	// CodeCommitUnknown, else the transaction is lost like its connection.
	unknown
	// unwritable: the engine answers and can't store anything, mostly because its disk is full.
	unwritable
	// readOnly: the engine takes no writes: a standby, a primary that has stepped down, a file
	// system mounted read-only. Inside Read it is our own mistake, since Read asks for exactly
	// that.
	readOnly
)

// meaningOf looks an error up. Codes come first: a driver may wrap an engine's answer together with
// the error of the connection that broke behind it.
func meaningOf(err error) meaning {
	if code := postgresCode(err); code != "" {
		return postgresMeaning(err, code)
	}
	if code := mysqlCode(err); code != 0 {
		return mysqlMeaning(err, code)
	}
	if code := sqliteCode(err); code != 0 {
		return sqliteMeaning(code)
	}
	if isBrokenConnection(err) {
		return unreachable
	}
	return faulty
}

// isConflict reports whether another transaction was in the way, so that the same work may succeed
// in a new one.
func isConflict(err error) bool { return meaningOf(err) == conflict }

// isUnreachable reports whether err means that there is no working connection to the database.
func isUnreachable(err error) bool {
	m := meaningOf(err)
	return m == unreachable || m == unknown
}

// isBrokenConnection reports whether err, which carries no code of an engine, is of the way to it.
func isBrokenConnection(err error) bool {
	for _, target := range []error{
		driver.ErrBadConn, sql.ErrConnDone, mysql.ErrInvalidConn, mysql.ErrPktSync, mysql.ErrBusyBuffer,
		pgconn.ErrConnClosed, net.ErrClosed, io.EOF, io.ErrUnexpectedEOF,
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
		// From a deadline of the caller's or of the driver's, which says nothing of the database.
		return false
	}
	var operation *net.OpError
	var name *net.DNSError
	return errors.As(err, &operation) || errors.As(err, &name)
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
