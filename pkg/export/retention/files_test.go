package retention_test

import (
	"encoding/json"
	"os"
	"path/filepath"
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

// objects are the keys in the store.
func (h *hub) objects() []string {
	h.T.Helper()
	infos, _, err := h.Store.List(h.T.Context(), "", "", 1000)
	if err != nil {
		h.T.Fatal(err)
	}
	keys := []string{}
	for _, o := range infos {
		keys = append(keys, o.Key)
	}
	return keys
}

// put stores an object last written so long ago.
func (h *hub) put(key string, age time.Duration) {
	h.T.Helper()
	if err := h.Store.Store.Put(h.T.Context(), key, strings.NewReader("x"), 1, storage.PutOptions{}); err != nil {
		h.T.Fatal(err)
	}
	at := time.Now().Add(-age)
	if err := os.Chtimes(filepath.Join(h.Files, key), at, at); err != nil {
		h.T.Fatal(err)
	}
}

func (h *hub) clean() {
	h.T.Helper()
	if err := h.Exports.Clean(h.T.Context()); err != nil {
		h.T.Fatal(err)
	}
}

func TestRetention(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true, Limits: export.Limits{Active: 9, Daily: 9}})
	h.Fill(3)
	uuid, link := h.Exported("13800000011", auth.Staff)
	h.clean()
	h.Stored(1)
	s := h.Server()
	status := func() string {
		token := h.Token("13800000011") // the last one may have ended with its day
		_, body := h.Get(s, "/api/exports/"+uuid, token)
		var v struct {
			Status  string
			Expired bool
			FileURL *string `json:"file_url"`
			Why     string
		}
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatal(err)
		}
		if v.Expired != (v.Status == "expired") || v.Expired != (v.FileURL == nil) || v.Expired != (v.Why != "") {
			t.Errorf("%s", body)
		}
		return v.Status
	}
	if got := status(); got != "success" {
		t.Errorf("status %s before the end of the retention", got)
	}
	h.Clock.Advance(7*24*time.Hour + time.Second)
	if got := status(); got != "expired" {
		t.Errorf("status %s after it", got)
	}
	h.clean()
	h.Stored(1) // a redirect given out in the last second is still good
	h.Clock.Advance(10 * time.Minute)
	for range 2 {
		h.clean()
		h.Stored(0)
	}
	if res, _ := h.Get(s, link, ""); res.StatusCode != 410 {
		t.Errorf("the link answers %d, want 410", res.StatusCode)
	}
	h.Balanced()
}

