package topology

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"exporthub/pkg/storage/qiniu/fake"
	"exporthub/pkg/testkit"
	"exporthub/test/program"
	"exporthub/test/subscriber"
)

// startOnQiniu starts an api and a worker that keep their files at a fake Qiniu.
func startOnQiniu(t *testing.T, rows int) (*program.Parts, *program.Process, *fake.Running) {
	t.Helper()
	k, environ := program.StartKodo(t)
	p := program.StartParts(t, rows, append(environ, "UPLOAD_RETRY_DELAY=20ms")...)
	return p, p.Worker(), k
}

// export asks for all invitations and returns the job's uuid, and how many of the quota are left of
// the day.
func export(p *program.Parts, token, format string) (uuid, left string) {
	p.T.Helper()
	res := p.Do("GET", "/api/admin/invitations?export_format="+format, nil, "ACCESS-TOKEN", token)
	var body struct {
		Code int
		Data struct{ UUID string }
	}
	res.JSON(p.T, &body)
	if left = res.Header.Get("RateLimit-Remaining"); body.Code != 0 || body.Data.UUID == "" || left == "" {
		p.T.Fatalf("export: %s, %q left", res.Body, left)
	}
	return body.Data.UUID, left
}

func TestExportsOnQiniu(t *testing.T) {
	const rows = 2000
	p, worker, k := startOnQiniu(t, rows)
	token, channel := p.SignIn()
	f := subscriber.Start(t, p.URL, channel, "websocket")
	f.Subscribed()
	fetched := func(uuid string) {
		t.Helper()
		j := p.Finished(token, uuid)
		if j.Status != "success" || j.FileURL == nil {
			t.Fatalf("the export ended with %+v", j)
		}
		res := p.Do("GET", program.PathOf(t, *j.FileURL), nil)
		link := res.Header.Get("Location")
		if res.Status != http.StatusFound || !strings.HasPrefix(link, k.Domain(program.KodoPrivate)+"/export/") {
			t.Fatalf("file_url answers %d to %q", res.Status, link)
		}
		kodo := &program.App{T: t, URL: k.URL}
		checkFile(t, kodo, link, rows)
		for what, forged := range map[string]string{
			"without its signature": link[:strings.Index(link, "&token=")], "of another name": strings.Replace(link, "attname=", "attname=x", 1),
		} {
			if got := kodo.Do("GET", program.PathOf(t, forged), nil); got.Status != http.StatusUnauthorized {
				t.Errorf("a link %s: %d", what, got.Status)
			}
		}
	}
	fail := func(faults ...fake.Fault) {
		t.Helper()
		if err := k.Fail(faults...); err != nil {
			t.Fatal(err)
		}
	}

	// A refusal for good ends the job; the daily quota is released, and nothing is left.
	before := ""
	refused := func(fault fake.Fault) {
		t.Helper()
		fail(fault)
		defer k.Heal()
		uuid, left := export(p, token, "xlsx")
		if before == "" {
			before = left
		}
		if left != before {
			t.Errorf("%s %d: %s of the quota are left, want %s as before", fault.Kind, fault.Status, left, before)
		}
		if j := p.Finished(token, uuid); j.Status != "failure" || j.FileURL != nil {
			t.Errorf("%s %d: the export ended with %+v", fault.Kind, fault.Status, j)
		}
		if objects, uploads := k.Objects(program.KodoPrivate), k.Uploads(); len(objects) != 0 || len(uploads) != 0 {
			t.Errorf("%s %d: %d objects and %d unfinished uploads are left", fault.Kind, fault.Status, len(objects), len(uploads))
		}
	}
	refused(fake.Fault{Op: fake.OpForm, Kind: fake.Refuse, Status: 403})
	if got := subscriber.Stages(f.Until(time.Minute, subscriber.Over)); !strings.HasSuffix(got, "before_upload upload_failure failure") {
		t.Errorf("stages %s", got)
	}
	refused(fake.Fault{Op: fake.OpForm, Kind: fake.Lose})

	uuid, left := export(p, token, "xlsx")
	if fetched(uuid); left != before {
		t.Errorf("%s of the quota are left, want %s", left, before)
	}

	// A refusal that passes is not noticed: of twice three requests, by the second try to store the
	// file.
	tried := func() int { return strings.Count(worker.Logs.String(), "storing a file failed, trying again") }
	tries := tried()
	for _, times := range []int{2, 6} {
		fail(fake.Fault{Op: fake.OpForm, Kind: fake.Refuse, Status: 503, Times: times})
		uuid, _ = export(p, token, "xlsx")
		fetched(uuid)
	}
	if got := tried() - tries; got != 2 {
		t.Errorf("storing a file was tried again %d times, want 2", got)
	}
	if got := len(k.Objects(program.KodoPrivate)); got != 3 {
		t.Errorf("%d objects, want 3", got)
	}

	for name, logs := range map[string]*program.Output{"api": p.API.Logs, "worker": worker.Logs} {
		for _, secret := range []string{program.KodoAccessKey, program.KodoSecretKey} {
			if strings.Contains(logs.String(), secret) {
				t.Errorf("the %s's logs tell a key", name)
			}
		}
	}
	if !strings.Contains(worker.Logs.String(), "check that the access key may use the bucket") {
		t.Error("the worker's logs do not say what to do about the refusal")
	}
	p.Checked()
}

