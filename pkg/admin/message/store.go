package message

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
	"exporthub/pkg/page"
)

// rowsOf begins every query for messages; scan reads its columns. The join is LEFT because a
// message of the system has no sender in the table of people.
const rowsOf = `SELECT m.id, m.event_key, m.recipient_id, m.operate_id, m.plugin, m.notice_type, m.status, m.handle_status,
	m.head, m.title, m.content, m.project_name, m.created_at,
	COALESCE(p.name, ''), COALESCE(p.nickname, ''), COALESCE(p.account, ''), COALESCE(p.phone, ''), COALESCE(p.status, 1)
	FROM messages m LEFT JOIN people p ON p.id = m.operate_id WHERE `

// scan reads one row of rowsOf.
func scan(s database.Scanner) (m Message, err error) {
	var read, awaits, status int
	var created int64
	var account string
	err = s.Scan(&m.ID, &m.Key, &m.RecipientID, &m.Sender.ID, &m.Plugin, &m.Type, &read, &awaits,
		&m.Head, &m.Title, &m.Content, &m.Project, &created,
		&m.Sender.Name, &m.Sender.Nickname, &account, &m.Sender.Phone, &status)
	m.Read = read != 0
	m.Awaits = awaits != 0
	m.CreatedAt = database.Time(created)
	m.Sender.Disabled = status != 1
	// Old rows of staff may have neither name; the account always exists.
	for _, name := range []string{m.Sender.Nickname, account} {
		if m.Sender.Name == "" {
			m.Sender.Name = name
		}
	}
	return m, err
}

// query is the WHERE clause of a selection of messages. The list and its export share it.
type query struct {
	where []string
	args  []any
}

// newQuery narrows a list to a person, a filter and ids; no ids narrow nothing.
func newQuery(l list, personID int64, f Filter, ids []int64) query {
	q := query{where: []string{"m.recipient_id = ?", l.where}, args: []any{personID}}
	if f.NoticeType != "" {
		q.add("m.notice_type = ?", f.NoticeType)
	}
	if f.Plugin != "" {
		q.add("m.plugin = ?", f.Plugin)
	}
	if len(ids) > 0 {
		q.add("m.id IN "+database.In(len(ids)), anys(ids)...)
	}
	return q
}

func (q *query) add(where string, args ...any) {
	q.where, q.args = append(q.where, where), append(q.args, args...)
}

func (q query) text() string { return strings.Join(q.where, " AND ") }

// count counts the matching messages. It stops at limit when limit is not 0.
func (q query) count(ctx context.Context, tx *database.Tx, limit int) (int, error) {
	inner, args := "SELECT 1 FROM messages m WHERE "+q.text(), slices.Clone(q.args)
	if limit > 0 {
		inner, args = inner+" LIMIT ?", append(args, limit)
	}
	n, err := database.One(ctx, tx, database.Scalar[int], "SELECT COUNT(*) FROM ("+inner+") matching", args...)
	if err != nil {
		return 0, fmt.Errorf("count messages: %w", err)
	}
	return n, nil
}

// page returns one page of the matching messages, newest first. It finds the page's ids in an index
// first, so that a page far behind reads and joins only its own rows.
func (q query) page(ctx context.Context, tx *database.Tx, w page.Window) ([]Message, error) {
	if w.Limit == 0 {
		return nil, nil
	}
	ids := "SELECT m.id FROM messages m WHERE " + q.text() + " ORDER BY m.id " + w.Order() + " LIMIT ? OFFSET ?"
	// The second SELECT is for MariaDB, which refuses LIMIT directly inside IN.
	found, err := database.All(ctx, tx, scan, rowsOf+"m.id IN (SELECT id FROM ("+ids+") AS paged) ORDER BY m.id DESC",
		append(slices.Clone(q.args), w.Limit, w.Offset)...)
	if err != nil {
		return nil, fmt.Errorf("read messages: %w", err)
	}
	return found, nil
}

// after appends the messages that follow last in the list's order; nil is the start.
func (q query) after(ctx context.Context, tx *database.Tx, last *Message, limit int, into []Message) ([]Message, error) {
	text, args := q.text(), slices.Clone(q.args)
	if last != nil {
		text, args = text+" AND m.id < ?", append(args, last.ID)
	}
	found, err := database.All(ctx, tx, scan, rowsOf+text+" ORDER BY m.id DESC LIMIT ?", append(args, limit)...)
	if err != nil {
		return into, fmt.Errorf("read messages: %w", err)
	}
	return append(into, found...), nil
}

