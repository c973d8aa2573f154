package export_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"exporthub/pkg/auth"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/dataset"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/testkit"
)

func (h *hub) eventually(cond func() bool) {
	h.t.Helper()
	testkit.Eventually(h.t, 10*time.Second, cond)
}

// server serves the engine's routes to callers with real tokens.
func (h *hub) server() *httptest.Server {
	r := chi.NewRouter()
	httpapi.Mount(r, append(h.exports.Routes(address), h.auth.Routes()...), httpapi.Options{Authorize: h.auth.Authorize})
	s := httptest.NewServer(r)
	h.t.Cleanup(s.Close)
	return s
}

// get asks for a path, with a token when there is one.
func (h *hub) get(s *httptest.Server, path, token string, header ...string) (*http.Response, []byte) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), "GET", s.URL+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("ACCESS-TOKEN", token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := s.Client().Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return res, body
}

// fetch gets a file by its link and checks the status.
func (h *hub) fetch(link string, status int) []byte {
	h.t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		h.t.Fatal(err)
	}
	res, body := h.get(h.server(), u.RequestURI(), "")
	if res.StatusCode != status {
		h.t.Fatalf("%s answers %d: %.200s", link, res.StatusCode, body)
	}
	return body
}

// exported runs one export and returns its link without the host.
func (h *hub) exported(account string, role auth.Role) (uuid, link string) {
	h.t.Helper()
	ctx, _ := h.person(account, role)
	ticket, err := h.exports.Queue(ctx, dataset.Request{Dataset: "thing", Format: "csv"})
	if err != nil {
		h.t.Fatal(err)
	}
	h.ended(ticket.UUID)
	events := h.settled(ticket.UUID)
	last := events[len(events)-1]
	if last.FileURL == nil {
		h.t.Fatalf("no file: %+v", last.Error)
	}
	u, err := url.Parse(*last.FileURL)
	if err != nil {
		h.t.Fatal(err)
	}
	return ticket.UUID, u.RequestURI()
}

func TestFilesAreFetchedByTheirSignatureOnly(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, sources(t)...), hubOptions{work: true})
	h.fill(5)
	uuid, link := h.exported("owner", auth.Staff)
	_, other := h.exported("other", auth.Staff)
	s := h.server()

	res, body := h.get(s, link, "")
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
	if n := h.count("SELECT COUNT(*) FROM audit WHERE subject = ? AND action = 'export.download' AND address = '192.0.2.7'", uuid); n != 1 {
		t.Errorf("%d audit rows, want 1", n)
	}
	if res, body := h.get(s, link, "", "Range", "bytes=3-7"); res.StatusCode != 206 || len(body) != 5 {
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
		if res, body := h.get(s, bad, ""); res.StatusCode != 403 && res.StatusCode != 404 && res.StatusCode != 422 {
			t.Errorf("%s: answers %d %.100s", name, res.StatusCode, body)
		}
	}
	// Whoever asks only for what is new hears of the end of the retention too.
	res, _ = h.get(s, "/api/exports/"+uuid, h.token("owner"))
	tag := res.Header.Get("ETag")
	h.clock.Advance(7*24*time.Hour + time.Second)
	if res, _ := h.get(s, link, ""); res.StatusCode != 410 {
		t.Errorf("after the retention: %d, want 410", res.StatusCode)
	}
	res, body = h.get(s, "/api/exports/"+uuid, h.token("owner"), "If-None-Match", tag)
	if res.StatusCode != 200 || !strings.Contains(string(body), `"status":"expired"`) {
		t.Errorf("after the retention, for the tag before: %d %s", res.StatusCode, body)
	}
}

func TestADamagedFileIsNotServed(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, sources(t)...), hubOptions{work: true})
	h.fill(5)
	_, link := h.exported("owner", auth.Staff)
	s := h.server()
	path, _, _ := strings.Cut(link, "?")
	if err := os.Truncate(filepath.Join(h.files, filepath.FromSlash(path)), 10); err != nil {
		t.Fatal(err)
	}
	if res, body := h.get(s, link, ""); res.StatusCode != 410 || !strings.Contains(string(body), "文件已损坏") {
		t.Errorf("%d %s, want 410", res.StatusCode, body)
	}
}

// permissionDecides takes the permission to export from the staff and gives it back, and holds that a link of theirs ends
// and is good again.
func (h *hub) permissionDecides(s *httptest.Server, link string) {
	h.t.Helper()
	h.staffMay()
	if res, _ := h.get(s, link, ""); res.StatusCode != 403 {
		h.t.Errorf("without the permission: %d, want 403", res.StatusCode)
	}
	h.staffMay("thing.export")
	if res, _ := h.get(s, link, ""); res.StatusCode != 200 {
		h.t.Errorf("with it again: %d, want 200", res.StatusCode)
	}
}