// TestOrphans: an object that is no job's file goes, one that is or may become a job's file
// stays, whatever page of the list it is on.
func TestOrphans(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true, Limits: export.Limits{Active: 99, Daily: 99}})
	h.Fill(3)
	done, link := h.Exported("13800000011", auth.Staff)
	ctx, _ := h.Person("13800000011", auth.Staff)
	ends := map[string]string{}
	for _, state := range []string{"queued", "writing_file", "failure", "cancelled"} {
		ticket, err := h.Exports.Queue(ctx, dataset.Request{Dataset: "thing", Format: "csv"})
		if err != nil {
			t.Fatal(err)
		}
		h.Ended(ticket.UUID)
		h.Settled(ticket.UUID)
		h.Exec("UPDATE jobs SET state = ?, lease_until = 9000000000000000, run_at = 9000000000000000, attempt = 3 WHERE uuid = ?", state, ticket.UUID)
		h.Exec("UPDATE exports SET attempt_unix = 2000000003, object_key = NULL WHERE uuid = ?", ticket.UUID)
		ends[state] = ticket.UUID
	}
	for _, key := range h.objects() {
		if !strings.Contains(link, key) {
			if err := h.Store.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	kept := h.objects()[0]
	const stranger = "_00000000-0000-4000-8000-000000000001.csv"
	for key, c := range map[string]struct {
		age  time.Duration
		kept bool
	}{
		// An attempt of a job whose file is another one.
		"export/2000000001_" + done + ".csv": {0, false},
		// Attempts that were overtaken, and the current one.
		"export/2000000001_" + ends["queued"] + ".csv":       {0, false},
		"export/2000000002_" + ends["writing_file"] + ".csv": {0, false},
		"export/2000000003_" + ends["writing_file"] + ".csv": {0, true},
		"export/2000000003_" + ends["failure"] + ".csv":      {0, false},
		"export/2000000003_" + ends["cancelled"] + ".csv":    {0, false},
		// Without a known job an object is given time.
		"export/2000000001" + stranger: {time.Hour, true},
		"export/2000000002" + stranger: {25 * time.Hour, false},
		// These are no files of exports.
		"export/readme.txt":                  {1000 * time.Hour, true},
		"report/2000000001_" + done + ".csv": {1000 * time.Hour, true},
	} {
		h.put(key, c.age)
		if c.kept {
			ends["kept "+key] = key
		}
	}
	h.clean()
	got := map[string]bool{}
	for _, key := range h.objects() {
		got[key] = true
	}
	if !got[kept] {
		t.Errorf("%s, a file that can be fetched, is gone", kept)
	}
	n := 1
	for name, key := range ends {
		if strings.HasPrefix(name, "kept ") {
			if n++; !got[key] {
				t.Errorf("%s is gone", key)
			}
		}
	}
	if len(got) != n {
		t.Errorf("%d objects left, want %d: %v", len(got), n, h.objects())
	}
}

// TestTheWalkGoesOnWhereItStopped: a walk over more objects than one round takes covers them all,
// in several.
func TestTheWalkGoesOnWhereItStopped(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{})
	h.Exec("INSERT INTO export_cleanup (name, position) VALUES ('orphans', 'export/3')")
	h.put("export/2000000002_00000000-0000-4000-8000-000000000001.csv", 25*time.Hour)
	h.put("export/4000000002_00000000-0000-4000-8000-000000000001.csv", 25*time.Hour)
	h.clean()
	if got := h.objects(); len(got) != 1 || !strings.HasPrefix(got[0], "export/2") {
		t.Errorf("left %v, want what stands before the position", got)
	}
	h.clean()
	h.Stored(0)
}

// TestTheWalkBeginsAnewAfterAChangeOfStores: another store's position is none of this one's, and
// is not stuck to.
func TestTheWalkBeginsAnewAfterAChangeOfStores(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{})
	const foreign = "/eyJjIjowfQ=="
	if _, _, err := h.Store.List(t.Context(), "export/", foreign, 10); !errs.Is(err, errs.Invalid) {
		t.Fatalf("List from another store's position: %v, want invalid", err)
	}
	h.Exec("INSERT INTO export_cleanup (name, position) VALUES ('orphans', '" + foreign + "')")
	h.put("export/2000000002_00000000-0000-4000-8000-000000000001.csv", 25*time.Hour)
	h.clean()
	h.Stored(0)
	if n := h.Count("SELECT COUNT(*) FROM export_cleanup WHERE position = ''"); n != 1 {
		t.Error("the position was kept")
	}
}

