package documents

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"exporthub/pkg/testkit"
	"exporthub/test/program"
	"exporthub/test/subscriber"
)

// approvalRow is what tests read of an invitation.
type approvalRow struct {
	ID                 int64
	ApproveStatus      string  `json:"approve_status"`
	ApproveDescription *string `json:"approve_description"`
	Decision           *string
	DecidedBy          *struct {
		ID   int64
		Name string
	} `json:"decided_by"`
	DecidedAt *string `json:"decided_at"`
}

// applying are the ids of invitations that wait for a decision, the newest n that match the query.
func (a *client) applying(token, query string, n int) []int64 {
	a.T.Helper()
	var page struct {
		Data struct{ Models []approvalRow }
	}
	path := fmt.Sprintf("/api/admin/invitations?approve_status=applying&per_page=%d&%s", n, query)
	a.Do("GET", path, nil, "ACCESS-TOKEN", token).JSON(a.T, &page)
	ids := make([]int64, len(page.Data.Models))
	for i, m := range page.Data.Models {
		ids[i] = m.ID
	}
	return ids
}

// decided waits until the list shows a decision as applied.
func (a *client) decided(token string, id int64, status string) (found approvalRow) {
	a.T.Helper()
	testkit.Eventually(a.T, 30*time.Second, func() bool {
		var page struct {
			Data struct{ Models []approvalRow }
		}
		a.Do("GET", "/api/admin/invitations?per_page=1000&approve_status="+status, nil, "ACCESS-TOKEN", token).JSON(a.T, &page)
		for _, m := range page.Data.Models {
			if m.ID == id {
				found = m
				return true
			}
		}
		return false
	}, "invitation %d to be %s", id, status)
	return found
}

// The examples of approving and rejecting, replayed; and everything that is refused.
func TestReplayOfTheApprovals(t *testing.T) {
	a := start(t, "DEMO_ROWS=40")
	admin, staff := a.Login("admin"), a.Login("13800000002")
	put := func(token, path string, body any) program.Answer {
		return a.Do("PUT", path, body, "ACCESS-TOKEN", token)
	}
	ids := a.applying(admin, "", 10)
	for i, verb := range []string{"approve", "reject"} {
		path := fmt.Sprintf("/api/admin/invitations/%d/%s", ids[i], verb)
		res := put(admin, path, map[string]string{"approve_description": "原因"})
		testkit.Golden(t, "testdata/replay/"+verb+".txt", shape(t, res.Body))
		again := put(admin, path, nil)
		if again.Status != 200 || strings.TrimSpace(string(again.Body)) !=
			`{"code":-1,"message":"failure","remark":"该邀请已审批,请勿重复操作","error":"standard_error"}` {
			t.Errorf("the second decision is answered %d %s", again.Status, again.Body)
		}
		row := a.decided(admin, ids[i], map[string]string{"approve": "approved", "reject": "rejected"}[verb])
		if row.ApproveDescription == nil || *row.ApproveDescription != "原因" || row.DecidedBy == nil || row.DecidedBy.ID != a.me(admin) ||
			row.DecidedBy.Name != "演示管理员" || row.DecidedAt == nil || *row.Decision != row.ApproveStatus {
			t.Errorf("the list shows %+v", row)
		}
	}
	all := put(admin, "/api/admin/invitations/approve", map[string]any{"ids": []int64{ids[2], ids[0], 999_999}})
	testkit.Golden(t, "testdata/replay/approve_bulk.txt", shape(t, all.Body))
	a.decided(admin, ids[2], "approved")
	if res := put(admin, "/api/admin/invitations/approve?ids="+fmt.Sprint(ids[0]), nil); !strings.Contains(string(res.Body), `"uuid":null`) {
		t.Errorf("nothing left to decide: %s", res.Body)
	}

	one := fmt.Sprintf("/api/admin/invitations/%d/approve", ids[3])
	for name, c := range map[string]struct {
		token, path string
		body        any
		status      int
		code        int
		want        string
	}{
		"not permitted":           {staff, one, nil, 200, 401, "errors/unauthorized_error"},
		"not permitted for many":  {staff, "/api/admin/invitations/reject", map[string]any{"ids": ids[3:5]}, 200, 401, "errors/unauthorized_error"},
		"no token":                {"", one, nil, 401, 401, "errors/unauthenticated_error"},
		"unknown":                 {admin, "/api/admin/invitations/999999/reject", nil, 200, 404, "没有这条邀请"},
		"not an id":               {admin, "/api/admin/invitations/x/approve", nil, 200, -1, `"id":`},
		"a description too long":  {admin, one, map[string]string{"approve_description": strings.Repeat("长", 501)}, 200, -1, "approve_description"},
		"no ids":                  {admin, "/api/admin/invitations/approve", map[string]any{}, 200, -1, `"ids":`},
		"an empty list of ids":    {admin, "/api/admin/invitations/approve", map[string]any{"ids": []int64{}}, 200, -1, `"ids":`},
		"too many ids":            {admin, "/api/admin/invitations/approve", map[string]any{"ids": make([]int64, 1001)}, 200, -1, `"ids":`},
		"the id 0":                {admin, "/api/admin/invitations/approve", map[string]any{"ids": []int{1, 0}}, 200, -1, "ids[1]"},
		"a negative id":           {admin, "/api/admin/invitations/reject", map[string]any{"ids": []int{-1}}, 200, -1, "ids[0]"},
		"ids that are no numbers": {admin, "/api/admin/invitations/approve", map[string]any{"ids": []string{"a"}}, 200, -1, "ids"},
	} {
		res := put(c.token, c.path, c.body)
		var refusal struct{ Code int }
		res.JSON(t, &refusal)
		if res.Status != c.status || refusal.Code != c.code || !strings.Contains(string(res.Body), c.want) {
			t.Errorf("%s: answered %d %s, want code %d and %s", name, res.Status, res.Body, c.code, c.want)
		}
	}
	if still := a.applying(admin, "", 10); len(still) == 0 || still[0] != ids[3] {
		t.Errorf("a refused decision changed something: %v", still)
	}
	long := put(admin, one, map[string]string{"approve_description": strings.Repeat("长", 500)})
	if !strings.Contains(string(long.Body), `"code":0`) {
		t.Errorf("500 characters: %s", long.Body)
	}
}

