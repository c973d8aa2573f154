package auth

import (
	"context"
	"fmt"
	"time"

	"exporthub/pkg/database"
)

// AuditEntry is something somebody did that has to be known later.
type AuditEntry struct {
	At      time.Time
	ActorID int64  // who did it, or in whose name it was done
	Action  string // <system>.<verb>: export.download
	Subject string // what it was done to, such as a job's uuid
	Detail  string
	Address string // where the request came from
}

// maxAuditDetail is how many characters of a detail are kept.
const maxAuditDetail = 500

// WriteAudit adds an entry in the transaction of what it tells of.
func WriteAudit(ctx context.Context, tx *database.Tx, e AuditEntry) error {
	detail := []rune(e.Detail)
	if len(detail) > maxAuditDetail {
		detail = detail[:maxAuditDetail]
	}
	_, err := tx.Insert(ctx, "INSERT INTO audit (at, actor_id, action, subject, detail, address) VALUES (?, ?, ?, ?, ?, ?)",
		database.Micros(e.At), e.ActorID, e.Action, e.Subject, string(detail), e.Address)
	if err != nil {
		return fmt.Errorf("write audit entry: %w", err)
	}
	return nil
}
