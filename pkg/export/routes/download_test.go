package routes_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/dataset"
	"exporthub/pkg/export/exporttest"
	"exporthub/pkg/storage"
)

// linkingStore serves its objects itself, as a cloud store does.
type linkingStore struct{ *exporttest.FaultyStore }

func (s linkingStore) Link(context.Context, string, storage.LinkOptions) (string, error) {
	return "https://store.example.com/object", nil
}

// ask sends a request for a link and follows no redirect.
func ask(t *testing.T, s *httptest.Server, method, link, token string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+link, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("ACCESS-TOKEN", token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := *s.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Fatal(err)
	}
	return res
}

// exported runs an export and returns both kinds of link to its file, without the host.
func exported(t *testing.T, h *exporttest.Hub, r dataset.Request) (uuid string, links map[string]string) {
	t.Helper()
	ctx, _ := h.Person("owner", auth.Staff)
	r.Dataset = "thing"
	r.Filename = "things"
	ticket, err := h.Exports.Queue(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	h.Ended(ticket.UUID)
	events := h.Settled(ticket.UUID)
	links = map[string]string{}
	for name, whole := range map[string]string{
		"direct":  *events[len(events)-1].FileURL,
		"waiting": h.Exports.WaitLink(ticket.UUID, "things."+r.Format),
	} {
		u, err := url.Parse(whole)
		if err != nil {
			t.Fatal(err)
		}
		links[name] = u.RequestURI()
	}
	return ticket.UUID, links
}

// TestOneDownloadAFetch: the audit has a row for each fetch that was answered with bytes, one for
// all its ranges, and names the person who is known.
func TestOneDownloadAFetch(t *testing.T) {
	h := exporttest.New(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true})
	h.Fill(20)
	_, other := h.Person("other", auth.Staff)
	uuid, links := exported(t, h, dataset.Request{Format: "csv"})
	s := h.Server()
	token := h.Token("other")
	rows := func(actor int64) int {
		return h.Count("SELECT COUNT(*) FROM audit WHERE subject = ? AND action = 'export.download' AND actor_id = ?"+
			" AND address = '192.0.2.7'", uuid, actor)
	}
	for kind, link := range links {
		h.Exec("DELETE FROM audit")
		tag := ask(t, s, "HEAD", link, "").Header.Get("Last-Modified")
		for _, c := range []struct {
			name, method, token string
			header              []string
			status              int
			byLink, byOther     int // rows after it
		}{
			{"HEAD", "HEAD", "", nil, 200, 0, 0},
			{"HEAD of a range", "HEAD", "", []string{"Range", "bytes=0-4"}, 206, 0, 0},
			{"not modified", "GET", "", []string{"If-Modified-Since", tag}, 304, 0, 0},
			{"a range outside", "GET", "", []string{"Range", "bytes=999999-"}, 416, 0, 0},
			{"the first range", "GET", "", []string{"Range", "bytes=0-4"}, 206, 1, 0},
			{"the next range", "GET", "", []string{"Range", "bytes=5-9"}, 206, 1, 0},
			{"the rest", "GET", "", []string{"Range", "bytes=10-"}, 206, 1, 0},
			{"the whole file", "GET", "", nil, 200, 2, 0},
			{"again", "GET", "", nil, 200, 3, 0},
			{"an unknown unit", "GET", "", []string{"Range", "lines=1-2"}, 200, 4, 0},
			{"another person", "GET", token, nil, 200, 4, 1},
			{"their range", "GET", token, []string{"Range", "BYTES=3-"}, 206, 4, 1},
			{"a token that is no good", "GET", "nonsense", nil, 200, 5, 1},
		} {
			res := ask(t, s, c.method, link, c.token, c.header...)
			if res.StatusCode != c.status {
				t.Errorf("%s, %s: answers %d, want %d", kind, c.name, res.StatusCode, c.status)
			}
			if got, want := [2]int{rows(0), rows(other.UserID)}, [2]int{c.byLink, c.byOther}; got != want {
				t.Errorf("%s, %s: %v rows by link and by the other, want %v", kind, c.name, got, want)
			}
		}
		if n := h.Count("SELECT COUNT(*) FROM audit WHERE action = 'export.download' AND actor_id = 0 AND detail NOT LIKE '%(by link)'"); n != 0 {
			t.Errorf("%s: %d rows without an actor do not say that the link was used", kind, n)
		}
	}
}

// TestRangesFetchedAtOnceAreOneDownload, as download managers do.
func TestRangesFetchedAtOnceAreOneDownload(t *testing.T) {
	exporttest.OnEach(t, func(t *testing.T, db *database.DB) {
		h := exporttest.New(t, db, exporttest.Options{Work: true})
		h.Fill(20)
		uuid, links := exported(t, h, dataset.Request{Format: "csv"})
		s := h.Server()
		var parts sync.WaitGroup
		for range 8 {
			parts.Go(func() { ask(t, s, "GET", links["direct"], "", "Range", "bytes=1-9") })
		}
		parts.Wait()
		if n := h.Count("SELECT COUNT(*) FROM audit WHERE subject = ? AND action = 'export.download'", uuid); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	})
}

