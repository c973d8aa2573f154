package search

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"exporthub/pkg/database"
)

const (
	// fewMatches is how many matches are read whole and ordered here. Totals up to it are exact.
	fewMatches = 10_000
	// When there are more, this many of the newest rows are looked at one by one: some for each row
	// of the page and those before it, within bounds.
	windowPerRow, windowLeast, windowMost = 20, 5_000, 50_000
	// sample rows, spread over a table, show how common a match is; denseSample of them mean that
	// reading the table from its beginning finds fewMatches sooner than any index.
	sample, denseSample = 512, 51
	// estimateRows are looked at to estimate a total that is not counted: of a tenth of a table
	// that is right by some ten per cent. The engines take no more rounds than this in one
	// statement.
	estimateRows = 1_000
	// smallTable is how many rows are counted one by one: there a sample would save nothing.
	smallTable = 100_000
)

// Found is a page of a search.
type Found struct {
	IDs   []int64 // newest first
	Total int
	// Estimated says that Total is about so many, by a sample, since there are more matches than
	// can be counted in time: a page within it may be empty, and there may be matches beyond it. A
	// page that the matches do not fill makes the total exact.
	Estimated bool
}

// Find returns the ids of the rows that match the query and w, offset ones left out, at most limit.
//
// Few matches are all read by the index and put in order here: a planner that has to choose between
// an index by content and one by time guesses, and guesses wrong by seconds. Many matches means
// that the newest rows hold enough of them: these are looked at one by one, and only when that does
// not fill the page is everything put in order.
func (x Index) Find(ctx context.Context, tx *database.Tx, q Query, w Where, limit, offset int) (Found, error) {
	if q.Empty() {
		return Found{}, fmt.Errorf("search %s: the query is empty", x.Table)
	}
	// The greatest id stands for the number of rows: it is read from the index, where COUNT would
	// walk the table. Deleted rows make it too large, which costs a little time and no correctness.
	newest, err := database.One(ctx, tx, database.Scalar[int], "SELECT COALESCE(MAX(id), 0) FROM "+x.Table)
	if err != nil {
		return Found{}, fmt.Errorf("search %s: %w", x.Table, err)
	}
	many, err := x.many(ctx, tx, q, w, newest)
	if err != nil {
		return Found{}, err
	}
	if !many {
		few, err := x.few(ctx, tx, q, w)
		if err != nil {
			return Found{}, err
		}
		if few != nil {
			return Found{IDs: cut(few, limit, offset), Total: len(few)}, nil
		}
	}
	var found Found
	if found.IDs, err = x.newest(ctx, tx, q, w, limit, offset); err != nil {
		return Found{}, err
	}
	if err := Walking(ctx, tx, false); err != nil {
		return Found{}, err
	}
	if n := len(found.IDs); n < limit && n > 0 {
		found.Total = offset + n // this page is the last
		return found, nil
	}
	found.Total, found.Estimated, err = x.total(ctx, tx, q, w, newest)
	switch n := len(found.IDs); {
	case !found.Estimated:
	case n > 0:
		// An estimate may be too low. A total below the rows that are shown would hide the way back
		// to them.
		found.Total = max(found.Total, offset+n)
	case limit > 0: // this page is beyond the last
		found.Total = max(min(found.Total, offset), fewMatches+1)
	}
	return found, err
}

// cut returns a page of ids.
func cut(ids []int64, limit, offset int) []int64 {
	from := min(offset, len(ids))
	return ids[from:min(from+limit, len(ids))]
}

// entry is a match with what it is ordered by.
type entry struct{ order, id int64 }

// many reports whether reading all matches by the index is not worth a try, where that is cheap to
// find out. Whether it is decides how the answer is found and not what it is.
func (x Index) many(ctx context.Context, tx *database.Tx, q Query, w Where, newest int) (bool, error) {
	// Only PostgreSQL keeps tokens, whose matches can be counted no faster than they are read.
	if tx.Dialect() != database.Postgres {
		return x.manySuffixes(ctx, tx, q)
	}
	if newest <= smallTable {
		return false, nil
	}
	all := q.Compare(w).And("id IN (SELECT i * ? FROM generate_series(1, ?) AS i)", int64(newest/sample), sample)
	n, err := database.One(ctx, tx, database.Scalar[int], "SELECT COUNT(*) FROM "+x.Table+all.Clause(), all.Args...)
	if err != nil || n < denseSample {
		return false, wrapped(x, err)
	}
	n, err = x.countMany(ctx, tx, q, w)
	return n > fewMatches, err
}