// messageOf returns a person's message, or NotFound.
func messageOf(ctx context.Context, tx *database.Tx, personID, id int64) (Message, error) {
	m, err := database.One(ctx, tx, scan, rowsOf+"m.id = ? AND m.recipient_id = ?", id, personID)
	if database.IsNoRows(err) {
		return m, errs.Wrap(errs.NotFound, "没有这条消息", err)
	}
	if err != nil {
		return m, fmt.Errorf("read message: %w", err)
	}
	return m, nil
}

// messagesOf returns the messages of these receipts, oldest first. It selects by event alone and
// drops other recipients here: an event has few, and a list of pairs in SQL is not planned well by
// every engine.
func messagesOf(ctx context.Context, tx *database.Tx, receipts map[receipt]bool) ([]Message, error) {
	keys := make([]string, 0, len(receipts))
	for r := range receipts {
		keys = append(keys, r.key)
	}
	slices.Sort(keys)
	var all []Message
	for some := range slices.Chunk(slices.Compact(keys), batch) {
		found, err := database.All(ctx, tx, scan, rowsOf+"m.event_key IN "+database.In(len(some)), anys(some)...)
		if err != nil {
			return nil, fmt.Errorf("read messages of events: %w", err)
		}
		all = append(all, slices.DeleteFunc(found, func(m Message) bool { return !receipts[receipt{m.Key, m.RecipientID}] })...)
	}
	slices.SortFunc(all, func(a, b Message) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// receiptsOf returns which messages exist for the events of these drafts.
func receiptsOf(ctx context.Context, tx *database.Tx, drafts []draft) (map[receipt]bool, error) {
	keys := make([]string, len(drafts))
	for i, d := range drafts {
		keys[i] = d.key
	}
	slices.Sort(keys)
	written := map[receipt]bool{}
	for some := range slices.Chunk(slices.Compact(keys), batch) {
		found, err := database.All(ctx, tx, func(s database.Scanner) (r receipt, err error) {
			return r, s.Scan(&r.key, &r.personID)
		}, "SELECT event_key, recipient_id FROM messages WHERE event_key IN "+database.In(len(some)), anys(some)...)
		if err != nil {
			return nil, fmt.Errorf("read recipients: %w", err)
		}
		for _, r := range found {
			written[r] = true
		}
	}
	return written, nil
}

// holders returns who may sign in and holds a permission.
func holders(ctx context.Context, tx *database.Tx, permission string) ([]int64, error) {
	people, err := database.All(ctx, tx, database.Scalar[int64], `SELECT p.id FROM people p
		JOIN role_permissions r ON r.role = p.role WHERE p.status = 1 AND r.permission = ? ORDER BY p.id`, permission)
	if err != nil {
		return nil, fmt.Errorf("read holders of %s: %w", permission, err)
	}
	return people, nil
}

// countsOf returns a person's counts.
func countsOf(ctx context.Context, tx *database.Tx, personID int64) (Counts, error) {
	all, err := countsOfAll(ctx, tx, []int64{personID})
	return all[personID], err
}

// countsOfAll returns the counts of these people. A person without messages is missing, which reads
// as zero counts.
func countsOfAll(ctx context.Context, tx *database.Tx, people []int64) (map[int64]Counts, error) {
	counts := make(map[int64]Counts, len(people))
	for some := range slices.Chunk(people, batch) {
		// Two queries in one, since each of the two counts has an index of its own.
		in := database.In(len(some))
		rows, err := tx.Query(ctx, `SELECT recipient_id, COUNT(*), 0 FROM messages
			WHERE status = 0 AND recipient_id IN `+in+` GROUP BY recipient_id
			UNION ALL SELECT recipient_id, 0, COUNT(*) FROM messages
			WHERE handle_status = 1 AND recipient_id IN `+in+` GROUP BY recipient_id`, append(anys(some), anys(some)...)...)
		if err != nil {
			return nil, fmt.Errorf("count messages: %w", err)
		}
		if err := addCounts(rows, counts); err != nil {
			return nil, fmt.Errorf("count messages: %w", err)
		}
	}
	return counts, nil
}

// addCounts adds the rows of a result to counts and closes the result. A person has up to two rows.
func addCounts(rows interface {
	database.Scanner
	Next() bool
	Err() error
	Close() error
}, counts map[int64]Counts) error {
	defer rows.Close()
	for rows.Next() {
		var id int64
		var c Counts
		if err := rows.Scan(&id, &c.Unread, &c.Awaits); err != nil {
			return err
		}
		c.Unread, c.Awaits = c.Unread+counts[id].Unread, c.Awaits+counts[id].Awaits
		counts[id] = c
	}
	return rows.Err()
}

// anys makes arguments of values.
func anys[T any](values []T) []any {
	all := make([]any, len(values))
	for i, v := range values {
		all[i] = v
	}
	return all
}