// TestLargeExportsOnQiniu: files of several parts are resumed, given up and cancelled without
// leaving anything.
func TestLargeExportsOnQiniu(t *testing.T) {
	const rows = 40_000
	p, worker, k := startOnQiniu(t, rows)
	token, _ := p.SignIn()
	fail := func(faults ...fake.Fault) {
		t.Helper()
		k.Heal()
		k.ClearRequests()
		if err := k.Fail(faults...); err != nil {
			t.Fatal(err)
		}
	}

	// The engine's second try sends what the first has not brought over.
	fail(fake.Fault{Op: fake.OpPart, Part: 2, Kind: fake.Refuse, Status: 503, Times: 3},
		fake.Fault{Op: fake.OpPart, Part: 1, Kind: fake.Cut, Times: 1})
	uuid, _ := export(p, token, "csv")
	j := p.Finished(token, uuid)
	if j.Status != "success" {
		t.Fatalf("the export ended with %+v", j)
	}
	if !strings.Contains(worker.Logs.String(), "storing a file failed, trying again") {
		t.Error("the engine's first try was enough")
	}
	sent := map[int]int{}
	for _, r := range k.Requests(fake.OpPart) {
		if r.Status == http.StatusOK {
			sent[r.Part]++
		}
	}
	if len(sent) < 2 {
		t.Fatalf("the file was sent in the parts %v: it is too small for this test", sent)
	}
	for part, times := range sent {
		if times != 1 {
			t.Errorf("part %d was brought over %d times", part, times)
		}
	}
	if begun := len(k.Requests(fake.OpInit)); begun != 1 {
		t.Errorf("%d uploads were begun, want 1", begun)
	}
	link := p.Do("GET", program.PathOf(t, *j.FileURL), nil).Header.Get("Location")
	file := (&program.App{T: t, URL: k.URL}).Do("GET", program.PathOf(t, link), nil)
	if lines := bytes.Count(file.Body, []byte("\r\n")); file.Status != http.StatusOK || lines != rows+1 {
		t.Errorf("the link answers %d with %d lines, want %d", file.Status, lines, rows+1)
	}

	stalled := k.Stalled()
	fail(fake.Fault{Op: fake.OpPart, Part: 2, Kind: fake.Stall})
	uuid, _ = export(p, token, "csv")
	testkit.Eventually(t, time.Minute, func() bool { return k.Stalled() > stalled }, "the upload to stand still")
	if res := p.Do("DELETE", "/api/exports/"+uuid, nil, "ACCESS-TOKEN", token); res.Status/100 != 2 {
		t.Fatalf("cancel: %d %s", res.Status, res.Body)
	}
	if j := p.Finished(token, uuid); j.Status != "cancelled" {
		t.Errorf("cancelled: %+v", j)
	}
	if objects, uploads := k.Objects(program.KodoPrivate), k.Uploads(); len(objects) != 1 || len(uploads) != 0 {
		t.Errorf("%d objects and %d unfinished uploads are left, want the first file only", len(objects), len(uploads))
	}
	p.Checked()
}

func TestReadinessTellsOfQiniu(t *testing.T) {
	p, _, k := startOnQiniu(t, 1)
	ask := func() string { return string(p.Do("GET", "/readyz", nil).Body) }
	if text := ask(); strings.Contains(text, "degraded") {
		t.Errorf("while it is well: %s", text)
	}
	if err := k.Fail(fake.Fault{Op: fake.OpInit, Kind: fake.Refuse, Status: 401}); err != nil {
		t.Fatal(err)
	}
	var res program.Answer
	testkit.Eventually(t, 10*time.Second, func() bool { // an answer is kept for a moment
		res = p.Do("GET", "/readyz", nil)
		return strings.Contains(string(res.Body), "degraded")
	}, "readiness to tell of the refusal")
	if res.Status != http.StatusOK {
		t.Errorf("refused: %d %s", res.Status, res.Body)
	}
	if strings.Contains(string(res.Body), program.KodoAccessKey) {
		t.Errorf("a key is shown: %s", res.Body)
	}
}
