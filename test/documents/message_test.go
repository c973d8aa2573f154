package documents

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"exporthub/pkg/testkit"
	"exporthub/test/program"
	"exporthub/test/subscriber"
)

// badge are the counts of a person's messages.
type badge struct{ UnreadMum, WaitHandleNum int }

// messageRow is what tests read of a message.
type messageRow struct {
	ID           int64
	BusinessID   int64  `json:"business_id"`
	RecipientID  int64  `json:"recipient_id"`
	OperateID    int64  `json:"operate_id"`
	NoticeType   string `json:"notice_type"`
	Plugin       string
	Status       int
	HandleStatus int `json:"handle_status"`
	MessageBody  struct {
		Head, Title, Content string
		ProjectName          string `json:"project_name"`
	} `json:"message_body"`
}

// messagePage is a page of one of the lists.
type messagePage struct {
	Result int
	Msg    string
	Data   struct {
		badge
		Data        []messageRow
		Total       int
		LastPage    int     `json:"last_page"`
		PerPage     int     `json:"per_page"`
		Path        string  `json:"path"`
		NextPageURL *string `json:"next_page_url"`
		PrevPageURL *string `json:"prev_page_url"`
	}
}

func (a *client) messages(token, path string) (p messagePage) {
	a.T.Helper()
	res := a.Do("GET", path, nil, "ACCESS-TOKEN", token)
	res.JSON(a.T, &p)
	if res.Status != 200 || p.Result != 1 || p.Msg != "list" {
		a.T.Fatalf("%s answers %d %.300s", path, res.Status, res.Body)
	}
	return p
}

// me is the id of whose token it is.
func (a *client) me(token string) int64 {
	a.T.Helper()
	var who struct{ Data struct{ ID int64 } }
	a.Do("GET", "/api/user/me", nil, "ACCESS-TOKEN", token).JSON(a.T, &who)
	return who.Data.ID
}

// The example of the messages document, replayed: an export that ended tells its owner, an
// invitation those who may approve.
func TestReplayOfTheMessagesDocument(t *testing.T) {
	a := start(t, "DEMO_ROWS=5", "EXPORT_DAILY_LIMIT=2")
	admin, staff, reader := a.Login("admin"), a.Login("13800000002"), a.Login("13800000003")
	send := func(method, path, token string, body any) program.Answer {
		return a.Do(method, path, body, "ACCESS-TOKEN", token)
	}
	before := a.messages(admin, "/admin/message/unread").Data.badge

	created := send("POST", "/api/admin/invitations", admin, map[string]any{
		"exhibition_id": 1, "user_phone": "13900000001", "recommend_user_phone": "13900000002",
	})
	if !strings.Contains(string(created.Body), `"code":0`) {
		t.Fatalf("create: %s", created.Body)
	}
	var queued struct{ Data struct{ UUID string } }
	send("GET", "/api/admin/invitations?export_format=csv", admin, nil).JSON(t, &queued)
	a.Finished(admin, queued.Data.UUID)

	for list, query := range map[string]string{"unread": "plugin=export&notice_type=1", "read": "", "waitHandle": "plugin=invitation"} {
		for base, name := range map[string]string{"/admin/message/": "plain", "/business/7/admin/message/": "business"} {
			res := send("GET", base+list+"?"+query, admin, nil)
			if name == "business" {
				testkit.Golden(t, "testdata/replay/message_"+list+".txt", shape(t, res.Body))
			}
			page := a.messages(admin, base+list+"?"+query)
			want := before
			want.UnreadMum, want.WaitHandleNum = before.UnreadMum+2, before.WaitHandleNum+1
			if page.Data.badge != want || page.Data.Path != a.URL+base+list || page.Data.PerPage != 20 {
				t.Errorf("%s%s: %+v %s", base, list, page.Data.badge, page.Data.Path)
			}
			if business := map[string]int64{"plain": 1, "business": 7}[name]; page.Data.Data[0].BusinessID != business {
				t.Errorf("%s echoes business %d", base, page.Data.Data[0].BusinessID)
			}
		}
	}
	testkit.Golden(t, "testdata/replay/message_bad_input.txt", shape(t, send("GET", "/business/x/admin/message/unread?page=y", admin, nil).Body))
	testkit.Golden(t, "testdata/replay/message_export_forbidden.txt", shape(t, send("GET", "/admin/message/unread?export_format=xlsx", reader, nil).Body))
	testkit.Golden(t, "testdata/replay/message_export_queued.txt", shape(t, send("GET", "/admin/message/read?export_format=xlsx", staff, nil).Body))
	if res := send("GET", "/admin/message/unread", "", nil); res.Status != 401 || !strings.Contains(string(res.Body), `"result":0`) {
		t.Errorf("no token: %d %s", res.Status, res.Body)
	}
	for path, want := range map[string]string{
		"/business/x/admin/message/unread": "business_id", "/admin/message/unread?page=y": "page",
		"/admin/message/unread?notice_type=" + strings.Repeat("9", 50): "notice_type", "/business/0/admin/message/read": "business_id",
	} {
		res := send("GET", path, admin, nil)
		if res.Status != 200 || !strings.Contains(string(res.Body), want) || !strings.Contains(string(res.Body), `"result":0`) {
			t.Errorf("%s answers %d %s, want %s named", path, res.Status, res.Body, want)
		}
	}
}