// staffMay makes these the permissions of the staff.
func (h *hub) staffMay(permissions ...string) {
	h.t.Helper()
	if err := h.auth.SetPermissions(h.t.Context(), auth.Staff, permissions); err != nil {
		h.t.Fatal(err)
	}
}

func TestALinkEndsWithItsOwnersPermission(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, sources(t)...), hubOptions{work: true})
	h.fill(5)
	_, link := h.exported("owner", auth.Staff)
	s := h.server()
	h.permissionDecides(s, link)
	_, p := h.person("owner", auth.Staff)
	if err := h.auth.SetStatus(t.Context(), p.UserID, auth.Disabled); err != nil {
		t.Fatal(err)
	}
	if res, _ := h.get(s, link, ""); res.StatusCode != 403 {
		t.Errorf("of a disabled person: %d, want 403", res.StatusCode)
	}
}

func TestReadingAJob(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, sources(t)...), hubOptions{})
	h.fill(5)
	ctx, _ := h.person("13800000011", auth.Staff)
	h.person("13800000012", auth.Staff)
	h.person("13800000013", auth.Administrator)
	ticket, err := h.exports.Queue(ctx, dataset.Request{Dataset: "thing", Format: "csv"})
	if err != nil {
		t.Fatal(err)
	}
	s := h.server()
	path := "/api/exports/" + ticket.UUID
	owner := h.token("13800000011")

	res, body := h.get(s, path, owner)
	var v struct {
		UUID, Status, Dataset, Why string
		FileURL                    *string `json:"file_url"`
		Event                      told
	}
	if err := json.Unmarshal(body, &v); err != nil || res.StatusCode != 200 {
		t.Fatalf("%d %v: %s", res.StatusCode, err, body)
	}
	if v.UUID != ticket.UUID || v.Status != "queued" || v.Dataset != "thing" || v.Why == "" || v.Event.UUID != ticket.UUID {
		t.Errorf("got %s", body)
	}
	tag := res.Header.Get("ETag")
	if res, _ := h.get(s, path, owner, "If-None-Match", tag); res.StatusCode != 304 {
		t.Errorf("unchanged: %d, want 304", res.StatusCode)
	}
	for name, token := range map[string]string{"another person": h.token("13800000012")} {
		if res, _ := h.get(s, path, token); res.StatusCode != 404 {
			t.Errorf("%s: %d, want 404", name, res.StatusCode)
		}
	}
	if res, _ := h.get(s, path, h.token("13800000013")); res.StatusCode != 200 {
		t.Errorf("an administrator: %d, want 200", res.StatusCode)
	}
	if res, _ := h.get(s, path, ""); res.StatusCode != 401 {
		t.Errorf("a stranger: %d, want 401", res.StatusCode)
	}
	for _, bad := range []string{"/api/exports/11111111-1111-4111-8111-111111111111", "/api/exports/x"} {
		if res, _ := h.get(s, bad, owner); res.StatusCode != 404 {
			t.Errorf("%s: %d, want 404", bad, res.StatusCode)
		}
	}

	// Whoever waits hears of the change when it happens.
	answer := make(chan []byte, 1)
	go func() {
		_, body := h.get(s, path, owner, "Prefer", "wait=20", "If-None-Match", tag)
		answer <- body
	}()
	h.end(ticket.UUID)
	select {
	case body := <-answer:
		if !strings.Contains(string(body), `"status":"cancelled"`) {
			t.Errorf("waited for %s", body)
		}
	case <-time.After(10 * time.Second):
		t.Error("the waiting request heard nothing of the end")
	}
}

// token logs a person in for a test: the password is set first.
func (h *hub) token(account string) string {
	h.t.Helper()
	_, p := h.person(account, auth.Staff)
	const password = "correct horse 11"
	if err := h.auth.SetPassword(h.t.Context(), p.UserID, password, false); err != nil {
		h.t.Fatal(err)
	}
	s := h.server()
	res, err := s.Client().PostForm(s.URL+"/api/access/token", url.Values{"account": {account}, "password": {password}})
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	var body struct{ Data struct{ Token string } }
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil || body.Data.Token == "" {
		h.t.Fatalf("log in %s: %d %v", account, res.StatusCode, err)
	}
	return body.Data.Token
}
