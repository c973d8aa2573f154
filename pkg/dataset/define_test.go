package dataset

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"exporthub/pkg/database"
)

type row struct {
	ID   int64
	Name string
}

type filter struct {
	Name string `column:"name"`
}

// table answers pages of total rows and keeps what it was asked.
type table struct {
	total  int
	fail   error // instead of the page after failAt rows
	failAt int
	asked  []string // "after <id> limit <n>"
	last   []*row
	seen   Query[filter]
}

func (s *table) spec() Spec[filter, row] {
	return Spec[filter, row]{
		Name: "invitation", Service: "Exports::Invitation", Title: "邀请", Permission: "invitation.export",
		Header: HeaderStyle{Fill: "4472C4"}, NoInfo: true,
		Fields: []Field[row]{
			{Column: Column{Key: "id", Title: "ID", Type: Int}, Value: func(r *row) Value { return Number(r.ID) }},
			{Column: Column{Key: "name", Title: "名称"}, Value: func(r *row) Value { return String(r.Name) }},
		},
		Count: func(_ context.Context, _ *database.Tx, q Query[filter]) (int64, error) {
			s.seen = q
			return int64(s.total), nil
		},
		Page: func(_ context.Context, _ *database.Tx, q Query[filter], last *row, limit int, into []row) ([]row, error) {
			s.seen = q
			next := int64(1)
			if last != nil {
				next = last.ID + 1
			}
			s.asked = append(s.asked, fmt.Sprintf("after %d limit %d", next-1, limit))
			s.last = append(s.last, last)
			if s.fail != nil && int(next) > s.failAt {
				return into, s.fail
			}
			for ; next <= int64(s.total) && limit > 0; next, limit = next+1, limit-1 {
				into = append(into, row{next, fmt.Sprintf("n%d", next)})
			}
			return into, nil
		},
	}
}

// read iterates until stop rows were read (-1: all) and returns the ids and the error.
func read(t *testing.T, d Dataset, sel Selection, columns []Column, stop int) (ids []int64, err error) {
	t.Helper()
	for values, e := range d.Rows(t.Context(), nil, sel, columns) {
		if err != nil {
			t.Fatal("something follows the error")
		}
		if e != nil {
			if values != nil {
				t.Error("the error comes with a row")
			}
			err = e
			continue
		}
		ids = append(ids, values[0].Num)
		if len(ids) == stop {
			break
		}
	}
	return ids, err
}

func upTo(n int) (ids []int64) {
	for i := range n {
		ids = append(ids, int64(i+1))
	}
	return ids
}

func TestPages(t *testing.T) {
	for _, c := range []struct{ total, stop, pages int }{
		{0, -1, 1}, {1, -1, 1}, {pageRows - 1, -1, 1},
		{pageRows, -1, 2}, {pageRows + 1, -1, 2}, {2 * pageRows, -1, 3}, {3*pageRows - 1, -1, 3},
		{3 * pageRows, 1, 1}, {3 * pageRows, pageRows, 1}, {3 * pageRows, pageRows + 1, 2},
	} {
		t.Run(fmt.Sprintf("%d of %d", c.stop, c.total), func(t *testing.T) {
			s := &table{total: c.total}
			d := Define(s.spec())
			ids, err := read(t, d, Selection{}, d.Columns, c.stop)
			want := upTo(c.total)
			if c.stop >= 0 {
				want = want[:c.stop]
			}
			if diff := cmp.Diff(want, ids); diff != "" || err != nil {
				t.Errorf("%v %s", err, diff)
			}
			for i, asked := range s.asked {
				if want := fmt.Sprintf("after %d limit %d", i*pageRows, pageRows); asked != want {
					t.Errorf("page %d was asked as %q, want %q", i, asked, want)
				}
			}
			// One page more may have been read ahead of somebody who stops.
			if n := len(s.asked); n != c.pages && (c.stop < 0 || n != c.pages+1) {
				t.Errorf("%d pages were read, want %d", n, c.pages)
			}
		})
	}
}

