package documents

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"exporthub/pkg/testkit"
	"exporthub/test/program"
)

var (
	timeD        = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$`)
	generatedAt  = regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$`)
	contactsFile = regexp.MustCompile(`^contacts_export_\d{8}_\d{6}_[0-9a-f]{8}\.xlsx$`)
)

// contactRow is a row of the documented list.
type contactRow struct {
	ID              int64
	Name            string
	Position        string
	Contact         string
	ReplyStatus     string  `json:"reply_status"`
	WechatExchanged bool    `json:"wechat_exchanged"`
	AccountID       *int64  `json:"account_id"`
	WorkerID        *string `json:"worker_id"`
	Notes           string
	ContactedAt     *string `json:"contacted_at"`
	CreatedAt       string  `json:"created_at"`
	Version         int64
}

// answerD is an answer of the contacts' system.
type answerD[T any] struct {
	Code   int
	Msg    string
	Data   T
	Errors map[string]string
}

type contactPage struct {
	Total    int
	Page     int
	PageSize int `json:"page_size"`
	Results  []contactRow
}

type contactExport struct {
	DownloadURL  string `json:"download_url"`
	Filename     string
	TotalRecords int64  `json:"total_records"`
	GeneratedAt  string `json:"generated_at"`
	UUID         string
	Channel      string
}

// bearer asks as the document does.
func (a *client) bearer(method, path string, body any, token string) program.Answer {
	a.T.Helper()
	if token == "" {
		return a.Do(method, path, body)
	}
	return a.Do(method, path, body, "Authorization", "Bearer "+token)
}

func (a *client) contacts(token, query string) contactPage {
	a.T.Helper()
	res := a.bearer("GET", "/api/contacts"+query, nil, token)
	var body answerD[contactPage]
	res.JSON(a.T, &body)
	if res.Status != 200 || body.Code != 200 || body.Msg != "success" {
		a.T.Fatalf("GET /api/contacts%s answers %d %.300s", query, res.Status, res.Body)
	}
	return body.Data
}

func (a *client) exportContacts(token, query string) contactExport {
	a.T.Helper()
	res := a.bearer("GET", "/api/contacts/export"+query, nil, token)
	var body answerD[contactExport]
	res.JSON(a.T, &body)
	if res.Status != 200 || body.Code != 200 || body.Msg != "success" {
		a.T.Fatalf("GET /api/contacts/export%s answers %d %.300s", query, res.Status, res.Body)
	}
	return body.Data
}

