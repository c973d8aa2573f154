package httpapi

import (
	"context"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Layouts in which the systems show times. C mixes LayoutSpaced with Unix seconds, field by field.
const (
	LayoutMillis  = "2006-01-02T15:04:05.000-07:00"
	LayoutSpaced  = "2006-01-02 15:04:05"
	LayoutSeconds = "2006-01-02T15:04:05"
)

// TimeLayout returns the layout in which the envelope's system shows times; Native uses RFC 3339
// with microseconds.
func (e Envelope) TimeLayout() string {
	switch e {
	case CodeRemark:
		return LayoutMillis
	case StatusMsg, StatusError, ResultMsg:
		return LayoutSpaced
	case CodeMsg:
		return LayoutSeconds
	}
	return "2006-01-02T15:04:05.000000Z07:00"
}

type locationKey struct{}

// WithLocation returns a context whose times are shown and read in zone. Mount sets it for every
// request.
func WithLocation(ctx context.Context, zone *time.Location) context.Context {
	return context.WithValue(ctx, locationKey{}, zone)
}

// Location returns the zone in which times are shown and local times are read; UTC when none was
// set.
func Location(ctx context.Context) *time.Location {
	if zone, ok := ctx.Value(locationKey{}).(*time.Location); ok && zone != nil {
		return zone
	}
	return time.UTC
}

// FormatTime shows t as the envelope's system does, in the request's zone.
func FormatTime(ctx context.Context, e Envelope, t time.Time) string {
	return t.In(Location(ctx)).Format(e.TimeLayout())
}

// NullTime is FormatTime, with nil (null in the answer) for the zero time.
func NullTime(ctx context.Context, e Envelope, t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := FormatTime(ctx, e, t)
	return &s
}

// Bound is a date, a local time or an RFC 3339 time as input. The zero Bound is an absent one.
//
// As a lower bound it is From, as an upper one Until; both stand for everything the caller can see
// at the precision they wrote: a date is the whole day, 10:00:00 the whole second.
type Bound struct {
	wall      time.Time     // as written; its zone is UTC unless zoned
	precision time.Duration // of what was written; a day for dates
	zoned     bool
}

// boundForms are the accepted forms. Go takes a fraction of a second after any of them that has
// seconds.
var boundForms = []struct {
	layout    string
	precision time.Duration
	zoned     bool
}{
	{"2006-01-02", 24 * time.Hour, false},
	{"2006-01-02 15:04:05", time.Second, false},
	{"2006-01-02T15:04:05", time.Second, false},
	{"2006-01-02T15:04:05Z07:00", time.Second, true},
	{"2006-01-02 15:04:05Z07:00", time.Second, true},
	{"2006-01-02 15:04", time.Minute, false},
	{"2006-01-02T15:04", time.Minute, false},
}

// ParseBound reads a date, a local time (with a blank or T, to the minute, second or a fraction) or
// an RFC 3339 time.
func ParseBound(s string) (Bound, error) {
	s = strings.TrimSpace(s)
	// The + of an offset that was put into a query without escaping arrives as a blank.
	if n := len(s) - 6; n > 16 && s[n] == ' ' && s[n+3] == ':' {
		s = s[:n] + "+" + s[n+1:]
	}
	for _, f := range boundForms {
		t, err := time.Parse(f.layout, s)
		if err != nil || t.Year() < 1 {
			continue
		}
		b := Bound{wall: t, precision: f.precision, zoned: f.zoned}
		if _, fraction, ok := strings.Cut(s, "."); ok {
			b.precision = fractionPrecision(fraction)
		}
		return b, nil
	}
	return Bound{}, Reason(msgTime)
}

func fractionPrecision(fraction string) time.Duration {
	p := time.Second
	for i := 0; i < len(fraction) && fraction[i] >= '0' && fraction[i] <= '9' && p > time.Microsecond; i++ {
		p /= 10
	}
	return p
}

// IsZero reports whether the bound is absent.
func (b Bound) IsZero() bool { return b.precision == 0 }

// DateOnly reports whether a date without a time was written.
func (b Bound) DateOnly() bool { return b.precision == 24*time.Hour }

// From returns the first instant of what was written, read in zone: the instant itself for a full
// time.
func (b Bound) From(zone *time.Location) time.Time { return b.at(zone, 0) }

// Until returns the first instant after what was written: rows of the bound's whole day, or whole
// second, are before it.
func (b Bound) Until(zone *time.Location) time.Time {
	if b.DateOnly() {
		return b.at(zone, 1)
	}
	return b.at(zone, 0).Add(b.precision)
}

func (b Bound) at(zone *time.Location, addDays int) time.Time {
	if b.IsZero() {
		return time.Time{}
	}
	if b.zoned {
		return b.wall
	}
	w := b.wall
	return time.Date(w.Year(), w.Month(), w.Day()+addDays, w.Hour(), w.Minute(), w.Second(), w.Nanosecond(), zone)
}

// UnmarshalText reads what ParseBound does.
func (b *Bound) UnmarshalText(s []byte) (err error) {
	*b, err = ParseBound(string(s))
	return err
}

// MarshalText writes the bound in one of the forms ParseBound reads, so that stored filters read
// back the same.
func (b Bound) MarshalText() ([]byte, error) {
	if b.IsZero() {
		return nil, nil
	}
	layout := "2006-01-02"
	switch {
	case b.precision == time.Minute:
		layout = "2006-01-02T15:04"
	case b.precision <= time.Second:
		layout = LayoutSeconds
		if b.precision < time.Second {
			layout += "." + strings.Repeat("0", places(b.precision))
		}
	}
	if b.zoned {
		layout += "Z07:00"
	}
	return []byte(b.wall.Format(layout)), nil
}

func places(precision time.Duration) (n int) {
	for p := time.Second; p > precision; p /= 10 {
		n++
	}
	return n
}

// String returns the bound as MarshalText writes it.
func (b Bound) String() string {
	s, _ := b.MarshalText() // never fails
	return string(s)
}

// Schema describes the accepted forms.
func (Bound) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Description: "日期（整天）、本地时间或 RFC 3339 时间", Examples: []any{"2026-01-31"}}
}
