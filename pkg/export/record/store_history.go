package record

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
	"exporthub/pkg/job"
)

// Cursor is the last export of a page of a history, after which the next page begins. The zero
// Cursor is before the first page.
type Cursor struct {
	CreatedAt time.Time
	UUID      string
}

// String is the cursor as callers get it and send it back; empty for the zero Cursor. They are not
// to read anything from it.
func (c Cursor) String() string {
	if c.UUID == "" {
		return ""
	}
	plain := strconv.FormatInt(database.Micros(c.CreatedAt), 10) + "." + c.UUID
	return base64.RawURLEncoding.EncodeToString([]byte(plain))
}

// ParseCursor reads what String wrote. Anything else is Invalid and names the field cursor.
func ParseCursor(s string) (Cursor, error) {
	if s == "" {
		return Cursor{}, nil
	}
	plain, err := base64.RawURLEncoding.DecodeString(s)
	micros, uuid, found := strings.Cut(string(plain), ".")
	at, parseErr := strconv.ParseInt(micros, 10, 64)
	if err != nil || parseErr != nil || !found || uuid == "" {
		return Cursor{}, errs.Invalidf("cursor", "不是上一页答案中的 next，请从第一页开始")
	}
	return Cursor{CreatedAt: database.Time(at), UUID: uuid}, nil
}

// StatusActive stands in a history's filter for every status of an export that is not over.
const StatusActive Status = "active"

// HistoryQuery is which of a person's exports are wanted.
type HistoryQuery struct {
	UserID   int64
	Dataset  string    // empty is every dataset
	Statuses []Status  // empty is every status
	From     time.Time // accepted at or after; zero is no bound
	Until    time.Time // accepted before; zero is no bound
	After    Cursor
	Limit    int
	Now      time.Time // what has expired by then is expired
}

// History returns a page of a person's exports, newest first, and where the next page begins; the
// zero Cursor when there is none.
func History(ctx context.Context, db *database.DB, q HistoryQuery) (jobs []job.Job, next Cursor, err error) {
	where, args := q.where()
	err = db.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		// One more than wanted says whether there is another page.
		found, err := database.All(ctx, tx, func(row database.Scanner) (c Cursor, err error) {
			var created int64
			err = row.Scan(&c.UUID, &created)
			c.CreatedAt = database.Time(created)
			return c, err
		}, `SELECT e.uuid, e.created_at FROM exports e JOIN jobs j ON j.uuid = e.uuid WHERE `+where+
			` ORDER BY e.created_at DESC, e.uuid DESC LIMIT ?`, append(args, q.Limit+1)...)
		if err != nil {
			return fmt.Errorf("read history of %d: %w", q.UserID, err)
		}
		if len(found) > q.Limit {
			found = found[:q.Limit]
			next = found[q.Limit-1]
		}
		jobs, err = jobsOf(ctx, tx, found)
		return err
	})
	return jobs, next, err
}

func (q HistoryQuery) where() (where string, args []any) {
	conditions := []string{"e.user_id = ?"}
	args = []any{q.UserID}
	add := func(condition string, values ...any) {
		conditions = append(conditions, condition)
		args = append(args, values...)
	}
	if q.Dataset != "" {
		add("e.dataset = ?", q.Dataset)
	}
	if !q.From.IsZero() {
		add("e.created_at >= ?", database.Micros(q.From))
	}
	if !q.Until.IsZero() {
		add("e.created_at < ?", database.Micros(q.Until))
	}
	if q.After.UUID != "" {
		at := database.Micros(q.After.CreatedAt)
		add("(e.created_at < ? OR e.created_at = ? AND e.uuid < ?)", at, at, q.After.UUID)
	}
	if len(q.Statuses) > 0 {
		add(q.statusIs())
		args = append(args[:len(args):len(args)], q.statusArgs()...)
	}
	return strings.Join(conditions, " AND "), args
}

// statusIs is the condition of the wanted statuses. The column state holds the statuses of the
// documents, but for those that time alone decides.
func (q HistoryQuery) statusIs() string {
	var either []string
	for _, s := range q.Statuses {
		switch s {
		case StatusActive:
			either = append(either, "j.finished_at IS NULL")
		case StatusExpired:
			either = append(either, "j.state = ? AND e.expires_at <= ?")
		case StatusSuccess:
			either = append(either, "j.state = ? AND (e.expires_at IS NULL OR e.expires_at > ?)")
		default:
			either = append(either, "j.state = ?")
		}
	}
	return "(" + strings.Join(either, " OR ") + ")"
}

func (q HistoryQuery) statusArgs() (args []any) {
	for _, s := range q.Statuses {
		switch s {
		case StatusActive:
		case StatusExpired, StatusSuccess:
			args = append(args, string(StatusSuccess), database.Micros(q.Now))
		default:
			args = append(args, string(s))
		}
	}
	return args
}

// jobsOf returns the jobs of these exports in their order.
func jobsOf(ctx context.Context, tx *database.Tx, found []Cursor) ([]job.Job, error) {
	uuids := make([]string, len(found))
	for i, c := range found {
		uuids[i] = c.UUID
	}
	jobs, err := job.ByIDs(ctx, tx, uuids)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(jobs, func(a, b job.Job) int {
		return slices.Index(uuids, a.UUID) - slices.Index(uuids, b.UUID)
	})
	return jobs, nil
}
