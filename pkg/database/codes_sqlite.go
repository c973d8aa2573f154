package database

import sqlite3 "modernc.org/sqlite/lib"

// sqlitePrimary are SQLite's primary result codes (https://www.sqlite.org/rescode.html). An
// extended code has its primary one in the lowest byte.
var sqlitePrimary = map[int]meaning{
	sqlite3.SQLITE_BUSY:     conflict,
	sqlite3.SQLITE_LOCKED:   conflict,
	sqlite3.SQLITE_PROTOCOL: conflict, // a race of two processes that begin to use the log
	sqlite3.SQLITE_SCHEMA:   conflict, // it changed more often than SQLite itself prepares again
	sqlite3.SQLITE_NOMEM:    exhausted,
	// with an ended context it is the caller's own cancellation
	sqlite3.SQLITE_INTERRUPT: exhausted,
	sqlite3.SQLITE_CANTOPEN:  unreachable,
	sqlite3.SQLITE_IOERR:     unreachable,
	sqlite3.SQLITE_FULL:      unwritable,
	sqlite3.SQLITE_NOLFS:     unwritable, // the file system takes no file of this size
	sqlite3.SQLITE_READONLY:  readOnly,
	sqlite3.SQLITE_PERM:      readOnly,
}

// sqliteExtended are the extended codes that mean something else than their primary one.
var sqliteExtended = map[int]meaning{
	sqlite3.SQLITE_ABORT_ROLLBACK:  conflict, // the transaction was rolled back under a query
	sqlite3.SQLITE_ERROR_RETRY:     conflict,
	sqlite3.SQLITE_ERROR_SNAPSHOT:  conflict,
	sqlite3.SQLITE_IOERR_NOMEM:     exhausted,
	sqlite3.SQLITE_IOERR_WRITE:     unwritable,
	sqlite3.SQLITE_IOERR_FSYNC:     unwritable,
	sqlite3.SQLITE_IOERR_DIR_FSYNC: unwritable,
	sqlite3.SQLITE_IOERR_TRUNCATE:  unwritable,
	// the index of the log can't grow: a full disk
	sqlite3.SQLITE_IOERR_SHMSIZE:         unwritable,
	sqlite3.SQLITE_IOERR_BEGIN_ATOMIC:    unwritable,
	sqlite3.SQLITE_IOERR_COMMIT_ATOMIC:   unwritable,
	sqlite3.SQLITE_IOERR_ROLLBACK_ATOMIC: unwritable,
	// A damaged file is for an operator: people who try again would hide it.
	sqlite3.SQLITE_IOERR_CORRUPTFS: faulty,
	sqlite3.SQLITE_IOERR_DATA:      faulty,
}

func sqliteMeaning(code int) meaning {
	if m, known := sqliteExtended[code]; known {
		return m
	}
	return sqlitePrimary[code&0xff]
}
