package admintest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/page"
)

// Shanghai is the zone of the tests' people.
var Shanghai = time.FixedZone("UTC+8", 8*3600)

// everything is a page size that holds all rows of a test. It is above the largest page of the API,
// which only httpapi enforces.
const everything = 5000

// Bound reads a bound of time as a request carries it.
func Bound(t testing.TB, text string) *httpapi.Bound {
	t.Helper()
	b, err := httpapi.ParseBound(text)
	if err != nil {
		t.Fatal(err)
	}
	return &b
}

// List is a list under test: rows of T, narrowed by an F, with the ids in the first column of
// its export.
type List[F, T any] struct {
	DB      *database.DB
	Dataset dataset.Dataset
	Viewer  dataset.Viewer // whose export it is
	ID      func(T) int64
	// Page returns one page of what the filter lets through.
	Page func(ctx context.Context, f F, r page.Request) (page.Result[T], error)
	// After returns the next rows behind last, nil for the first ones, as the export reads them.
	After func(ctx context.Context, tx *database.Tx, f F, last *T, limit int) ([]T, error)
}

// Rows returns all rows that the filter lets through, as the list shows them.
func (l List[F, T]) Rows(t testing.TB, f F) page.Result[T] {
	t.Helper()
	return l.page(t, f, page.Request{Number: 1, Size: everything})
}

func (l List[F, T]) page(t testing.TB, f F, r page.Request) page.Result[T] {
	t.Helper()
	result, err := l.Page(t.Context(), f, r)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// Case is a filter and what it has to let through.
type Case[F, T any] struct {
	Filter F
	Keep   func(T) bool
}

// BruteForce compares what list and export hold under each filter with what going through all
// rows by hand finds, and an export of ticked rows with those.
func (l List[F, T]) BruteForce(t *testing.T, all []T, cases map[string]Case[F, T]) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var want []T
			for _, v := range all {
				if c.Keep(v) {
					want = append(want, v)
				}
			}
			l.Holds(t, c.Filter, want)
		})
	}
	// The ids are passed in the wrong order: the file keeps the list's order all the same.
	var none F
	first, last := l.ID(all[0]), l.ID(all[len(all)-1])
	if diff := cmp.Diff([]int64{first, last}, l.Exported(t, none, last, first)); diff != "" {
		t.Errorf("export of ticked rows (-want +got):\n%s", diff)
	}
}

// Holds fails the test unless list and export hold just the wanted rows, in this order, and
// count them.
func (l List[F, T]) Holds(t testing.TB, f F, want []T) {
	t.Helper()
	result := l.Rows(t, f)
	if diff := cmp.Diff(l.IDs(want), l.IDs(result.Items)); diff != "" || result.Total != len(want) {
		t.Errorf("list: total %d, want %d (-want +got):\n%s", result.Total, len(want), diff)
	}
	if diff := cmp.Diff(l.IDs(want), l.Exported(t, f)); diff != "" {
		t.Errorf("export (-want +got):\n%s", diff)
	}
}

// IDs are the rows' ids, in order.
func (l List[F, T]) IDs(rows []T) []int64 {
	ids := make([]int64, len(rows))
	for i, v := range rows {
		ids[i] = l.ID(v)
	}
	return ids
}

// Exported runs the dataset as the engine does and returns the ids in the file's order, of
// ticked rows only when some are. It fails the test when a count or an estimate is wrong.
func (l List[F, T]) Exported(t testing.TB, f F, ticked ...int64) []int64 {
	t.Helper()
	var found []int64
	err := l.DB.Read(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		// A transaction that is retried runs this function again.
		found = []int64{}
		sel := dataset.Selection{Viewer: l.Viewer, Filter: &f, IDs: ticked}
		n, err := l.Dataset.Count(ctx, tx, sel)
		if err != nil {
			return err
		}
		if l.Dataset.Estimate != nil {
			// An estimate below the truth would make progress bars pass 100 %.
			if about, err := l.Dataset.Estimate(ctx, tx, sel); err != nil || about < n {
				t.Errorf("estimated %d (%v) of %d rows", about, err, n)
			}
		}
		for row, err := range l.Dataset.Rows(ctx, tx, sel, l.Dataset.Columns) {
			if err != nil {
				return err
			}
			found = append(found, row[0].Num) // the id, see List
		}
		if n != int64(len(found)) {
			t.Errorf("counted %d, streamed %d", n, len(found))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Pages fails the test unless the pages of the list, and those in which the export reads, meet
// without a gap or a repetition, newest first, and a page past the end is empty. There have to
// be want rows.
func (l List[F, T]) Pages(t testing.TB, f F, want int) {
	t.Helper()
	// Different sizes, so that the boundaries of pages and of keyset steps do not coincide.
	const size, step = 10, 7
	var paged, keyset []int64
	for number := 1; number <= want/size+1; number++ {
		paged = append(paged, l.IDs(l.page(t, f, page.Request{Number: number, Size: size}).Items)...)
	}
	err := l.DB.Read(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		keyset = nil
		var last *T
		for {
			rows, err := l.After(ctx, tx, f, last, step)
			if err != nil || len(rows) == 0 {
				return err
			}
			keyset = append(keyset, l.IDs(rows)...)
			last = &rows[len(rows)-1]
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(paged, keyset) || len(keyset) != want || !slices.IsSortedFunc(keyset, func(a, b int64) int { return int(b - a) }) {
		t.Errorf("%d rows, want %d: pages %v\nkeyset %v", len(keyset), want, paged, keyset)
	}
	past := l.page(t, f, page.Request{Number: 99, Size: size})
	if len(past.Items) != 0 || past.Total != want {
		t.Errorf("past the end: %d rows of %d, want none of %d", len(past.Items), past.Total, want)
	}
}
