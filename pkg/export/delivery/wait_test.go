package delivery_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/exporttest"
)

const wantedName = "things_20261121_101500_0a1b2c3d"

// wanted queues an export under a name of its own and returns its link that waits, without the
// host.
func (h *hub) wanted(ctx context.Context) (uuid, link string) {
	h.T.Helper()
	ticket, err := h.Exports.Queue(ctx, dataset.Request{Dataset: "thing", Format: "csv", Filename: wantedName})
	if err != nil {
		h.T.Fatal(err)
	}
	whole := h.Exports.WaitLink(ticket.UUID, wantedName+".csv")
	u, err := url.Parse(whole)
	if err != nil {
		h.T.Fatal(err)
	}
	if !strings.HasPrefix(whole, "https://hub.example.com/media/exports/"+wantedName+".csv?s=") {
		h.T.Errorf("link %s", whole)
	}
	return ticket.UUID, u.RequestURI()
}

// hold keeps every file from being stored until it is released.
func (h *hub) hold() (storing <-chan struct{}, release func()) {
	began, held := make(chan struct{}), make(chan struct{})
	var once sync.Once
	h.Store.Refuse = func(int) error {
		once.Do(func() { close(began) })
		<-held
		return nil
	}
	return began, sync.OnceFunc(func() { close(held) })
}

// reply is an answer that came, or is to come.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// later asks in the background.
func (h *hub) later(s *httptest.Server, path string) <-chan reply {
	answer := make(chan reply, 1)
	go func() {
		res, body := h.Get(s, path, "")
		answer <- reply{res.StatusCode, res.Header, body}
	}()
	return answer
}

// within takes what has to come soon.
func within[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

func TestALinkWaitsForItsFile(t *testing.T) {
	exporttest.OnEach(t, func(t *testing.T, db *database.DB) {
		h := newHub(t, db, exporttest.Options{Work: true, Wait: 50 * time.Millisecond})
		h.Fill(5)
		storing, release := h.hold()
		defer release()
		ctx, _ := h.Person("owner", auth.Staff)
		s := h.Server()
		id, link := h.wanted(ctx)
		early := h.later(s, link)
		within(t, storing, "the upload")
		got, err := h.Exports.Wait(ctx, id)
		if err != nil || got.Ended || got.Count != 5 || !got.FinishedAt.IsZero() {
			t.Errorf("waited in vain for %+v, %v; want 5 rows and no end", got, err)
		}
		select {
		case r := <-early:
			t.Fatalf("answered %d before there was a file: %.100s", r.status, r.body)
		default:
		}
		release()
		r := within(t, early, "the file")
		if r.status != 200 || !strings.Contains(string(r.body), "物品4") || !strings.Contains(r.header.Get("Content-Disposition"), wantedName+".csv") {
			t.Errorf("the link answers %d %v %.100s", r.status, r.header, r.body)
		}
		if got, err := h.Exports.Wait(ctx, id); err != nil || !got.Ended || got.Count != 5 || got.FinishedAt.IsZero() {
			t.Errorf("waited for %+v, %v", got, err)
		}
		if res, body := h.Get(s, link, "", "Range", "bytes=3-7"); res.StatusCode != 206 || len(body) != 5 {
			t.Errorf("again, a range: %d with %d bytes", res.StatusCode, len(body))
		}
		if n := h.Count("SELECT COUNT(*) FROM audit WHERE subject = ? AND action = 'export.download' AND address = '192.0.2.7'", id); n != 1 {
			t.Errorf("%d audit rows, want 1: the range is part of the same fetch", n)
		}
		h.Balanced()
	})
}

func TestALinkTellsWhyThereIsNoFile(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true})
	h.Fill(5)
	ctx, _ := h.Person("owner", auth.Staff)
	s := h.Server()
	refused := func(r reply, words string) {
		t.Helper()
		var body struct {
			Code int
			Msg  string
			Data any
		}
		if err := json.Unmarshal(r.body, &body); err != nil || r.status != 502 || body.Code != 502 || body.Data != nil || !strings.Contains(body.Msg, words) {
			t.Errorf("answers %d %s, want 502 with %s", r.status, r.body, words)
		}
	}
	h.Store.Refuse = func(int) error { return errs.New(errs.Unavailable, "") }
	_, link := h.wanted(ctx)
	refused(within(t, h.later(s, link), "the answer"), "导出失败:")

	storing, release := h.hold()
	defer release()
	id, link := h.wanted(ctx)
	waiting := h.later(s, link)
	within(t, storing, "the upload")
	h.End(id)
	release()
	refused(within(t, waiting, "the answer"), "导出已取消")
}

