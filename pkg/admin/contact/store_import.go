package contact

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"exporthub/pkg/database"
	"exporthub/pkg/search"
)

// compareKeys is the order in which all imports lock and insert records.
func compareKeys(a, b key) int {
	exact := func(k key) int {
		if k.exact {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(exact(a), exact(b)), cmp.Compare(a.account, b.account), cmp.Compare(a.contact, b.contact))
}

// byKeys returns the records of these keys, locked until the transaction ends. It locks in the
// order of keys (ORDER BY), which is not otherwise promised by any engine.
func byKeys(ctx context.Context, tx *database.Tx, keys []key) (map[key]Contact, error) {
	if err := plannedAnew(ctx, tx); err != nil {
		return nil, err
	}
	where, args := whereKeys(keys)
	found, err := scan(ctx, tx, nil, " WHERE "+where+" ORDER BY account_id, contact_key, contact"+tx.ForUpdate(), args...)
	if err != nil {
		return nil, err
	}
	byKey := make(map[key]Contact, len(found))
	for _, v := range found {
		byKey[v.key()] = v
	}
	return byKey, nil
}

// plannedAnew makes PostgreSQL plan the statements of this transaction anew. An import that began
// with an empty table had its lookup planned as a scan, and PostgreSQL kept that plan while the
// import filled the table: 16,000 known lines then took 10 s instead of about one.
func plannedAnew(ctx context.Context, tx *database.Tx) error {
	if tx.Dialect() != database.Postgres {
		return nil
	}
	_, err := database.One(ctx, tx, database.Scalar[string], "SELECT set_config('plan_cache_mode', 'force_custom_plan', TRUE)")
	if err != nil {
		return fmt.Errorf("set planner: %w", err)
	}
	return nil
}

// addAll inserts records whose keys were free a moment ago, in their order, at most importChunk of
// them. When another transaction has added one of them since, the error is errRaced.
func addAll(ctx context.Context, tx *database.Tx, fresh []Contact) error {
	if len(fresh) == 0 {
		return nil
	}
	var args []any
	keys := make([]key, len(fresh))
	for i, v := range fresh {
		args = append(args, insertArgs(tx, v)...)
		keys[i] = v.key()
	}
	row := insertRow(tx)
	_, err := tx.Exec(ctx, insertHead(tx)+row+strings.Repeat(", "+row, len(fresh)-1), args...)
	if database.IsUnique(err) {
		return errRaced
	}
	if err != nil {
		return fmt.Errorf("add contacts: %w", err)
	}
	// On PostgreSQL the index is a column of the row. The other two keep it in a table by id, and
	// MariaDB returns only the first id of an INSERT of several rows, so the ids are read back.
	if tx.Dialect() == database.Postgres {
		return nil
	}
	stored, err := byKeys(ctx, tx, keys)
	if err != nil {
		return err
	}
	changes := make([]search.Change, len(keys))
	for i, k := range keys {
		changes[i] = search.Change{ID: stored[k].ID, New: fresh[i].text()}
	}
	return index.Put(ctx, tx, changes...)
}