func TestAbortedUploads(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{})
	h.put("export/x", 0)
	for name, age := range map[string]time.Duration{".tmp-old": 2 * time.Hour, ".tmp-new": 0} {
		path := filepath.Join(h.Files, "export", name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Now().Add(-age), time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := h.Exports.CleanLocal(t.Context()); n != 1 || err != nil {
		t.Errorf("CleanLocal = %d, %v; want the old one", n, err)
	}
	h.Stored(2) // x, and the upload that may be under way
}

func TestCleanSpool(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Limits: export.Limits{Active: 9, Daily: 9}})
	if n, err := h.Cleaner.CleanSpool(t.Context()); n != 0 || err != nil {
		t.Fatalf("without a folder: %d, %v", n, err)
	}
	if err := os.MkdirAll(h.Spool, 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, _ := h.Person("owner", auth.Staff)
	at := map[string]string{}
	for _, state := range []string{"queued", "writing_file", "success"} {
		ticket, err := h.Exports.Queue(ctx, exporttest.Request())
		if err != nil {
			t.Fatal(err)
		}
		h.Exec("UPDATE jobs SET state = ?, attempt = 2, lease_until = 9000000000000000, run_at = 9000000000000000 WHERE uuid = ?",
			state, ticket.UUID)
		at[state] = ticket.UUID
	}
	const stranger = "00000000-0000-4000-8000-000000000001"
	want := 0
	for name, c := range map[string]struct {
		age  time.Duration
		kept bool
	}{
		at["queued"] + "-1-1.part":       {0, false},
		at["writing_file"] + "-1-1.part": {0, false},
		at["writing_file"] + "-2-1.part": {0, true},
		at["success"] + "-2-1.part":      {0, false},
		stranger + "-1-1.part":           {time.Hour, true},
		stranger + "-1-2.part":           {25 * time.Hour, false},
		"notes.txt":                      {1000 * time.Hour, true},
	} {
		path := filepath.Join(h.Spool, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Now().Add(-c.age), time.Now().Add(-c.age)); err != nil {
			t.Fatal(err)
		}
		if !c.kept {
			want++
		}
	}
	for _, want := range []int{want, 0} {
		if n, err := h.Cleaner.CleanSpool(t.Context()); n != want || err != nil {
			t.Fatalf("CleanSpool = %d, %v; want %d", n, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(h.Spool, at["writing_file"]+"-2-1.part")); err != nil {
		t.Errorf("the file of the attempt that runs: %v", err)
	}
}

// TestOldRowsGoWithTheirCounts: no earlier than their files, and the counters stay true.
func TestOldRowsGoWithTheirCounts(t *testing.T) {
	exporttest.OnEach(t, func(t *testing.T, db *database.DB) {
		h := newHub(t, db, exporttest.Options{Work: true, Limits: export.Limits{Active: 9, Daily: 9}})
		h.Fill(3)
		uuid, _ := h.Exported("13800000011", auth.Staff)
		ctx, p := h.Person("13800000011", auth.Staff)
		cancelled, err := h.Exports.Queue(ctx, exporttest.Request())
		if err != nil {
			t.Fatal(err)
		}
		h.Ended(cancelled.UUID)
		purge := func(want int) {
			t.Helper()
			if n, err := h.Runner.Purge(t.Context(), 24*time.Hour); n != want || err != nil {
				t.Fatalf("Purge = %d, %v; want %d", n, err, want)
			}
			h.Balanced()
		}
		purge(0)
		h.Exec("UPDATE jobs SET finished_at = 1000")
		purge(0) // their day is not over
		h.Clock.Advance(3 * 24 * time.Hour)
		purge(0) // their files are there
		h.Clock.Advance(30 * 24 * time.Hour)
		h.clean()
		purge(2)
		if n := h.Count("SELECT COUNT(*) FROM export_days WHERE user_id = ?", p.UserID); n != 0 {
			t.Errorf("%d counters of days that count nothing", n)
		}
		if _, err := h.Engine.Store().Get(t.Context(), uuid); err == nil {
			t.Error("the job is still there")
		}
	})
}

// TestCheckSeesEveryDifference: counters without rows, rows without counters, jobs without files
// and files without jobs.
func TestCheckSeesEveryDifference(t *testing.T) {
	exporttest.OnEach(t, func(t *testing.T, db *database.DB) {
		h := newHub(t, db, exporttest.Options{Limits: export.Limits{Active: 9, Daily: 9}})
		ctx, _ := h.Person("owner", auth.Staff)
		if _, err := h.Exports.Queue(ctx, exporttest.Request()); err != nil {
			t.Fatal(err)
		}
		h.Balanced()
		for _, c := range []struct{ damage, mend string }{
			{"UPDATE export_slots SET active = 2", "UPDATE export_slots SET active = 1"},
			{"UPDATE export_days SET used = 0", "UPDATE export_days SET used = 1"},
			{"UPDATE export_slots SET user_id = user_id + 1000, active = 0", "UPDATE export_slots SET user_id = user_id - 1000, active = 1"},
			{"UPDATE export_days SET user_id = user_id + 1000, used = 0", "UPDATE export_days SET user_id = user_id - 1000, used = 1"},
			{"UPDATE jobs SET state = 'cancelled'", "UPDATE jobs SET state = 'queued'"},
			{"UPDATE exports SET object_key = 'x'", "UPDATE exports SET object_key = NULL"},
			{"UPDATE jobs SET kind = 'export', uuid = 'x'", "UPDATE jobs SET uuid = (SELECT uuid FROM exports)"},
		} {
			h.Exec(c.damage)
			if found, err := retention.Differences(t.Context(), db); err != nil || len(found) == 0 {
				t.Errorf("%s: found %v, %v", c.damage, found, err)
			}
			h.Exec(c.mend)
			h.Balanced()
		}
	})
}