// The requests of the contacts document, its answers' keys, types and literal texts.
func TestReplayOfTheContactsDocument(t *testing.T) {
	a := start(t, "DEMO_ROWS=40", "EXPORT_DAILY_LIMIT=5")
	staff, reader := a.Login("13800000002"), a.Login("13800000003")
	golden := func(name string, res program.Answer) {
		t.Helper()
		testkit.Golden(t, "testdata/replay/contacts_"+name+".txt", shape(t, res.Body))
	}
	list := a.bearer("GET", "/api/contacts?page=1&page_size=20", nil, staff)
	golden("list", list)
	shown := a.contacts(staff, "?page=1&page_size=20")
	if shown.Total != 40 || shown.Page != 1 || shown.PageSize != 20 || len(shown.Results) != 20 {
		t.Errorf("the list: %d of %d, page %d of %d", len(shown.Results), shown.Total, shown.Page, shown.PageSize)
	}
	if plain := a.contacts(staff, ""); plain.Page != 1 || plain.PageSize != 10 {
		t.Errorf("without parameters: page %d of %d rows, want the documented defaults", plain.Page, plain.PageSize)
	}
	for _, v := range shown.Results {
		if !timeD.MatchString(v.CreatedAt) || v.ContactedAt != nil && !timeD.MatchString(*v.ContactedAt) {
			t.Errorf("times %s, %v are not the documented form", v.CreatedAt, v.ContactedAt)
		}
	}
	all := a.contacts(staff, "?page_size=1000").Results
	one := all[5]
	for query, keep := range map[string]func(contactRow) bool{
		"?search=" + url.QueryEscape(one.Name):       func(v contactRow) bool { return strings.Contains(v.Name, one.Name) },
		"?search=" + one.Contact[2:9]:                func(v contactRow) bool { return strings.Contains(v.Contact, one.Contact[2:9]) },
		"?reply_status=" + url.QueryEscape("已回复"):    func(v contactRow) bool { return v.ReplyStatus == "已回复" },
		"?wechat_exchanged=true":                     func(v contactRow) bool { return v.WechatExchanged },
		"?wechat_exchanged=" + url.QueryEscape("否"):  func(v contactRow) bool { return !v.WechatExchanged },
		"?start_date=2024-01-01&end_date=2026-11-01": func(v contactRow) bool { return v.CreatedAt <= "2026-11-01T23:59:59" },
		"?start_date=2024-01-01&end_date=2024-12-31": func(contactRow) bool { return false },
		"?search=&reply_status=&page=&start_date=":   func(contactRow) bool { return true },
		"?start_date=2026-11-01&reply_status=未回复":    func(v contactRow) bool { return v.CreatedAt >= "2026-11-01" && v.ReplyStatus == "未回复" },
		"?search=工程师&reply_status=已回复&wechat_exchanged=true&start_date=2024-01-01&end_date=2026-12-31": func(v contactRow) bool {
			return strings.Contains(v.Position, "工程师") && v.ReplyStatus == "已回复" && v.WechatExchanged
		},
	} {
		want := []contactRow{}
		for _, v := range all {
			if keep(v) {
				want = append(want, v)
			}
		}
		if got := a.contacts(staff, query+"&page_size=1000"); got.Total != len(want) || cmp.Diff(want, got.Results) != "" {
			t.Errorf("%s: total %d, want %d\n%s", query, got.Total, len(want), cmp.Diff(want, got.Results))
		}
	}

	golden("export", a.bearer("GET", "/api/contacts/export", nil, staff))
	golden("list_queued", a.bearer("GET", "/api/contacts?export_format=csv", nil, staff))
	golden("export_forbidden", a.bearer("GET", "/api/contacts/export", nil, reader))
	golden("bad_input", a.bearer("GET", "/api/contacts?page=x&wechat_exchanged=maybe&start_date=yesterday", nil, staff))
	golden("no_token", a.bearer("GET", "/api/contacts", nil, ""))
	golden("created", a.bearer("POST", "/api/contacts", map[string]any{"name": "新人", "contact": "13900099999"}, staff))
	golden("imported", a.lines(staff, `{"name":"某人","contact":"13900099998"}`+"\n"+`{"name":"无联系方式"}`))
}

// lines sends JSON Lines to the import.
func (a *client) lines(token, body string) program.Answer {
	a.T.Helper()
	req, err := http.NewRequestWithContext(a.T.Context(), "POST", a.URL+"/api/contacts/import", strings.NewReader(body))
	if err != nil {
		a.T.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.T.Fatal(err)
	}
	defer res.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(res.Body); err != nil {
		a.T.Fatal(err)
	}
	return program.Answer{Status: res.StatusCode, Header: res.Header, Body: text.Bytes()}
}