// The addresses in a page lead to the pages they name, filters included.
func TestMessagePagesLeadToEachOther(t *testing.T) {
	a := start(t, "DEMO_ROWS=1")
	token := a.Login("admin")
	seen := map[int64]bool{}
	at, pages := "/business/3/admin/message/read?plugin=export", 0
	for {
		page := a.messages(token, at)
		pages++
		for _, m := range page.Data.Data {
			if seen[m.ID] || m.Plugin != "export" || m.Status != 1 {
				t.Errorf("page %d has %+v", pages, m)
			}
			seen[m.ID] = true
		}
		if page.Data.NextPageURL == nil {
			if len(seen) != page.Data.Total || pages != page.Data.LastPage || pages < 2 {
				t.Errorf("%d messages in %d pages, announced %d in %d", len(seen), pages, page.Data.Total, page.Data.LastPage)
			}
			return
		}
		at = program.PathOf(t, *page.Data.NextPageURL)
	}
}

func TestReadingAndHandlingMessages(t *testing.T) {
	a := start(t, "DEMO_ROWS=2")
	admin, staff := a.Login("admin"), a.Login("13800000002")
	a.Do("POST", "/api/admin/invitations", url.Values{
		"exhibition_id": {"1"}, "user_phone": {"13900000001"}, "recommend_user_phone": {"13900000002"},
	}, "ACCESS-TOKEN", admin)
	start := a.messages(admin, "/admin/message/waitHandle")
	m := start.Data.Data[0]
	type changed struct {
		Result int
		Msg    string
		Data   struct {
			badge
			Message messageRow
			Changed int
		}
	}
	post := func(token, path string) (c changed) {
		t.Helper()
		res := a.Do("POST", path, nil, "ACCESS-TOKEN", token)
		if res.Status != 200 {
			t.Errorf("%s answers %d", path, res.Status)
		}
		var refused struct {
			Result int
			Msg    string
			Data   []any
		}
		if json.Unmarshal(res.Body, &refused) == nil { // a refusal's data is an empty list
			return changed{Result: refused.Result, Msg: refused.Msg}
		}
		res.JSON(t, &c)
		return c
	}
	b := start.Data.badge
	c := post(admin, fmt.Sprintf("/admin/message/%d/read", m.ID))
	if b.UnreadMum--; c.Result != 1 || c.Msg != "操作成功" || c.Data.Message.Status != 1 || c.Data.badge != b {
		t.Errorf("read: %+v, want %+v", c, b)
	}
	c = post(admin, fmt.Sprintf("/business/9/admin/message/%d/handle", m.ID))
	if b.WaitHandleNum--; c.Result != 1 || c.Data.Message.HandleStatus != 0 || c.Data.Message.BusinessID != 9 || c.Data.badge != b {
		t.Errorf("handle: %+v, want %+v", c, b)
	}
	for _, path := range []string{fmt.Sprintf("/admin/message/%d/read", m.ID), "/admin/message/999999/handle"} {
		if c := post(staff, path); c.Result != 0 || c.Msg == "" {
			t.Errorf("another's %s: %+v", path, c)
		}
	}
	if c := post(admin, "/admin/message/0/read"); c.Result != 0 || !strings.Contains(c.Msg, "id") {
		t.Errorf("no id: %+v", c)
	}
	c = post(admin, "/admin/message/read-all")
	if c.Result != 1 || c.Data.Changed != b.UnreadMum || c.Data.UnreadMum != 0 || c.Data.WaitHandleNum != b.WaitHandleNum {
		t.Errorf("read all: %+v, had %+v", c, b)
	}
	if n := a.messages(staff, "/admin/message/unread").Data.UnreadMum; n == 0 {
		t.Error("everybody's messages were read")
	}
}

