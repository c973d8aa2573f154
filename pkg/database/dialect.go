package database

import "strconv"

// Dialect is the engine behind a DB. The zero Dialect is none.
type Dialect uint8

// The engines. MariaDB counts as MySQL.
const (
	SQLite Dialect = iota + 1
	Postgres
	MySQL
)

// String returns the engine's name as it is written in a DATABASE_URL.
func (d Dialect) String() string {
	switch d {
	case SQLite:
		return "sqlite"
	case Postgres:
		return "postgres"
	case MySQL:
		return "mysql"
	}
	return "dialect " + strconv.Itoa(int(d))
}

// nowMicros is the engine's clock as microseconds since the epoch, fixed for one statement. The
// statement's clock and not the wall's: a volatile function keeps PostgreSQL from using an index on
// the other side of the comparison.
func (d Dialect) nowMicros() string {
	switch d {
	case Postgres:
		return "(EXTRACT(EPOCH FROM statement_timestamp()) * 1000000)::BIGINT"
	case MySQL:
		// Not UNIX_TIMESTAMP: its range ends in 2038 on MariaDB 10.
		return "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
	default:
		// SQLite's clock has milliseconds only.
		return "(CAST(ROUND(unixepoch('subsec') * 1000) AS INTEGER) * 1000)"
	}
}
