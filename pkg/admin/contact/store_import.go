package contact

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"exporthub/pkg/database"
	"exporthub/pkg/search"
)

func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.contact, b.contact))
}

// byKeys returns the records of these keys, locked until the transaction ends.
func byKeys(ctx context.Context, tx *database.Tx, keys []key) (map[key]Contact, error) {
	if err := plannedAnew(ctx, tx); err != nil {
		return nil, err
	}
	var args []any
	for _, k := range keys {
		args = append(args, k.account, k.contact)
	}
	one := "account_id = ? AND contact = ?"
	found, err := scan(ctx, tx, nil, " WHERE "+one+strings.Repeat(" OR "+one, len(keys)-1)+
		" ORDER BY account_id, contact"+tx.ForUpdate(), args...)
	if err != nil {
		return nil, err
	}
	byKey := make(map[key]Contact, len(found))
	for _, v := range found {
		byKey[key{v.AccountID, v.Contact}] = v
	}
	return byKey, nil
}

// plannedAnew keeps PostgreSQL for the rest of the transaction from plans it made before, when
// an import found the table empty.
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

// addAll adds records whose keys were free a moment ago, at most importChunk of them, in their
// order. When somebody else has added one of them since, it is errRaced.
func addAll(ctx context.Context, tx *database.Tx, fresh []Contact) error {
	if len(fresh) == 0 {
		return nil
	}
	var args []any
	keys := make([]key, len(fresh))
	for i, v := range fresh {
		args = append(args, insertArgs(tx, v)...)
		keys[i] = key{v.AccountID, v.Contact}
	}
	row := insertRow(tx)
	_, err := tx.Exec(ctx, insertHead(tx)+row+strings.Repeat(", "+row, len(fresh)-1), args...)
	if database.IsUnique(err) {
		return errRaced
	}
	if err != nil {
		return fmt.Errorf("add contacts: %w", err)
	}
	if tx.Dialect() == database.Postgres {
		return nil // the search stands in the rows; nobody needs their ids
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