func TestALinkDoesNotWaitForEver(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{FileWait: 100 * time.Millisecond, Wait: time.Minute})
	h.Fill(5)
	ctx, _ := h.Person("owner", auth.Staff)
	s := h.Server()
	id, link := h.wanted(ctx)
	res, body := h.Get(s, link, "")
	if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || !strings.Contains(string(body), "文件仍在生成") {
		t.Errorf("after the longest Wait: %d %v %s", res.StatusCode, res.Header, body)
	}

	// At the end of the process no request is left waiting.
	waited := make(chan error, 1)
	go func() {
		_, err := h.Exports.Wait(ctx, id)
		waited <- err
	}()
	h.Exports.Drain()
	if err := within(t, waited, "the end of the wait"); err != nil {
		t.Errorf("drained: %v", err)
	}
	if res, _ := h.Get(s, link, ""); res.StatusCode != 503 {
		t.Errorf("while draining: %d, want 503", res.StatusCode)
	}
}

func TestAClientThatGoesStopsWaiting(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{})
	ctx, _ := h.Person("owner", auth.Staff)
	s := h.Server()
	_, link := h.wanted(ctx)
	ask, leave := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer leave()
	req, err := http.NewRequestWithContext(ask, "GET", s.URL+link, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := s.Client().Do(req); err == nil {
		res.Body.Close()
		t.Fatalf("answered %d", res.StatusCode)
	}
	closed := make(chan struct{})
	go func() {
		s.Close() // returns when no request is being answered
		close(closed)
	}()
	within(t, closed, "the end of the request")
}

func TestWhoMayWait(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true, Wait: time.Minute})
	h.Fill(5)
	ctx, _ := h.Person("owner", auth.Staff)
	stranger, _ := h.Person("stranger", auth.Staff)
	s := h.Server()
	id, link := h.wanted(ctx)
	h.Ended(id)
	for name, ask := range map[string]func() error{
		"a stranger": func() error { _, err := h.Exports.Wait(stranger, id); return err },
		"anonymous":  func() error { _, err := h.Exports.Wait(t.Context(), id); return err },
		"an unknown export": func() error {
			_, err := h.Exports.Wait(ctx, "11111111-1111-4111-8111-111111111111")
			return err
		},
	} {
		if err := ask(); !errs.Is(err, errs.NotFound) {
			t.Errorf("%s waits: %v, want not found", name, err)
		}
	}

	path, query, _ := strings.Cut(link, "?")
	strange, err := h.Exports.Queue(stranger, dataset.Request{Dataset: "thing", Format: "csv", Filename: wantedName})
	if err != nil {
		t.Fatal(err)
	}
	h.Ended(strange.UUID)
	signature := strings.TrimPrefix(query, "s="+id+".")
	plain := "/export/" + strings.TrimPrefix(path, "/media/exports/")
	for name, bad := range map[string]string{
		"no signature":            path,
		"an empty one":            path + "?s=",
		"no export":               path + "?s=" + signature,
		"another's export":        path + "?s=" + strange.UUID + "." + signature,
		"one letter changed":      link[:len(link)-1] + map[bool]string{true: "A", false: "B"}[link[len(link)-1] != 'A'],
		"another name":            strings.Replace(link, "0a1b2c3d", "0a1b2c3e", 1),
		"the other kind of link":  plain + "?s=" + signature,
		"outside":                 "/media/exports/..%2f..%2fetc%2fpasswd?" + query,
		"a name that is not ours": h.unowned(id),
	} {
		if res, body := h.Get(s, bad, ""); res.StatusCode != 400 && res.StatusCode != 403 && res.StatusCode != 404 {
			t.Errorf("%s: answers %d %.100s", name, res.StatusCode, body)
		}
	}

	h.permissionDecides(s, link)
	h.Clock.Advance(7*24*time.Hour + time.Second)
	if res, _ := h.Get(s, link, ""); res.StatusCode != 410 {
		t.Errorf("after the retention: %d, want 410", res.StatusCode)
	}
	h.Clock.Advance(30 * 24 * time.Hour)
	if res, _ := h.Get(s, link, ""); res.StatusCode != 410 {
		t.Errorf("long after it: %d, want 410", res.StatusCode)
	}
}

// unowned is a link we signed to a name that the export's file does not have.
func (h *hub) unowned(id string) string {
	h.T.Helper()
	u, err := url.Parse(h.Exports.WaitLink(id, "another.csv"))
	if err != nil {
		h.T.Fatal(err)
	}
	return u.RequestURI()
}

// The rights are those of the moment the file is handed out, not of the moment somebody began to
// wait.
func TestRightsAreCheckedAgainAfterTheWait(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true})
	h.Fill(5)
	storing, release := h.hold()
	defer release()
	ctx, _ := h.Person("owner", auth.Staff)
	s := h.Server()
	_, link := h.wanted(ctx)
	waiting := h.later(s, link)
	within(t, storing, "the upload")
	h.StaffMay()
	release()
	if r := within(t, waiting, "the answer"); r.status != 403 {
		t.Errorf("answers %d %.100s, want 403", r.status, r.body)
	}
}
