package retention_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/export"
	"exporthub/pkg/export/exporttest"
	"exporthub/pkg/export/retention"
	"exporthub/pkg/storage"
)

// abortingStore is a store whose uploads anyone can end.
type abortingStore struct {
	*exporttest.FaultyStore
	refuse  func(id string) error
	aborted []string
}

// over makes the store one over a hub's disk.
func (s *abortingStore) over(disk *exporttest.FaultyStore) storage.Store {
	s.FaultyStore = disk
	return s
}

func (s *abortingStore) Abort(_ context.Context, u storage.Unfinished) error {
	if s.refuse != nil {
		if err := s.refuse(u.ID); err != nil {
			return err
		}
	}
	s.aborted = append(s.aborted, u.ID+" "+u.Bucket+" "+u.Key)
	return nil
}

// uploadAt records an upload as if it had been begun so long ago.
func (h *hub) uploadAt(id, key string, age time.Duration, expires time.Time) {
	h.T.Helper()
	ledger := retention.NewLedger(h.DB, func() time.Time { return h.Clock.Now().Add(-age) })
	if err := ledger.Begun(h.T.Context(), storage.Unfinished{ID: id, Bucket: "b", Key: key, Expires: expires}); err != nil {
		h.T.Fatal(err)
	}
}

// uploads are the ids that are recorded.
func (h *hub) uploads() (ids []string) {
	h.T.Helper()
	err := h.DB.Read(h.T.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
		ids, err = database.All(ctx, tx, database.Scalar[string], "SELECT upload_id FROM unfinished_uploads ORDER BY upload_id")
		return err
	})
	if err != nil {
		h.T.Fatal(err)
	}
	return ids
}

func TestLedger(t *testing.T) {
	exporttest.OnEach(t, func(t *testing.T, db *database.DB) {
		h := newHub(t, db, exporttest.Options{})
		ledger := retention.NewLedger(db, h.Clock.Now)
		one, two := storage.Unfinished{ID: "Aa==", Bucket: "b", Key: "k"}, storage.Unfinished{ID: "aA==", Bucket: "b", Key: "k", Expires: h.Clock.Now()}
		for _, u := range []storage.Unfinished{one, two} {
			if err := ledger.Begun(t.Context(), u); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // the second time it is not there
			if err := ledger.Over(t.Context(), one); err != nil {
				t.Fatal(err)
			}
			if got := h.uploads(); !slices.Equal(got, []string{two.ID}) {
				t.Errorf("%q are recorded, want %q", got, two.ID)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := ledger.Begun(ctx, one); err == nil {
			t.Error("recorded with an ended context")
		}
	})
}

// TestAbandonedUploadsAreAborted: those that nobody will finish, and no other.
func TestAbandonedUploadsAreAborted(t *testing.T) {
	store := &abortingStore{}
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Limits: export.Limits{Active: 9, Daily: 9}, Wrap: store.over})
	ctx, _ := h.Person("13800000011", auth.Staff)
	of := map[string]string{}
	for _, state := range []string{"queued", "writing_file", "success", "failure", "cancelled"} {
		ticket, err := h.Exports.Queue(ctx, dataset.Request{Dataset: "thing", Format: "csv"})
		if err != nil {
			t.Fatal(err)
		}
		h.Exec("UPDATE jobs SET state = ?, lease_until = 9000000000000000, run_at = 9000000000000000, attempt = 3 WHERE uuid = ?", state, ticket.UUID)
		h.Exec("UPDATE exports SET attempt_unix = 2000000003 WHERE uuid = ?", ticket.UUID)
		of[state] = ticket.UUID
	}
	const stranger = "00000000-0000-4000-8000-000000000001"
	later, past := h.Clock.Now().Add(time.Hour), h.Clock.Now().Add(-time.Second)
	var kept, want []string
	for i, c := range []struct {
		key     string
		age     time.Duration
		expires time.Time
		kept    bool
		dropped bool // without asking the store
	}{
		// The next attempt of a queued job takes another key, which is not known yet.
		{"export/2000000003_" + of["queued"] + ".csv", 0, later, true, false},
		{"export/2000000002_" + of["queued"] + ".csv", 0, later, false, false},
		// Under way, and overtaken.
		{"export/2000000003_" + of["writing_file"] + ".csv", 1000 * time.Hour, later, true, false},
		{"export/2000000002_" + of["writing_file"] + ".csv", 0, time.Time{}, false, false},
		// Complete, but the record of the upload was not removed.
		{"export/2000000003_" + of["success"] + ".csv", 0, later, false, false},
		{"export/2000000003_" + of["failure"] + ".csv", 0, later, false, false},
		{"export/2000000003_" + of["cancelled"] + ".csv", 0, later, false, false},
		{"export/2000000003_" + of["writing_file"] + ".csv", 0, past, false, true},
		// Without a known job an upload is given time.
		{"export/2000000003_" + stranger + ".csv", time.Hour, later, true, false},
		{"export/2000000003_" + stranger + ".csv", 25 * time.Hour, later, false, false},
		{"report/1.pdf", time.Hour, later, true, false},
		{"report/2.pdf", 25 * time.Hour, time.Time{}, false, false},
	} {
		id := fmt.Sprintf("id-%02d", i)
		h.uploadAt(id, c.key, c.age, c.expires)
		switch {
		case c.kept:
			kept = append(kept, id)
		case !c.dropped:
			want = append(want, id+" b "+c.key)
		}
	}
	for range 2 { // the second round finds nothing to do
		h.clean()
		if !slices.Equal(store.aborted, want) {
			t.Errorf("aborted\n%s\nwant\n%s", strings.Join(store.aborted, "\n"), strings.Join(want, "\n"))
		}
		if got := h.uploads(); !slices.Equal(got, kept) {
			t.Errorf("%v are still recorded, want %v", got, kept)
		}
	}
}