// Each list exports what it shows, and only one's own.
func TestMessageListsAsFiles(t *testing.T) {
	a := start(t, "DEMO_ROWS=1")
	admin, staff := a.Login("admin"), a.Login("13800000002")
	a.Do("POST", "/api/admin/invitations", url.Values{
		"exhibition_id": {"1"}, "user_phone": {"13900000001"}, "recommend_user_phone": {"13900000002"},
	}, "ACCESS-TOKEN", admin)
	for list, sheet := range map[string]string{"unread": "未读消息", "read": "已读消息", "waitHandle": "待处理消息"} {
		who := admin
		if list == "read" {
			who = staff
		}
		path := "/admin/message/" + list
		var shown []messageRow
		for page := 1; ; page++ {
			p := a.messages(who, fmt.Sprintf("%s?page=%d", path, page))
			shown = append(shown, p.Data.Data...)
			if p.Data.NextPageURL == nil {
				break
			}
		}
		var queued struct {
			Msg  string
			Data struct{ UUID, Channel string }
		}
		a.Do("GET", path+"?export_format=xlsx", nil, "ACCESS-TOKEN", who).JSON(t, &queued)
		if queued.Msg != "导出任务已经加入队列,请耐心等待" || queued.Data.Channel == "" {
			t.Fatalf("%s: %+v", list, queued)
		}
		j := a.Finished(who, queued.Data.UUID)
		if j.FileURL == nil {
			t.Fatalf("%s: %+v", list, j)
		}
		book, err := excelize.OpenReader(bytes.NewReader(a.Do("GET", program.PathOf(t, *j.FileURL), nil).Body))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := book.GetRows(sheet)
		_ = book.Close()
		if err != nil || len(rows) != len(shown)+1 || len(shown) == 0 {
			t.Fatalf("%s: %v, %d rows in the file, %d in the list", list, err, len(rows)-1, len(shown))
		}
		for i, m := range shown {
			if rows[i+1][0] != fmt.Sprint(m.ID) || rows[i+1][6] != m.MessageBody.Title {
				t.Fatalf("row %d of %s is %v, of the list %+v", i+1, list, rows[i+1], m)
			}
		}
	}
}

// A new message comes to an open page with the new counts; no person follows another's messages or
// decisions.
func TestMessagesArePushedToTheirOwner(t *testing.T) {
	a := start(t, "DEMO_ROWS=2")
	admin, staff := a.Login("admin"), a.Login("13800000002")
	adminID, staffID := a.me(admin), a.me(staff)
	for channel, token := range map[string]string{
		fmt.Sprintf("/message/%d", adminID): staff, fmt.Sprintf("/approval/%d", adminID): staff,
		fmt.Sprintf("/message/%d", staffID): "", "/message/0": admin, "/approval/x": admin,
	} {
		var with []string
		if token != "" {
			with = []string{token}
		}
		if l := subscriber.Start(t, a.URL, channel, "websocket", with...).Next(30 * time.Second); l.Refused != 403 {
			t.Errorf("%s was answered with %+v", channel, l)
		}
	}
	before := a.messages(staff, "/admin/message/unread").Data.badge
	own := subscriber.Start(t, a.URL, fmt.Sprintf("/message/%d", staffID), "websocket", staff)
	own.Subscribed()
	administrators := subscriber.Start(t, a.URL, fmt.Sprintf("/message/%d", staffID), "long-polling", admin)
	administrators.Subscribed()
	var queued struct{ Data struct{ UUID string } }
	a.Do("GET", "/api/admin/invitations?export_format=csv", nil, "ACCESS-TOKEN", staff).JSON(t, &queued)
	for _, f := range []*subscriber.Stock{own, administrators} {
		var pushed struct {
			badge
			Message messageRow
		}
		l := f.Next(30 * time.Second)
		if err := json.Unmarshal(l.Event, &pushed); err != nil {
			t.Fatal(err)
		}
		body := pushed.Message.MessageBody
		if pushed.UnreadMum != before.UnreadMum+1 || pushed.WaitHandleNum != before.WaitHandleNum || pushed.Message.RecipientID != staffID ||
			pushed.Message.NoticeType != "1" || body.Head != "导出已完成" || body.Title != "邀请记录" || !strings.Contains(body.Content, "共 2 行") {
			t.Errorf("pushed %s", l.Event)
		}
	}
}

