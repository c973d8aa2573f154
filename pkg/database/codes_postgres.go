package database

import (
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// postgresClasses are the classes of SQLSTATE, its first two characters, that mean one thing
// (https://www.postgresql.org/docs/current/errcodes-appendix.html). Codes of their own come before.
var postgresClasses = map[string]meaning{
	"08": unreachable, // connection exceptions
	"53": exhausted,   // insufficient resources, codes to come included
	"57": unreachable, // operator intervention: the server is going down, or up
	"58": unreachable, // errors of the system below the server
}

// postgresCodes are the codes that mean something else than their class. Class 28 (password) and 3D
// (no such database) are in neither: a wrong setting is not mended by waiting, and programs stop at
// their start instead of trying for ever.
var postgresCodes = map[string]meaning{
	"08007": unknown,  // transaction_resolution_unknown
	"25006": readOnly, // read_only_sql_transaction: a standby, or default_transaction_read_only
	// in_failed_sql_transaction: an earlier statement failed, and its error is the one that counts.
	// Tx sends nothing after one, so this is seen only where that error was lost; a new transaction
	// begins clean.
	"25P02": conflict,
	"25P03": unreachable, // idle_in_transaction_session_timeout: the connection is closed
	"25P04": unreachable, // transaction_timeout, from PostgreSQL 17 on: likewise
	"40000": conflict,    // transaction_rollback
	"40001": conflict,    // serialization_failure; also a standby's conflict with recovery
	"40003": unknown,     // statement_completion_unknown
	"40P01": conflict,    // deadlock_detected
	"53100": unwritable,  // disk_full
	"55P03": conflict,    // lock_not_available: lock_timeout
	// query_canceled: statement_timeout; our own cancellation has an ended context
	"57014": exhausted,
	"72000": conflict, // snapshot_too_old, up to PostgreSQL 16
}

func postgresMeaning(err error, code string) meaning {
	if code == "0A000" {
		// A table changed under a prepared statement; the driver drops the plan with this error.
		// The code is that of any missing feature, so the text has to decide.
		var e *pgconn.PgError
		if errors.As(err, &e) && strings.Contains(e.Message, "cached plan") {
			return conflict
		}
		return faulty
	}
	if m, known := postgresCodes[code]; known {
		return m
	}
	if len(code) != 5 {
		return faulty
	}
	return postgresClasses[code[:2]]
}
