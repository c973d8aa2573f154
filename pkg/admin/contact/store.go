package contact

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
	"exporthub/pkg/page"
	"exporthub/pkg/search"
)

const (
	table = "contacts"
	// columns are the columns of a Contact, in the order in which scanOne reads them.
	columns = `id, name, position, contact, reply_status, wechat_exchanged, account_id, worker_id, notes, contacted_at,
		created_at, version, COALESCE(contact_key, '')`
	// newest is the list's order. The id decides between records of the same microsecond.
	newest = " ORDER BY created_at DESC, id DESC"
)

// index is the search index of records, kept by insert, update and remove in the same transaction.
var index = search.Index{Table: table, Order: "created_at"}

// query is a selection of records. The list and the export share it, so that a file holds what the
// list shows.
type query struct {
	where search.Where
	text  search.Query
	few   bool // where narrows to ticked rows, so a walk through the table is not worth it
}

// query narrows by filter and by ids; no ids narrow nothing.
func (s *service) query(f Filter, ids []int64) query {
	var w search.Where
	if f.ReplyStatus != "" {
		w = w.And("reply_status = ?", f.ReplyStatus)
	}
	if f.WechatExchanged != nil {
		w = w.And("wechat_exchanged = ?", *f.WechatExchanged)
	}
	if f.StartDate != nil && !f.StartDate.IsZero() {
		w = w.And("created_at >= ?", database.Micros(f.StartDate.From(s.Location)))
	}
	if f.EndDate != nil && !f.EndDate.IsZero() {
		w = w.And("created_at < ?", database.Micros(f.EndDate.Until(s.Location)))
	}
	if len(ids) > 0 {
		w = w.And("id IN "+database.In(len(ids)), anys(ids)...)
	}
	return query{where: w, text: search.Parse(admin.Clean(f.Search)), few: len(ids) > 0}
}

// anys makes arguments of ids.
func anys(ids []int64) []any {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	return args
}

// count counts the matching records.
func (q query) count(ctx context.Context, tx *database.Tx) (int, error) {
	return index.Count(ctx, tx, q.text, q.where)
}

// countUpTo counts the matching records of a selection without a search text. It stops at limit
// when limit is not 0.
func (q query) countUpTo(ctx context.Context, tx *database.Tx, limit int) (int, error) {
	if limit == 0 {
		return q.count(ctx, tx)
	}
	n, err := database.One(ctx, tx, database.Scalar[int], "SELECT COUNT(*) FROM (SELECT 1 FROM "+table+q.where.Clause()+
		" LIMIT ?) AS matching", append(slices.Clip(q.where.Args), limit)...)
	if err != nil {
		return 0, fmt.Errorf("count contacts: %w", err)
	}
	return n, nil
}

// page reads one page of a selection without a search text. It finds the page's ids in an index
// first, so that a page far behind reads only its own rows and not all rows before it.
func (q query) page(ctx context.Context, tx *database.Tx, w page.Window) ([]Contact, error) {
	if w.Limit == 0 {
		return nil, nil
	}
	direction := w.Order()
	ids := "SELECT id FROM " + table + q.where.Clause() +
		" ORDER BY created_at " + direction + ", id " + direction + " LIMIT ? OFFSET ?"
	// The second SELECT is for MariaDB, which refuses LIMIT directly inside IN.
	return scan(ctx, tx, make([]Contact, 0, w.Limit), " WHERE id IN (SELECT id FROM ("+ids+") AS paged)"+newest,
		append(slices.Clip(q.where.Args), w.Limit, w.Offset)...)
}

// after appends the records that follow last in the list's order; nil is the start. A search text
// is compared row by row here. An export walks through the whole list once, while the search index
// would have to be asked again for every page, and each time for all that was read before.
func (q query) after(ctx context.Context, tx *database.Tx, last *Contact, limit int, into []Contact) ([]Contact, error) {
	w := q.text.Compare(q.where)
	if !q.text.Empty() && !q.few {
		if err := search.Walking(ctx, tx, true); err != nil {
			return into, err
		}
	}
	if last != nil {
		// The first bound looks redundant. It is what makes an index start at the right place.
		at := database.Micros(last.CreatedAt)
		w = w.And("created_at <= ? AND (created_at < ? OR id < ?)", at, at, last.ID)
	}
	return scan(ctx, tx, into, w.Clause()+newest+" LIMIT ?", append(slices.Clip(w.Args), limit)...)
}

