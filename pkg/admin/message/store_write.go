package message

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"exporthub/pkg/database"
)

// batch is how many rows or keys one statement takes: below every engine's limit of placeholders.
const batch = 200

// What the columns hold, in characters.
const (
	maxLine    = 200
	maxContent = 1000
)

// insertMessages stores messages. A unique index refuses a second message of one event for one
// person.
func insertMessages(ctx context.Context, tx *database.Tx, drafts []draft, now time.Time) error {
	for some := range slices.Chunk(drafts, batch) {
		var values []string
		var args []any
		for _, d := range some {
			at := now
			if !d.at.IsZero() {
				at = d.at
			}
			row := []any{
				d.key, d.notice.To, d.senderID, d.plugin, string(d.kind), number(d.awaits), 0, cut(d.notice.Head, maxLine),
				cut(d.notice.Title, maxLine), cut(d.notice.Content, maxContent), cut(d.notice.Project, maxLine), database.Micros(at),
			}
			values, args = append(values, database.In(len(row))), append(args, row...)
		}
		_, err := tx.Exec(ctx, `INSERT INTO messages (event_key, recipient_id, operate_id, plugin, notice_type, handle_status,
			status, head, title, content, project_name, created_at) VALUES `+strings.Join(values, ", "), args...)
		if err != nil {
			return fmt.Errorf("write messages: %w", err)
		}
	}
	return nil
}

// markRead marks a person's message as read. It returns 1 when it was unread, else 0.
func markRead(ctx context.Context, tx *database.Tx, me, id int64, now time.Time) (int64, error) {
	n, err := tx.Exec(ctx, "UPDATE messages SET status = 1, read_at = ? WHERE id = ? AND recipient_id = ? AND status = 0",
		database.Micros(now), id, me)
	if err != nil {
		return 0, fmt.Errorf("mark message as read: %w", err)
	}
	return n, nil
}

// markHandled marks a person's message as handled. It returns 1 when it waited, else 0.
func markHandled(ctx context.Context, tx *database.Tx, me, id int64, now time.Time) (int64, error) {
	n, err := tx.Exec(ctx, "UPDATE messages SET handle_status = 0, handled_at = ? WHERE id = ? AND recipient_id = ? AND handle_status = 1",
		database.Micros(now), id, me)
	if err != nil {
		return 0, fmt.Errorf("mark message as handled: %w", err)
	}
	return n, nil
}

// markAllRead marks all messages of a person as read and returns how many were unread.
func markAllRead(ctx context.Context, tx *database.Tx, me int64, now time.Time) (int64, error) {
	n, err := tx.Exec(ctx, "UPDATE messages SET status = 1, read_at = ? WHERE recipient_id = ? AND status = 0",
		database.Micros(now), me)
	if err != nil {
		return 0, fmt.Errorf("mark messages as read: %w", err)
	}
	return n, nil
}

// markHandledFor marks the messages of these events as handled, for all recipients. It returns the
// people for whom one waited, since their counts change.
func markHandledFor(ctx context.Context, tx *database.Tx, keys []string, now time.Time) ([]int64, error) {
	return turn(ctx, tx, keys, 1, "handle_status = 0, handled_at = ?", database.Micros(now))
}

// markAwaiting makes the messages of these events wait again. It returns the people for whom one
// did not wait before.
func markAwaiting(ctx context.Context, tx *database.Tx, keys []string) ([]int64, error) {
	return turn(ctx, tx, keys, 0, "handle_status = 1, handled_at = NULL")
}

// turn changes those messages of these events whose handle_status is from, and returns their
// recipients. set is constant SQL; args are its arguments.
func turn(ctx context.Context, tx *database.Tx, keys []string, from int, set string, args ...any) ([]int64, error) {
	var people []int64
	for some := range slices.Chunk(keys, batch) {
		where := " WHERE handle_status = ? AND event_key IN " + database.In(len(some))
		which := append([]any{from}, anys(some)...)
		found, err := database.All(ctx, tx, database.Scalar[int64], "SELECT DISTINCT recipient_id FROM messages"+where, which...)
		if err != nil {
			return nil, fmt.Errorf("read whose messages wait: %w", err)
		}
		// The UPDATE repeats the condition. Between the two statements a row can leave it on
		// PostgreSQL; a page then receives unchanged counts, which does no harm.
		if len(found) == 0 {
			continue
		}
		if _, err := tx.Exec(ctx, "UPDATE messages SET "+set+where, slices.Concat(args, which)...); err != nil {
			return nil, fmt.Errorf("change what waits: %w", err)
		}
		people = append(people, found...)
	}
	slices.Sort(people)
	return slices.Compact(people), nil
}
