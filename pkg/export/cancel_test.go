package export_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/exporttest"
	"exporthub/pkg/export/record"
	"exporthub/pkg/job"
)

func TestCancelOfAQueuedExportReleasesBothQuotas(t *testing.T) {
	exporttest.OnEach(t, func(t *testing.T, db *database.DB) {
		h := exporttest.New(t, db, exporttest.Options{})
		ctx, p := h.Person("owner", auth.Staff)
		stranger, _ := h.Person("stranger", auth.Staff)
		ticket, err := h.Exports.Queue(ctx, exporttest.Request())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Exports.Cancel(stranger, ticket.UUID); !errs.Is(err, errs.NotFound) {
			t.Fatalf("a stranger's cancel: %v, want not found", err)
		}
		if _, err := h.Exports.Cancel(t.Context(), ticket.UUID); !errs.Is(err, errs.NotFound) {
			t.Fatalf("an anonymous cancel: %v, want not found", err)
		}
		for range 2 { // again is fine
			if j, err := h.Exports.Cancel(ctx, ticket.UUID); err != nil || j.State != job.StateCancelled {
				t.Fatalf("cancel = %s, %v", j.State, err)
			}
		}
		if used := h.Count("SELECT used FROM export_days WHERE user_id = ?", p.UserID); used != 0 {
			t.Errorf("used = %d, want the daily quota released", used)
		}
		if _, err := h.Exports.Queue(ctx, exporttest.Request()); err != nil {
			t.Errorf("the active quota was not released: %v", err)
		}
		h.Balanced()
	})
}

// TestCancelOfARunningExport: a heartbeat sees what another process asked for and ends the
// upload, nothing is stored, the place is kept. How soon that is, the fault tests measure with
// real workers.
func TestCancelOfARunningExport(t *testing.T) {
	h := exporttest.New(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true})
	h.Fill(10)
	uploading, ended := make(chan struct{}), make(chan error, 1)
	h.Store.Hold = func(ctx context.Context) {
		close(uploading)
		select {
		case <-ctx.Done():
			ended <- nil
		case <-time.After(time.Minute):
			ended <- errors.New("the upload was not asked to end")
		}
	}
	ctx, p := h.Person("owner", auth.Staff)
	ticket, err := h.Exports.Queue(ctx, exporttest.Request())
	if err != nil {
		t.Fatal(err)
	}
	<-uploading
	// Another process's request: only the row carries it to the worker.
	h.Exec("UPDATE jobs SET cancel_requested = TRUE WHERE uuid = ?", ticket.UUID)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if j := h.Ended(ticket.UUID); j.State != job.StateCancelled {
		t.Fatalf("ended %s: %+v", j.State, j.Failure)
	}
	events := h.Settled(ticket.UUID)
	if last := events[len(events)-1]; last.Status != record.StatusCancelled || last.FileURL != nil || last.Error != nil {
		t.Errorf("published %+v", last)
	}
	h.Stored(0)
	if used := h.Count("SELECT used FROM export_days WHERE user_id = ?", p.UserID); used != 1 {
		t.Errorf("used = %d, want the daily quota kept: it had started", used)
	}
	h.Balanced()
}

// TestCancelAfterTheUpload: the end that was promised wins over the success that was reached
// meanwhile, and the file goes.
func TestCancelAfterTheUpload(t *testing.T) {
	h := exporttest.New(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true})
	h.Fill(10)
	ctx, _ := h.Person("owner", auth.Staff)
	var uuid string
	asked := make(chan struct{})
	h.Store.Refuse = func(int) error {
		<-asked
		h.Exec("UPDATE jobs SET cancel_requested = TRUE WHERE uuid = ?", uuid)
		return nil
	}
	ticket, err := h.Exports.Queue(ctx, exporttest.Request())
	if err != nil {
		t.Fatal(err)
	}
	uuid = ticket.UUID
	close(asked)
	if j := h.Ended(uuid); j.State != job.StateCancelled {
		t.Fatalf("ended %s", j.State)
	}
	h.Settled(uuid) // the file goes before the end is published
	h.Stored(0)
	h.Balanced()
}