// byIDs returns the records of these ids, in the order of ids. Deleted ones are left out.
func byIDs(ctx context.Context, tx *database.Tx, ids []int64) ([]Contact, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := scan(ctx, tx, make([]Contact, 0, len(ids)), " WHERE id IN "+database.In(len(ids)), anys(ids)...)
	if err != nil {
		return nil, err
	}
	place := make(map[int64]int, len(ids))
	for i, id := range ids {
		place[id] = i
	}
	slices.SortFunc(found, func(a, b Contact) int { return place[a.ID] - place[b.ID] })
	return found, nil
}

// byID returns a record and locks it until the transaction ends. The error for an unknown id
// satisfies database.IsNoRows.
func byID(ctx context.Context, tx *database.Tx, id int64) (Contact, error) {
	v, err := database.One(ctx, tx, scanOne, "SELECT "+columns+" FROM "+table+" WHERE id = ?"+tx.ForUpdate(), id)
	if err != nil {
		return v, fmt.Errorf("read contact: %w", err)
	}
	return v, nil
}

// scan appends the records of a query; rest is constant SQL that follows FROM contacts.
func scan(ctx context.Context, tx *database.Tx, into []Contact, rest string, args ...any) ([]Contact, error) {
	into, err := database.Append(ctx, tx, into, scanOne, "SELECT "+columns+" FROM "+table+rest, args...)
	if err != nil {
		return into, fmt.Errorf("read contacts: %w", err)
	}
	return into, nil
}

// scanOne reads the columns of one row.
func scanOne(row database.Scanner) (v Contact, err error) {
	var contacted database.NullTime
	var created int64
	err = row.Scan(&v.ID, &v.Name, &v.Position, &v.Contact, &v.ReplyStatus, &v.WechatExchanged, &v.AccountID, &v.WorkerID,
		&v.Notes, &contacted, &created, &v.Version, &v.Key)
	v.ContactedAt, v.CreatedAt = contacted.Time, database.Time(created)
	return v, err
}

// written are the columns of an INSERT, without those of the search index.
const written = `name, position, contact, reply_status, wechat_exchanged, account_id, worker_id, notes, contacted_at,
	created_at, version, contact_key`

// insertHead begins an INSERT of any number of rows.
func insertHead(tx *database.Tx) string {
	return "INSERT INTO " + table + " (" + written + ", " + index.Columns(tx) + ") VALUES "
}

// insertRow is the placeholders of one row: those of written, then those of the search index.
func insertRow(tx *database.Tx) string {
	return "(" + strings.Repeat("?, ", 12) + index.Values(tx) + ")"
}

// insertArgs are the arguments of insertRow.
func insertArgs(tx *database.Tx, v Contact) []any {
	return append([]any{v.Name, v.Position, v.Contact, v.ReplyStatus, v.WechatExchanged, v.AccountID, v.WorkerID, v.Notes,
		database.Nullable(v.ContactedAt), database.Micros(v.CreatedAt), v.Version, orNull(v.Key)}, index.Args(tx, v.text())...)
}

// insert adds a record and returns its id.
func insert(ctx context.Context, tx *database.Tx, v Contact) (int64, error) {
	id, err := tx.Insert(ctx, insertHead(tx)+insertRow(tx), insertArgs(tx, v)...)
	if err != nil {
		return 0, fmt.Errorf("add contact: %w", err)
	}
	return id, index.Put(ctx, tx, search.Change{ID: id, New: v.text()})
}

// update stores the new state of a locked record. old is needed to take its words out of the index.
func update(ctx context.Context, tx *database.Tx, old, v Contact) error {
	args := []any{v.Name, v.Position, v.Contact, v.ReplyStatus, v.WechatExchanged, v.AccountID, v.WorkerID, v.Notes,
		database.Nullable(v.ContactedAt), v.Version, orNull(v.Key)}
	args = append(append(args, index.Args(tx, v.text())...), v.ID)
	_, err := tx.Exec(ctx, `UPDATE contacts SET name = ?, position = ?, contact = ?, reply_status = ?, wechat_exchanged = ?,
		account_id = ?, worker_id = ?, notes = ?, contacted_at = ?, version = ?, contact_key = ?, `+index.Set(tx)+" WHERE id = ?", args...)
	if err != nil {
		return fmt.Errorf("change contact: %w", err)
	}
	return index.Put(ctx, tx, search.Change{ID: v.ID, Old: old.text(), New: v.text()})
}

// orNull stores an empty key as NULL: the unique index lets any number of those pass.
func orNull(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

// remove deletes a locked record.
func remove(ctx context.Context, tx *database.Tx, old Contact) error {
	if _, err := tx.Exec(ctx, "DELETE FROM contacts WHERE id = ?", old.ID); err != nil {
		return fmt.Errorf("delete contact: %w", err)
	}
	return index.Put(ctx, tx, search.Change{ID: old.ID, Old: old.text()})
}