// TestUploadsThatCantBeAborted: one that can't be holds nobody up; a store that is away is asked
// again in another round, which goes on after that one; one that can't abort at all has its
// uploads removed when they have expired.
func TestUploadsThatCantBeAborted(t *testing.T) {
	store := &abortingStore{}
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Wrap: store.over})
	const age = 1000 * time.Hour
	for i := range 250 { // three batches
		h.uploadAt(fmt.Sprintf("id-%03d", i), "report/x", age, time.Time{})
	}
	store.refuse = func(id string) error {
		switch {
		case id == "id-003":
			return errs.New(errs.Forbidden, "no")
		case id == "id-120" && len(store.aborted) < 200:
			return errs.New(errs.Unavailable, "away")
		}
		return nil
	}
	if err := h.Exports.Clean(t.Context()); !errs.Is(err, errs.Unavailable) {
		t.Errorf("%v, want unavailable", err)
	}
	if n := len(store.aborted); n != 119 {
		t.Errorf("%d were aborted before the store was away, want 119", n)
	}
	h.clean() // continues after the one at which it was aborted
	if n := len(store.aborted); n != 248 {
		t.Errorf("%d were aborted in two rounds, want 248", n)
	}
	if err := h.Exports.Clean(t.Context()); !errs.Is(err, errs.Forbidden) {
		t.Errorf("%v, want forbidden", err)
	}
	if got := h.uploads(); !slices.Equal(got, []string{"id-003"}) || len(store.aborted) != 249 {
		t.Errorf("%v are left, and %d were aborted", got, len(store.aborted))
	}

	other := newHub(t, h.DB, exporttest.Options{})
	other.clean()
	if got := other.uploads(); len(got) != 1 {
		t.Errorf("%v are left, want what another store may know of", got)
	}
	h.Exec("UPDATE unfinished_uploads SET expires_at = 1000")
	other.clean()
	if got := other.uploads(); len(got) != 0 {
		t.Errorf("%v are left, which have expired", got)
	}
}
