package documents

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"exporthub/pkg/testkit"
	"exporthub/test/program"
)

// What a file can't hold as it is in the data is counted, and put into words: in the job's record,
// in its last event, in the message, and in the description of the API. A file of the same rows
// that holds everything says nothing.
func TestWhatAFileHoldsOtherwiseIsReported(t *testing.T) {
	a := start(t, "DEMO_ROWS=5")
	staff := a.Login("13800000002")
	if res := a.bearer("POST", "/api/contacts", map[string]any{"name": "前人", "contact": "13900099996", "contacted_at": "1890-05-06T07:08:09"}, staff); res.Status != 200 {
		t.Fatalf("create: %d %s", res.Status, res.Body)
	}
	const words = "1 个日期超出可表示的范围，已改为文字或留空"
	type changes struct {
		OutOfSpan int64 `json:"out_of_span"`
		Changed   *string
	}
	for format, want := range map[string]changes{"xlsx": {1, new(words)}, "csv": {}} {
		var queued struct{ Data struct{ UUID string } }
		a.bearer("GET", "/api/contacts?search=13900099996&export_format="+format, nil, staff).JSON(t, &queued)
		j := a.Finished(staff, queued.Data.UUID)
		if j.FileURL == nil {
			t.Fatalf("%s: ended %+v", format, j)
		}
		var record struct {
			changes
			Event changes
		}
		a.Do("GET", "/api/exports/"+j.UUID, nil, "ACCESS-TOKEN", staff).JSON(t, &record)
		for where, got := range map[string]changes{"the record": record.changes, "the last event": record.Event} {
			if got.OutOfSpan != want.OutOfSpan || wordsOf(got.Changed) != wordsOf(want.Changed) {
				t.Errorf("%s: %s says %d, %q, want %d, %q", format, where, got.OutOfSpan, wordsOf(got.Changed), want.OutOfSpan, wordsOf(want.Changed))
			}
		}
		var message messageRow
		testkit.Eventually(t, 10*time.Second, func() bool {
			for _, m := range a.messages(staff, "/admin/message/unread?plugin=export").Data.Data {
				if strings.Contains(m.MessageBody.Content, "."+format+" 已生成，共 1 行") {
					message = m
				}
			}
			return message.ID != 0
		}, "the message of the export")
		if strings.HasSuffix(message.MessageBody.Content, "。请注意:"+words) != (want.Changed != nil) {
			t.Errorf("%s: the message says %q", format, message.MessageBody.Content)
		}
		if format == "xlsx" {
			a.holdsTheText(program.PathOf(t, *j.FileURL), "1890-05-06 07:08:09")
		}
	}
	a.describesChanges()
}

func wordsOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// holdsTheText fails unless some cell of a workbook is that text.
func (a *client) holdsTheText(link, text string) {
	a.T.Helper()
	book, err := excelize.OpenReader(bytes.NewReader(a.Do("GET", link, nil).Body))
	if err != nil {
		a.T.Fatal(err)
	}
	defer book.Close()
	if cells, err := book.SearchSheet(book.GetSheetName(0), text); err != nil || len(cells) != 1 {
		a.T.Errorf("%q stands in %q (%v), want one cell", text, cells, err)
	}
}

// describesChanges fails unless the description of the API names the counts and the words.
func (a *client) describesChanges() {
	a.T.Helper()
	var doc struct {
		Components struct {
			Schemas map[string]struct{ Properties map[string]json.RawMessage }
		}
	}
	a.Do("GET", "/api/openapi.json", nil).JSON(a.T, &doc)
	for _, s := range doc.Components.Schemas {
		if s.Properties["file_url"] == nil || s.Properties["channel"] == nil {
			continue
		}
		for _, name := range []string{"cut", "replaced", "out_of_span", "changed"} {
			if !strings.Contains(string(s.Properties[name]), "description") {
				a.T.Errorf("%s of a job is described as %s", name, s.Properties[name])
			}
		}
		return
	}
	a.T.Error("the job's record is not described")
}