// TestARedirectIsADownload: the store serves the bytes, so the redirect to it is what is recorded.
func TestARedirectIsADownload(t *testing.T) {
	h := exporttest.New(t, dbtest.SQLite(t, exporttest.Sources(t)...), exporttest.Options{
		Work: true,
		Wrap: func(s *exporttest.FaultyStore) storage.Store { return linkingStore{s} },
	})
	h.Fill(3)
	uuid, links := exported(t, h, dataset.Request{Format: "csv"})
	s := h.Server()
	for i, c := range []struct {
		method, ranges string
		rows           int
	}{
		{"HEAD", "", 0},
		{"GET", "", 1},
		{"GET", "bytes=5-", 1}, // resumed
		{"GET", "", 2},
	} {
		res := ask(t, s, c.method, links["direct"], "", "Range", c.ranges)
		n := h.Count("SELECT COUNT(*) FROM audit WHERE subject = ? AND action = 'export.download'", uuid)
		if res.StatusCode != 302 || n != c.rows {
			t.Errorf("request %d: %d with %d rows, want 302 with %d", i, res.StatusCode, n, c.rows)
		}
	}
}

// TestRangesOfAnEmptyFile: there is nothing to take a part of, so the answer is the whole file.
func TestRangesOfAnEmptyFile(t *testing.T) {
	h := exporttest.New(t, dbtest.SQLite(t, exporttest.Sources(t)...), exporttest.Options{Work: true})
	_, links := exported(t, h, dataset.Request{Format: "jsonl"})
	s := h.Server()
	for kind, link := range links {
		for _, ranges := range []string{"", "bytes=-5", "bytes=0-", "bytes=0-0", "bytes=3-", "lines=1-2"} {
			res := ask(t, s, "GET", link, "", "Range", ranges)
			if res.StatusCode != 200 || res.ContentLength != 0 || res.Header.Get("Content-Range") != "" {
				t.Errorf("%s, %q: answers %d, %d bytes, Content-Range %q; want 200 and an empty file",
					kind, ranges, res.StatusCode, res.ContentLength, res.Header.Get("Content-Range"))
			}
		}
	}
}

// TestHeadOfAFileThatIsNotThere does not wait for it.
func TestHeadOfAFileThatIsNotThere(t *testing.T) {
	h := exporttest.New(t, dbtest.SQLite(t, exporttest.Sources(t)...), exporttest.Options{})
	ctx, _ := h.Person("owner", auth.Staff)
	ticket, err := h.Exports.Queue(ctx, dataset.Request{Dataset: "thing", Format: "csv", Filename: "things"})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(h.Exports.WaitLink(ticket.UUID, "things.csv"))
	if err != nil {
		t.Fatal(err)
	}
	s := h.Server()
	res := ask(t, s, "HEAD", u.RequestURI(), "")
	if res.StatusCode != 200 || !strings.Contains(res.Header.Get("Content-Disposition"), "things.csv") {
		t.Errorf("while it is queued: %d %v", res.StatusCode, res.Header)
	}
	if res := ask(t, s, "HEAD", strings.Replace(u.RequestURI(), "things", "other", 1), ""); res.StatusCode != 403 {
		t.Errorf("a link that was changed: %d, want 403", res.StatusCode)
	}
	h.End(ticket.UUID)
	if res := ask(t, s, "HEAD", u.RequestURI(), ""); res.StatusCode != 502 {
		t.Errorf("when it was cancelled: %d, want 502", res.StatusCode)
	}
}

// TestADownloadIsServedWhileItsAuditRowHasToWait: the file goes out and the row follows.
func TestADownloadIsServedWhileItsAuditRowHasToWait(t *testing.T) {
	h := exporttest.New(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true})
	h.Fill(3)
	uuid, links := exported(t, h, dataset.Request{Format: "csv"})
	s := h.Server()
	h.Exec(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN RAISE EXCEPTION ''could not extend file'' USING ERRCODE = ''53300''; END'`)
	h.Exec("CREATE TRIGGER full_disk BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION full_disk()")
	for kind, link := range links {
		if res := ask(t, s, "GET", link, ""); res.StatusCode != 200 {
			t.Errorf("%s: answers %d, want 200", kind, res.StatusCode)
		}
	}
	// Ranges of one fetch are one row, also when they had to wait.
	for range 3 {
		ask(t, s, "GET", links["direct"], "", "Range", "bytes=1-2")
	}
	h.Exec("DROP TRIGGER full_disk ON audit")
	rows := func() int {
		return h.Count("SELECT COUNT(*) FROM audit WHERE subject = ? AND action = 'export.download'", uuid)
	}
	h.Eventually(func() bool { return rows() == 2 })
	h.Exports.Drain()
	if n := rows(); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
}
