package page

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOf(t *testing.T) {
	for name, c := range map[string]struct {
		number, size int
		want         Request
	}{
		"absent takes the default": {0, 0, Request{1, 15}},
		"negative is absent":       {-3, -1, Request{1, 15}},
		"clamped at the maximum":   {2, 5000, Request{2, MaxSize}},
		"as asked":                 {3, 20, Request{3, 20}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Of(c.number, c.size, 15); got != c.want {
				t.Errorf("Of(%d, %d, 15) = %+v, want %+v", c.number, c.size, got, c.want)
			}
		})
	}
}

func TestNeighbours(t *testing.T) {
	ptr := func(n int) *int { return &n }
	for name, c := range map[string]struct {
		total, number, pages int
		next, prev           *int
	}{
		"empty":              {0, 1, 0, nil, nil},
		"one short page":     {13, 1, 1, nil, nil},
		"first of three":     {31, 1, 3, ptr(2), nil},
		"middle":             {31, 2, 3, ptr(3), ptr(1)},
		"last":               {31, 3, 3, nil, ptr(2)},
		"past the end":       {31, 9, 3, nil, ptr(3)},
		"exactly two pages":  {30, 2, 2, nil, ptr(1)},
		"past the end empty": {0, 4, 0, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := Result[string]{Total: c.total, Request: Request{Number: c.number, Size: 15}}
			if r.Pages() != c.pages {
				t.Errorf("Pages() = %d, want %d", r.Pages(), c.pages)
			}
			if diff := cmp.Diff(c.next, r.Next()); diff != "" {
				t.Errorf("Next() (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.prev, r.Prev()); diff != "" {
				t.Errorf("Prev() (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWindow takes every page of lists of every small length from its window, and compares it with
// the slice that the page is.
func TestWindow(t *testing.T) {
	for total := range 25 {
		for size := 1; size <= total+2; size++ {
			for number := 1; number <= total/size+2; number++ {
				r := Result[int]{Total: total, Request: Request{Number: number, Size: size}}
				list := make([]int, total)
				for i := range list {
					list[i] = i
				}
				from := min(r.Request.Offset(), total)
				want := slices.Clone(list[from:min(from+size, total)])

				w := r.Window()
				if w.Backwards {
					slices.Reverse(list)
				}
				got := slices.Clone(list[w.Offset : w.Offset+w.Limit])
				if w.Backwards {
					slices.Reverse(got)
				}
				if !slices.Equal(got, want) {
					t.Errorf("page %d by %d of %d: %+v is %v, want %v", number, size, total, w, got, want)
				}
				if w.Offset > total/2 {
					t.Errorf("page %d by %d of %d passes over %d rows", number, size, total, w.Offset)
				}
			}
		}
	}
}

func TestWindowOfAnEstimate(t *testing.T) {
	r := Result[int]{Total: 1000, Estimated: true, Request: Request{Number: 90, Size: 15}}
	if got, want := r.Window(), (Window{Offset: 1335, Limit: 15}); got != want {
		t.Errorf("Window() = %+v, want %+v: there may be more rows than estimated", got, want)
	}
}
