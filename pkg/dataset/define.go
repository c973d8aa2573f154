package dataset

import (
	"context"
	"fmt"
	"iter"
	"slices"

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

// Define makes a Dataset from a Spec. What the Spec leaves out is left out of the Dataset too, and so refused by
// NewRegistry.
func Define[F, R any](s Spec[F, R]) Dataset {
	d := Dataset{
		Name: s.Name, Service: s.Service, Title: s.Title, Permission: s.Permission,
		Header: s.Header, NoInfo: s.NoInfo,
		NewFilter: func() any { return new(F) },
	}
	if s.Count != nil {
		d.Count = func(ctx context.Context, tx *database.Tx, sel Selection) (int64, error) {
			q, err := query[F](sel)
			if err != nil {
				return 0, err
			}
			return s.Count(ctx, tx, q)
		}
	}
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

// query makes the typed query of a selection. Without a filter everything matches, so that a filter of another type is
// refused rather than dropped: it would export what it was meant to leave out.
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

// readers returns how the values of the columns are read, in their order.
func readers[R any](fields []Field[R], columns []Column) ([]func(*R) Value, error) {
	read := make([]func(*R) Value, len(columns))
	for i, c := range columns {
		at := slices.IndexFunc(fields, func(f Field[R]) bool { return f.Key == c.Key })
		if at < 0 {
			return nil, fmt.Errorf("dataset: there is no column %q", c.Key)
		}
		read[i] = fields[at].Value
	}
	return read, nil
}

func stream[F, R any](ctx context.Context, tx *database.Tx, s Spec[F, R], sel Selection, columns []Column) iter.Seq2[[]Value, error] {
	return func(yield func([]Value, error) bool) {
		q, err := query[F](sel)
		if err != nil {
			yield(nil, err)
			return
		}
		read, err := readers(s.Fields, columns)
		if err != nil {
			yield(nil, err)
			return
		}
		rows := make([]R, 0, pageRows)
		values := make([]Value, len(columns))
		var last *R
		for {
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
			// A copy: the next page is read into the same rows.
			keep := rows[len(rows)-1]
			last = &keep
		}
	}
}
