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

// insertMessages stores the messages of an event. The index over event and person refuses a second one for somebody.
func insertMessages(ctx context.Context, tx *database.Tx, key string, drafts []draft, now time.Time) error {
	for some := range slices.Chunk(drafts, batch) {
		var values []string
		var args []any
		for _, d := range some {
			awaits := 0
			if d.awaits {
				awaits = 1
			}
			row := []any{
				key, d.notice.To, d.senderID, d.plugin, string(d.kind), awaits, 0, cut(d.notice.Head, maxLine),
				cut(d.notice.Title, maxLine), cut(d.notice.Content, maxContent), cut(d.notice.Project, maxLine), database.Micros(now),
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

func markRead(ctx context.Context, tx *database.Tx, me, id int64, now time.Time) error {
	_, err := tx.Exec(ctx, "UPDATE messages SET status = 1, read_at = ? WHERE id = ? AND recipient_id = ? AND status = 0",
		database.Micros(now), id, me)
	if err != nil {
		return fmt.Errorf("mark message as read: %w", err)
	}
	return nil
}

func markHandled(ctx context.Context, tx *database.Tx, me, id int64, now time.Time) error {
	_, err := tx.Exec(ctx, "UPDATE messages SET handle_status = 0, handled_at = ? WHERE id = ? AND recipient_id = ? AND handle_status = 1",
		database.Micros(now), id, me)
	if err != nil {
		return fmt.Errorf("mark message as handled: %w", err)
	}
	return nil
}

func markAllRead(ctx context.Context, tx *database.Tx, me int64, now time.Time) (int64, error) {
	n, err := tx.Exec(ctx, "UPDATE messages SET status = 1, read_at = ? WHERE recipient_id = ? AND status = 0",
		database.Micros(now), me)
	if err != nil {
		return 0, fmt.Errorf("mark messages as read: %w", err)
	}
	return n, nil
}

// markHandledFor clears what waits of the named events, for everybody.
func markHandledFor(ctx context.Context, tx *database.Tx, keys []string, now time.Time) error {
	for some := range slices.Chunk(keys, batch) {
		args := append([]any{database.Micros(now)}, anys(some)...)
		_, err := tx.Exec(ctx, "UPDATE messages SET handle_status = 0, handled_at = ? WHERE handle_status = 1 AND event_key IN "+
			database.In(len(some)), args...)
		if err != nil {
			return fmt.Errorf("clear what waits: %w", err)
		}
	}
	return nil
}

// markAwaiting makes an event's messages wait again.
func markAwaiting(ctx context.Context, tx *database.Tx, key string) error {
	_, err := tx.Exec(ctx, "UPDATE messages SET handle_status = 1, handled_at = NULL WHERE event_key = ?", key)
	if err != nil {
		return fmt.Errorf("let messages wait again: %w", err)
	}
	return nil
}
