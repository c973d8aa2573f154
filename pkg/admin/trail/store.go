package trail

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

// rowsOf reads the columns of a Row, in the order in which scan takes them.
const rowsOf = `SELECT a.id, a.at, a.actor_id,
	CASE WHEN p.name <> '' THEN p.name WHEN p.nickname <> '' THEN p.nickname ELSE COALESCE(p.account, '') END,
	a.action, a.subject, a.address, COALESCE(a.whole_detail, a.detail), a.times
	FROM audit a LEFT JOIN people p ON p.id = a.actor_id WHERE `

// query is a selection of rows. The list and the export share it.
type query struct {
	where []string
	args  []any
}

func newQuery(f Filter, ids []int64, zone *time.Location) query {
	q := query{where: []string{"1 = 1"}}
	if f.Actor != nil {
		q.and("a.actor_id = ?", *f.Actor)
	}
	if f.Action != "" {
		q.and("a.action = ?", f.Action)
	}
	if f.Subject != "" {
		q.and("a.subject = ?", f.Subject)
	}
	if f.Address != "" {
		q.and("a.address = ?", f.Address)
	}
	if f.From != nil && !f.From.IsZero() {
		q.and("a.at >= ?", database.Micros(f.From.From(zone)))
	}
	if f.Until != nil && !f.Until.IsZero() {
		q.and("a.at < ?", database.Micros(f.Until.Until(zone)))
	}
	if len(ids) > 0 {
		args := make([]any, len(ids))
		for i, id := range ids {
			args[i] = id
		}
		q.and("a.id IN "+database.In(len(ids)), args...)
	}
	return q
}

func (q *query) and(condition string, args ...any) {
	q.where = append(q.where, condition)
	q.args = append(q.args, args...)
}

func (q query) count(ctx context.Context, tx *database.Tx) (int64, error) {
	n, err := database.One(ctx, tx, database.Scalar[int64],
		"SELECT COUNT(*) FROM audit a WHERE "+strings.Join(q.where, " AND "), q.args...)
	if err != nil {
		return 0, fmt.Errorf("count audit: %w", err)
	}
	return n, nil
}

// after appends the rows that follow a cursor, newest first; the zero cursor is before the first.
func (q query) after(ctx context.Context, tx *database.Tx, c cursor, limit int, into []Row) ([]Row, error) {
	if c.id != 0 {
		// The first bound looks redundant. It is what makes an index start at the right place.
		q.and("a.at <= ? AND (a.at < ? OR a.id < ?)", c.at, c.at, c.id)
	}
	into, err := database.Append(ctx, tx, into, scan, rowsOf+strings.Join(q.where, " AND ")+
		" ORDER BY a.at DESC, a.id DESC LIMIT ?", append(q.args, limit)...)
	if err != nil {
		return into, fmt.Errorf("read audit: %w", err)
	}
	return into, nil
}

func scan(row database.Scanner) (r Row, err error) {
	var at int64
	err = row.Scan(&r.ID, &at, &r.ActorID, &r.ActorName, &r.Action, &r.Subject, &r.Address, &r.Detail, &r.Times)
	r.At = database.Time(at)
	return r, err
}

// cursor is the last row of a page. The zero cursor is before the first page.
type cursor struct {
	at, id int64
}

func cursorOf(r Row) cursor { return cursor{at: database.Micros(r.At), id: r.ID} }

// text is the cursor as callers get it and send it back; nil for the zero cursor.
func (c cursor) text() *string {
	if c.id == 0 {
		return nil
	}
	plain := strconv.FormatInt(c.at, 10) + "." + strconv.FormatInt(c.id, 10)
	text := base64.RawURLEncoding.EncodeToString([]byte(plain))
	return &text
}

// parseCursor reads what text wrote. Anything else is Invalid and names the field cursor.
func parseCursor(s string) (cursor, error) {
	if s == "" {
		return cursor{}, nil
	}
	plain, err := base64.RawURLEncoding.DecodeString(s)
	first, second, _ := strings.Cut(string(plain), ".")
	at, atErr := strconv.ParseInt(first, 10, 64)
	id, idErr := strconv.ParseInt(second, 10, 64)
	if err != nil || atErr != nil || idErr != nil || id < 1 {
		return cursor{}, errs.Invalidf("cursor", "不是上一页答案中的 next，请从第一页开始")
	}
	return cursor{at: at, id: id}, nil
}
