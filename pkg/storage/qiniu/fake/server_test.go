package fake

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The happy paths, and the faults, are tested where a client is: with the adapter. Here it is about
// being strict, with requests made by hand.

const now = 1_763_726_400

func start(t *testing.T) *Running {
	t.Helper()
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return Start(t, Options{
		AccessKey: "ak", SecretKey: "sk", Buckets: []Bucket{{Name: "public", Public: true}, {Name: "private"}},
		Now: func() time.Time { return time.Unix(now, 0) },
	})
}

// token is an upload token with this policy.
func (r *Running) token(policy string) string {
	text := base64.URLEncoding.EncodeToString([]byte(policy))
	return "ak:" + r.sign(text) + ":" + text
}

func policyFor(key string, more string) string {
	return fmt.Sprintf(`{"scope":%q,"deadline":%d%s}`, "private:"+key, now+60, more)
}

func (r *Running) do(t *testing.T, method, path, authorization string, header http.Header, body io.Reader) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.Header.Get("X-Reqid") == "" && !strings.HasPrefix(path, downloads) {
		t.Errorf("%s %s is answered without X-Reqid", method, path)
	}
	return res.StatusCode, string(text)
}

func (r *Running) form(t *testing.T, fields map[string]string, data string) (int, string) {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, value := range fields {
		_ = w.WriteField(name, value)
	}
	file, _ := w.CreateFormFile("file", "f")
	_, _ = io.WriteString(file, data)
	_ = w.Close()
	return r.do(t, "POST", "/", "", http.Header{"Content-Type": {w.FormDataContentType()}}, &body)
}

func TestForms(t *testing.T) {
	r := start(t)
	good := r.token(policyFor("a", ""))
	sum := fmt.Sprint(crc32.ChecksumIEEE([]byte("hello")))
	for _, c := range []struct {
		what   string
		fields map[string]string
		want   int
	}{
		{"good", map[string]string{"key": "a", "token": good, "crc32": sum}, 200},
		{"again, since its scope is the key", map[string]string{"key": "a", "token": good}, 200},
		{"another sum", map[string]string{"key": "a", "token": good, "crc32": "1"}, 406},
		{"another key", map[string]string{"key": "b", "token": good}, 403},
		{"no token", map[string]string{"key": "a"}, 401},
		{"forged policy", map[string]string{"key": "a", "token": good + "e30="}, 401},
		{"another account", map[string]string{"key": "a", "token": "x" + good}, 401},
		{"no JSON", map[string]string{"key": "a", "token": r.token("{")}, 401},
		{"expired", map[string]string{"key": "a", "token": r.token(fmt.Sprintf(`{"scope":"private:a","deadline":%d}`, now))}, 401},
		{"no such bucket", map[string]string{"key": "a", "token": r.token(fmt.Sprintf(`{"scope":"none:a","deadline":%d}`, now+1))}, 631},
		{"too large", map[string]string{"key": "a", "token": r.token(policyFor("a", `,"fsizeLimit":4`))}, 413},
		{"too small", map[string]string{"key": "a", "token": r.token(policyFor("a", `,"fsizeMin":6`))}, 403},
		{"of the right size", map[string]string{"key": "a", "token": r.token(policyFor("a", `,"fsizeMin":5,"fsizeLimit":5`))}, 200},
		{"insert only, the same", map[string]string{"key": "a", "token": r.token(policyFor("a", `,"insertOnly":1`))}, 200},
		{"of a prefix", map[string]string{"key": "dir/x", "token": r.token(policyFor("dir/", `,"isPrefixalScope":1`))}, 200},
		{"outside the prefix", map[string]string{"key": "dix", "token": r.token(policyFor("dir/", `,"isPrefixalScope":1`))}, 403},
	} {
		if status, text := r.form(t, c.fields, "hello"); status != c.want {
			t.Errorf("%s: %d %s, want %d", c.what, status, text, c.want)
		}
	}
	for _, token := range []string{r.token(policyFor("a", `,"insertOnly":1`)), r.token(fmt.Sprintf(`{"scope":"private","deadline":%d}`, now+1))} {
		if status, _ := r.form(t, map[string]string{"key": "a", "token": token}, "other"); status != 614 {
			t.Errorf("replacing with a token that may not: %d, want 614", status)
		}
	}
	if got, err := r.Bytes("private", "a"); err != nil || string(got) != "hello" || len(r.Objects("private")) != 2 {
		t.Errorf("it holds %q, %v, and %d objects", got, err, len(r.Objects("private")))
	}
	if status, _ := r.do(t, "POST", "/", "", nil, strings.NewReader("x")); status != 400 {
		t.Errorf("no form: %d", status)
	}
}