// countMany counts matches, no further than to know that there are many.
func (x Index) countMany(ctx context.Context, tx *database.Tx, q Query, w Where) (int, error) {
	all := q.Compare(w)
	n, err := database.One(ctx, tx, database.Scalar[int], "SELECT COUNT(*) FROM (SELECT 1 FROM "+x.Table+all.Clause()+
		" LIMIT ?) AS matching", append(slices.Clip(all.Args), fewMatches+1)...)
	return n, wrapped(x, err)
}

func wrapped(x Index, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("search %s: %w", x.Table, err)
}

// few returns all matches in order, or nil when there are more than fewMatches.
func (x Index) few(ctx context.Context, tx *database.Tx, q Query, w Where) ([]int64, error) {
	if tx.Dialect() == database.Postgres {
		w = x.byTokens(q, w)
	} else {
		w = x.bySuffix(q, w)
	}
	all, err := database.All(ctx, tx, func(row database.Scanner) (e entry, err error) {
		err = row.Scan(&e.order, &e.id)
		return e, err
	}, "SELECT "+x.Order+", id FROM "+x.Table+w.Clause()+" LIMIT ?", append(slices.Clip(w.Args), fewMatches+1)...)
	if err != nil {
		return nil, fmt.Errorf("search %s: %w", x.Table, err)
	}
	if len(all) > fewMatches {
		return nil, nil
	}
	// Sorted here: at most fewMatches, and an ORDER BY would tempt the planner away from the index.
	slices.SortFunc(all, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.order, a.order), cmp.Compare(b.id, a.id))
	})
	ids := make([]int64, len(all))
	for i, e := range all {
		ids[i] = e.id
	}
	return ids, nil
}

// manySuffixes reports whether more rows match the query than are read whole. Without this the
// engines would first collect millions of suffixes for a single digit.
func (x Index) manySuffixes(ctx context.Context, tx *database.Tx, q Query) (bool, error) {
	from, below := q.bounds()
	n, err := database.One(ctx, tx, database.Scalar[int], "SELECT COUNT(*) FROM (SELECT DISTINCT id FROM "+x.Table+
		"_search WHERE suffix >= ? AND suffix < ? LIMIT ?) AS few", from, below, fewMatches+1)
	if err != nil {
		return false, fmt.Errorf("search %s: %w", x.Table, err)
	}
	return n > fewMatches, nil
}

// newest returns a page of many matches.
func (x Index) newest(ctx context.Context, tx *database.Tx, q Query, w Where, limit, offset int) ([]int64, error) {
	if err := Walking(ctx, tx, true); err != nil {
		return nil, err
	}
	window := min(max(windowPerRow*(limit+offset), windowLeast), windowMost)
	oldest, whole, err := x.oldestInWindow(ctx, tx, w, window)
	if err != nil {
		return nil, err
	}
	near := w
	if !whole {
		near = w.And(x.Order+" >= ?", oldest)
	}
	ids, err := x.inOrder(ctx, tx, x.Table, q.Compare(near), limit, offset)
	if err != nil || whole || len(ids) == limit {
		return ids, err
	}
	// The window did not fill the page. Only here is it known that matches are rare among the
	// newest rows, and that everything has to be put in order.
	if tx.Dialect() != database.Postgres {
		return x.inOrder(ctx, tx, x.Table, q.Compare(w), limit, offset)
	}
	if err := Walking(ctx, tx, false); err != nil {
		return nil, err
	}
	all := x.byTokens(q, w)
	return x.inOrder(ctx, tx, "(WITH matching AS MATERIALIZED (SELECT "+x.Order+", id FROM "+x.Table+all.Clause()+
		") SELECT * FROM matching) AS matching", Where{Args: all.Args}, limit, offset)
}

