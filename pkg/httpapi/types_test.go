package httpapi

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestCents(t *testing.T) {
	for in, want := range map[string]Cents{
		"0": 0, "-0": 0, "1": 100, "1.2": 120, "1.23": 123, "1.230": 123, "-0.05": -5, "0012.5": 1250, " 7 ": 700, "9999999999999.99": 999999999999999,
	} {
		if got, err := ParseCents(in); err != nil || got != want {
			t.Errorf("ParseCents(%q) = %d, %v; want %d", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"": msgMoney, "-": msgMoney, "1.": msgMoney, ".5": msgMoney, "1.234": msgMoney, "1e2": msgMoney, "1,000": msgMoney, "--1": msgMoney,
		"１": msgMoney, "0x1": msgMoney, "NaN": msgMoney, "99999999999999": msgRange,
	} {
		if got, err := ParseCents(in); err == nil || err.Error() != want {
			t.Errorf("ParseCents(%q) = %d, %v; want %q", in, got, err, want)
		}
	}
	for in, want := range map[Cents]string{0: "0.00", 5: "0.05", -5: "-0.05", 11200: "112.00", -1 << 63: "-92233720368547758.08"} {
		if got := in.String(); got != want {
			t.Errorf("Cents(%d) = %s, want %s", int64(in), got, want)
		}
	}
	if b, err := json.Marshal(map[string]Cents{"a": 11200}); err != nil || string(b) != `{"a":"112.00"}` {
		t.Errorf("as JSON: %s, %v", b, err)
	}
	rapid.Check(t, func(t *rapid.T) {
		c := Cents(rapid.Int64Range(-999999999999999, 999999999999999).Draw(t, "cents"))
		if back, err := ParseCents(c.String()); err != nil || back != c {
			t.Fatalf("%d became %s, %d, %v", int64(c), c, int64(back), err)
		}
	})
}

func TestBounds(t *testing.T) {
	shanghai := time.FixedZone("UTC+8", 8*3600)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		in          string
		zone        *time.Location
		from, until string
		day         bool
	}{
		{"2026-01-31", shanghai, "2026-01-30T16:00:00Z", "2026-01-31T16:00:00Z", true},
		{"2026-03-29", berlin, "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", true}, // 23 hours
		{"2026-12-31", time.UTC, "2026-12-31T00:00:00Z", "2027-01-01T00:00:00Z", true},
		{"2026-01-31 10:00:00", shanghai, "2026-01-31T02:00:00Z", "2026-01-31T02:00:01Z", false},
		{" 2026-01-31T10:00:00 ", shanghai, "2026-01-31T02:00:00Z", "2026-01-31T02:00:01Z", false},
		{"2026-01-31T10:00", shanghai, "2026-01-31T02:00:00Z", "2026-01-31T02:01:00Z", false},
		{"2026-01-31T10:00:00.250", shanghai, "2026-01-31T02:00:00.25Z", "2026-01-31T02:00:00.251Z", false},
		{"2026-01-31T10:00:00.123456", shanghai, "2026-01-31T02:00:00.123456Z", "2026-01-31T02:00:00.123457Z", false},
		{"2026-01-31T10:00:00Z", shanghai, "2026-01-31T10:00:00Z", "2026-01-31T10:00:01Z", false},
		{"2026-01-31T10:00:00.913+08:00", time.UTC, "2026-01-31T02:00:00.913Z", "2026-01-31T02:00:00.914Z", false},
		{"2026-01-31T10:00:00.913 08:00", time.UTC, "2026-01-31T02:00:00.913Z", "2026-01-31T02:00:00.914Z", false},
		{"2026-01-31 10:00:00-07:00", shanghai, "2026-01-31T17:00:00Z", "2026-01-31T17:00:01Z", false},
	} {
		b, err := ParseBound(c.in)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		from, until := b.From(c.zone).UTC().Format(time.RFC3339Nano), b.Until(c.zone).UTC().Format(time.RFC3339Nano)
		if from != c.from || until != c.until || b.DateOnly() != c.day || b.IsZero() {
			t.Errorf("%q: from %s until %s, date only %v; want %s, %s, %v", c.in, from, until, b.DateOnly(), c.from, c.until, c.day)
		}
		again, err := ParseBound(b.String())
		if err != nil || !again.From(c.zone).Equal(b.From(c.zone)) || !again.Until(c.zone).Equal(b.Until(c.zone)) {
			t.Errorf("%q was written as %q, which reads as %v, %v", c.in, b, again, err)
		}
	}
	for _, in := range []string{"", "x", "2026-02-30", "2026-1-2", "20260102", "2026-01-02 25:00:00", "0000-01-01", "2026-01-02T10:00:00+0800", "1767225600"} {
		if b, err := ParseBound(in); err == nil || err.Error() != msgTime {
			t.Errorf("ParseBound(%q) = %v, %v", in, b, err)
		}
	}
	var zero Bound
	if !zero.IsZero() || zero.DateOnly() || !zero.From(shanghai).IsZero() || !zero.Until(shanghai).IsZero() || zero.String() != "" {
		t.Errorf("the zero bound is not absent: %v", zero)
	}
}

func TestTimesAsEachSystemShowsThem(t *testing.T) {
	ctx := WithLocation(t.Context(), time.FixedZone("UTC+8", 8*3600))
	at := time.Date(2026, 1, 31, 2, 0, 0, 913_456_000, time.UTC)
	for e, want := range map[Envelope]string{
		CodeRemark: "2026-01-31T10:00:00.913+08:00", StatusMsg: "2026-01-31 10:00:00", StatusError: "2026-01-31 10:00:00", CodeMsg: "2026-01-31T10:00:00",
		ResultMsg: "2026-01-31 10:00:00", Native: "2026-01-31T10:00:00.913456+08:00",
	} {
		if got := FormatTime(ctx, e, at); got != want {
			t.Errorf("%v: %s, want %s", e, got, want)
		}
		if got := NullTime(ctx, e, at); got == nil || *got != want {
			t.Errorf("%v: %v, want %s", e, got, want)
		}
		if got := NullTime(ctx, e, time.Time{}); got != nil {
			t.Errorf("%v: the zero time shows as %s", e, *got)
		}
	}
	if Location(context.Background()) != time.UTC || Location(WithLocation(context.Background(), nil)) != time.UTC {
		t.Error("without a zone, times are UTC")
	}
}

func TestOpt(t *testing.T) {
	absent, null, some := Opt[int]{}, Opt[int]{Set: true, Null: true}, Some(5)
	if _, ok := absent.Get(); ok || !absent.IsZero() || absent.Ptr() != nil || absent.Or(7) != 7 {
		t.Errorf("absent: %+v", absent)
	}
	if _, ok := null.Get(); ok || null.IsZero() || null.Ptr() != nil || null.Or(7) != 7 {
		t.Errorf("null: %+v", null)
	}
	if v, ok := some.Get(); !ok || v != 5 || *some.Ptr() != 5 || some.Or(7) != 5 {
		t.Errorf("some: %+v", some)
	}
	b, err := json.Marshal(struct {
		CodeRemark  Opt[int] `json:"a,omitzero"`
		StatusMsg   Opt[int] `json:"b,omitzero"`
		StatusError Opt[int] `json:"c,omitzero"`
	}{absent, null, some})
	if err != nil || string(b) != `{"b":null,"c":5}` {
		t.Errorf("as JSON: %s, %v", b, err)
	}
}

func TestPagingDefaultsAndClamps(t *testing.T) {
	for name, c := range map[string]struct{ number, size, wantNumber, wantSize int }{
		"A": {PerPagePaging{}.PageRequest().Number, PerPagePaging{}.PageRequest().Size, 1, 15},
		"B": {CountPaging{}.PageRequest().Number, CountPaging{}.PageRequest().Size, 1, 20},
		"C": {LimitPaging{Page: 3}.PageRequest(10).Number, LimitPaging{}.PageRequest(10).Size, 3, 10},
		"D": {PageSizePaging{}.PageRequest().Number, PageSizePaging{PageSize: 5000}.PageRequest().Size, 1, 1000},
		"E": {LaravelPaging{Page: -1}.PageRequest().Number, LaravelPaging{}.PageRequest().Size, 1, 20},
	} {
		if c.number != c.wantNumber || c.size != c.wantSize {
			t.Errorf("%s: page %d of %d, want %d of %d", name, c.number, c.size, c.wantNumber, c.wantSize)
		}
	}
	if (LimitPaging{}).Sent() || !(LimitPaging{Limit: 1}).Sent() || (ExportParams{}).Exporting() || !(ExportParams{ExportFormat: "csv"}).Exporting() {
		t.Error("what was sent is reported wrongly")
	}
}
