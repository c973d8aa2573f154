package exporttest

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/job"
	"exporthub/pkg/testkit"
)

// Request asks for all things as a workbook.
func Request() dataset.Request { return dataset.Request{Dataset: "thing"} }

// Exported runs one export and returns its link without the host.
func (h *Hub) Exported(account string, role auth.Role) (uuid, link string) {
	h.T.Helper()
	ctx, _ := h.Person(account, role)
	ticket, err := h.Exports.Queue(ctx, dataset.Request{Dataset: "thing", Format: "csv"})
	if err != nil {
		h.T.Fatal(err)
	}
	h.Ended(ticket.UUID)
	events := h.Settled(ticket.UUID)
	last := events[len(events)-1]
	if last.FileURL == nil {
		h.T.Fatalf("no file: %+v", last.Error)
	}
	u, err := url.Parse(*last.FileURL)
	if err != nil {
		h.T.Fatal(err)
	}
	return ticket.UUID, u.RequestURI()
}

// Succeeded queues an export and returns its file.
func (h *Hub) Succeeded(ctx context.Context, r dataset.Request) (uuid string, file []byte) {
	h.T.Helper()
	ticket, err := h.Exports.Queue(ctx, r)
	if err != nil {
		h.T.Fatal(err)
	}
	if j := h.Ended(ticket.UUID); j.State != job.StateSuccess {
		h.T.Fatalf("ended %s: %+v", j.State, j.Failure)
	}
	events := h.Settled(ticket.UUID)
	return ticket.UUID, h.Fetch(*events[len(events)-1].FileURL, 200)
}

// End ends a queued job as cancelled, without a worker.
func (h *Hub) End(uuid string) {
	h.T.Helper()
	if _, err := h.Engine.Cancel(h.T.Context(), uuid); err != nil {
		h.T.Fatal(err)
	}
}

// StaffMay makes these the permissions of the staff.
func (h *Hub) StaffMay(permissions ...string) {
	h.T.Helper()
	if err := h.Auth.SetPermissions(h.T.Context(), auth.Staff, permissions); err != nil {
		h.T.Fatal(err)
	}
}

// Exec changes rows behind the engine's back.
func (h *Hub) Exec(query string, args ...any) {
	h.T.Helper()
	err := h.DB.Write(h.T.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		h.T.Fatal(err)
	}
}

// Count reads one number.
func (h *Hub) Count(query string, args ...any) (n int) {
	h.T.Helper()
	err := h.DB.Read(h.T.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
		n, err = database.One(ctx, tx, database.Scalar[int], query, args...)
		return err
	})
	if err != nil {
		h.T.Fatal(err)
	}
	return n
}

// Stored fails unless so many files are in the store.
func (h *Hub) Stored(want int) {
	h.T.Helper()
	var found []string
	err := filepath.WalkDir(h.Files, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			found = append(found, d.Name())
		}
		return err
	})
	if err != nil || len(found) != want {
		h.T.Errorf("%d files stored, want %d: %v (%v)", len(found), want, found, err)
	}
}

// Eventually waits for a condition.
func (h *Hub) Eventually(cond func() bool) {
	h.T.Helper()
	testkit.Eventually(h.T, 10*time.Second, cond)
}
