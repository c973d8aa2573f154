package contact

import (
	"context"
	"fmt"
	"strings"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
)

// keyBatch is how many records without a key one transaction looks at.
const keyBatch = 200

// maxListed bounds what one check lists.
const maxListed = 1000

// keyless is a record without a key.
type keyless struct {
	id int64
	key
}

// fillKeys gives records without a key theirs. It runs at every start, after the migrations: then
// it finds the rows of an older database, and later those that a replica of the release before has
// written. A record whose key is taken keeps none, and is found by its contact as before.
//
// Records whose contact is its own key come first: otherwise another spelling with a lower id could
// take the key of a record that people see written that way.
func fillKeys(ctx context.Context, db *database.DB) error {
	for _, plain := range []bool{true, false} {
		for last := int64(0); ; {
			next, err := fillSomeKeys(ctx, db, last, plain)
			if err != nil {
				return fmt.Errorf("keys of contacts: %w", err)
			}
			if next == last {
				break
			}
			last = next
		}
	}
	return nil
}

// fillSomeKeys fills the keys of one batch behind the id last, and returns the batch's last id, or
// last when there was none.
func fillSomeKeys(ctx context.Context, db *database.DB, last int64, plain bool) (next int64, err error) {
	for try := 1; ; try++ {
		err = db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
			next = last
			found, err := keylessAfter(ctx, tx, last)
			if err != nil || len(found) == 0 {
				return err
			}
			next = found[len(found)-1].id
			return giveKeys(ctx, tx, found, plain)
		})
		// A record that was added since has taken a key: the next try sees it.
		if !database.IsUnique(err) || try == importTries {
			return next, err
		}
	}
}

// giveKeys gives the records of found their keys, as far as those are free.
func giveKeys(ctx context.Context, tx *database.Tx, found []keyless, plain bool) error {
	var wanted []keyless
	var keys []key
	for _, v := range found {
		k := key{account: v.account, contact: admin.Key(v.contact)}
		if (k.contact == v.contact) == plain {
			wanted = append(wanted, keyless{id: v.id, key: k})
			keys = append(keys, k)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	taken, err := byKeys(ctx, tx, keys)
	if err != nil {
		return err
	}
	for _, v := range wanted {
		if _, is := taken[v.key]; is {
			continue
		}
		if _, err := tx.Exec(ctx, "UPDATE contacts SET contact_key = ? WHERE id = ?", v.contact, v.id); err != nil {
			return err
		}
		taken[v.key] = Contact{ID: v.id}
	}
	return nil
}

// keylessAfter returns records without a key behind the id last, in the order of ids.
func keylessAfter(ctx context.Context, tx *database.Tx, last int64) ([]keyless, error) {
	return database.All(ctx, tx, func(row database.Scanner) (v keyless, err error) {
		return v, row.Scan(&v.id, &v.account, &v.contact)
	}, "SELECT id, account_id, contact FROM contacts WHERE contact_key IS NULL AND id > ? ORDER BY id LIMIT ?", last, keyBatch)
}

// collisions describes the records that keep their old key since another record of their account
// has the new one: most likely the two are one person, which only people can decide. Contacts
// themselves are not in the text, since it may end up in logs.
func collisions(ctx context.Context, db *database.DB) (lines []string, err error) {
	err = db.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		lines = nil
		for last := int64(0); len(lines) < maxListed; {
			found, err := keylessAfter(ctx, tx, last)
			if err != nil || len(found) == 0 {
				return err
			}
			last = found[len(found)-1].id
			for _, v := range found {
				other, err := database.One(ctx, tx, database.Scalar[int64],
					"SELECT COALESCE(MIN(id), 0) FROM contacts WHERE account_id = ? AND contact_key = ?", v.account, admin.Key(v.contact))
				if err != nil {
					return err
				}
				lines = append(lines, fmt.Sprintf("contact %d of account %d keeps its old key: contact %d has the same one, written differently", v.id, v.account, other))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("keys of contacts: %w", err)
	}
	return lines, nil
}

// exactKeys returns which of these records are found by their unchanged contact. They are
// locked. Usually there are none, which costs one look at the end of an index.
func exactKeys(ctx context.Context, tx *database.Tx, keys []key) (map[key]Contact, error) {
	any, err := database.All(ctx, tx, database.Scalar[int64], "SELECT id FROM contacts WHERE contact_key IS NULL LIMIT 1")
	if err != nil {
		return nil, fmt.Errorf("keys of contacts: %w", err)
	}
	if len(any) == 0 || len(keys) == 0 {
		return nil, nil
	}
	return byKeys(ctx, tx, keys)
}

// where is the condition of a key, with its arguments.
func (k key) where() (string, []any) {
	if k.exact {
		return "(account_id = ? AND contact = ? AND contact_key IS NULL)", []any{k.account, k.contact}
	}
	return "(account_id = ? AND contact_key = ?)", []any{k.account, k.contact}
}

// whereKeys is the condition of any of the keys, with its arguments.
func whereKeys(keys []key) (string, []any) {
	conditions := make([]string, len(keys))
	var args []any
	for i, k := range keys {
		text, some := k.where()
		conditions[i] = text
		args = append(args, some...)
	}
	return strings.Join(conditions, " OR "), args
}