// The workbook: name, ten columns, header, labels, times, and the very rows of the list.
func TestTheContactsWorkbook(t *testing.T) {
	a := start(t, "DEMO_ROWS=200")
	staff := a.Login("13800000002")
	query := "?reply_status=" + url.QueryEscape("已回复") + "&start_date=2024-01-01&end_date=2026-12-31"
	list := a.contacts(staff, query+"&page_size=1000")
	got := a.exportContacts(staff, query)
	if !contactsFile.MatchString(got.Filename) || !generatedAt.MatchString(got.GeneratedAt) || got.TotalRecords != int64(list.Total) || got.TotalRecords == 0 ||
		!strings.HasPrefix(got.DownloadURL, a.URL+"/media/exports/"+got.Filename+"?s=") || got.UUID == "" || got.Channel == "" {
		t.Errorf("answered %+v for %d rows", got, list.Total)
	}
	file := a.Do("GET", program.PathOf(t, got.DownloadURL), nil) // the link needs no token
	if file.Status != 200 || !strings.Contains(file.Header.Get("Content-Disposition"), got.Filename) {
		t.Fatalf("the link answers %d %v", file.Status, file.Header)
	}
	if head := a.Do("HEAD", program.PathOf(t, got.DownloadURL), nil); head.Status != 200 || len(head.Body) != 0 {
		t.Errorf("HEAD of the link answers %d", head.Status)
	}
	book, err := excelize.OpenReader(bytes.NewReader(file.Body))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	if sheets := book.GetSheetList(); len(sheets) != 1 {
		t.Errorf("sheets %v, want one", sheets)
	}
	sheet := book.GetSheetList()[0]
	rows, err := book.GetRows(sheet)
	if err != nil {
		t.Fatal(err)
	}
	header := []string{"ID", "姓名", "岗位", "联系方式", "回复状态", "是否交换微信", "Worker ID", "备注", "联系时间", "创建时间"}
	if diff := cmp.Diff(header, rows[0]); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	for col := range header {
		cell, _ := excelize.CoordinatesToCellName(col+1, 1)
		id, err := book.GetCellStyle(sheet, cell)
		if err != nil {
			t.Fatal(err)
		}
		style, err := book.GetStyle(id)
		if err != nil {
			t.Fatal(err)
		}
		if style.Font == nil || !style.Font.Bold || !strings.HasSuffix(style.Font.Color, "FFFFFF") || len(style.Fill.Color) == 0 || !strings.HasSuffix(style.Fill.Color[0], "4472C4") {
			t.Errorf("header cell %s: font %+v, fill %+v; want white bold on blue", cell, style.Font, style.Fill)
		}
	}
	if len(rows) != len(list.Results)+1 {
		t.Fatalf("%d rows in the file, %d in the list", len(rows)-1, len(list.Results))
	}
	spaced := func(s string) string { return strings.Replace(s, "T", " ", 1) }
	for i, v := range list.Results {
		want := []string{fmt.Sprint(v.ID), v.Name, v.Position, v.Contact, v.ReplyStatus, map[bool]string{true: "是", false: "否"}[v.WechatExchanged],
			*v.WorkerID, v.Notes, spaced(*v.ContactedAt), spaced(v.CreatedAt)}
		if diff := cmp.Diff(want, rows[i+1]); diff != "" {
			t.Fatalf("row %d (-want +got):\n%s", i+1, diff)
		}
	}
	if none := a.exportContacts(staff, "?search=nobody-has-this"); none.TotalRecords != 0 {
		t.Errorf("an export of nothing: %+v", none)
	}
}

// Refusals carry their words and their status in this envelope.
func TestContactExportsHaveTheSameLimits(t *testing.T) {
	a := start(t, "DEMO_ROWS=5", "EXPORT_DAILY_LIMIT=1")
	staff, reader := a.Login("13800000002"), a.Login("13800000003")
	refused := func(res program.Answer, status int, words string) {
		t.Helper()
		var body answerD[any]
		res.JSON(t, &body)
		if res.Status != status || body.Code != status || body.Msg != words || body.Data != nil {
			t.Errorf("answers %d %s, want %d %s", res.Status, res.Body, status, words)
		}
	}
	for _, path := range []string{"/api/contacts/export", "/api/contacts?export_format=xlsx"} {
		refused(a.bearer("GET", path, nil, reader), 403, "你没有应用导出的权限")
	}
	a.exportContacts(staff, "")
	// With the same parameters it would be the first request again.
	daily := a.bearer("GET", "/api/contacts/export?search=1", nil, staff)
	refused(daily, 429, "该用户已经超过当日导出最大次数1,当前任务不允许执行")
	if daily.Header.Get("Retry-After") == "" || daily.Header.Get("RateLimit-Remaining") != "0" {
		t.Errorf("the daily limit's headers: %v", daily.Header)
	}
	refused(a.bearer("POST", "/api/contacts", map[string]string{"name": "甲", "contact": "1"}, reader), 403, "你没有此操作的权限")
	refused(a.bearer("DELETE", "/api/contacts/1", nil, reader), 403, "你没有此操作的权限")
	if res := a.bearer("GET", "/api/contacts/export", nil, ""); res.Status != 401 {
		t.Errorf("an export without a token: %d, want 401", res.Status)
	}
}

