package dataset

import (
	"strconv"
	"time"
)

// Type is what a column holds, and so how each format writes it.
type Type uint8

// The column types.
const (
	// Text is text, phone and document numbers included: never a number, never a formula.
	Text Type = iota
	// Int is a whole number.
	Int
	// Money is integer cents, written as an exact decimal with two places.
	Money
	// DateTime is an instant, shown in the export's time zone.
	DateTime
	// Date is the calendar day of an instant in the export's time zone.
	Date
	// Bool is shown with the column's two labels.
	Bool
	// Code is text from a closed list, shown by the label of the column's dictionary; an unknown
	// code is shown as it is.
	Code
	// URL is text that is a link.
	URL
)

var typeNames = [...]string{"text", "int", "money", "datetime", "date", "bool", "code", "url"}

// String is the type's name in the API.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "unknown"
}

// Value is one cell, without allocation: which fields count depends on the column's Type. The zero
// Value is not null; use Null.
type Value struct {
	Str string // Text, Code, URL
	// Int; Money in cents; DateTime and Date in microseconds since 1970 UTC; Bool 0 or 1
	Num  int64
	Null bool
}

// Null is an empty cell of any type.
var Null = Value{Null: true}

// String makes a text, code or URL cell.
func String(s string) Value { return Value{Str: s} }

// Number makes a whole number or money (cents) cell.
func Number(n int64) Value { return Value{Num: n} }

// Truth makes a boolean cell.
func Truth(b bool) Value {
	if b {
		return Value{Num: 1}
	}
	return Value{}
}

// Instant makes a date or date-time cell; the zero time is empty.
func Instant(t time.Time) Value {
	if t.IsZero() {
		return Null
	}
	return Value{Num: t.UnixMicro()}
}

// zeroMicros is the zero time as it is stored.
var zeroMicros = time.Time{}.UnixMicro()

// Micros makes a date or date-time cell from microseconds since 1970 UTC; the zero time's are
// empty. 0 is 1970.
func Micros(us int64) Value {
	if us == zeroMicros {
		return Null
	}
	return Value{Num: us}
}

// Time returns the instant of a DateTime or Date cell in UTC.
func (v Value) Time() time.Time { return time.UnixMicro(v.Num).UTC() }

// AppendCents appends the cents of a Money cell as a decimal with two places.
func AppendCents(dst []byte, cents int64) []byte {
	units := uint64(cents)
	if cents < 0 {
		dst = append(dst, '-')
		// In uint64, where the negation of the least int64 is its magnitude.
		units = -units // right for the least int64 too
	}
	dst = strconv.AppendUint(dst, units/100, 10)
	return append(dst, '.', byte('0'+units%100/10), byte('0'+units%10))
}
