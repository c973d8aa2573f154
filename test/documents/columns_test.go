package documents

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"exporthub/pkg/database"
	"exporthub/pkg/testkit"
	"exporthub/test/program"
)

// take takes a permission from the staff, or gives it back, and waits until the program knows.
func (a *client) take(token, permission string, back bool) {
	a.T.Helper()
	db, err := database.Open(a.T.Context(), "sqlite:"+filepath.Join(a.dir, "data", "exporthub.db"), database.Options{})
	if err != nil {
		a.T.Fatal(err)
	}
	defer db.Close()
	statement := "DELETE FROM role_permissions WHERE permission = ? AND role = 2"
	if back {
		statement = "INSERT INTO role_permissions (permission, role) VALUES (?, 2)"
	}
	err = db.Write(a.T.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, statement, permission)
		return err
	})
	if err != nil {
		a.T.Fatal(err)
	}
	testkit.Eventually(a.T, 10*time.Second, func() bool {
		me := a.Do("GET", "/api/user/me", nil, "ACCESS-TOKEN", token)
		return strings.Contains(string(me.Body), `"`+permission+`"`) == back
	}, "the program to know of "+permission)
}

// csvOf exports a list by its own address and returns the file's lines, and the link to it.
func (a *client) csvOf(token, path string) (lines [][]string, link string) {
	a.T.Helper()
	var queued struct{ Data struct{ UUID string } }
	res := a.Do("GET", path, nil, "ACCESS-TOKEN", token)
	if res.JSON(a.T, &queued); queued.Data.UUID == "" {
		a.T.Fatalf("%s answers %d %s", path, res.Status, res.Body)
	}
	j := a.Finished(token, queued.Data.UUID)
	if j.FileURL == nil {
		a.T.Fatalf("ended %+v", j)
	}
	link = program.PathOf(a.T, *j.FileURL)
	lines, err := csv.NewReader(strings.NewReader(string(a.Do("GET", link, nil).Body))).ReadAll()
	if err != nil {
		a.T.Fatal(err)
	}
	return lines, link
}

// refused is the answer to who opens a link that is not served any more.
func (a *client) refused(link string) string {
	a.T.Helper()
	res := a.Do("GET", link, nil)
	if res.Status != 403 {
		a.T.Fatalf("%s answers %d, want 403", link, res.Status)
	}
	return string(res.Body)
}

// Without the permission to read phones, the list, a created row and the file hide their middle
// alike; filters still find them; what was exported whole before is not handed out any more, until
// the permission is back.
func TestPhonesOfInvitationsAreMasked(t *testing.T) {
	a := start(t, "DEMO_ROWS=40")
	staff := a.Login("13800000002")
	const list, export = "/api/admin/invitations", "/api/admin/invitations?export_format=csv-raw&columns=id,user_phone,recommend_user_phone"
	listed := func() [][]string {
		t.Helper()
		lines := [][]string{{"id", "user_phone", "recommend_user_phone"}}
		var page struct {
			Data struct {
				Models []struct {
					ID            int64
					User          struct{ Phone string }
					RecommendUser struct{ Phone string } `json:"recommend_user"`
				}
			}
		}
		a.Do("GET", list+"?per_page=1000", nil, "ACCESS-TOKEN", staff).JSON(t, &page)
		for _, m := range page.Data.Models {
			lines = append(lines, []string{fmt.Sprint(m.ID), m.User.Phone, m.RecommendUser.Phone})
		}
		return lines
	}
	whole := listed()
	file, before := a.csvOf(staff, export)
	if diff := cmp.Diff(whole, file); diff != "" || len(file) != 41 {
		t.Errorf("%d lines, list and file differ:\n%s", len(file), diff)
	}
	_, harmless := a.csvOf(staff, list+"?export_format=csv-raw&columns=id,company_name")

	a.take(staff, "invitation.read_phone", false)
	masked := [][]string{whole[0]}
	for _, line := range whole[1:] {
		masked = append(masked, []string{line[0], line[1][:3] + "****" + line[1][7:], line[2][:3] + "****" + line[2][7:]})
	}
	if diff := cmp.Diff(masked, listed()); diff != "" {
		t.Errorf("the list (-want +got):\n%s", diff)
	}
	file, after := a.csvOf(staff, export)
	if diff := cmp.Diff(masked, file); diff != "" {
		t.Errorf("the file (-want +got):\n%s", diff)
	}
	// A filter would find the masked digits one by one.
	for _, path := range []string{list + "?", export + "&"} {
		res := a.Do("GET", path+"user_phone="+whole[1][1], nil, "ACCESS-TOKEN", staff)
		if !strings.Contains(string(res.Body), "user_phone 没有查看该列完整内容的权限，不能按它筛选") {
			t.Errorf("a filter by a masked phone answers %.300s", res.Body)
		}
	}
	if words := a.refused(before); !strings.Contains(words, "没有查看列“被邀请人手机号”完整内容的权限") {
		t.Errorf("the whole file is refused with %s", words)
	}
	for _, link := range []string{harmless, after} {
		if res := a.Do("GET", link, nil); res.Status != 200 {
			t.Errorf("a file without whole phones answers %d", res.Status)
		}
	}
	a.take(staff, "invitation.read_phone", true)
	if diff := cmp.Diff(whole, listed()); diff != "" {
		t.Errorf("with the permission again (-want +got):\n%s", diff)
	}
	if res := a.Do("GET", before, nil); res.Status != 200 {
		t.Errorf("the whole file answers %d with the permission again", res.Status)
	}
}

