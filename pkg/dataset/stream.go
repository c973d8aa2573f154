package dataset

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"exporthub/pkg/database"
)

// stream reads the rows page by page. A goroutine of the iteration reads the next page while this
// one's rows are used; it has the transaction to itself, and has ended when the iteration has.
func stream[F, R any](ctx context.Context, tx *database.Tx, s Spec[F, R], sel Selection, columns []Column) iter.Seq2[[]Value, error] {
	return func(yield func([]Value, error) bool) {
		q, err := query[F](sel)
		if err != nil {
			yield(nil, err)
			return
		}
		read, err := newReader(s.Fields, columns)
		if err != nil {
			yield(nil, err)
			return
		}
		// The next page is read while this one is encoded: neither the database nor the encoder
		// waits for the other.
		p := readAhead(func(last *R, into []R) ([]R, error) { return s.Page(ctx, tx, q, last, pageRows, into) })
		defer p.stop()
		for {
			rows, err := p.next()
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range rows {
				if err := read.row(&rows[i]); err != nil {
					yield(nil, err)
					return
				}
				if !yield(read.values, nil) {
					return
				}
			}
			// A page that is not full is the last, which saves a query that finds nothing.
			if len(rows) < pageRows {
				return
			}
		}
	}
}

// reader reads the values of a row's columns.
type reader[R any] struct {
	columns []Column
	read    []func(*R) Value
	values  []Value // of the row read last
	rows    int64
	at      int // the column being read
}

func newReader[R any](fields []Field[R], columns []Column) (*reader[R], error) {
	r := &reader[R]{columns: columns, read: make([]func(*R) Value, len(columns)), values: make([]Value, len(columns))}
	for i, c := range columns {
		// Looked up once for a file, not once for a row.
		at := slices.IndexFunc(fields, func(f Field[R]) bool { return f.Key == c.Key })
		if at < 0 {
			return nil, fmt.Errorf("dataset: there is no column %q", c.Key)
		}
		r.read[i] = fields[at].Value
		if c.Masked {
			r.read[i] = masked(fields[at], c.Mask)
		}
	}
	return r, nil
}

func masked[R any](f Field[R], m Mask) func(*R) Value {
	return func(row *R) Value {
		v := f.Value(row)
		if f.Masks == nil || f.Masks(row) {
			v.Str = m.Hide(v.Str)
		}
		return v
	}
}

// row reads a row into values. A column that panics is an error that names row and column.
func (r *reader[R]) row(row *R) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("dataset: row %d, column %q: %v", r.rows, r.columns[r.at].Key, p)
		}
	}()
	r.rows++
	for i, value := range r.read {
		r.at = i
		r.values[i] = value(row)
	}
	return nil
}

// pages is a list read one page ahead.
type pages[R any] struct {
	full  chan page[R]
	empty chan []R
	quit  chan struct{}
	done  chan struct{}
	used  []R // the page the caller has
}

type page[R any] struct {
	rows  []R
	err   error
	panic any
}

// readAhead starts to read pages until one is not full.
func readAhead[R any](read func(last *R, into []R) ([]R, error)) *pages[R] {
	p := &pages[R]{
		full:  make(chan page[R], 1),
		empty: make(chan []R, 2),
		quit:  make(chan struct{}),
		done:  make(chan struct{}),
	}
	// Two pages in all: one with the caller, one being read. That bounds memory.
	p.empty <- make([]R, 0, pageRows)
	p.empty <- make([]R, 0, pageRows)
	go p.run(read)
	return p
}

func (p *pages[R]) run(read func(last *R, into []R) ([]R, error)) {
	defer close(p.done)
	var last *R
	for {
		var into []R
		select {
		case into = <-p.empty:
		case <-p.quit:
			return
		}
		one := onePage(read, last, into)
		if n := len(one.rows); n > 0 {
			keep := one.rows[n-1] // a copy: the page is read over
			last = &keep
		}
		// never waits: there is room for the page being read, and the caller has taken the one
		// before
		p.full <- one
		if one.err != nil || one.panic != nil || len(one.rows) < pageRows {
			return
		}
	}
}

func onePage[R any](read func(last *R, into []R) ([]R, error), last *R, into []R) (one page[R]) {
	// A panic in a goroutine would end the process; it is raised again in the caller's, where the
	// job's own recovery turns it into a failure.
	defer func() { one.panic = recover() }()
	one.rows, one.err = read(last, into[:0])
	return one
}

// next returns the next page, which is the caller's until the call after. It must not be called
// after a page that is not full. What panicked while it was read panics here.
func (p *pages[R]) next() ([]R, error) {
	if p.used != nil {
		p.empty <- p.used
	}
	one := <-p.full
	if one.panic != nil {
		panic(one.panic)
	}
	p.used = one.rows
	return one.rows, one.err
}

// stop ends the reading and waits until the transaction is free.
func (p *pages[R]) stop() {
	close(p.quit)
	<-p.done
}
