package contact

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"exporthub/pkg/admin"
	"exporthub/pkg/admin/admintest"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

// imported sends a body and returns the report.
func (s *service) imported(t *testing.T, body string) importReport {
	t.Helper()
	report, err := s.tryImport(t.Context(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func (s *service) tryImport(ctx context.Context, body io.Reader) (importReport, error) {
	return s.importAs(ctx, auth.Principal{UserID: importing}.Holding(permissionNotes), body)
}

// seeing is the context of a person who may see notes.
func seeing(ctx context.Context) context.Context {
	return auth.With(ctx, auth.Principal{UserID: importing}.Holding(permissionNotes))
}

func (s *service) importAs(ctx context.Context, who *auth.Principal, body io.Reader) (importReport, error) {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(auth.With(ctx, who), "POST", "/api/contacts/import", body)
	r.Header.Set("Content-Type", "application/x-ndjson")
	var answer struct {
		Code int
		Msg  string
		Data importReport
	}
	if err := s.handleImport(w, r); err != nil {
		return answer.Data, err
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Code != 200 || answer.Msg != "success" {
		return answer.Data, fmt.Errorf("answered %s: %w", w.Body, err)
	}
	return answer.Data, nil
}

func TestImport(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
		s.Now = func() time.Time { return at }
		body := "\ufeff" + `{"name":"张三","position":"产品经理","contact":13700000001,"account_id":"1","created_at":"2026-01-02 03:04:05"}` + "\r\n\n" +
			`{"name":" 李四 ","contact":"wechat:invented1","wechat_exchanged":"是","reply_status":"面试中","contacted_at":"2026-02-03T04:05:06"}` + "\n" +
			`{"name":"王五","contact":"13700000001","account_id":2}` + "\n" +
			`{"contact":"13700000001","account_id":2,"notes":"后来的一行"}`
		got := s.imported(t, body)
		if diff := cmp.Diff(importReport{Total: 4, Created: 3, Updated: 1, Errors: []lineError{}}, got); diff != "" {
			t.Errorf("first (-want +got):\n%s", diff)
		}
		all := s.all(t, Filter{}).Items
		if len(all) != 3 {
			t.Fatalf("%d records", len(all))
		}
		byName := map[string]Contact{}
		for _, v := range all {
			byName[v.Name] = v
		}
		want := map[string]Contact{
			"张三": {Name: "张三", Position: "产品经理", Contact: "13700000001", ReplyStatus: "未回复", AccountID: 1,
				CreatedAt: time.Date(2026, 1, 1, 19, 4, 5, 0, time.UTC)},
			"李四": {Name: "李四", Contact: "wechat:invented1", ReplyStatus: "面试中", WechatExchanged: true,
				ContactedAt: time.Date(2026, 2, 2, 20, 5, 6, 0, time.UTC), CreatedAt: at.Add(time.Microsecond)},
			"王五": {Name: "王五", Contact: "13700000001", ReplyStatus: "未回复", AccountID: 2, Notes: "后来的一行", CreatedAt: at.Add(2 * time.Microsecond)},
		}
		for name, w := range want {
			w.ID, w.Version, w.Key = byName[name].ID, 1, w.Contact
			if diff := cmp.Diff(w, byName[name]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		// The same once more: only the two lines that undo and redo each other count as changes.
		if got := s.imported(t, body); got.Created != 0 || got.Failed != 0 || got.Unchanged != 4 {
			t.Errorf("the same again: %+v", got)
		}
		got = s.imported(t, `{"contact":"wechat:invented1","reply_status":"已回复","wechat_exchanged":null}`)
		if got.Updated != 1 {
			t.Errorf("a change: %+v", got)
		}
		v := s.all(t, Filter{Search: "李四"}).Items[0]
		if v.ReplyStatus != "已回复" || v.WechatExchanged || v.ContactedAt.IsZero() || v.Version != 2 {
			t.Errorf("touches only what it carries: %+v", v)
		}
	})
}

func TestImportTellsEveryBadLine(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		lines := []string{
			`{"name":"好的","contact":"13700000001"}`,
			`{"name":"没有联系方式"}`,
			`{"contact":"13700000002"}`,
			`not json`,
			`["an","array"]`,
			`{"name":"名","contact":"13700000003","wechat_exchanged":"maybe","account_id":"x"}`,
			`{"name":"` + strings.Repeat("长", 101) + `","contact":"13700000004"}`,
			`{"name":"太长","contact":"` + strings.Repeat("9", lineBytes) + `"}`,
			`{"name":"坏","contact":"a\u0000b"}`,
			`{"name":"   ","contact":"13700000005"}`,
			`{"name":"好的","contact":"13700000006"}`,
			`{"name":"好的","contact":"13700000007","contacted_at":"yesterday"}`,
		}
		got := s.imported(t, strings.Join(lines, "\n"))
		if got.Total != len(lines) || got.Created != 2 || got.Failed != len(lines)-2 {
			t.Errorf("report %+v", got)
		}
		bad := map[int]string{}
		for _, e := range got.Errors {
			if e.Reason == "" {
				t.Errorf("line %d: no reason", e.Line)
			}
			bad[e.Line] += e.Field + ";"
		}
		want := map[int]string{2: "contact;", 3: "name;", 4: ";", 5: ";", 6: "wechat_exchanged;account_id;", 7: "name;", 8: ";", 9: "contact;", 10: "name;", 12: "contacted_at;"}
		if diff := cmp.Diff(want, bad); diff != "" && bad[6] != "account_id;wechat_exchanged;" {
			t.Errorf("bad lines (-want +got):\n%s", diff)
		}
		many := s.imported(t, strings.Repeat("{}\n", 1000))
		if many.Failed != 1000 || len(many.Errors) != importErrors {
			t.Errorf("%d failed, %d listed", many.Failed, len(many.Errors))
		}
		late := s.imported(t, strings.Repeat(`{"contact":"13799999999"}`+"\n", 450))
		if late.Failed != 450 || len(late.Errors) != importErrors {
			t.Errorf("found out late: %d failed, %d listed", late.Failed, len(late.Errors))
		}
	})
}

// An aborted body leaves what came before, and sending it again makes nothing twice.
func TestAnAbortedImport(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		var body strings.Builder
		for i := range 3*importChunk + 10 {
			fmt.Fprintf(&body, `{"name":"第%d个","contact":"137%08d"}`+"\n", i, i)
		}
		cut := io.MultiReader(strings.NewReader(body.String()), failing{})
		if _, err := s.tryImport(t.Context(), cut); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "610 行") {
			t.Errorf("aborted: %v", err)
		}
		if n := s.all(t, Filter{}).Total; n != 3*importChunk {
			t.Errorf("%d records, want the whole chunks", n)
		}
		got := s.imported(t, body.String())
		if got.Created != 10 || got.Unchanged != 3*importChunk {
			t.Errorf("again: %+v", got)
		}
	})
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// Imports of the same records at once end with each record once and found once.
func TestRacingImports(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		var forward, backward []string
		for i := range 300 {
			line := fmt.Sprintf(`{"name":"同一人%d","contact":"137%08d","account_id":1}`, i, i)
			forward = append(forward, line)
			backward = append([]string{line}, backward...)
		}
		bodies := []string{strings.Join(forward, "\n"), strings.Join(backward, "\n"), strings.Join(forward, "\n"), strings.Join(backward, "\n")}
		reports := make([]importReport, len(bodies))
		failures := make([]error, len(bodies))
		var wait sync.WaitGroup
		for i, body := range bodies {
			wait.Go(func() { reports[i], failures[i] = s.tryImport(t.Context(), strings.NewReader(body)) })
		}
		wait.Wait()
		created := 0
		for i, r := range reports {
			if failures[i] != nil {
				t.Errorf("import %d: %v", i, failures[i])
			}
			created += r.Created
		}
		if total := s.all(t, Filter{Search: "同一人"}).Total; created != 300 || total != 300 {
			t.Errorf("%d created, %d found, want 300", created, total)
		}
		if s.DB.Dialect() == database.Postgres {
			return
		}
		err := s.DB.Read(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			n, err := database.One(ctx, tx, database.Scalar[int], "SELECT COUNT(*) FROM contacts_search WHERE suffix LIKE '同%'")
			if n != 300 {
				t.Errorf("%d entries of the search, want 300", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestReadLine(t *testing.T) {
	long := strings.Repeat("x", lineBytes*3)
	r := bufio.NewReaderSize(strings.NewReader("a\n\n  b  \r\n"+long+"\nc"), lineBytes)
	for _, want := range []string{"a", "", "b", "too long", "c"} {
		text, err := readLine(r)
		if want == "too long" {
			if !errs.Is(err, errs.Invalid) {
				t.Errorf("a long line: %v", err)
			}
			continue
		}
		if err != nil || !bytes.Equal(text, []byte(want)) {
			t.Errorf("read %q, %v, want %q", text, err, want)
		}
	}
	if _, err := readLine(r); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

func TestImportRefusesStrangers(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/contacts/import", strings.NewReader("{}"))
	if err := new(service).handleImport(httptest.NewRecorder(), r); !errs.Is(err, errs.Unauthenticated) {
		t.Errorf("a stranger: %v", err)
	}
}

func TestImportRefusesOtherBodies(t *testing.T) {
	s := &service{}
	for _, header := range [][2]string{
		{"Content-Type", "multipart/form-data; boundary=x"}, {"Content-Encoding", "gzip"}, {"Content-Type", "application/json; charset=gbk"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/contacts/import", strings.NewReader("{}"))
		value := header[1]
		r.Header.Set(header[0], value)
		if err := s.handleImport(httptest.NewRecorder(), r); !errs.Is(err, errs.Unsupported) {
			t.Errorf("%s: %v", value, err)
		}
	}
}

// importing is who sends the tests' imports.
const importing = 7

// ended are the imports that were reported as ended.
func (s *service) ended() []admin.Import {
	return admintest.Raised[admin.Import](s.events(), admin.ImportEnded)
}

func (s *service) events() *admintest.Events { return s.Events.(*admintest.Events) }

// Every import that ends, or is aborted after its first line, raises one event with the counts of
// its rows.
func TestTheEndOfAnImportIsRaisedOnce(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		line := func(i int) string { return fmt.Sprintf(`{"name":"第%d个","contact":"136%08d"}`+"\n", i, i) }
		var chunks strings.Builder
		for i := range 2 * importChunk {
			chunks.WriteString(line(i))
		}
		for _, c := range []struct {
			name string
			body io.Reader
			want admin.Import
		}{
			{"all sorts of lines", strings.NewReader(line(0) + line(1) + "{}\n"), admin.Import{Created: 2, Failed: 1}},
			{"the same and one changed", strings.NewReader(line(0) + `{"contact":"13600000001","notes":"改"}`), admin.Import{Updated: 1, Unchanged: 1}},
			{"whole chunks", strings.NewReader(chunks.String()), admin.Import{Created: 2*importChunk - 2, Unchanged: 2}},
			{"aborted", io.MultiReader(strings.NewReader(chunks.String()+line(9999)), failing{}),
				admin.Import{Unchanged: 2 * importChunk, Reason: "请求体没有收完，只收到 401 行，请重新提交;重复的行不会重复创建"}},
		} {
			s.Events = &admintest.Events{}
			_, err := s.tryImport(t.Context(), c.body)
			if (err != nil) != (c.want.Reason != "") {
				t.Errorf("%s: %v", c.name, err)
			}
			c.want.OwnerID, c.want.Title = importing, "联系记录"
			got := s.ended()
			if len(got) != 1 || got[0].Key == "" {
				t.Errorf("%s is raised as %+v", c.name, got)
				continue
			}
			c.want.Key = got[0].Key
			if diff := cmp.Diff(c.want, got[0]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, diff)
			}
		}
	})
}

// What an import stores last and that it has ended are stored together or not at all.
func TestAnImportEndsWithItsLastRows(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		s.Logger = slog.New(slog.DiscardHandler)
		undone := errors.New("undone")
		s.events().Refuse(undone)
		line := `{"name":"某人","contact":"13500000001"}`
		if _, err := s.tryImport(t.Context(), strings.NewReader(line)); !errors.Is(err, undone) {
			t.Errorf("answered %v", err)
		}
		if n := s.all(t, Filter{}).Total; n != 0 {
			t.Errorf("%d records of an import that did not end", n)
		}
		s.events().Refuse(nil)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.tryImport(gone, strings.NewReader(line)); !errors.Is(err, context.Canceled) {
			t.Errorf("the client has gone: %v", err)
		}
		if got := s.ended(); len(got) != 1 || got[0].Created != 0 || got[0].Reason != "导入中断，请重新提交" {
			t.Errorf("got %+v", got)
		}
	})
}