// Without the permission to read notes, the list shows none, a file has no such column, asking for
// it is refused by its name, and no person overwrites what they can't see.
func TestNotesOfContactsNeedAPermission(t *testing.T) {
	a := start(t, "DEMO_ROWS=30")
	staff := a.Login("13800000002")
	made := a.bearer("POST", "/api/contacts", map[string]any{"name": "某人", "contact": "13900099997", "notes": "只给一些人看"}, staff)
	var created answerD[contactRow]
	if made.JSON(t, &created); created.Data.Notes != "只给一些人看" {
		t.Fatalf("made %d %s", made.Status, made.Body)
	}
	const search, export = "?search=13900099997", "/api/contacts?search=13900099997&export_format=csv"
	file, before := a.csvOf(staff, export)
	if len(file) != 2 || len(file[0]) != 10 || file[1][7] != "只给一些人看" {
		t.Fatalf("the file: %q", file)
	}

	a.take(staff, "contact.read_notes", false)
	if got := a.contacts(staff, search).Results; len(got) != 1 || got[0].Notes != "" || got[0].Contact != "13900099997" {
		t.Errorf("the list: %+v", got)
	}
	if found := a.contacts(staff, "?search="+url.QueryEscape("只给一些人看")).Total; found != 0 {
		t.Errorf("a search finds notes: %d", found)
	}
	if file, _ := a.csvOf(staff, export); len(file[0]) != 9 || strings.Contains(fmt.Sprint(file), "备注") || strings.Contains(fmt.Sprint(file), "只给一些人看") {
		t.Errorf("the file: %q", file)
	}
	for name, res := range map[string]program.Answer{
		"columns": a.bearer("GET", export+"&columns=id,notes", nil, staff),
		"notes":   a.bearer("PUT", fmt.Sprint("/api/contacts/", created.Data.ID), map[string]any{"notes": "盖掉"}, staff),
	} {
		var body answerD[any]
		if res.JSON(t, &body); res.Status != 400 || !strings.Contains(body.Errors[name], "权限") || name == "columns" && !strings.Contains(body.Errors[name], "notes") {
			t.Errorf("%s: answers %d %s, want the field named", name, res.Status, res.Body)
		}
	}
	if res := a.bearer("PUT", fmt.Sprint("/api/contacts/", created.Data.ID), map[string]any{"name": "改名"}, staff); res.Status != 200 || strings.Contains(string(res.Body), "只给一些人看") {
		t.Errorf("another field: %d %s", res.Status, res.Body)
	}
	if words := a.refused(before); !strings.Contains(words, "没有查看列“备注”的权限") {
		t.Errorf("the file with notes is refused with %s", words)
	}

	a.take(staff, "contact.read_notes", true)
	if got := a.contacts(staff, search).Results; len(got) != 1 || got[0].Notes != "只给一些人看" || got[0].Name != "改名" {
		t.Errorf("with the permission again: %+v", got)
	}
	if res := a.Do("GET", before, nil); res.Status != 200 {
		t.Errorf("the file answers %d with the permission again", res.Status)
	}
}
