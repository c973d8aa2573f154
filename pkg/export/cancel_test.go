package export_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/errs"
	"exporthub/pkg/export"
	"exporthub/pkg/job"
)

func TestCancelOfAQueuedExportGivesEverythingBack(t *testing.T) {
	onEach(t, func(t *testing.T, db *database.DB) {
		h := newHub(t, db, hubOptions{})
		ctx, p := h.person("owner", auth.Staff)
		stranger, _ := h.person("stranger", auth.Staff)
		ticket, err := h.exports.Queue(ctx, request())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.exports.Cancel(stranger, ticket.UUID); !errs.Is(err, errs.NotFound) {
			t.Fatalf("a stranger's cancel: %v, want not found", err)
		}
		if _, err := h.exports.Cancel(t.Context(), ticket.UUID); !errs.Is(err, errs.NotFound) {
			t.Fatalf("nobody's cancel: %v, want not found", err)
		}
		for range 2 { // again is fine
			if j, err := h.exports.Cancel(ctx, ticket.UUID); err != nil || j.State != job.StateCancelled {
				t.Fatalf("cancel = %s, %v", j.State, err)
			}
		}
		if used := h.count("SELECT used FROM export_days WHERE user_id = ?", p.UserID); used != 0 {
			t.Errorf("used = %d, want the place given back", used)
		}
		if _, err := h.exports.Queue(ctx, request()); err != nil {
			t.Errorf("the slot is not free: %v", err)
		}
		h.balanced()
	})
}

// TestCancelOfARunningExport: a heartbeat sees what another process asked for and ends the upload, nothing is stored, the
// place is kept. How soon that is, the fault tests measure with real workers.
func TestCancelOfARunningExport(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, sources(t)...), hubOptions{work: true})
	h.fill(10)
	uploading, told := make(chan struct{}), make(chan error, 1)
	h.store.hold = func(ctx context.Context) {
		close(uploading)
		select {
		case <-ctx.Done():
			told <- nil
		case <-time.After(time.Minute):
			told <- errors.New("the upload was not told to end")
		}
	}
	ctx, p := h.person("owner", auth.Staff)
	ticket, err := h.exports.Queue(ctx, request())
	if err != nil {
		t.Fatal(err)
	}
	<-uploading
	// Another process's request: only the row carries it to the worker.
	h.exec("UPDATE jobs SET cancel_requested = TRUE WHERE uuid = ?", ticket.UUID)
	if err := <-told; err != nil {
		t.Fatal(err)
	}
	if j := h.ended(ticket.UUID); j.State != job.StateCancelled {
		t.Fatalf("ended %s: %+v", j.State, j.Failure)
	}
	events := h.settled(ticket.UUID)
	if last := events[len(events)-1]; last.Status != job.StateCancelled || last.FileURL != nil || last.Error != nil {
		t.Errorf("told %+v", last)
	}
	h.stored(0)
	if used := h.count("SELECT used FROM export_days WHERE user_id = ?", p.UserID); used != 1 {
		t.Errorf("used = %d, want the place kept: it had started", used)
	}
	h.balanced()
}

// stored fails unless so many files are in the store.
func (h *hub) stored(want int) {
	h.t.Helper()
	var found []string
	err := filepath.WalkDir(h.files, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			found = append(found, d.Name())
		}
		return err
	})
	if err != nil || len(found) != want {
		h.t.Errorf("%d files stored, want %d: %v (%v)", len(found), want, found, err)
	}
}

// TestCancelAfterTheUpload: the end that was promised wins over the success that was reached meanwhile, and the file goes.
func TestCancelAfterTheUpload(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, sources(t)...), hubOptions{work: true})
	h.fill(10)
	ctx, _ := h.person("owner", auth.Staff)
	var uuid string
	asked := make(chan struct{})
	h.store.refuse = func(int) error {
		<-asked
		h.exec("UPDATE jobs SET cancel_requested = TRUE WHERE uuid = ?", uuid)
		return nil
	}
	ticket, err := h.exports.Queue(ctx, request())
	if err != nil {
		t.Fatal(err)
	}
	uuid = ticket.UUID
	close(asked)
	if j := h.ended(uuid); j.State != job.StateCancelled {
		t.Fatalf("ended %s", j.State)
	}
	h.settled(uuid) // the file goes before the end is told
	h.stored(0)
	h.balanced()
}

func TestCancelOverHTTP(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, sources(t)...), hubOptions{limits: export.Limits{Active: 9, Daily: 9}})
	ctx, _ := h.person("13800000011", auth.Staff)
	h.person("13800000012", auth.Administrator)
	queued := func() string {
		ticket, err := h.exports.Queue(ctx, request())
		if err != nil {
			t.Fatal(err)
		}
		return ticket.UUID
	}
	waiting, running, done := queued(), queued(), queued()
	h.exec("UPDATE jobs SET state = 'writing_file', lease_owner = 'w', lease_until = 9000000000000000 WHERE uuid = ?", running)
	h.exec("UPDATE jobs SET state = 'success' WHERE uuid = ?", done)
	s, owner := h.server(), h.token("13800000011")
	stranger := h.token("13800000012")
	for _, c := range []struct {
		name, uuid, token string
		status            int
		state             string
	}{
		{"nobody", waiting, "", 401, ""},
		{"another's", waiting, stranger, 404, ""},
		{"unknown", "00000000-0000-4000-8000-000000000009", owner, 404, ""},
		{"no uuid", "x", owner, 404, ""},
		{"queued", waiting, owner, 200, "cancelled"},
		{"again", waiting, owner, 200, "cancelled"},
		{"running", running, owner, 202, "writing_file"},
		{"over", done, owner, 409, ""},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "DELETE", s.URL+"/api/exports/"+c.uuid, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("ACCESS-TOKEN", c.token)
		res, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var body struct{ Status any }
		err = json.NewDecoder(res.Body).Decode(&body)
		res.Body.Close()
		if err != nil || res.StatusCode != c.status || c.state != "" && body.Status != c.state {
			t.Errorf("%s: %d %v (%v), want %d %s", c.name, res.StatusCode, body.Status, err, c.status, c.state)
		}
	}
	if n := h.count("SELECT COUNT(*) FROM jobs WHERE uuid = ? AND cancel_requested = TRUE", running); n != 1 {
		t.Error("the running one was not asked to end")
	}
}
