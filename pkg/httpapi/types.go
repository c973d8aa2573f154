package httpapi

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Reason is what a type's UnmarshalText returns to say in its own words what is wrong with a value.
// It is shown to the caller after the field's name.
type Reason string

// Error returns the reason.
func (r Reason) Error() string { return string(r) }

// Opt is an input field that tells absent, null and value apart. Changes use it to touch only the
// fields they carry. JSON "" is absent for anything but text, an empty query or form parameter
// always.
type Opt[T any] struct {
	Value T    // the value carried, else the zero value
	Set   bool // the field was there, as a value or as null
	Null  bool // it was there as null
}

// Some returns an Opt that carries v.
func Some[T any](v T) Opt[T] { return Opt[T]{Value: v, Set: true} }

// Get returns the value and whether one was carried: neither absent nor null.
func (o Opt[T]) Get() (T, bool) { return o.Value, o.Set && !o.Null }

// Or returns the value carried, or fallback when it is absent or null.
func (o Opt[T]) Or(fallback T) T {
	if v, ok := o.Get(); ok {
		return v
	}
	return fallback
}

// Ptr returns the value carried, or nil when it is absent or null.
func (o Opt[T]) Ptr() *T {
	if v, ok := o.Get(); ok {
		return &v
	}
	return nil
}

// IsZero reports whether the field was absent, for the json option omitzero.
func (o Opt[T]) IsZero() bool { return !o.Set }

// MarshalJSON writes the value carried, or null.
func (o Opt[T]) MarshalJSON() ([]byte, error) { return json.Marshal(o.Ptr()) }

// Schema describes the value, which may be null.
func (o Opt[T]) Schema(r huma.Registry) *huma.Schema {
	s := *r.Schema(reflect.TypeFor[T](), true, "")
	s.Nullable = s.Ref == ""
	return &s
}

func (o *Opt[T]) slot() reflect.Value { return reflect.ValueOf(&o.Value).Elem() }
func (o *Opt[T]) mark(null bool)      { o.Set, o.Null = true, null }

// optional is an *Opt[T] of any T.
type optional interface {
	slot() reflect.Value
	mark(null bool)
}

// Cents is money as whole cents (fen). As input it takes yuan as text or number with at most two
// decimal places, without going through a float; as output it is the same text with two places,
// "112.00".
type Cents int64

// maxYuanDigits keeps every sum of a realistic table inside an int64 of cents.
const maxYuanDigits = 13

// ParseCents reads yuan such as "112", "112.5" or "-0.05".
func ParseCents(s string) (Cents, error) {
	digits, negative := strings.CutPrefix(strings.TrimSpace(s), "-")
	yuan, fen, dot := strings.Cut(digits, ".")
	if !isDigits(yuan) || dot && !isDigits(fen) {
		return 0, Reason(msgMoney)
	}
	if fen = strings.TrimRight(fen, "0"); len(fen) > 2 {
		return 0, Reason(msgMoney)
	}
	if yuan = strings.TrimLeft(yuan, "0"); len(yuan) > maxYuanDigits {
		return 0, Reason(msgRange)
	}
	n, err := strconv.ParseInt(yuan+fen+strings.Repeat("0", 2-len(fen)), 10, 64)
	if err != nil {
		return 0, Reason(msgRange)
	}
	if negative {
		n = -n
	}
	return Cents(n), nil
}

// String returns yuan with two places.
func (c Cents) String() string {
	sign, n := "", uint64(c)
	if c < 0 {
		sign, n = "-", -n
	}
	fen := strconv.FormatUint(n%100, 10)
	if len(fen) < 2 {
		fen = "0" + fen
	}
	return sign + strconv.FormatUint(n/100, 10) + "." + fen
}

// MarshalText writes yuan with two places.
func (c Cents) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what ParseCents does.
func (c *Cents) UnmarshalText(b []byte) (err error) {
	*c, err = ParseCents(string(b))
	return err
}

// Schema describes money as decimal text.
func (Cents) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type:               huma.TypeString,
		Pattern:            `^-?[0-9]+(\.[0-9]{1,2}0*)?$`,
		PatternDescription: "金额，最多两位小数",
		Examples:           []any{"112.00"},
	}
}
