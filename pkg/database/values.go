package database

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"time"
)

// Micros is how a time is stored: microseconds since 1970 UTC, in a BIGINT.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// Time is the UTC time of stored microseconds.
func Time(micros int64) time.Time { return time.UnixMicro(micros).UTC() }

// NullTime is a stored time that may be NULL. It is both an argument and a destination of Scan.
type NullTime struct {
	Time  time.Time // UTC; the zero time when not Valid
	Valid bool
}

// Nullable is t as a column value, with the zero time as NULL.
func Nullable(t time.Time) NullTime {
	if t.IsZero() {
		return NullTime{}
	}
	return NullTime{Time: t, Valid: true}
}

// NullablePtr is *t as a column value, with nil as NULL.
func NullablePtr(t *time.Time) NullTime {
	if t == nil {
		return NullTime{}
	}
	return NullTime{Time: *t, Valid: true}
}

// Ptr returns the time, or nil for NULL.
func (n NullTime) Ptr() *time.Time {
	if !n.Valid {
		return nil
	}
	t := n.Time
	return &t
}

// Value implements driver.Valuer.
func (n NullTime) Value() (driver.Value, error) {
	if !n.Valid {
		return nil, nil
	}
	return Micros(n.Time), nil
}

// Scan implements sql.Scanner for a BIGINT column.
func (n *NullTime) Scan(src any) error {
	var micros sql.NullInt64
	if err := micros.Scan(src); err != nil {
		return fmt.Errorf("scan time in microseconds: %w", err)
	}
	*n = NullTime{}
	if micros.Valid {
		*n = NullTime{Time: Time(micros.Int64), Valid: true}
	}
	return nil
}

var likeEscaper = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// Contains is the argument that finds s anywhere in a column, whatever s holds: `WHERE name LIKE ?
// ESCAPE '!'`. LIKE distinguishes case on every engine.
func Contains(s string) string { return "%" + likeEscaper.Replace(s) + "%" }

// Prefix is like Contains, for columns that start with s.
func Prefix(s string) string { return likeEscaper.Replace(s) + "%" }

// In returns "(?, ?, ?)" for n arguments. It panics on n < 1, for which SQL has no form: answer
// before asking.
func In(n int) string {
	return "(" + strings.Repeat("?, ", n-1) + "?)"
}