func TestParts(t *testing.T) {
	r := start(t)
	up := "UpToken " + r.token(policyFor("a", ""))
	base := "/buckets/private/objects/" + base64.URLEncoding.EncodeToString([]byte("a")) + "/uploads"
	_, text := r.do(t, "POST", base, up, nil, nil)
	var begun struct{ UploadID string }
	if err := json.Unmarshal([]byte(text), &begun); err != nil || begun.UploadID == "" {
		t.Fatalf("begun: %s", text)
	}
	base += "/" + begun.UploadID
	send := func(n int, data []byte, sum string) (int, string) {
		return r.do(t, "PUT", fmt.Sprint(base, "/", n), up, http.Header{"Content-Md5": {sum}}, bytes.NewReader(data))
	}
	sum := func(data []byte) string { s := md5.Sum(data); return hex.EncodeToString(s[:]) }
	small, large := []byte("end"), bytes.Repeat([]byte("x"), 1<<20)
	etags := map[int]string{}
	for n, data := range map[int][]byte{1: large, 2: small, 3: small} {
		status, text := send(n, data, sum(data))
		var got struct{ Etag, MD5 string }
		if err := json.Unmarshal([]byte(text), &got); err != nil || status != 200 || got.MD5 != sum(data) {
			t.Fatalf("part %d: %d %s", n, status, text)
		}
		etags[n] = got.Etag
	}
	if status, _ := send(4, small, sum(large)); status != 406 {
		t.Errorf("another MD5: %d", status)
	}
	if status, _ := send(10_001, small, sum(small)); status != 400 {
		t.Errorf("part 10,001: %d", status)
	}
	finish := func(parts string) (int, string) {
		return r.do(t, "POST", base, up, nil, strings.NewReader(`{"parts":[`+parts+`],"mimeType":"text/plain"}`))
	}
	one := func(n int, etag string) string { return fmt.Sprintf(`{"partNumber":%d,"etag":%q}`, n, etag) }
	for what, parts := range map[string]string{
		"none": "", "unknown": one(9, etags[1]), "another etag": one(1, etags[2]), "twice": one(1, etags[1]) + "," + one(1, etags[1]),
		"out of order": one(2, etags[2]) + "," + one(1, etags[1]), "a small one in front": one(2, etags[2]) + "," + one(3, etags[3]),
	} {
		if status, text := finish(parts); status != 400 {
			t.Errorf("%s: %d %s", what, status, text)
		}
	}
	for what, token := range map[string]string{"none": "", "another kind": strings.Replace(up, "UpToken", "Qiniu", 1),
		"of another object": "UpToken " + r.token(policyFor("b", ""))} {
		if status, _ := r.do(t, "DELETE", base, token, nil, nil); status != 401 && status != 403 {
			t.Errorf("token %s: %d", what, status)
		}
	}
	if status, text := r.do(t, "GET", base, up, nil, nil); status != 200 || strings.Count(text, "partNumber\"") != 3 {
		t.Errorf("the parts: %d %s", status, text)
	}
	if status, text := finish(one(1, etags[1]) + "," + one(3, etags[3])); status != 200 {
		t.Fatalf("complete: %d %s", status, text)
	}
	if got, err := r.Bytes("private", "a"); err != nil || !bytes.Equal(got, append(large, small...)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for method, body := range map[string]string{"POST": `{"parts":[{}]}`, "DELETE": "", "GET": ""} {
		if status, _ := r.do(t, method, base, up, nil, strings.NewReader(body)); status != 612 {
			t.Errorf("%s after the end: %d", method, status)
		}
	}
}

func TestManagementIsSigned(t *testing.T) {
	r := start(t)
	entry := "/stat/" + base64.URLEncoding.EncodeToString([]byte("private:a"))
	host := strings.TrimPrefix(r.URL, "http://")
	sign := func(path, date string) string {
		return "Qiniu ak:" + r.sign("GET "+path+"\nHost: "+host+"\nX-Qiniu-Date: "+date+"\n\n")
	}
	at := func(offset time.Duration) string {
		return time.Unix(now, 0).Add(offset).UTC().Format("20060102T150405Z")
	}
	for _, c := range []struct {
		what, path, date, authorization string
		want                            int
	}{
		{"good", entry, at(0), sign(entry, at(0)), 612},
		{"no signature", entry, at(0), "", 401},
		{"of another path", entry, at(0), sign("/stat/x", at(0)), 401},
		{"of another date", entry, at(0), sign(entry, at(time.Second)), 401},
		{"with another query", entry + "?x=1", at(0), sign(entry, at(0)), 401},
		{"an hour ago", entry, at(-time.Hour), sign(entry, at(-time.Hour)), 403},
		{"no date at all", entry, "never", sign(entry, "never"), 403},
		{"no such bucket", "/list?bucket=none", at(0), sign("/list?bucket=none", at(0)), 631},
		{"limit", "/list?bucket=private&limit=1001", at(0), sign("/list?bucket=private&limit=1001", at(0)), 400},
		{"marker", "/list?bucket=private&marker=!", at(0), sign("/list?bucket=private&marker=!", at(0)), 640},
		{"another interface", "/v4/query?ak=ak", at(0), sign("/v4/query?ak=ak", at(0)), 404},
	} {
		if status, text := r.do(t, "GET", c.path, c.authorization, http.Header{"X-Qiniu-Date": {c.date}}, nil); status != c.want {
			t.Errorf("%s: %d %s, want %d", c.what, status, text, c.want)
		}
	}
}

func TestControl(t *testing.T) {
	r := start(t)
	control := func(method, path, body string) (int, string) {
		return r.do(t, method, "/_fake/"+path, "", nil, strings.NewReader(body))
	}
	for body, want := range map[string]int{
		`[{"op":"stat","kind":"refuse","status":503,"times":1}]`: 200, `[]`: 200,
		`{`: 400, `[{"op":"steal","kind":"cut"}]`: 400, `[{"kind":"sulk"}]`: 400, `[{"kind":"refuse","status":200}]`: 400,
		`[{"kind":"cut","times":-1}]`: 400, `[{"kind":"cut","when":"now"}]`: 400,
	} {
		if status, text := control("POST", "faults", body); status != want {
			t.Errorf("%s: %d %s, want %d", body, status, text, want)
		}
	}
	if status, _ := r.do(t, "GET", "/stat/eA==", "", nil, nil); status != 503 {
		t.Errorf("the fault did not happen: %d", status)
	}
	if status, _ := r.do(t, "GET", "/stat/eA==", "", nil, nil); status != 401 {
		t.Errorf("it happened twice: %d", status)
	}
	_, _ = control("POST", "faults", `[{"kind":"refuse","status":599}]`)
	_, _ = control("DELETE", "faults", "")
	if status, _ := r.do(t, "GET", "/stat/eA==", "", nil, nil); status != 401 {
		t.Errorf("faults are still there: %d", status)
	}
	if status, text := control("GET", "requests", ""); status != 200 || strings.Count(text, `"Op":"stat"`) != 3 || !strings.Contains(text, `"Fault":"refuse"`) {
		t.Errorf("requests: %d %s", status, text)
	}
	r.ClearRequests()
	for _, path := range []string{"requests", "objects?bucket=private", "uploads"} {
		if status, text := control("GET", path, ""); status != 200 || text != "[]" && text != "null" {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if status, _ := control("GET", "secrets", ""); status != 404 {
		t.Errorf("another path: %d", status)
	}
}

func TestOptionsAreRequired(t *testing.T) {
	for _, o := range []Options{{}, {AccessKey: "a", SecretKey: "b", Dir: t.TempDir()}, {AccessKey: "a", Buckets: []Bucket{{}}, Dir: t.TempDir()}} {
		if s, err := New(o); err == nil || s != nil {
			t.Errorf("New(%+v) took them", o)
		}
	}
}