// pushedCounts are the next counts that come to a subscriber, with the message they come with, if
// any.
func pushedCounts(t testing.TB, f *subscriber.Stock) (b badge, m *messageRow) {
	t.Helper()
	var pushed struct {
		badge
		Message *messageRow
	}
	l := f.Next(30 * time.Second)
	if err := json.Unmarshal(l.Event, &pushed); err != nil {
		t.Fatalf("pushed %+v: %v", l, err)
	}
	return pushed.badge, pushed.Message
}

// An import that ended notifies its sender, once, with what became of its rows.
func TestAnImportTellsItsSender(t *testing.T) {
	a := start(t, "DEMO_ROWS=2")
	staff := a.Login("13800000002")
	want := a.messages(staff, "/admin/message/unread").Data.badge
	box := subscriber.Start(t, a.URL, fmt.Sprintf("/message/%d", a.me(staff)), "websocket", staff)
	box.Subscribed()
	a.lines(staff, `{"name":"某人","contact":"13900099998"}`+"\n"+`{"name":"无联系方式"}`)
	a.lines(staff, `{"contact":"13900099998","notes":"第二次"}`)
	for _, content := range []string{"新建 1 条，修改 0 条，未变 0 条，有误 1 行", "新建 0 条，修改 1 条，未变 0 条，有误 0 行"} {
		want.UnreadMum++
		got, m := pushedCounts(t, box)
		if m == nil || got != want || m.NoticeType != "2" || m.Plugin != "import" || m.OperateID != 0 || m.MessageBody.Head != "导入已完成" ||
			m.MessageBody.Title != "联系记录" || m.MessageBody.Content != content {
			t.Errorf("pushed %+v with %+v, want %+v and %s", m, got, want, content)
		}
	}
	if page := a.messages(staff, "/admin/message/unread?plugin=import&notice_type=2"); page.Data.Total != 2 || page.Data.badge != want {
		t.Errorf("%d messages of two imports, %+v", page.Data.Total, page.Data.badge)
	}
}

// A badge counts down as it counts up: in every window of its person, no matter who decides, reads
// or handles where.
func TestCountsFollowEveryChange(t *testing.T) {
	a := start(t, "DEMO_ROWS=5")
	admin := a.Login("admin")
	box := subscriber.Start(t, a.URL, fmt.Sprintf("/message/%d", a.me(admin)), "websocket", admin)
	box.Subscribed()
	a.Do("POST", "/api/admin/invitations", url.Values{
		"exhibition_id": {"1"}, "user_phone": {"13900000001"}, "recommend_user_phone": {"13900000002"},
	}, "ACCESS-TOKEN", admin)
	want, m := pushedCounts(t, box)
	if m == nil || m.NoticeType != "3" {
		t.Fatalf("a new invitation pushes %+v", m)
	}
	alone := func(what string) {
		t.Helper()
		if got, m := pushedCounts(t, box); m != nil || got != want {
			t.Errorf("%s: pushed %+v, %+v, want %+v alone", what, got, m, want)
		}
	}
	a.Do("POST", fmt.Sprintf("/admin/message/%d/read", m.ID), nil, "ACCESS-TOKEN", admin)
	want.UnreadMum--
	alone("read")
	a.Do("PUT", fmt.Sprintf("/api/admin/invitations/%d/reject", a.applying(admin, "", 1)[0]), nil, "ACCESS-TOKEN", admin)
	want.WaitHandleNum--
	alone("claimed")
	want.UnreadMum++
	if got, m := pushedCounts(t, box); m == nil || m.NoticeType != "4" || got != want {
		t.Errorf("decided: pushed %+v, %+v, want %+v", m, got, want)
	}
	a.Do("POST", "/admin/message/read-all", nil, "ACCESS-TOKEN", admin)
	want.UnreadMum = 0
	alone("all read")
}