// With no worker the answer comes all the same; the link waits until one has made the file.
func TestAContactExportThatTakesLonger(t *testing.T) {
	p := program.StartParts(t, 1, "EXPORT_WAIT=100ms")
	c := &client{App: p.App}
	token, _ := p.SignIn()
	var body strings.Builder
	for i := range 250 {
		fmt.Fprintf(&body, `{"name":"第%d位","position":"产品经理","contact":"137%08d"}`+"\n", i, i)
	}
	var report answerD[struct{ Created int }]
	c.lines(token, body.String()).JSON(t, &report)
	if report.Data.Created != 250 {
		t.Fatalf("imported %+v", report)
	}
	early := c.exportContacts(token, "?search=产品")
	if early.TotalRecords != 250 || !generatedAt.MatchString(early.GeneratedAt) || !contactsFile.MatchString(early.Filename) {
		t.Errorf("answered %+v", early)
	}
	second := c.bearer("GET", "/api/contacts/export", nil, token)
	var refusal answerD[any]
	second.JSON(t, &refusal)
	if second.Status != 409 || refusal.Code != 409 || refusal.Msg != "当前用户已经有导出任务排队或执行,请稍后再试" ||
		second.Header.Get("Retry-After") == "" || !strings.HasSuffix(second.Header.Get("Location"), early.UUID) {
		t.Errorf("while one is active: %d %s %v", second.Status, second.Body, second.Header)
	}
	came := make(chan program.Answer, 1)
	go func() { came <- p.Do("GET", program.PathOf(t, early.DownloadURL), nil) }()
	p.Worker()
	select {
	case file := <-came:
		book, err := excelize.OpenReader(bytes.NewReader(file.Body))
		if err != nil {
			t.Fatalf("the link answers %d: %v", file.Status, err)
		}
		defer book.Close()
		if rows, err := book.GetRows(book.GetSheetList()[0]); err != nil || len(rows) != 251 {
			t.Errorf("%d rows, %v", len(rows)-1, err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the link still waits")
	}
	p.Checked()
}

// The old page opens a GET that starts something: no other site's page, prefetch or HEAD may.
func TestAContactExportIsStartedOnPurpose(t *testing.T) {
	a := start(t, "DEMO_ROWS=5")
	login := a.Do("POST", "/api/user/login", map[string]string{"phoneNumber": "13800000002", "password": "123456"})
	cookie, _, _ := strings.Cut(login.Header.Get("Set-Cookie"), ";")
	if cookie == "" {
		t.Fatalf("no cookie: %v", login.Header)
	}
	for name, c := range map[string]struct {
		method string
		header []string
		want   int
	}{
		"another site's page": {"GET", []string{"Cookie", cookie, "Sec-Fetch-Site", "cross-site"}, 403},
		"a prefetch":          {"GET", []string{"Cookie", cookie, "Sec-Purpose", "prefetch"}, 503},
		"a HEAD":              {"HEAD", []string{"Cookie", cookie}, 405},
	} {
		if res := a.Do(c.method, "/api/contacts/export", nil, c.header...); res.Status != c.want {
			t.Errorf("%s: %d %s, want %d", name, res.Status, res.Body, c.want)
		}
	}
	if res := a.Do("GET", "/api/contacts/export", nil, "Cookie", cookie, "Sec-Fetch-Site", "same-origin"); res.Status != 200 {
		t.Errorf("the page itself: %d %s", res.Status, res.Body)
	}
}

func TestContactsAreWrittenAndRefused(t *testing.T) {
	a := start(t, "DEMO_ROWS=5")
	staff := a.Login("13800000002")
	send := func(method, path string, body any, header ...string) (int, answerD[contactRow]) {
		t.Helper()
		res := a.Do(method, path, body, append([]string{"Authorization", "Bearer " + staff}, header...)...)
		var got answerD[contactRow]
		if err := json.Unmarshal(res.Body, &got); err != nil || got.Code != res.Status {
			t.Fatalf("%s %s: %d %s", method, path, res.Status, res.Body)
		}
		return res.Status, got
	}
	worker := "worker-009"
	status, made := send("POST", "/api/contacts", map[string]any{
		"name": "甲", "position": "产品经理", "contact": "13900000099", "reply_status": "面试中", "wechat_exchanged": "是",
		"account_id": "7", "worker_id": worker, "notes": "备注", "contacted_at": "2026-03-01 10:30:00",
	})
	at, account := "2026-03-01T10:30:00", int64(7)
	want := contactRow{ID: made.Data.ID, Name: "甲", Position: "产品经理", Contact: "13900000099", ReplyStatus: "面试中", WechatExchanged: true,
		AccountID: &account, WorkerID: &worker, Notes: "备注", ContactedAt: &at, CreatedAt: made.Data.CreatedAt, Version: 1}
	if diff := cmp.Diff(want, made.Data); diff != "" || status != 200 || !timeD.MatchString(made.Data.CreatedAt) {
		t.Errorf("created: %d (-want +got):\n%s", status, diff)
	}
	path := fmt.Sprintf("/api/contacts/%d", made.Data.ID)
	_, changed := send("PUT", path, map[string]any{"reply_status": "已回复", "contacted_at": nil})
	want.ReplyStatus, want.ContactedAt, want.Version = "已回复", nil, 2
	if diff := cmp.Diff(want, changed.Data); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	if status, got := send("PUT", path, url.Values{"notes": {"表单"}}); status != 200 || got.Data.Notes != "表单" || got.Data.Name != "甲" {
		t.Errorf("a form: %d %+v", status, got)
	}
	for name, c := range map[string]struct {
		method, path string
		body         any
		header       []string
		status       int
		field        string
	}{
		"no name":              {"POST", "/api/contacts", map[string]any{"contact": "1"}, nil, 400, "name"},
		"a blank name":         {"POST", "/api/contacts", map[string]any{"name": "  ", "contact": "1"}, nil, 400, "name"},
		"no contact":           {"POST", "/api/contacts", map[string]any{"name": "乙"}, nil, 400, "contact"},
		"a name too long":      {"POST", "/api/contacts", map[string]any{"name": strings.Repeat("长", 101), "contact": "1"}, nil, 400, "name"},
		"notes too long":       {"POST", "/api/contacts", map[string]any{"name": "乙", "contact": "1", "notes": strings.Repeat("长", 1001)}, nil, 400, "notes"},
		"a status too long":    {"PUT", path, map[string]any{"reply_status": strings.Repeat("长", 33)}, nil, 400, "reply_status"},
		"an account of zero":   {"PUT", path, map[string]any{"account_id": 0}, nil, 400, "account_id"},
		"a time of nothing":    {"PUT", path, map[string]any{"contacted_at": "soon"}, nil, 400, "contacted_at"},
		"not a boolean":        {"PUT", path, map[string]any{"wechat_exchanged": "maybe"}, nil, 400, "wechat_exchanged"},
		"a name taken away":    {"PUT", path, map[string]any{"name": nil}, nil, 400, "name"},
		"a stale version":      {"PUT", path, map[string]any{"name": "乙", "version": 1}, nil, 409, ""},
		"a stale If-Match":     {"PUT", path, map[string]any{"name": "乙"}, []string{"If-Match", `"1"`}, 409, ""},
		"If-Match of nonsense": {"PUT", path, map[string]any{"name": "乙"}, []string{"If-Match", `"x"`}, 400, "If-Match"},
		"a stale deletion":     {"DELETE", path, nil, []string{"If-Match", "1"}, 409, ""},
		"the same once more":   {"POST", "/api/contacts", map[string]any{"name": "乙", "contact": "13900000099", "account_id": 7}, nil, 409, ""},
		"an unknown record":    {"PUT", "/api/contacts/999999", map[string]any{"name": "乙"}, nil, 404, ""},
		"one to delete":        {"DELETE", "/api/contacts/999999", nil, nil, 404, ""},
		"not an id":            {"PUT", "/api/contacts/x", map[string]any{"name": "乙"}, nil, 400, "id"},
		"page":                 {"GET", "/api/contacts?page=x", nil, nil, 400, "page"},
		"page_size":            {"GET", "/api/contacts?page_size=many", nil, nil, 400, "page_size"},
		"search":               {"GET", "/api/contacts?search=" + strings.Repeat("a", 101), nil, nil, 400, "search"},
		"a search of bytes":    {"GET", "/api/contacts?search=%ff%fe", nil, nil, 400, "search"},
		"reply_status":         {"GET", "/api/contacts?reply_status=" + strings.Repeat("a", 33), nil, nil, 400, "reply_status"},
		"wechat_exchanged":     {"GET", "/api/contacts?wechat_exchanged=maybe", nil, nil, 400, "wechat_exchanged"},
		"start_date":           {"GET", "/api/contacts?start_date=2024-13-01", nil, nil, 400, "start_date"},
		"end_date":             {"GET", "/api/contacts/export?end_date=soon", nil, nil, 400, "end_date"},
		"export_format":        {"GET", "/api/contacts?export_format=pdf", nil, nil, 400, "export_format"},
		"columns":              {"GET", "/api/contacts?export_format=csv&columns=nothing", nil, nil, 400, "columns"},
	} {
		status, got := send(c.method, c.path, c.body, c.header...)
		if status != c.status || c.field != "" && got.Errors[c.field] == "" || got.Msg == "" {
			t.Errorf("%s: %d %+v, want %d naming %q", name, status, got, c.status, c.field)
		}
	}
	if status, _ := send("DELETE", path, nil, "If-Match", `"3"`); status != 200 {
		t.Errorf("deleted: %d", status)
	}
	if res := a.Do("POST", "/api/contacts/import", "x", "Authorization", "Bearer "+staff, "Content-Encoding", "gzip"); res.Status != 415 {
		t.Errorf("a compressed import: %d, want 415", res.Status)
	}
	// Nothing above started an export or left a record behind.
	if total := a.contacts(staff, "").Total; total != 5 {
		t.Errorf("%d records, want 5", total)
	}
}

func TestTheDemosContactsAreFound(t *testing.T) {
	a := start(t, "DEMO_ROWS=3000")
	token := a.Login("13800000003")
	if all := a.contacts(token, ""); all.Total != 3000 {
		t.Fatalf("%d records, want DEMO_ROWS", all.Total)
	}
	for _, query := range []string{"工程师", "赵", "1390000", "wechat", "HRBP"} {
		got := a.contacts(token, "?search="+url.QueryEscape(query))
		if got.Total == 0 || got.Total == 3000 || len(got.Results) == 0 {
			t.Errorf("%s finds %d", query, got.Total)
		}
	}
	var labels answerD[map[string][]struct{ Value, Label string }]
	a.bearer("GET", "/api/dictionaries", nil, token).JSON(t, &labels)
	if len(labels.Data["reply_status"]) != 2 {
		t.Errorf("dictionaries: %v", labels.Data)
	}
}
