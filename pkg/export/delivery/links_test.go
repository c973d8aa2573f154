package delivery_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/export/exporttest"
)

func TestFilesAreFetchedByTheirSignatureOnly(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true})
	h.Fill(5)
	uuid, link := h.Exported("owner", auth.Staff)
	_, other := h.Exported("other", auth.Staff)
	s := h.Server()

	res, body := h.Get(s, link, "")
	if res.StatusCode != 200 || !strings.Contains(string(body), "物品4") {
		t.Fatalf("%d %.100s", res.StatusCode, body)
	}
	disposition := res.Header.Get("Content-Disposition")
	if !strings.HasPrefix(disposition, "attachment; ") || !strings.Contains(disposition, "filename*=utf-8''%E7%89%A9%E5%93%81_") {
		t.Errorf("Content-Disposition = %q", disposition)
	}
	if got := res.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/csv") {
		t.Errorf("Content-Type = %q", got)
	}
	if n := h.Count("SELECT COUNT(*) FROM audit WHERE subject = ? AND action = 'export.download' AND address = '192.0.2.7'", uuid); n != 1 {
		t.Errorf("%d audit rows, want 1", n)
	}
	if res, body := h.Get(s, link, "", "Range", "bytes=3-7"); res.StatusCode != 206 || len(body) != 5 {
		t.Errorf("a range answers %d with %d bytes", res.StatusCode, len(body))
	}

	path, query, _ := strings.Cut(link, "?")
	_, otherQuery, _ := strings.Cut(other, "?")
	flipped := query[:len(query)-1] + map[bool]string{true: "A", false: "B"}[query[len(query)-1] != 'A']
	for name, bad := range map[string]string{
		"no signature":        path,
		"empty signature":     path + "?s=",
		"another's signature": path + "?" + otherQuery,
		"one letter changed":  path + "?" + flipped,
		"another file":        strings.Replace(path, "csv", "xlsx", 1) + "?" + query,
		"outside":             "/export/..%2f..%2fetc%2fpasswd?" + query,
		"nonsense":            "/export/x?s=%00%ff",
	} {
		if res, body := h.Get(s, bad, ""); res.StatusCode != 403 && res.StatusCode != 404 && res.StatusCode != 422 {
			t.Errorf("%s: answers %d %.100s", name, res.StatusCode, body)
		}
	}
	// A conditional request for the record shows the end of the retention too.
	res, _ = h.Get(s, "/api/exports/"+uuid, h.Token("owner"))
	tag := res.Header.Get("ETag")
	h.Clock.Advance(7*24*time.Hour + time.Second)
	if res, _ := h.Get(s, link, ""); res.StatusCode != 410 {
		t.Errorf("after the retention: %d, want 410", res.StatusCode)
	}
	res, body = h.Get(s, "/api/exports/"+uuid, h.Token("owner"), "If-None-Match", tag)
	if res.StatusCode != 200 || !strings.Contains(string(body), `"status":"expired"`) {
		t.Errorf("after the retention, for the tag before: %d %s", res.StatusCode, body)
	}
}

func TestADamagedFileIsNotServed(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true})
	h.Fill(5)
	_, link := h.Exported("owner", auth.Staff)
	s := h.Server()
	path, _, _ := strings.Cut(link, "?")
	if err := os.Truncate(filepath.Join(h.Files, filepath.FromSlash(path)), 10); err != nil {
		t.Fatal(err)
	}
	if res, body := h.Get(s, link, ""); res.StatusCode != 410 || !strings.Contains(string(body), "文件已损坏") {
		t.Errorf("%d %s, want 410", res.StatusCode, body)
	}
}

// permissionDecides takes the permission to export from the staff and gives it back, and holds
// that a link of theirs ends and is good again.
func (h *hub) permissionDecides(s *httptest.Server, link string) {
	h.T.Helper()
	h.StaffMay()
	if res, _ := h.Get(s, link, ""); res.StatusCode != 403 {
		h.T.Errorf("without the permission: %d, want 403", res.StatusCode)
	}
	h.StaffMay("thing.export")
	if res, _ := h.Get(s, link, ""); res.StatusCode != 200 {
		h.T.Errorf("with it again: %d, want 200", res.StatusCode)
	}
}

func TestALinkEndsWithItsOwnersPermission(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true})
	h.Fill(5)
	_, link := h.Exported("owner", auth.Staff)
	s := h.Server()
	h.permissionDecides(s, link)
	_, p := h.Person("owner", auth.Staff)
	if err := h.Auth.SetStatus(t.Context(), p.UserID, auth.Disabled); err != nil {
		t.Fatal(err)
	}
	if res, _ := h.Get(s, link, ""); res.StatusCode != 403 {
		t.Errorf("of a disabled person: %d, want 403", res.StatusCode)
	}
}