// TestTheLastRowIsACopy reads the next page into the rows of the one before, as Page must.
func TestTheLastRowIsACopy(t *testing.T) {
	s := &table{total: 3 * pageRows}
	d := Define(s.spec())
	if _, err := read(t, d, Selection{}, d.Columns, -1); err != nil {
		t.Fatal(err)
	}
	for i, last := range s.last[1:] {
		if want := int64((i + 1) * pageRows); last.ID != want || last.Name != fmt.Sprintf("n%d", want) {
			t.Errorf("page %d was asked for after %+v once all was read, want %d", i+1, *last, want)
		}
	}
}

func TestTheErrorIsTheLastElement(t *testing.T) {
	boom := errors.New("boom")
	for _, at := range []int{0, pageRows, 2 * pageRows} {
		s := &table{total: 5 * pageRows, fail: boom, failAt: at}
		d := Define(s.spec())
		ids, err := read(t, d, Selection{}, d.Columns, -1)
		if len(ids) != at || !errors.Is(err, boom) {
			t.Errorf("%d rows, then %v; want %d and boom", len(ids), err, at)
		}
	}
}

func TestRowsCanBeReadTwice(t *testing.T) {
	d := Define((&table{total: 3}).spec())
	rows := d.Rows(t.Context(), nil, Selection{}, d.Columns)
	for range 2 {
		n := 0
		for _, err := range rows {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 3 {
			t.Errorf("%d rows, want 3", n)
		}
	}
}

func TestValuesStandInTheColumnsOrder(t *testing.T) {
	d := Define((&table{total: 2}).spec())
	columns, err := d.Pick([]string{"name", "id"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got [][]Value
	var first *Value
	for values, err := range d.Rows(t.Context(), nil, Selection{}, columns) {
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = &values[0]
		} else if first != &values[0] {
			t.Error("the slice is not reused")
		}
		got = append(got, append([]Value(nil), values...))
	}
	if diff := cmp.Diff([][]Value{{String("n1"), Number(1)}, {String("n2"), Number(2)}}, got); diff != "" {
		t.Error(diff)
	}
	_, err = read(t, d, Selection{}, []Column{{Key: "salary"}}, -1)
	if err == nil || !strings.Contains(err.Error(), "salary") {
		t.Errorf("a column of another dataset: %v", err)
	}
}

func TestTheFilterReachesTheQuery(t *testing.T) {
	viewer := Viewer{UserID: 7}
	for name, c := range map[string]struct {
		filter any
		want   filter
	}{
		"pointer":     {&filter{Name: "a"}, filter{Name: "a"}},
		"value":       {filter{Name: "a"}, filter{Name: "a"}},
		"none":        {nil, filter{}},
		"nil pointer": {(*filter)(nil), filter{}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &table{total: 1}
			d := Define(s.spec())
			sel := Selection{Viewer: viewer, Filter: c.filter, IDs: []int64{3}}
			want := Query[filter]{Viewer: viewer, Filter: c.want, IDs: []int64{3}}
			if n, err := d.Count(t.Context(), nil, sel); n != 1 || err != nil {
				t.Errorf("count %d, %v", n, err)
			}
			checkQuery(t, want, s.seen)
			s.seen = Query[filter]{}
			if _, err := read(t, d, sel, d.Columns, -1); err != nil {
				t.Error(err)
			}
			checkQuery(t, want, s.seen)
		})
	}
}

func checkQuery(t *testing.T, want, got Query[filter]) {
	t.Helper()
	if got.Viewer.UserID != want.Viewer.UserID || got.Filter != want.Filter || !cmp.Equal(got.IDs, want.IDs) {
		t.Errorf("query %+v, want %+v", got, want)
	}
}

// TestAFilterOfAnotherTypeIsRefused since dropping it would export every row.
func TestAFilterOfAnotherTypeIsRefused(t *testing.T) {
	s := &table{total: 3}
	d := Define(s.spec())
	sel := Selection{Filter: &struct{ Other string }{"a"}}
	if _, err := d.Count(t.Context(), nil, sel); err == nil {
		t.Error("count took it")
	}
	if ids, err := read(t, d, sel, d.Columns, -1); err == nil || len(ids) != 0 {
		t.Errorf("rows took it: %v", ids)
	}
	if s.asked != nil {
		t.Error("a page was read")
	}
}

func TestDefineKeepsTheDeclaration(t *testing.T) {
	d := Define((&table{}).spec())
	if d.Name != "invitation" || d.Service != "Exports::Invitation" || d.Title != "邀请" || d.Permission != "invitation.export" ||
		d.Header.Fill != "4472C4" || !d.NoInfo {
		t.Errorf("dataset %+v", d)
	}
	a, b := d.NewFilter(), d.NewFilter()
	if _, ok := a.(*filter); !ok || a == b {
		t.Errorf("filters %T, the same %v", a, a == b)
	}
	if _, err := NewRegistry(d); err != nil {
		t.Error(err)
	}
}

func TestWhatASpecLeavesOutIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*Spec[filter, row]){
		"count":        func(s *Spec[filter, row]) { s.Count = nil },
		"page":         func(s *Spec[filter, row]) { s.Page = nil },
		"field's read": func(s *Spec[filter, row]) { s.Fields[1].Value = nil },
	} {
		s := (&table{}).spec()
		spoil(&s)
		if _, err := NewRegistry(Define(s)); err == nil || !strings.Contains(err.Error(), "filter, count and rows") {
			t.Errorf("no %s: %v", name, err)
		}
	}
}

