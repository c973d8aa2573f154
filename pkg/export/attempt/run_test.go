package attempt_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/exporttest"
	"exporthub/pkg/export/record"
	"exporthub/pkg/job"
)

// keys returns an object's keys in the order they stand in.
func keys(t *testing.T, object []byte) []string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(object))
	var found []string
	depth, key := 0, false
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		switch delim, ok := tok.(json.Delim); {
		case ok && (delim == '{' || delim == '['):
			depth++
			key = delim == '{' && depth == 1
			continue
		case ok:
			depth--
		case depth == 1 && key:
			found = append(found, tok.(string))
			key = false
			continue
		}
		if depth == 1 {
			key = true
		}
	}
}

func TestAnExportFromQueueToFile(t *testing.T) {
	exporttest.OnEach(t, func(t *testing.T, db *database.DB) {
		h := newHub(t, db, exporttest.Options{Work: true})
		const rows = 4321
		h.Fill(rows)
		ctx, p := h.Person("exporter", auth.Administrator)
		ticket, err := h.Exports.Queue(ctx, dataset.Request{Dataset: "thing"})
		if err != nil {
			t.Fatal(err)
		}
		if want := h.Auth.ExportChannel(p); ticket.Channel != want {
			t.Errorf("channel = %q, want %q", ticket.Channel, want)
		}
		j := h.Ended(ticket.UUID)
		if j.State != job.StateSuccess {
			t.Fatalf("ended %s: %+v", j.State, j.Failure)
		}
		events := h.Settled(ticket.UUID)
		checkOrder(t, events, rows)
		last := events[len(events)-1]
		if !strings.HasPrefix(*last.FileURL, "https://hub.example.com/export/") || !strings.HasSuffix(last.Filename, ".xlsx") {
			t.Errorf("file %q at %q", last.Filename, *last.FileURL)
		}
		want := []string{"status", "file_url", "progress", "service", "uuid", "count", "file_size"}
		for _, e := range h.Events.Of(ticket.UUID) {
			if diff := cmp.Diff(want, keys(t, e.Data)[:7]); diff != "" {
				t.Fatalf("first seven keys (-want +got):\n%s", diff)
			}
			if !slices.Equal(e.Streams, []string{fmt.Sprintf("/export/%d", p.UserID), "/export/" + ticket.UUID}) {
				t.Fatalf("streams = %v", e.Streams)
			}
		}
		file := h.Fetch(*last.FileURL, 200)
		if int64(len(file)) != *last.FileSize {
			t.Errorf("fetched %d bytes, published %d", len(file), *last.FileSize)
		}
		checkWorkbook(t, file, rows)
		h.Balanced()
	})
}

func checkOrder(t *testing.T, events []exporttest.Event, rows int64) {
	t.Helper()
	var stages []string
	var progress []int
	seq := uint64(0)
	for _, e := range events {
		if e.Seq <= seq {
			t.Errorf("seq %d after %d", e.Seq, seq)
		}
		seq = e.Seq
		progress = append(progress, e.Progress)
		if s := string(e.Status); len(stages) == 0 || stages[len(stages)-1] != s {
			stages = append(stages, s)
		}
		if e.Service != "Exports::Thing" {
			t.Errorf("service = %q", e.Service)
		}
		switch e.Status {
		case record.StatusQueued, record.StatusStarting:
			if e.Count != nil || e.FileSize != nil || e.FileURL != nil {
				t.Errorf("%s tells too much: %+v", e.Status, e)
			}
		case record.StatusStart, record.StatusWritingFile:
			if e.Count == nil || *e.Count != rows || e.FileSize != nil || e.FileURL != nil {
				t.Errorf("%s: %+v", e.Status, e)
			}
		case record.StatusBeforeUpload:
			if e.Count == nil || *e.Count != rows || e.FileSize == nil || e.Progress != 90 {
				t.Errorf("%s: %+v", e.Status, e)
			}
		case record.StatusSuccess:
			if e.Count == nil || e.FileSize == nil || e.FileURL == nil || e.Progress != 100 {
				t.Errorf("%s: %+v", e.Status, e)
			}
		}
	}
	written := -1
	for _, e := range events {
		if e.Status == record.StatusWritingFile {
			written = e.Progress
		}
	}
	if written != 90 {
		t.Errorf("the last writing_file tells %d %%, want 90", written)
	}
	if diff := cmp.Diff([]string{"queued", "starting", "start", "writing_file", "before_upload", "success"}, stages); diff != "" {
		t.Errorf("stages (-want +got):\n%s", diff)
	}
	if !slices.IsSorted(progress) || progress[1] != 1 || progress[2] != 3 {
		t.Errorf("progress = %v, want 0, 1, 3, rising", progress)
	}
}

func checkWorkbook(t *testing.T, file []byte, rows int) {
	t.Helper()
	book, err := excelize.OpenReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	got, err := book.GetRows("物品")
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != rows+1 {
		t.Fatalf("%d rows, want the header and %d", len(got), rows)
	}
	if diff := cmp.Diff([]string{"ID", "名称", "价格", "电话"}, got[0]); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	for i := range rows {
		want := []string{got[i+1][0], fmt.Sprintf("物品%d", i), fmt.Sprintf("%d.%02d", i*101/100, i*101%100), fmt.Sprintf("139%08d", i)}
		if diff := cmp.Diff(want, got[i+1]); diff != "" {
			t.Fatalf("row %d (-want +got):\n%s", i+1, diff)
		}
	}
	sheets := book.GetSheetList()
	if len(sheets) != 2 {
		t.Errorf("sheets = %v, want the data and then the information", sheets)
	}
}

