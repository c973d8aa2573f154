package invitation

import (
	"context"
	"fmt"
	"slices"

	"exporthub/pkg/database"
	"exporthub/pkg/page"
)

// exhibitionQuery is the FROM and WHERE of a selection of exhibitions with its arguments. The list
// and the export share it.
type exhibitionQuery struct {
	where string
	args  []any
}

// newExhibitionQuery narrows by filter and by ids; no ids narrow nothing. An empty name matches
// all, as LIKE '%%' does.
func newExhibitionQuery(f ExhibitionFilter, ids []int64) exhibitionQuery {
	q := exhibitionQuery{where: " FROM exhibitions WHERE name LIKE ? ESCAPE '!'", args: []any{database.Contains(f.Name)}}
	if len(ids) > 0 {
		q.where += " AND id IN " + database.In(len(ids))
		for _, id := range ids {
			q.args = append(q.args, id)
		}
	}
	return q
}

func (q exhibitionQuery) count(ctx context.Context, tx *database.Tx) (int, error) {
	n, err := database.One(ctx, tx, database.Scalar[int], "SELECT COUNT(*)"+q.where, q.args...)
	if err != nil {
		return 0, fmt.Errorf("count exhibitions: %w", err)
	}
	return n, nil
}

// rows returns the matching exhibitions. tail is constant SQL that ends the query; args are its
// arguments.
func (q exhibitionQuery) rows(ctx context.Context, tx *database.Tx, tail string, args ...any) ([]Exhibition, error) {
	found, err := database.All(ctx, tx, func(row database.Scanner) (e Exhibition, err error) {
		return e, row.Scan(&e.ID, &e.Name)
	}, "SELECT id, name"+q.where+tail, slices.Concat(q.args, args)...)
	if err != nil {
		return nil, fmt.Errorf("read exhibitions: %w", err)
	}
	return found, nil
}

// after returns the rows that follow last, newest first; nil is the start.
func (q exhibitionQuery) after(ctx context.Context, tx *database.Tx, last *Exhibition, limit int) ([]Exhibition, error) {
	if last == nil {
		return q.rows(ctx, tx, " ORDER BY id DESC LIMIT ?", limit)
	}
	return q.rows(ctx, tx, " AND id < ? ORDER BY id DESC LIMIT ?", last.ID, limit)
}

// listExhibitions returns a page of the exhibitions that match, newest first.
func (s *service) listExhibitions(ctx context.Context, f ExhibitionFilter, r page.Request) (page.Result[Exhibition], error) {
	result, q := page.Result[Exhibition]{Request: r}, newExhibitionQuery(f, nil)
	err := s.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		if result.Total, err = q.count(ctx, tx); err != nil {
			return err
		}
		result.Items, err = q.rows(ctx, tx, " ORDER BY id DESC LIMIT ? OFFSET ?", r.Size, r.Offset())
		return err
	})
	return result, err
}
