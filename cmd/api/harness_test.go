package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// output is a stream that can be read while it is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// app is a running program.
type app struct {
	t    testing.TB
	url  string
	out  *output
	logs *output
	dir  string
	stop func() error // ends it and returns what run returned
}

var addressLine = regexp.MustCompile(`Exporthub is at (http://\S+)`)

// startEmbedded runs the program as make run does, on a free port and in a directory of its own.
func startEmbedded(t testing.TB, environ ...string) *app {
	t.Helper()
	return startIn(t, t.TempDir(), environ...)
}

// startIn is startEmbedded on data that may be there already.
func startIn(t testing.TB, dir string, environ ...string) *app {
	t.Helper()
	data := func(name string) string { return filepath.Join(dir, "data", name) }
	environ = append([]string{
		"HTTP_ADDR=127.0.0.1:0", "DATABASE_URL=sqlite:" + data("exporthub.db"), "STORAGE_DIR=" + data("files"),
		"SPOOL_DIR=" + data("spool"), "DEMO_ROWS=300", "LOG_LEVEL=info",
	}, environ...)
	a := &app{t: t, out: &output{}, logs: &output{}, dir: dir}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, []string{"-embedded"}, environ, world{In: strings.NewReader(""), Out: a.out, Err: a.logs})
	}()
	var once sync.Once
	var ended error
	a.stop = func() error {
		once.Do(func() {
			cancel()
			ended = <-done
		})
		return ended
	}
	t.Cleanup(func() {
		if err := a.stop(); err != nil {
			t.Errorf("run: %v", err)
		}
		if t.Failed() {
			t.Logf("logs:\n%s", a.logs)
		}
	})
	testkit.Eventually(t, time.Minute, func() bool {
		select {
		case err := <-done:
			done <- err
			t.Fatalf("run ended: %v\n%s", err, a.logs)
		default:
		}
		found := addressLine.FindStringSubmatch(a.out.String())
		if found != nil {
			a.url = found[1]
		}
		return found != nil
	}, "the program to say where it is")
	return a
}

// answer is an HTTP answer, read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// json decodes the body.
func (r answer) json(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal(r.body, into); err != nil {
		t.Fatalf("%v in %.300s", err, r.body)
	}
}

// do sends a request; body is a url.Values (a form), nil, or anything that becomes JSON.
func (a *app) do(method, path string, body any, header ...string) answer {
	a.t.Helper()
	var reader io.Reader
	contentType := ""
	switch b := body.(type) {
	case nil:
	case url.Values:
		reader, contentType = strings.NewReader(b.Encode()), "application/x-www-form-urlencoded"
	default:
		text, err := json.Marshal(b)
		if err != nil {
			a.t.Fatal(err)
		}
		reader, contentType = bytes.NewReader(text), "application/json"
	}
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, text}
}

// login returns a token of a demo person.
func (a *app) login(account string) string {
	a.t.Helper()
	res := a.do("POST", "/api/access/token", map[string]string{"account": account, "password": "123456"})
	var body struct{ Data struct{ Token string } }
	res.json(a.t, &body)
	if body.Data.Token == "" {
		a.t.Fatalf("log in as %s: %d %s", account, res.status, res.body)
	}
	return body.Data.Token
}

// exportJob is what GET /api/exports/{uuid} says.
type exportJob struct {
	UUID     string
	Status   string
	Progress int
	Count    *int64
	FileSize *int64  `json:"file_size"`
	FileURL  *string `json:"file_url"`
	Error    any
	Channel  string
}

// finished waits for the end of an export.
func (a *app) finished(token, uuid string) exportJob {
	a.t.Helper()
	var j exportJob
	testkit.Eventually(a.t, time.Minute, func() bool {
		res := a.do("GET", "/api/exports/"+uuid, nil, "ACCESS-TOKEN", token)
		if res.status != 200 {
			a.t.Fatalf("read job: %d %s", res.status, res.body)
		}
		j = exportJob{}
		res.json(a.t, &j)
		return j.Status == "success" || j.Status == "failure" || j.Status == "cancelled"
	}, "the export to end")
	return j
}

// repository is the project's root.
func repository(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(filepath.Dir(dir))
}

func pathOf(t testing.TB, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return u.RequestURI()
}
