package attempt_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/dataset"
	"exporthub/pkg/export/exporttest"
	"exporthub/pkg/export/record"
	"exporthub/pkg/job"
)

// published is what of an event is the reading and writing of rows.
type published struct {
	Status    record.Status `json:"status"`
	Progress  int           `json:"progress"`
	Count     *int64        `json:"count"`
	Rows      *int64        `json:"rows"`
	Estimated bool          `json:"count_estimated"`
	Cut       int64         `json:"cut"`
	Replaced  int64         `json:"replaced"`
	OutOfSpan int64         `json:"out_of_span"`
	Changed   string        `json:"changed"`
}

func (h *hub) published(uuid string) []published {
	h.T.Helper()
	h.Settled(uuid)
	var all []published
	for _, e := range h.Events.Of(uuid) {
		var v published
		if err := json.Unmarshal(e.Data, &v); err != nil {
			h.T.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// slowCount is a count that never comes to an end: it waits for the database's answer as a real
// one would.
func slowCount(ctx context.Context, _ *database.Tx, _ dataset.Selection) (int64, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

func TestCountingTooLongGoesByAnEstimate(t *testing.T) {
	for name, c := range map[string]struct {
		estimate int64 // 0 is none
		most     int   // percent at most while rows are written
	}{
		"about right": {3000, 90},
		"far too low": {100, 90},
		"too high":    {1_000_000, 4},
		"none":        {0, 4},
	} {
		t.Run(name, func(t *testing.T) {
			set := exporttest.Things()
			set.Count = slowCount
			if c.estimate > 0 {
				set.Estimate = func(context.Context, *database.Tx, dataset.Selection) (int64, error) { return c.estimate, nil }
			}
			h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true, Set: &set, CountTime: 50 * time.Millisecond})
			const rows = 2900
			h.Fill(rows)
			ctx, _ := h.Person("counter", auth.Staff)
			uuid, file := h.Succeeded(ctx, dataset.Request{Dataset: "thing"})
			progress := 0
			for _, e := range h.published(uuid) {
				if e.Progress < progress {
					t.Errorf("progress went back from %d to %d", progress, e.Progress)
				}
				progress = e.Progress
				switch e.Status {
				case record.StatusStart, record.StatusWritingFile:
					if e.Status == record.StatusWritingFile && !e.Estimated {
						// The rows are all there, and so is their number.
						if e.Progress != 90 || e.Count == nil || *e.Count != rows || *e.Rows != rows {
							t.Errorf("%s: %+v, want exactly %d rows at 90 %%", e.Status, e, rows)
						}
						continue
					}
					if !e.Estimated || e.Count == nil || e.Progress > c.most {
						t.Errorf("%s: %+v, want an estimate and at most %d %%", e.Status, e, c.most)
					}
				case record.StatusBeforeUpload, record.StatusSuccess:
					if e.Estimated || e.Count == nil || *e.Count != rows || *e.Rows != rows {
						t.Errorf("%s: %+v, want exactly %d rows", e.Status, e, rows)
					}
				}
			}
			if got := infoRows(t, file); got != rows {
				t.Errorf("the information sheet says %d rows, want %d", got, rows)
			}
			h.Balanced()
		})
	}
}

// infoRows is the number of rows on the information sheet.
func infoRows(t *testing.T, file []byte) int {
	t.Helper()
	book, err := excelize.OpenReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	lines, err := book.GetRows("导出信息")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if line[0] == "行数" {
			n, _ := strconv.Atoi(line[1])
			return n
		}
	}
	t.Fatal("the information sheet has no number of rows")
	return 0
}

// The rows end at 90 percent, and so begins the step after them: it is one event.
func TestEachPercentageIsPublishedOnce(t *testing.T) {
	set := exporttest.Things()
	rows := set.Rows
	set.Rows = func(ctx context.Context, tx *database.Tx, sel dataset.Selection, columns []dataset.Column) iter.Seq2[[]dataset.Value, error] {
		return func(yield func([]dataset.Value, error) bool) {
			n := 0
			for row, err := range rows(ctx, tx, sel, columns) {
				if n++; n%100 == 0 {
					// Longer than the time between two events, so that none is held back.
					<-time.After(3 * time.Millisecond)
				}
				if !yield(row, err) {
					return
				}
			}
			<-time.After(3 * time.Millisecond)
		}
	}
	h := newHub(t, dbtest.SQLite(t, exporttest.Sources(t)...), exporttest.Options{Work: true, Set: &set})
	h.Fill(500)
	ctx, _ := h.Person("counter", auth.Staff)
	uuid, _ := h.Succeeded(ctx, dataset.Request{Dataset: "thing"})
	var told []int
	for _, e := range h.published(uuid) {
		if e.Status == record.StatusWritingFile {
			told = append(told, e.Progress)
		}
	}
	if once := slices.Compact(slices.Clone(told)); !slices.Equal(told, once) || told[len(told)-1] != 90 {
		t.Errorf("writing_file at %v percent, want each once and 90 at the end", told)
	}
}

func TestChangedDataIsReported(t *testing.T) {
	set := exporttest.Things()
	rows := set.Rows
	set.Rows = func(ctx context.Context, tx *database.Tx, s dataset.Selection, columns []dataset.Column) iter.Seq2[[]dataset.Value, error] {
		return func(yield func([]dataset.Value, error) bool) {
			n := 0
			for values, err := range rows(ctx, tx, s, columns) {
				if n++; n == 2 {
					values[1].Str = strings.Repeat("长", 40_000)
				}
				if n > 2 {
					values[1].Str += "\xff"
				}
				if !yield(values, err) {
					return
				}
			}
		}
	}
	h := newHub(t, dbtest.SQLite(t, exporttest.Sources(t)...), exporttest.Options{Work: true, Set: &set})
	h.Fill(5)
	ctx, _ := h.Person("reader", auth.Staff)
	uuid, file := h.Succeeded(ctx, dataset.Request{Dataset: "thing"})
	const words = "1 处文字超过单元格的长度上限，已截断;3 处文字含有无效字符，已替换为 \uFFFD"
	for _, e := range h.published(uuid) {
		if e.Status != record.StatusBeforeUpload && e.Status != record.StatusSuccess {
			continue
		}
		if e.Cut != 1 || e.Replaced != 3 || e.OutOfSpan != 0 || e.Changed != words {
			t.Errorf("published %+v, want 1 cut and 3 replaced, and %q", e, words)
		}
	}
	if got := h.record("reader", uuid); got.Cut != 1 || got.Replaced != 3 || got.OutOfSpan != 0 || got.Changed != words {
		t.Errorf("the job's record says %+v, want %q", got, words)
	}
	// The event says what the file holds.
	book, err := excelize.OpenReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	lines, err := book.GetRows("物品")
	if err != nil {
		t.Fatal(err)
	}
	cut, replaced := 0, 0
	for _, line := range lines[1:] {
		if line[1] == strings.Repeat("长", 32_767) {
			cut++
		}
		if strings.HasSuffix(line[1], "\uFFFD") {
			replaced++
		}
	}
	if cut != 1 || replaced != 3 {
		t.Errorf("the file holds %d cut and %d replaced texts", cut, replaced)
	}
	// A file that holds everything as it is says nothing of changes, in any format.
	for _, format := range []string{"xlsx", "csv", "csv-raw", "jsonl"} {
		h := newHub(t, dbtest.SQLite(t, exporttest.Sources(t)...), exporttest.Options{Work: true})
		h.Fill(1)
		ctx, _ := h.Person("reader", auth.Staff)
		uuid, _ := h.Succeeded(ctx, dataset.Request{Dataset: "thing", Format: format})
		events := h.published(uuid)
		if last, got := events[len(events)-1], h.record("reader", uuid); last.Changed != "" || got != (changes{}) {
			t.Errorf("%s: published %q, the record says %+v, want nothing", format, last.Changed, got)
		}
	}
}

// changes are what a job's record says of the data its file holds otherwise.
type changes struct {
	Cut       int64
	Replaced  int64
	OutOfSpan int64 `json:"out_of_span"`
	Changed   string
}

// record reads a job as its owner does.
func (h *hub) record(account, uuid string) (c changes) {
	h.T.Helper()
	res, body := h.Get(h.Server(), "/api/exports/"+uuid, h.Token(account))
	if err := json.Unmarshal(body, &c); err != nil || res.StatusCode != 200 {
		h.T.Fatalf("%d %v in %.200s", res.StatusCode, err, body)
	}
	return c
}

// TestEveryRowOfTheSnapshotOnce writes all the time while an export reads: what was there when it
// began is in the file once, and nothing else is.
func TestEveryRowOfTheSnapshotOnce(t *testing.T) {
	exporttest.OnEach(t, func(t *testing.T, db *database.DB) {
		const rows = 9_000 // several pages
		begun, gone := make(chan struct{}), make(chan struct{})
		set := exporttest.Things()
		count := set.Count
		set.Count = func(ctx context.Context, tx *database.Tx, s dataset.Selection) (int64, error) {
			n, err := count(ctx, tx, s)
			close(begun)
			// The writers have changed everything once, after the snapshot began and before the
			// first row is read.
			<-gone
			return n, err
		}
		h := newHub(t, db, exporttest.Options{Work: true, Set: &set, CountTime: time.Minute})
		h.Fill(rows)
		ctx, _ := h.Person("reader", auth.Administrator)
		ticket, err := h.Exports.Queue(ctx, dataset.Request{Dataset: "thing", Format: "csv-raw"})
		if err != nil {
			t.Fatal(err)
		}
		<-begun
		stop, stopped := make(chan struct{}), make(chan error, 1)
		go func() { stopped <- h.disturb(gone, stop) }()
		j := h.Ended(ticket.UUID)
		close(stop)
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
		if j.State != job.StateSuccess {
			t.Fatalf("ended %s: %+v", j.State, j.Failure)
		}
		events := h.Settled(ticket.UUID)
		checkThings(t, string(h.Fetch(*events[len(events)-1].FileURL, 200)), rows)
	})
}

// disturb changes, removes and adds things until stop, and closes gone after the first time.
func (h *hub) disturb(gone, stop chan struct{}) error {
	for round := 1; ; round++ {
		err := h.DB.Write(context.Background(), func(ctx context.Context, tx *database.Tx) error {
			for _, statement := range []string{
				fmt.Sprintf("UPDATE things SET name = 'changed', price = price + 1 WHERE id %% 97 = %d", round%97),
				fmt.Sprintf("DELETE FROM things WHERE id %% 101 = %d", round%101),
				"INSERT INTO things (name, price, phone) VALUES ('added', 1, '13800000001')",
			} {
				if _, err := tx.Exec(ctx, statement); err != nil {
					return err
				}
			}
			return nil
		})
		if round == 1 {
			close(gone)
		}
		if err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		default:
		}
	}
}

func checkThings(t *testing.T, file string, rows int) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(file, "\r\n"), "\r\n")[1:]
	if len(lines) != rows {
		t.Errorf("%d rows, want %d", len(lines), rows)
	}
	seen := map[string]bool{}
	for i, line := range lines {
		id, rest, _ := strings.Cut(line, ",")
		if seen[id] {
			t.Errorf("row %s stands twice", id)
		}
		seen[id] = true
		if want := fmt.Sprintf("物品%d,%d.%02d,139%08d", i, i*101/100, i*101%100, i); rest != want {
			t.Fatalf("row %d is %q, want %q as it was when the snapshot began", i+1, rest, want)
		}
	}
}
