package main

import (
	"net/url"
	"strings"
	"testing"

	"exporthub/pkg/audit"
)

// entry is an entry of the audit as its list shows it.
type entry struct {
	ActorName string `json:"actor_name"`
	Action    string
	Subject   string
	Address   string
	Detail    string
	Times     int
}

// What people do through the API, and what they are refused, is in the list of the audit with who
// and from where; only who holds audit.read sees it, and may have it as a file.
func TestWhatIsDoneIsInTheAudit(t *testing.T) {
	a := startEmbedded(t, "DEMO_ROWS=1")
	boss, reader := a.Login("admin"), a.Login("13800000003")
	a.Do("POST", "/api/access/token", map[string]string{"account": "admin", "password": "wrong"})

	for range 3 {
		if res := a.Do("GET", "/api/admin/audit", nil, "ACCESS-TOKEN", reader); res.Status != 403 {
			t.Fatalf("without the right: %d %s", res.Status, res.Body)
		}
	}
	ids := a.Do("GET", "/api/admin/invitations?approve_status=applying", nil, "ACCESS-TOKEN", boss)
	var page struct {
		Data struct{ Models []struct{ ID int } }
	}
	if ids.JSON(t, &page); len(page.Data.Models) == 0 {
		t.Fatal("nothing waits for a decision")
	}
	a.Do("PUT", "/api/admin/invitations/reject",
		map[string]any{"ids": []int{page.Data.Models[0].ID}, "approve_description": "重复"}, "ACCESS-TOKEN", boss)
	a.Do("POST", "/api/contacts/import", map[string]string{"name": "张三", "contact": "audit-1"}, "ACCESS-TOKEN", boss)

	entries := func(filter string) []entry {
		t.Helper()
		res := a.Do("GET", "/api/admin/audit?limit=1000&"+filter, nil, "ACCESS-TOKEN", boss)
		var answer struct{ Data struct{ Items []entry } }
		if res.JSON(t, &answer); res.Status != 200 {
			t.Fatalf("%s: %d %s", filter, res.Status, res.Body)
		}
		return answer.Data.Items
	}
	for action, detail := range map[string]string{
		audit.Login:         "",
		audit.LoginRefused:  "",
		audit.AccessRefused: "permission_missing audit.read",
		audit.Reject:        "原因: 重复; 邀请 ",
		audit.ImportEnd:     "联系记录: 新建 1",
		audit.PersonCreate:  "账号 ",
		audit.RoleGrant:     "（新权限的默认值）",
	} {
		list := entries("action=" + url.QueryEscape(action))
		if len(list) == 0 || !strings.Contains(list[0].Detail, detail) {
			t.Errorf("%s: %+v, want one with %q", action, list, detail)
			continue
		}
		byRequest := action != audit.PersonCreate && action != audit.RoleGrant
		if named := list[0].ActorName != ""; byRequest && (named == (action == audit.LoginRefused) || list[0].Address != "127.0.0.1") {
			t.Errorf("%s: %+v, want who and from where", action, list[0])
		}
	}
	if list := entries("action=access.refused"); len(list) != 1 || list[0].Subject != "GET /api/admin/audit" {
		t.Errorf("three refusals of a minute: %+v, want one row", list)
	}
	// The audit of the audit: its export is in it.
	a.Do("GET", "/api/admin/audit?export_format=csv", nil, "ACCESS-TOKEN", boss)
	if list := entries("action=export.request"); len(list) != 1 || !strings.HasPrefix(list[0].Detail, "audit csv") {
		t.Errorf("export of the audit: %+v", list)
	}
}
