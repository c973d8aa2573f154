package page

import (
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