func TestRowsAllocateByThePage(t *testing.T) {
	const pages = 10
	spec := (&table{}).spec()
	page := 0
	spec.Page = func(_ context.Context, _ *database.Tx, _ Query[filter], _ *row, limit int, into []row) ([]row, error) {
		if page++; page > pages {
			return into, nil
		}
		for range limit {
			into = append(into, row{ID: 1, Name: "n"})
		}
		return into, nil
	}
	d := Define(spec)
	n := testing.AllocsPerRun(5, func() {
		page = 0
		for _, err := range d.Rows(context.Background(), nil, Selection{}, d.Columns) {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	if n > 5*pages {
		t.Errorf("%v allocations for %d rows", n, pages*pageRows)
	}
}

// TestAPanicIsAnErrorOfItsRow reads a column that panics.
func TestAPanicIsAnErrorOfItsRow(t *testing.T) {
	s := &table{total: 10}
	spec := s.spec()
	spec.Fields[1].Value = func(r *row) Value {
		if r.ID == 7 {
			panic("no such thing")
		}
		return Null
	}
	d := Define(spec)
	ids, err := read(t, d, Selection{}, d.Columns, -1)
	if len(ids) != 6 || err == nil || !strings.Contains(err.Error(), fmt.Sprintf("row 7, column %q: no such thing", d.Columns[1].Key)) {
		t.Errorf("%d rows, then %v, want an error that names row 7 and its column", len(ids), err)
	}
}

// TestAPanicOfThePageIsTheCallers, who recovers it: the page is read by another goroutine.
func TestAPanicOfThePageIsTheCallers(t *testing.T) {
	spec := (&table{total: 10}).spec()
	spec.Page = func(context.Context, *database.Tx, Query[filter], *row, int, []row) ([]row, error) {
		panic("lost")
	}
	defer func() {
		if p := recover(); p != "lost" {
			t.Errorf("recovered %v", p)
		}
	}()
	d := Define(spec)
	_, err := read(t, d, Selection{}, d.Columns, -1)
	t.Errorf("read without a panic: %v", err)
}
