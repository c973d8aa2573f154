package search

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"exporthub/pkg/database"
)

// Index is a table that can be searched; see the package's example of its migration.
type Index struct {
	Table string // its name; the names of what is kept beside it begin with it
	// the BIGINT column lists are ordered by, newest (largest) first, then by id, largest first
	Order string
}

// Columns are the columns that an INSERT of a row names for its search, comma-separated.
func (x Index) Columns(tx *database.Tx) string {
	if tx.Dialect() == database.Postgres {
		return "search_text, search_tokens"
	}
	return "search_text"
}

// Values are the placeholders of Columns.
func (x Index) Values(tx *database.Tx) string {
	if tx.Dialect() == database.Postgres {
		return "?, " + tokenArray
	}
	return "?"
}

// Set is Columns and Values as an UPDATE wants them.
func (x Index) Set(tx *database.Tx) string {
	if tx.Dialect() == database.Postgres {
		return "search_text = ?, search_tokens = " + tokenArray
	}
	return "search_text = ?"
}

// Args are the arguments of Values and Set for a row's Text.
func (x Index) Args(tx *database.Tx, text string) []any {
	if tx.Dialect() == database.Postgres {
		return []any{text, joined(Tokens(text))}
	}
	return []any{text}
}

// tokenArray makes an array of tokens out of one argument. The character between them is a control
// character, which Fold leaves in no token; with no token at all the array is empty.
const tokenArray = "string_to_array(?, chr(31))"

func joined(tokens []string) string { return strings.Join(tokens, "\x1f") }

// Change is what became of a row's Text: Old is empty for a new row, New for one that is deleted.
type Change struct {
	ID       int64
	Old, New string
}

// putRows is how many rows one statement of Put writes: below every engine's limit of placeholders.
const putRows = 500

// Put brings what stands beside the table up to date with its rows. It is a part of the transaction
// that writes them.
func (x Index) Put(ctx context.Context, tx *database.Tx, changes ...Change) error {
	if tx.Dialect() == database.Postgres {
		return nil // it stands in the row itself
	}
	var gone, fresh []any
	for _, c := range changes {
		before, after := suffixes(c.Old), suffixes(c.New)
		gone = appendMissing(gone, before, after, c.ID)
		fresh = appendMissing(fresh, after, before, c.ID)
	}
	// One statement each, which the primary key answers: most changes remove a few suffixes only.
	for pair := range slices.Chunk(gone, 2) {
		if _, err := tx.Exec(ctx, "DELETE FROM "+x.Table+"_search WHERE suffix = ? AND id = ?", pair...); err != nil {
			return fmt.Errorf("clear search of %s: %w", x.Table, err)
		}
	}
	for args := range slices.Chunk(fresh, 2*putRows) {
		text := "INSERT INTO " + x.Table + "_search (suffix, id) VALUES (?, ?)" + strings.Repeat(", (?, ?)", len(args)/2-1)
		if _, err := tx.Exec(ctx, text, args...); err != nil {
			return fmt.Errorf("store search of %s: %w", x.Table, err)
		}
	}
	return nil
}

// appendMissing appends suffix and id for everything in from that is not in other; both are sorted.
func appendMissing(into []any, from, other []string, id int64) []any {
	for _, s := range from {
		if _, there := slices.BinarySearch(other, s); !there {
			into = append(into, s, id)
		}
	}
	return into
}

// Where is conditions on a table's own columns, joined by AND, with ? for its arguments. An empty
// SQL is none.
type Where struct {
	SQL  string
	Args []any
}

// And returns w narrowed further.
func (w Where) And(sql string, args ...any) Where {
	if w.SQL != "" {
		sql = w.SQL + " AND " + sql
	}
	return Where{sql, append(slices.Clip(w.Args), args...)}
}

// Clause returns the conditions with WHERE before them, or nothing.
func (w Where) Clause() string {
	if w.SQL == "" {
		return ""
	}
	return " WHERE " + w.SQL
}

// Compare narrows w to the rows that match by looking at each: for walks that have to see every row
// anyway.
func (q Query) Compare(w Where) Where {
	if q.Empty() {
		return w
	}
	return w.And("search_text LIKE ? ESCAPE '!'", q.pattern())
}

// Count counts the rows of the table that match, all of them.
func (x Index) Count(ctx context.Context, tx *database.Tx, q Query, w Where) (int, error) {
	if tx.Dialect() == database.Postgres && !q.Empty() {
		w = x.byTokens(q, w)
	} else {
		w = q.Compare(w)
	}
	n, err := database.One(ctx, tx, database.Scalar[int], "SELECT COUNT(*) FROM "+x.Table+w.Clause(), w.Args...)
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", x.Table, err)
	}
	return n, nil
}

// byTokens narrows w to the rows that match by their tokens, on PostgreSQL.
func (x Index) byTokens(q Query, w Where) Where {
	w = w.And("search_tokens @> "+tokenArray, joined(q.tokens()))
	if q.certain() {
		return w
	}
	return q.Compare(w)
}

// bySuffix narrows w to the rows that match by their suffixes, on the other engines.
func (x Index) bySuffix(q Query, w Where) Where {
	from, below := q.bounds()
	w = w.And("id IN (SELECT id FROM "+x.Table+"_search WHERE suffix >= ? AND suffix < ?)", from, below)
	// The suffix holds the whole query, so finding it is matching.
	if len(q.runes) <= suffixRunes {
		return w
	}
	return q.Compare(w)
}