func TestFilterIDsAndColumnsNarrowTheFile(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true})
	h.Fill(30)
	ctx, _ := h.Person("narrow", auth.Staff)
	for name, c := range map[string]struct {
		request dataset.Request
		want    string
	}{
		"by filter":  {dataset.Request{Filter: &exporttest.ThingFilter{Name: "物品7"}, Columns: []string{"price", "name"}}, "价格,名称\r\n7.07,物品7\r\n"},
		"by ids":     {dataset.Request{IDs: []int64{3, 1}, Columns: []string{"id", "name"}}, "ID,名称\r\n1,物品0\r\n3,物品2\r\n"},
		"nothing":    {dataset.Request{Filter: &exporttest.ThingFilter{Name: "没有"}, Columns: []string{"id"}}, "ID\r\n"},
		"as allowed": {dataset.Request{IDs: []int64{1}}, "ID,名称,价格\r\n1,物品0,0.00\r\n"}, // no phone
	} {
		t.Run(name, func(t *testing.T) {
			c.request.Dataset, c.request.Format = "thing", "csv"
			ticket, err := h.Exports.Queue(ctx, c.request)
			if err != nil {
				t.Fatal(err)
			}
			h.Ended(ticket.UUID)
			events := h.Settled(ticket.UUID)
			file := h.Fetch(*events[len(events)-1].FileURL, 200)
			if got := strings.TrimPrefix(string(file), "\ufeff"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	h.Balanced()
}

func TestUploadIsTriedAgain(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true})
	h.Fill(10)
	h.Store.Refuse = func(try int) error {
		if try < 3 {
			return errs.New(errs.Unavailable, "存储暂时不可用")
		}
		return nil
	}
	ctx, _ := h.Person("patient", auth.Staff)
	ticket, err := h.Exports.Queue(ctx, exporttest.Request())
	if err != nil {
		t.Fatal(err)
	}
	if j := h.Ended(ticket.UUID); j.State != job.StateSuccess {
		t.Fatalf("ended %s: %+v", j.State, j.Failure)
	}
	var uploads []int
	for _, e := range h.Settled(ticket.UUID) {
		if e.Status == record.StatusBeforeUpload {
			uploads = append(uploads, e.Upload)
		}
	}
	if diff := cmp.Diff([]int{0, 2, 3}, uploads); diff != "" {
		t.Errorf("upload attempts published (-want +got):\n%s", diff)
	}
	h.Balanced()
}

func TestUploadThatFailsForGoodReleasesTheDailyQuota(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true})
	h.Fill(10)
	h.Store.Refuse = func(int) error { return errs.New(errs.Unavailable, "bucket is away: secret-host.internal") }
	ctx, p := h.Person("unlucky", auth.Staff)
	ticket, err := h.Exports.Queue(ctx, exporttest.Request())
	if err != nil {
		t.Fatal(err)
	}
	h.Ended(ticket.UUID)
	events := h.Settled(ticket.UUID)
	var stages []record.Status
	for _, e := range events {
		stages = append(stages, e.Status)
	}
	n := len(events)
	if stages[n-2] != record.StatusUploadFailure || stages[n-1] != record.StatusFailure {
		t.Fatalf("stages = %v, want upload_failure and failure at the end", stages)
	}
	last := events[n-1]
	if last.Error == nil || last.Error.Code != "upload_failed" || strings.Contains(last.Error.Message, "secret-host") {
		t.Errorf("error = %+v, want words for the person and no internals", last.Error)
	}
	if used := h.Count("SELECT used FROM export_days WHERE user_id = ?", p.UserID); used != 0 {
		t.Errorf("used = %d, want the daily quota released", used)
	}
	h.Balanced()
	if _, err := h.Exports.Queue(ctx, exporttest.Request()); err != nil {
		t.Errorf("the active quota was not released: %v", err)
	}
}

// textForbidden is the documented refusal, word for word.
const textForbidden = "你没有应用导出的权限"

func TestPermissionTakenAwayWhileQueued(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{})
	ctx, p := h.Person("leaver", auth.Staff)
	ticket, err := h.Exports.Queue(ctx, exporttest.Request())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Auth.SetPermissions(t.Context(), auth.Staff, nil); err != nil {
		t.Fatal(err)
	}
	if err := h.Runner.Handle(t.Context(), ticket.UUID, 1); err != nil {
		t.Fatal(err)
	}
	j := h.Ended(ticket.UUID)
	if j.State != job.StateFailure || j.Failure.Message != textForbidden {
		t.Errorf("ended %s: %+v", j.State, j.Failure)
	}
	if used := h.Count("SELECT used FROM export_days WHERE user_id = ?", p.UserID); used != 1 {
		t.Errorf("used = %d: a refusal is no fault of ours, the daily quota stays used", used)
	}
	h.Balanced()
}

// Two attempts of one job never name the same object, not even within one second.
func TestEachAttemptHasAKeyOfItsOwn(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{})
	ctx, _ := h.Person("twice", auth.Staff)
	ticket, err := h.Exports.Queue(ctx, exporttest.Request())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for range 3 {
		err := h.DB.Write(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			return record.BeginAttempt(ctx, tx, ticket.UUID, h.Clock.Now())
		})
		if err != nil {
			t.Fatal(err)
		}
		unix := h.Count("SELECT attempt_unix FROM exports WHERE uuid = ?", ticket.UUID)
		if seen[unix] {
			t.Errorf("second %d was used twice", unix)
		}
		seen[unix] = true
	}
}
