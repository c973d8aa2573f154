package dataset

import (
	"context"
	"fmt"
	"iter"

	"exporthub/pkg/database"
)

// pageRows is how many rows one keyset page reads: long enough that the round trip does not show,
// short enough that a page of wide rows stays in the low megabytes.
const pageRows = 2000

// Field is a column together with how its value is read from a row of type R.
type Field[R any] struct {
	Column
	Value func(r *R) Value
	// Masks says for which rows the column's Mask is; nil is for all.
	Masks func(r *R) bool
}

// Spec is a dataset in typed parts: F is the filter struct, R a row.
type Spec[F, R any] struct {
	Name, Service, Title, Permission string
	Fields                           []Field[R]
	Header                           HeaderStyle
	NoInfo                           bool

	// Count counts the rows that match.
	Count func(ctx context.Context, tx *database.Tx, q Query[F]) (int64, error)
	// Estimate returns about how many rows match, at once; it may be left out.
	Estimate func(ctx context.Context, tx *database.Tx, q Query[F]) (int64, error)
	// Page appends to into the next limit rows after the row last (nil for the first page), in a
	// unique order.
	Page func(ctx context.Context, tx *database.Tx, q Query[F], last *R, limit int, into []R) ([]R, error)
}

// Query is what a dataset's SQL is built from; the list page builds the same.
type Query[F any] struct {
	Viewer Viewer
	Filter F
	IDs    []int64
}

// Define makes a Dataset from a Spec. What the Spec leaves out is left out of the Dataset too, and
// so refused by NewRegistry.
func Define[F, R any](s Spec[F, R]) Dataset {
	d := Dataset{
		Name:       s.Name,
		Service:    s.Service,
		Title:      s.Title,
		Permission: s.Permission,
		Header:     s.Header,
		NoInfo:     s.NoInfo,
		NewFilter:  func() any { return new(F) },
	}
	d.Count, d.Estimate = counter(s.Count), counter(s.Estimate)
	// A column without a value would be found by the first export that asks for it; NewRegistry
	// refuses a dataset without Rows when the program starts.
	readable := s.Page != nil
	for _, f := range s.Fields {
		d.Columns = append(d.Columns, f.Column)
		readable = readable && f.Value != nil
	}
	if readable {
		d.Rows = func(ctx context.Context, tx *database.Tx, sel Selection, columns []Column) iter.Seq2[[]Value, error] {
			return stream(ctx, tx, s, sel, columns)
		}
	}
	return d
}

// counter makes what counts a selection of what counts a query.
func counter[F any](count func(context.Context, *database.Tx, Query[F]) (int64, error)) func(context.Context, *database.Tx, Selection) (int64, error) {
	if count == nil {
		return nil
	}
	return func(ctx context.Context, tx *database.Tx, sel Selection) (int64, error) {
		q, err := query[F](sel)
		if err != nil {
			return 0, err
		}
		return count(ctx, tx, q)
	}
}

// query makes the typed query of a selection. Without a filter everything matches, so that a filter
// of another type is refused rather than dropped: it would export what it was meant to leave out.
func query[F any](s Selection) (Query[F], error) {
	q := Query[F]{Viewer: s.Viewer, IDs: s.IDs}
	switch f := s.Filter.(type) {
	case nil:
	case *F:
		if f != nil {
			q.Filter = *f
		}
	case F:
		q.Filter = f
	default:
		return q, fmt.Errorf("dataset: filter is a %T, want a %T", s.Filter, &q.Filter)
	}
	return q, nil
}
