package retention_test

import (
	"testing"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/export/exporttest"
	"exporthub/pkg/export/record"
)

// Keys go when they mean nothing any more, and not before.
func TestOldIdempotencyKeysAreRemoved(t *testing.T) {
	exporttest.OnEach(t, func(t *testing.T, db *database.DB) {
		h := exporttest.New(t, db, exporttest.Options{})
		for key, age := range map[string]time.Duration{
			"new":     0,
			"in time": record.KeyFor,
			"old":     record.KeyFor + 2*time.Hour,
		} {
			h.Exec(`INSERT INTO export_requests (user_id, request_key, fingerprint, token, working_until, created_at)
				VALUES (1, ?, 'f', 't', 0, ?)`, key, database.Micros(h.Clock.Now().Add(-age)))
		}
		if err := h.Exports.Clean(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := h.Count("SELECT COUNT(*) FROM export_requests WHERE request_key <> 'old'"); n != 2 {
			t.Errorf("%d keys that count are left, want 2", n)
		}
		if n := h.Count("SELECT COUNT(*) FROM export_requests"); n != 2 {
			t.Errorf("%d keys are left, want 2", n)
		}
	})
}
