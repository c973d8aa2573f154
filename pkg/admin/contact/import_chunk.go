package contact

import (
	"cmp"
	"context"
	"slices"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
)

// chunk is one transaction's part of an import. A retry makes a new one.
type chunk struct {
	// now is the creation time of the first line's record. Each line's is a microsecond later than
	// the one before, so that the list shows new records in the order of lines.
	now    time.Time
	zone   *time.Location
	lines  []importLine
	place  map[key]int     // index of the line that made the new record of a key
	exact  map[key]Contact // records that are found by their unchanged contact
	report importReport
}

// keys are the keys of the lines, sorted and without repetitions. The order is the same in all
// imports: two imports of the same records then wait for each other instead of deadlocking.
func (c *chunk) keys() []key {
	keys := make([]key, len(c.lines))
	for i, l := range c.lines {
		keys[i] = c.key(l)
	}
	slices.SortFunc(keys, compareKeys)
	return slices.Compact(keys)
}

// key returns the key by which this chunk finds the line's record.
func (c *chunk) key(l importLine) key {
	if exact := l.exactKey(); len(c.exact) > 0 {
		if _, is := c.exact[exact]; is {
			return exact
		}
	}
	return l.key()
}

// run stores the chunk: it looks the keys up once, merges all lines in memory, then writes only
// records that changed. Several lines about one record cost one UPDATE.
func (c *chunk) run(ctx context.Context, tx *database.Tx) error {
	if len(c.lines) == 0 {
		return nil
	}
	exact := make([]key, len(c.lines))
	for i, l := range c.lines {
		exact[i] = l.exactKey()
	}
	slices.SortFunc(exact, compareKeys)
	var err error
	if c.exact, err = exactKeys(ctx, tx, slices.Compact(exact)); err != nil {
		return err
	}
	stored, err := byKeys(ctx, tx, c.keys())
	if err != nil {
		return err
	}
	now := make(map[key]Contact, len(stored))
	for k, v := range stored {
		now[k] = v
	}
	for i, l := range c.lines {
		if err := c.apply(i, l, now); err != nil {
			c.report.fail(l.number, err)
		}
	}
	// Records are written in the order of keys, the order of locks. Lines only decided the content.
	var fresh []Contact
	for _, k := range c.keys() {
		v, wanted := now[k]
		old, there := stored[k]
		switch {
		case !wanted || there && v == old:
		case !there:
			fresh = append(fresh, v)
		default:
			v.Version = old.Version + 1
			if err := update(ctx, tx, old, v); err != nil {
				return err
			}
		}
	}
	c.order(tx, fresh)
	return addAll(ctx, tx, fresh)
}

// order sorts new records by their lines when the list would show a difference: for records with
// the same creation time, the id decides their place. That order can deadlock with another import
// on PostgreSQL and MariaDB; the loser is then retried. In all other cases records keep the order
// of their keys. SQLite has one writer and can't deadlock.
func (c *chunk) order(tx *database.Tx, fresh []Contact) {
	times := make(map[time.Time]bool, len(fresh))
	for _, v := range fresh {
		times[v.CreatedAt] = true
	}
	if tx.Dialect() != database.SQLite && len(times) == len(fresh) {
		return
	}
	place := func(v Contact) int { return c.place[v.key()] }
	slices.SortFunc(fresh, func(a, b Contact) int { return cmp.Compare(place(a), place(b)) })
}

// apply merges the i-th line into the record of its key. now holds the records after the lines
// before it, stored or not.
func (c *chunk) apply(i int, l importLine, now map[key]Contact) error {
	k := c.key(l)
	v, there := now[k]
	if !there {
		at := c.now.Add(time.Duration(i) * time.Microsecond)
		v = Contact{Contact: admin.Clean(l.Contact), AccountID: k.account, Key: k.contact, CreatedAt: at, Version: 1}
		if at, ok := l.CreatedAt.Get(); ok && !at.IsZero() {
			v.CreatedAt = instant(at, c.zone)
		}
	}
	old := v
	trimmed(&v.Name, l.Name)
	l.Details.apply(&v, c.zone)
	v.AccountID = k.account // part of the key, so absent means none here, not unchanged
	if err := v.check(); err != nil {
		return err
	}
	now[k] = v
	switch {
	case !there:
		c.place[k] = i
		c.report.Created++
	case v != old:
		c.report.Updated++
	default:
		c.report.Unchanged++
	}
	return nil
}