// step is what a subscriber reads of decisions.
type step struct {
	Status string
	UUID   string
	ID     int64
	Done   int
	Total  int
	Failed int
}

// steps reads a bar's events up to its end.
func steps(t testing.TB, f *subscriber.Stock, within time.Duration) (all []step) {
	t.Helper()
	for {
		l := f.Next(within)
		if l.Event == nil {
			continue
		}
		var s step
		if err := json.Unmarshal(l.Event, &s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
		if s.Status == "progress" && s.Done == s.Total {
			return all
		}
	}
}

// Reject five hundred, watch the bar: it moves and ends, and each linked inviter gets one message.
func TestRejectFiveHundredAndWatchTheBar(t *testing.T) {
	const many = 500
	a := start(t, "DEMO_ROWS=3000")
	admin, staff, reader := a.Login("admin"), a.Login("13800000002"), a.Login("13800000003")
	adminID, staffID, readerID := a.me(admin), a.me(staff), a.me(reader)

	// Those of the two linked inviters first, then others.
	linked := map[string][]int64{}
	var ids []int64
	for i, phone := range []string{"13800000002", "13800000003"} {
		for n := range 3 {
			a.Do("POST", "/api/admin/invitations", map[string]any{
				"exhibition_id": 1, "user_phone": fmt.Sprintf("139%04d%04d", i, n), "recommend_user_phone": phone,
			}, "ACCESS-TOKEN", admin)
		}
		linked[phone] = a.applying(admin, "recommend_user_phone="+phone, 10)
		ids = append(ids, linked[phone]...)
	}
	// The demo leaves a few hundred undecided, so some more are made.
	for n := range 150 {
		a.Do("POST", "/api/admin/invitations", map[string]any{
			"exhibition_id": 1, "user_phone": fmt.Sprintf("1386666%04d", n), "recommend_user_phone": "13877770000",
		}, "ACCESS-TOKEN", admin)
	}
	seen := map[int64]bool{}
	for _, id := range ids {
		seen[id] = true
	}
	for _, id := range a.applying(admin, "", 1000) {
		if len(ids) < many && !seen[id] {
			ids = append(ids, id)
		}
	}
	if len(ids) != many || len(linked["13800000002"]) < 3 || len(linked["13800000003"]) < 3 {
		t.Fatalf("%d to reject, linked %v", len(ids), linked)
	}
	before := map[string]int{admin: a.messages(admin, "/admin/message/unread").Data.UnreadMum,
		staff: a.messages(staff, "/admin/message/unread").Data.UnreadMum, reader: a.messages(reader, "/admin/message/unread").Data.UnreadMum}

	bar := subscriber.Start(t, a.URL, fmt.Sprintf("/approval/%d", adminID), "websocket", admin)
	decisions := subscriber.Start(t, a.URL, fmt.Sprintf("/approval/%d", staffID), "websocket", staff)
	boxes := map[string]*subscriber.Stock{
		staff:  subscriber.Start(t, a.URL, fmt.Sprintf("/message/%d", staffID), "websocket", staff),
		reader: subscriber.Start(t, a.URL, fmt.Sprintf("/message/%d", readerID), "long-polling", reader),
	}
	for _, f := range []*subscriber.Stock{bar, decisions, boxes[staff], boxes[reader]} {
		f.Subscribed()
	}
	var accepted struct {
		Code   int
		Remark string
		Data   struct {
			UUID       string
			Channel    string
			Total      int
			NotClaimed []int64 `json:"not_claimed"`
		}
	}
	a.Do("PUT", "/api/admin/invitations/reject", map[string]any{"ids": ids, "approve_description": "名额已满"}, "ACCESS-TOKEN", admin).JSON(t, &accepted)
	if accepted.Code != 0 || accepted.Data.UUID == "" || accepted.Data.Total != many || len(accepted.Data.NotClaimed) != 0 ||
		accepted.Data.Channel != fmt.Sprintf("/approval/%d", adminID) {
		t.Fatalf("accepted %+v", accepted)
	}

	events := steps(t, bar, 30*time.Second)
	moved := 0
	for i, s := range events {
		if s.Status != "progress" || s.UUID != accepted.Data.UUID || s.Total != many || s.Failed != 0 {
			t.Errorf("step %d is %+v", i, s)
		}
		if s.Done > 0 && s.Done < many {
			moved++
		}
	}
	if moved < 2 {
		t.Errorf("the bar jumped: %+v", events)
	}
	for token, f := range boxes {
		var pushed struct {
			badge
			Message messageRow
		}
		l := f.Next(30 * time.Second)
		if err := json.Unmarshal(l.Event, &pushed); err != nil {
			t.Fatal(err)
		}
		if pushed.UnreadMum != before[token]+1 || pushed.Message.MessageBody.Head != "您的邀请已被拒绝" ||
			!strings.Contains(pushed.Message.MessageBody.Content, "审批原因:名额已满") || pushed.Message.OperateID != adminID {
			t.Errorf("pushed %s", l.Event)
		}
	}
	for range linked["13800000002"] {
		l := decisions.Next(30 * time.Second)
		if !strings.Contains(string(l.Event), `{"status":"rejected","id":`) || !strings.Contains(string(l.Event), `"approve_description":"名额已满"`) {
			t.Errorf("the inviter's page receives %s", l.Event)
		}
	}
	for token, n := range before {
		testkit.Eventually(t, 10*time.Second, func() bool {
			return a.messages(token, "/admin/message/unread").Data.UnreadMum == n+1
		}, "one message each")
	}
	left := a.applying(admin, "", 1000)
	for _, id := range left {
		if seen[id] {
			t.Errorf("%d still waits", id)
		}
	}
}

// The worker is killed in the middle of a bulk decision: another goes on, and everybody is notified
// once.
func TestBulkDecisionSurvivesItsWorker(t *testing.T) {
	const rows = 5000
	p := program.StartParts(t, rows, "LEASE=2s")
	token, _ := p.SignIn()
	bar := subscriber.Start(t, p.URL, "/approval/1", "websocket", token)
	bar.Subscribed()
	ids := (&client{App: p.App}).applying(token, "", 1000)
	first := p.Worker()
	var accepted struct{ Data struct{ UUID string } }
	p.Do("PUT", "/api/admin/invitations/approve", map[string]any{"ids": ids}, "ACCESS-TOKEN", token).JSON(t, &accepted)
	for {
		var s step
		if l := bar.Next(30 * time.Second); l.Event != nil && json.Unmarshal(l.Event, &s) == nil && s.Done > 0 {
			break
		}
	}
	first.Signal(syscall.SIGKILL)
	_ = first.Ended(10 * time.Second)
	p.Worker()

	testkit.Eventually(t, time.Minute, func() bool {
		return p.Count("SELECT COUNT(*) FROM jobs WHERE uuid = '"+accepted.Data.UUID+"' AND state = 'success'") == 1
	}, "the job to end")
	t.Logf("ended in attempt %d", p.Count("SELECT attempt FROM jobs WHERE uuid = '"+accepted.Data.UUID+"'"))
	if n := p.Count("SELECT COUNT(*) FROM invitations WHERE decision_job = '" + accepted.Data.UUID + "' AND approve_status = 'approved'"); n != len(ids) {
		t.Errorf("%d of %d are approved", n, len(ids))
	}
	if n := p.Count("SELECT COUNT(*) FROM messages WHERE notice_type = '4'"); n != p.Count(`SELECT COUNT(DISTINCT recipient_id) FROM messages`) || n == 0 {
		t.Errorf("%d messages about one decision", n)
	}
	if n := p.Count("SELECT COUNT(*) FROM messages WHERE recipient_id = 1"); n != 1 {
		t.Errorf("the decider has %d messages", n)
	}
}
