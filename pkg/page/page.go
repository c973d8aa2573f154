// Package page holds what every list shares: which page is asked for, and what came of it. It knows
// no envelope; httpapi's callers shape Result into the paging fields their system documents.
package page

// MaxSize is the largest page; a larger size is clamped to it, and the answer shows the real one.
const MaxSize = 1000

// Request is which page of a list is asked for. Number counts from 1.
type Request struct {
	Number int
	Size   int
}

// Of returns a request with number and size brought into range; absent (non-positive) values take 1
// and defaultSize.
func Of(number, size, defaultSize int) Request {
	if number < 1 {
		number = 1
	}
	if size < 1 {
		size = defaultSize
	}
	return Request{Number: number, Size: min(size, MaxSize)}
}

// Offset is how many rows stand before the page.
func (r Request) Offset() int { return (r.Number - 1) * r.Size }

// Result is one page of a list with the size of the whole.
type Result[T any] struct {
	Items []T
	Total int
	// Total is about so many: a page within it may be empty, and there may be rows beyond it
	Estimated bool
	Request   Request
}

// Pages is how many pages there are, at least 0.
func (r Result[T]) Pages() int {
	// Only a Request that was not made by Of; dividing by it would panic.
	if r.Request.Size < 1 {
		return 0
	}
	return (r.Total + r.Request.Size - 1) / r.Request.Size
}

// Window says where the rows of a page are read: from which end of the list, how many are passed
// over there, and how many are taken.
type Window struct {
	Backwards bool // from the last row on; the rows taken are the page's all the same
	Offset    int
	Limit     int // 0 is a page without rows
}

// Order is the direction in which a list that is shown newest first is read.
func (w Window) Order() string {
	if w.Backwards {
		return "ASC"
	}
	return "DESC"
}

// Window returns where the page is read once Total is known: from the nearer end, since rows that
// are passed over cost an index walk. The last page then costs as little as the first. Where Total
// is an estimate only the top is known for sure, so every page is read from there.
func (r Result[T]) Window() Window {
	from := r.Request.Offset()
	if r.Estimated {
		return Window{Offset: from, Limit: r.Request.Size}
	}
	until := min(from+r.Request.Size, r.Total)
	behind := r.Total - until
	switch {
	case from >= r.Total:
		return Window{}
	case from <= behind:
		return Window{Offset: from, Limit: until - from}
	}
	return Window{Backwards: true, Offset: behind, Limit: until - from}
}

// Next returns the number of the next page, or nil on the last one and past it.
func (r Result[T]) Next() *int {
	if n := r.Request.Number + 1; n <= r.Pages() {
		return &n
	}
	return nil
}

// Prev returns the number of the page before, or nil on the first. Past the end it is the last page
// there is.
func (r Result[T]) Prev() *int {
	// Not Number-1 alone: from page 900 of 3 the way back is page 3, not the empty 899.
	n := min(r.Request.Number-1, r.Pages())
	if n < 1 {
		return nil
	}
	return &n
}

// Map turns the items of a result into another shape.
func Map[T, U any](r Result[T], f func(T) U) Result[U] {
	// Never nil, so that an empty page is [] in JSON whatever writes it.
	items := make([]U, len(r.Items))
	for i, item := range r.Items {
		items[i] = f(item)
	}
	return Result[U]{Items: items, Total: r.Total, Estimated: r.Estimated, Request: r.Request}
}
