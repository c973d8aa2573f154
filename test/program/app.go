package program

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"exporthub/pkg/testkit"
)

// DemoPassword is the password of every demo login.
const DemoPassword = "123456"

// App is a running system as its HTTP clients see it. What can't be done fails the test.
type App struct {
	T   testing.TB
	URL string
}

// Answer is an HTTP answer, read to its end.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// JSON decodes the body.
func (r Answer) JSON(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal(r.Body, into); err != nil {
		t.Fatalf("%v in %.300s", err, r.Body)
	}
}

// Do sends a request and follows no redirect. body is a url.Values (a form), nil, or anything that
// becomes JSON; header is names and values in turn.
func (a *App) Do(method, path string, body any, header ...string) Answer {
	a.T.Helper()
	var reader io.Reader
	contentType := ""
	switch b := body.(type) {
	case nil:
	case url.Values:
		reader = strings.NewReader(b.Encode())
		contentType = "application/x-www-form-urlencoded"
	default:
		text, err := json.Marshal(b)
		if err != nil {
			a.T.Fatal(err)
		}
		reader = bytes.NewReader(text)
		contentType = "application/json"
	}
	req, err := http.NewRequestWithContext(a.T.Context(), method, a.URL+path, reader)
	if err != nil {
		a.T.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	// A client of its own, with the shared transport: redirects are answers that tests look at.
	client := http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	res, err := client.Do(req)
	if err != nil {
		a.T.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		a.T.Fatal(err)
	}
	return Answer{Status: res.StatusCode, Header: res.Header, Body: text}
}

// Login returns a token of a demo person. It costs what hashing a password costs, about a tenth of
// a second; Identity makes tokens without.
func (a *App) Login(account string) string {
	a.T.Helper()
	res := a.Do("POST", "/api/access/token", map[string]string{"account": account, "password": DemoPassword})
	var body struct{ Data struct{ Token string } }
	res.JSON(a.T, &body)
	if body.Data.Token == "" {
		a.T.Fatalf("log in as %s: %d %s", account, res.Status, res.Body)
	}
	return body.Data.Token
}

// ExportJob is what GET /api/exports/{uuid} answers.
type ExportJob struct {
	UUID     string
	Status   string
	Progress int
	Count    *int64
	FileSize *int64  `json:"file_size"`
	FileURL  *string `json:"file_url"`
	Error    any
	Channel  string
}

// Finished waits for the end of an export and returns its record.
func (a *App) Finished(token, uuid string) ExportJob {
	a.T.Helper()
	var j ExportJob
	testkit.Eventually(a.T, time.Minute, func() bool {
		res := a.Do("GET", "/api/exports/"+uuid, nil, "ACCESS-TOKEN", token)
		// Any other status will not change by waiting.
		if res.Status != 200 {
			a.T.Fatalf("read job: %d %s", res.Status, res.Body)
		}
		// Emptied first: decoding leaves fields alone that the answer does not have.
		j = ExportJob{}
		res.JSON(a.T, &j)
		return j.Status == "success" || j.Status == "failure" || j.Status == "cancelled"
	}, "the export to end")
	return j
}

// Ask asks for an export of invitations and returns its uuid, or the words of the refusal. Unlike
// the other methods it may be called from any goroutine: it returns errors.
func (a *App) Ask(token, query string) (uuid, refusal string, err error) {
	res := a.Do("GET", "/api/admin/invitations?"+query, nil, "ACCESS-TOKEN", token)
	var body struct {
		Code   int
		Remark string
		Data   struct{ UUID string }
	}
	if err := json.Unmarshal(res.Body, &body); err != nil || res.Status != 200 {
		return "", "", fmt.Errorf("answered %d %.300s", res.Status, res.Body)
	}
	if body.Code != 0 {
		return "", body.Remark, nil
	}
	return body.Data.UUID, "", nil
}

// PathOf is a link without its scheme and host: a link names PUBLIC_URL, tests ask the replica they
// mean.
func PathOf(t testing.TB, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return u.RequestURI()
}