func (x Index) inOrder(ctx context.Context, tx *database.Tx, from string, w Where, limit, offset int) ([]int64, error) {
	ids, err := database.All(ctx, tx, database.Scalar[int64], "SELECT id FROM "+from+w.Clause()+
		" ORDER BY "+x.Order+" DESC, id DESC LIMIT ? OFFSET ?", append(slices.Clip(w.Args), limit, offset)...)
	if err != nil {
		return nil, fmt.Errorf("search %s: %w", x.Table, err)
	}
	return ids, nil
}

// oldestInWindow returns where the newest rows of w that are looked at one by one begin, or whole
// when that is all of them.
func (x Index) oldestInWindow(ctx context.Context, tx *database.Tx, w Where, window int) (oldest int64, whole bool, err error) {
	oldest, err = database.One(ctx, tx, database.Scalar[int64], "SELECT "+x.Order+" FROM "+x.Table+w.Clause()+
		" ORDER BY "+x.Order+" DESC, id DESC LIMIT 1 OFFSET ?", append(slices.Clip(w.Args), window)...)
	if database.IsNoRows(err) {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("search %s: %w", x.Table, err)
	}
	return oldest, false, nil
}

// Walking sets for the rest of a transaction on PostgreSQL whether to read rows by the index of
// their order, without weighing it against reading and sorting the whole table: a LIKE in a walk
// makes its planner think the walk is long. The other engines follow the index by themselves.
func Walking(ctx context.Context, tx *database.Tx, on bool) error {
	if tx.Dialect() != database.Postgres {
		return nil
	}
	other := "on"
	if on {
		other = "off"
	}
	_, err := database.One(ctx, tx, database.Scalar[string], `SELECT set_config('enable_seqscan', ?, TRUE) ||
		set_config('enable_bitmapscan', ?, TRUE) || set_config('enable_sort', ?, TRUE)`, other, other, other)
	if err != nil {
		return fmt.Errorf("set planner: %w", err)
	}
	return nil
}

// total counts many matches: exactly in a table small enough, else by a sample.
func (x Index) total(ctx context.Context, tx *database.Tx, q Query, w Where, newest int) (n int, estimated bool, err error) {
	if newest <= smallTable {
		// Row by row: what matches is much of the table, which no index makes shorter.
		n, err = x.Count(ctx, tx, Query{}, q.Compare(w))
		return n, false, err
	}
	// else that there are many is known, and why this is asked
	if tx.Dialect() != database.Postgres && w.SQL != "" {
		if n, err = x.countMany(ctx, tx, q, w); err != nil || n <= fewMatches {
			return n, false, err
		}
	}
	n, err = x.estimate(ctx, tx, q, w, newest)
	return max(n, fewMatches+1), true, err
}

// estimate returns about how many rows match by looking at estimateRows of them: as common as a
// match is among ids spread over the table, so common it is among all. Ids that no row has any more
// match nothing, here as there.
func (x Index) estimate(ctx context.Context, tx *database.Tx, q Query, w Where, newest int) (int, error) {
	big := "BIGINT"
	if tx.Dialect() == database.MySQL {
		big = "SIGNED"
	}
	step := stride(newest)
	text := fmt.Sprintf(`WITH RECURSIVE spread (n, spot) AS (SELECT 1, CAST(? AS %[1]s)
		UNION ALL SELECT n + 1, (spot + CAST(? AS %[1]s)) %% CAST(? AS %[1]s) FROM spread WHERE n < ?)
		SELECT COUNT(*) FROM spread JOIN %[2]s ON %[2]s.id = spread.spot + 1`, big, x.Table)
	all := q.Compare(w)
	hits, err := database.One(ctx, tx, database.Scalar[int], text+all.Clause(),
		append([]any{step, step, newest, estimateRows}, all.Args...)...)
	if err != nil {
		return 0, fmt.Errorf("estimate %s: %w", x.Table, err)
	}
	return int(int64(hits) * int64(newest) / estimateRows), nil
}

// stride is how far apart the ids of a sample are, round and round through all up to newest: by the
// golden section, which spreads them evenly and never falls in step with what repeats in a table.
// It shares no factor with newest, so that no id comes twice.
func stride(newest int) int {
	step := max(int(float64(newest)*(math.Phi-1)), 1)
	for gcd(step, newest) != 1 {
		step++
	}
	return step
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
