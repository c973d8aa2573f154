package dataset

import (
	"context"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

// complete is a dataset that NewRegistry takes.
func complete() Dataset {
	return Dataset{
		Name: "invitation", Service: "Exports::Invitation", Title: "邀请", Permission: "invitation.export",
		Columns: []Column{
			{Key: "id", Title: "ID", Type: Int},
			{Key: "phone", Title: "手机号", Permission: "invitation.phone"},
			{Key: "company", Title: "公司"},
		},
		NewFilter: func() any { return new(struct{}) },
		Count:     func(context.Context, *database.Tx, Selection) (int64, error) { return 0, nil },
		Rows: func(context.Context, *database.Tx, Selection, []Column) iter.Seq2[[]Value, error] {
			return func(func([]Value, error) bool) {}
		},
	}
}

func keysOf(columns []Column) (keys []string) {
	for _, c := range columns {
		keys = append(keys, c.Key)
	}
	return keys
}

func may(permission string) bool { return permission == "invitation.phone" }
func mayNot(string) bool         { return false }

func TestPick(t *testing.T) {
	for name, c := range map[string]struct {
		keys []string
		can  func(string) bool
		want []string
	}{
		"all":                    {nil, may, []string{"id", "phone", "company"}},
		"all that may be seen":   {nil, mayNot, []string{"id", "company"}},
		"all without a viewer":   {nil, nil, []string{"id", "company"}},
		"in the order asked for": {[]string{"company", "phone"}, may, []string{"company", "phone"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := complete().Pick(c.keys, c.can)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, keysOf(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPickRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		keys []string
		can  func(string) bool
		key  string
	}{
		"an unknown key":            {[]string{"id", "salary"}, may, "salary"},
		"an empty key":              {[]string{""}, may, ""},
		"a column not to be seen":   {[]string{"phone"}, mayNot, "phone"},
		"a column without a viewer": {[]string{"phone"}, nil, "phone"},
		"a key twice":               {[]string{"id", "company", "id"}, may, "id"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := complete().Pick(c.keys, c.can)
			e := errs.As(err)
			if got != nil || e == nil || e.Kind != errs.Invalid || len(e.Fields) != 1 {
				t.Fatalf("Pick = %v, %v, want an invalid error about one field", got, err)
			}
			if f := e.Fields[0]; f.Name != "columns" || !strings.Contains(f.Reason, c.key) {
				t.Errorf("field %+v does not name %q", f, c.key)
			}
		})
	}
	d := complete()
	d.Columns = d.Columns[1:2]
	for _, keys := range [][]string{nil, {"phone"}} {
		if got, err := d.Pick(keys, mayNot); got != nil || !errs.Is(err, errs.Forbidden) {
			t.Errorf("of nothing Pick(%q) = %v, %v, want forbidden", keys, got, err)
		}
	}
}

// TestHiddenAndUnknownLookTheSame keeps the answer from showing which columns exist.
func TestHiddenAndUnknownLookTheSame(t *testing.T) {
	_, hidden := complete().Pick([]string{"phone"}, mayNot)
	_, unknown := complete().Pick([]string{"nnnnn"}, mayNot)
	if got, want := strings.ReplaceAll(hidden.Error(), "phone", "nnnnn"), unknown.Error(); got != want {
		t.Errorf("hidden %q, unknown %q", got, want)
	}
}

func TestRegistry(t *testing.T) {
	a, b := complete(), complete()
	b.Name = "contact"
	r, err := NewRegistry(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if d, ok := r.Get("contact"); !ok || d.Name != "contact" {
		t.Errorf("Get(contact) = %q, %v", d.Name, ok)
	}
	if _, ok := r.Get("order"); ok {
		t.Error("Get(order) found a dataset")
	}
	var names []string
	for _, d := range r.All() {
		names = append(names, d.Name)
	}
	if diff := cmp.Diff([]string{"contact", "invitation"}, names); diff != "" {
		t.Error(diff)
	}
	if empty, err := NewRegistry(); err != nil || len(empty.All()) != 0 {
		t.Errorf("an empty registry: %v, %v", empty, err)
	}
}

func TestRegistryRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*Dataset)
		why   string
	}{
		"no name":           {func(d *Dataset) { d.Name = "" }, "name, service and title"},
		"no service":        {func(d *Dataset) { d.Service = "" }, "name, service and title"},
		"no title":          {func(d *Dataset) { d.Title = "" }, "name, service and title"},
		"no permission":     {func(d *Dataset) { d.Permission = "" }, "permission"},
		"no filter":         {func(d *Dataset) { d.NewFilter = nil }, "filter, count and rows"},
		"no count":          {func(d *Dataset) { d.Count = nil }, "filter, count and rows"},
		"no rows":           {func(d *Dataset) { d.Rows = nil }, "filter, count and rows"},
		"no columns":        {func(d *Dataset) { d.Columns = nil }, "0 columns"},
		"too many columns":  {func(d *Dataset) { d.Columns = make([]Column, 16385) }, "16385 columns"},
		"no key":            {func(d *Dataset) { d.Columns[1].Key = "" }, "key and title"},
		"no column title":   {func(d *Dataset) { d.Columns[1].Title = "" }, `"phone"`},
		"a key twice":       {func(d *Dataset) { d.Columns[1].Key = "id" }, `"id"`},
		"unknown type":      {func(d *Dataset) { d.Columns[1].Type = 99 }, "type 99"},
		"too wide":          {func(d *Dataset) { d.Columns[1].Width = 255.5 }, "width 255.5"},
		"negative width":    {func(d *Dataset) { d.Columns[1].Width = -1 }, "width -1"},
		"no sheet's name":   {func(d *Dataset) { d.Title = "收/支" }, "收/支"},
		"fill is no colour": {func(d *Dataset) { d.Header.Fill = "blue" }, "blue"},
		"font with #":       {func(d *Dataset) { d.Header.Font = "#FFFFF" }, "#FFFFF"},
	} {
		t.Run(name, func(t *testing.T) {
			d := complete()
			c.spoil(&d)
			r, err := NewRegistry(d)
			if r != nil || err == nil || !strings.Contains(err.Error(), c.why) {
				t.Errorf("NewRegistry = %v, %v, want an error with %q", r, err, c.why)
			}
		})
	}
	if _, err := NewRegistry(complete(), complete()); err == nil || !strings.Contains(err.Error(), "declared twice") {
		t.Errorf("a name twice: %v", err)
	}
}

func TestCheckSheetName(t *testing.T) {
	for name, good := range map[string]bool{
		"邀请": true, "a": true, "it's": true, "Historical": true, "a b": true,
		strings.Repeat("名", 31): true, strings.Repeat("😀", 15) + "a": true,
		"": false, strings.Repeat("名", 32): false, strings.Repeat("😀", 16): false,
		"a:b": false, `a\b`: false, "a/b": false, "a?": false, "*": false, "[a": false, "a]": false,
		"'a": false, "a'": false, "'": false, "History": false, "hISTORY": false,
		"a\x00": false, "a\n": false, "a\xff": false, "a\uFFFE": false, "a\uFFFF": false,
	} {
		if err := CheckSheetName(name); (err == nil) != good {
			t.Errorf("CheckSheetName(%q) = %v", name, err)
		}
	}
}

func TestValue(t *testing.T) {
	zone := time.FixedZone("CST", 8*60*60)
	when := time.Date(2026, 11, 21, 8, 0, 0, 123_456_789, zone)
	for name, c := range map[string]struct{ got, want Value }{
		"text":              {String("a"), Value{Str: "a"}},
		"empty text":        {String(""), Value{}},
		"number":            {Number(-3), Value{Num: -3}},
		"true":              {Truth(true), Value{Num: 1}},
		"false":             {Truth(false), Value{}},
		"instant":           {Instant(when), Value{Num: 1795219200123456}},
		"the epoch":         {Instant(time.Unix(0, 0)), Value{}},
		"zero time":         {Instant(time.Time{}), Null},
		"zero time in zone": {Instant(time.Time{}.In(zone)), Null},
		"micros":            {Micros(7), Value{Num: 7}},
		"micros of zero":    {Micros(time.Time{}.UnixMicro()), Null},
	} {
		if c.got != c.want {
			t.Errorf("%s: %+v, want %+v", name, c.got, c.want)
		}
	}
	if got, want := Instant(when).Time(), when.Truncate(time.Microsecond); !got.Equal(want) || got.Location() != time.UTC {
		t.Errorf("Time = %v, want %v in UTC", got, want)
	}
}
