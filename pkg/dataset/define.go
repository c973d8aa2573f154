package dataset

import (
	"context"
	"iter"

	"exporthub/pkg/database"
)

// pageRows is how many rows one keyset page reads: long enough that the round trip does not show, short enough that a
// page of wide rows stays in the low megabytes.
const pageRows = 2000

// Field is a column together with how its value is read from a row of type R.
type Field[R any] struct {
	Column
	Value func(r *R) Value
}

// Spec is a dataset in typed parts: F is the filter struct, R a row.
type Spec[F, R any] struct {
	Name, Service, Title, Permission string
	Fields                           []Field[R]
	Header                           HeaderStyle
	NoInfo                           bool

	// Count counts the rows that match.
	Count func(ctx context.Context, tx *database.Tx, q Query[F]) (int64, error)
	// Page appends to into the next limit rows after the row last (nil for the first page), in a unique order.
	Page func(ctx context.Context, tx *database.Tx, q Query[F], last *R, limit int, into []R) ([]R, error)
}

// Query is what a dataset's SQL is built from; the list page builds the same.
type Query[F any] struct {
	Viewer Viewer
	Filter F
	IDs    []int64
}

// Define makes a Dataset from a Spec.
func Define[F, R any](s Spec[F, R]) Dataset {
	d := Dataset{
		Name: s.Name, Service: s.Service, Title: s.Title, Permission: s.Permission,
		Header: s.Header, NoInfo: s.NoInfo,
		NewFilter: func() any { return new(F) },
		Count: func(ctx context.Context, tx *database.Tx, sel Selection) (int64, error) {
			return s.Count(ctx, tx, query[F](sel))
		},
	}
	for _, f := range s.Fields {
		d.Columns = append(d.Columns, f.Column)
	}
	d.Rows = func(ctx context.Context, tx *database.Tx, sel Selection, columns []Column) iter.Seq2[[]Value, error] {
		return stream(ctx, tx, s, query[F](sel), columns)
	}
	return d
}

func query[F any](s Selection) Query[F] {
	q := Query[F]{Viewer: s.Viewer, IDs: s.IDs}
	if f, ok := s.Filter.(*F); ok && f != nil {
		q.Filter = *f
	}
	return q
}

func stream[F, R any](ctx context.Context, tx *database.Tx, s Spec[F, R], q Query[F], columns []Column) iter.Seq2[[]Value, error] {
	read := make([]func(*R) Value, len(columns))
	for i, c := range columns {
		for _, f := range s.Fields {
			if f.Key == c.Key {
				read[i] = f.Value
			}
		}
	}
	return func(yield func([]Value, error) bool) {
		rows := make([]R, 0, pageRows)
		values := make([]Value, len(columns))
		var last *R
		for {
			var err error
			if rows, err = s.Page(ctx, tx, q, last, pageRows, rows[:0]); err != nil {
				yield(nil, err)
				return
			}
			for i := range rows {
				for j, value := range read {
					values[j] = value(&rows[i])
				}
				if !yield(values, nil) {
					return
				}
			}
			if len(rows) < pageRows {
				return
			}
			keep := rows[len(rows)-1]
			last = &keep
		}
	}
}
