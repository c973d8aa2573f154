package web

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
)

const (
	script     = "console.log('page')"
	indexPage  = "<!doctype html><title>page</title>"
	fayeScript = "var Faye={}"
)

func builtDist(t *testing.T) fstest.MapFS {
	t.Helper()
	return fstest.MapFS{
		".keep":                              {},
		"index.html":                         {Data: []byte(indexPage)},
		"favicon.svg":                        {Data: []byte("<svg/>")},
		"assets/index-B7mFqk2x.js":           {Data: []byte(script)},
		"assets/index-B7mFqk2x.js.gz":        {Data: compressed(t, script)},
		"assets/index-Cc81.css":              {Data: []byte("a{}")},
		"assets/unusual-D0.bin":              {Data: []byte{0, 1, 2}},
		"faye/faye-browser-min.js":           {Data: []byte(fayeScript)},
		"assets/nested.d/chunk-E1.js":        {Data: []byte(script)},
		"assets/nested.d/chunk-E1.js.gz":     {Data: compressed(t, script)},
		"assets/nested.d/chunk-E1.js.gz.txt": {Data: []byte("x")},
	}
}

func compressed(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	if _, err := zw.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func get(t *testing.T, h http.Handler, method, target string, header map[string]string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestHandler(t *testing.T) {
	h := newHandler(builtDist(t))
	const forever = "public, max-age=31536000, immutable"
	cases := []struct {
		name, method, target     string
		status                   int
		cache, contentType, body string
	}{
		{name: "front page", target: "/", status: 200, cache: "no-cache", contentType: "text/html; charset=utf-8", body: indexPage},
		{name: "front page by name", target: "/index.html", status: 200, cache: "no-cache", contentType: "text/html; charset=utf-8", body: indexPage},
		{name: "address of the application", target: "/invitations?approve_status=applying", status: 200, cache: "no-cache", contentType: "text/html; charset=utf-8", body: indexPage},
		{name: "deep address with a slash", target: "/a/b/", status: 200, cache: "no-cache", contentType: "text/html; charset=utf-8", body: indexPage},
		{name: "asset", target: "/assets/index-B7mFqk2x.js", status: 200, cache: forever, contentType: "text/javascript; charset=utf-8", body: script},
		{name: "style", target: "/assets/index-Cc81.css", status: 200, cache: forever, contentType: "text/css; charset=utf-8", body: "a{}"},
		{name: "asset of a type without a name", target: "/assets/unusual-D0.bin", status: 200, cache: forever, contentType: "application/octet-stream", body: "\x00\x01\x02"},
		{name: "file that is not hashed", target: "/favicon.svg", status: 200, cache: "no-cache", contentType: "image/svg+xml", body: "<svg/>"},
		{name: "missing asset", target: "/assets/index-old.js", status: 404, cache: "no-cache", contentType: "text/plain; charset=utf-8", body: "not found\n"},
		{name: "missing asset without an extension", target: "/assets/old", status: 404, cache: "no-cache", contentType: "text/plain; charset=utf-8", body: "not found\n"},
		{name: "folder of assets", target: "/assets/", status: 404, cache: "no-cache", contentType: "text/plain; charset=utf-8", body: "not found\n"},
		{name: "missing file", target: "/robots.txt", status: 404, cache: "no-cache", contentType: "text/plain; charset=utf-8", body: "not found\n"},
		{name: "placeholder", target: "/.keep", status: 404, cache: "no-cache", contentType: "text/plain; charset=utf-8", body: "not found\n"},
		{name: "compressed sibling", target: "/assets/index-B7mFqk2x.js.gz", status: 404, cache: "no-cache", contentType: "text/plain; charset=utf-8", body: "not found\n"},
		{name: "client library", target: "/faye/faye-browser-min.js", status: 404, cache: "no-cache", contentType: "text/plain; charset=utf-8", body: "not found\n"},
		{name: "way out of the folder", target: "/assets/../../handler.go", status: 404, cache: "no-cache", contentType: "text/plain; charset=utf-8", body: "not found\n"},
		{name: "way around inside", target: "/assets/x/../index-Cc81.css", status: 200, cache: forever, contentType: "text/css; charset=utf-8", body: "a{}"},
		{name: "head", method: http.MethodHead, target: "/", status: 200, cache: "no-cache", contentType: "text/html; charset=utf-8"},
		{name: "post", method: http.MethodPost, target: "/", status: 405, contentType: "text/plain; charset=utf-8", body: "method not allowed\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			method := c.method
			if method == "" {
				method = http.MethodGet
			}
			w := get(t, h, method, c.target, nil)
			if w.Code != c.status {
				t.Errorf("%s %s: status %d, want %d", method, c.target, w.Code, c.status)
			}
			if got := w.Header().Get("Cache-Control"); got != c.cache {
				t.Errorf("Cache-Control %q, want %q", got, c.cache)
			}
			if got := w.Header().Get("Content-Type"); got != c.contentType {
				t.Errorf("Content-Type %q, want %q", got, c.contentType)
			}
			if got := w.Body.String(); got != c.body {
				t.Errorf("body %q, want %q", got, c.body)
			}
			checkSecurity(t, w.Header())
		})
	}
}

func checkSecurity(t *testing.T, header http.Header) {
	t.Helper()
	if got := header.Get("X-Content-Type-Options"); got != "nosniff" {
		t.Errorf("X-Content-Type-Options %q, want nosniff", got)
	}
	if got := header.Get("Referrer-Policy"); got != "same-origin" {
		t.Errorf("Referrer-Policy %q, want same-origin", got)
	}
	policy := header.Get("Content-Security-Policy")
	for _, directive := range []string{"default-src 'self'", "script-src 'self';", "connect-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, directive) {
			t.Errorf("Content-Security-Policy %q lacks %q", policy, directive)
		}
	}
}

func TestHandlerCompression(t *testing.T) {
	h := newHandler(builtDist(t))
	cases := []struct {
		name, target, accept, encoding, vary string
	}{
		{name: "taken", target: "/assets/index-B7mFqk2x.js", accept: "gzip, deflate, br", encoding: "gzip", vary: "Accept-Encoding"},
		{name: "taken in a nested folder", target: "/assets/nested.d/chunk-E1.js", accept: "GZIP", encoding: "gzip", vary: "Accept-Encoding"},
		{name: "anything is taken", target: "/assets/index-B7mFqk2x.js", accept: "*;q=0.5", encoding: "gzip", vary: "Accept-Encoding"},
		{name: "refused", target: "/assets/index-B7mFqk2x.js", accept: "gzip;q=0, *", vary: "Accept-Encoding"},
		{name: "refused with decimals", target: "/assets/index-B7mFqk2x.js", accept: "gzip; q=0.000", vary: "Accept-Encoding"},
		{name: "not asked for", target: "/assets/index-B7mFqk2x.js", vary: "Accept-Encoding"},
		{name: "other coding", target: "/assets/index-B7mFqk2x.js", accept: "br", vary: "Accept-Encoding"},
		{name: "weight that is no number", target: "/assets/index-B7mFqk2x.js", accept: "gzip;q=high", vary: "Accept-Encoding"},
		{name: "no sibling", target: "/assets/index-Cc81.css", accept: "gzip"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := get(t, h, http.MethodGet, c.target, map[string]string{"Accept-Encoding": c.accept, "Range": "bytes=0-3"})
			if got := w.Header().Get("Content-Encoding"); got != c.encoding {
				t.Fatalf("Accept-Encoding %q: Content-Encoding %q, want %q", c.accept, got, c.encoding)
			}
			if got := w.Header().Get("Vary"); got != c.vary {
				t.Errorf("Vary %q, want %q", got, c.vary)
			}
			if c.encoding == "" {
				return
			}
			if w.Code != http.StatusOK {
				t.Fatalf("status %d, want the whole file whatever the range", w.Code)
			}
			zr, err := gzip.NewReader(w.Body)
			if err != nil {
				t.Fatalf("body is not gzip: %v", err)
			}
			plain, err := io.ReadAll(zr)
			if err != nil || string(plain) != script {
				t.Errorf("uncompressed body %q (error %v), want %q", plain, err, script)
			}
		})
	}
}

func TestHandlerRevalidates(t *testing.T) {
	h := newHandler(builtDist(t))
	for _, target := range []string{"/", "/assets/index-B7mFqk2x.js"} {
		plain := get(t, h, http.MethodGet, target, nil).Header().Get("ETag")
		if !strings.HasPrefix(plain, `"`) {
			t.Fatalf("%s: ETag %q is not a strong tag", target, plain)
		}
		if w := get(t, h, http.MethodGet, target, map[string]string{"If-None-Match": plain}); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
			t.Errorf("%s with its own tag: status %d with %d bytes, want 304 with none", target, w.Code, w.Body.Len())
		}
		if w := get(t, h, http.MethodGet, target, map[string]string{"If-None-Match": `"other"`}); w.Code != http.StatusOK {
			t.Errorf("%s with another tag: status %d, want 200", target, w.Code)
		}
	}
	squeezed := get(t, h, http.MethodGet, "/assets/index-B7mFqk2x.js", map[string]string{"Accept-Encoding": "gzip"}).Header().Get("ETag")
	plain := get(t, h, http.MethodGet, "/assets/index-B7mFqk2x.js", nil).Header().Get("ETag")
	if squeezed == plain {
		t.Errorf("compressed and plain bytes share the tag %s", plain)
	}
}

func TestHandlerNotBuilt(t *testing.T) {
	h := newHandler(fstest.MapFS{".keep": {}})
	for _, target := range []string{"/", "/invitations", "/assets/index.js"} {
		w := get(t, h, http.MethodGet, target, nil)
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: status %d, want 503", target, w.Code)
		}
		if !strings.Contains(w.Body.String(), "make web") {
			t.Errorf("%s: body does not name the command: %q", target, w.Body)
		}
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control %q, want no-store", target, got)
		}
		checkSecurity(t, w.Header())
	}
}

// vanishing lets the first read through, which takes the fingerprints, and fails the next.
type vanishing struct {
	fstest.MapFS
	err *error
}

func (v vanishing) Open(name string) (fs.File, error) {
	if *v.err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: *v.err}
	}
	return v.MapFS.Open(name)
}

func (v vanishing) ReadFile(name string) ([]byte, error) {
	if *v.err != nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: *v.err}
	}
	return v.MapFS.ReadFile(name)
}

func TestHandlerUnreadableFile(t *testing.T) {
	for want, cause := range map[int]error{404: fs.ErrNotExist, 500: errors.New("disk on fire")} {
		var fault error
		h := newHandler(vanishing{builtDist(t), &fault})
		fault = cause
		w := get(t, h, http.MethodGet, "/assets/index-B7mFqk2x.js", map[string]string{"Accept-Encoding": "gzip"})
		if w.Code != want {
			t.Errorf("%v: status %d, want %d", cause, w.Code, want)
		}
		if w.Header().Get("Content-Encoding") != "" || strings.Contains(w.Body.String(), "fire") || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%v: headers %v, body %q", cause, w.Header(), w.Body)
		}
	}
}

func TestEmbedded(t *testing.T) {
	if _, err := fs.Stat(Dist(), ".keep"); err != nil {
		t.Fatalf("the placeholder must be embedded, or a checkout without the page does not compile: %v", err)
	}
	wantStatus := http.StatusServiceUnavailable
	if Built() {
		wantStatus = http.StatusOK
	}
	if w := get(t, Handler(), http.MethodGet, "/", nil); w.Code != wantStatus {
		t.Errorf("built is %v: status %d, want %d", Built(), w.Code, wantStatus)
	}
	for _, name := range []string{"faye-browser-min.js", "faye-browser-min.js.map", "faye-browser.js", "faye-browser.js.map"} {
		data, err := fs.ReadFile(FayeClient(), name)
		switch {
		case Built() && (err != nil || len(data) == 0):
			t.Errorf("built page lacks faye/%s: %d bytes, error %v", name, len(data), err)
		case !Built() && !errors.Is(err, fs.ErrNotExist):
			t.Errorf("page is not built: reading faye/%s gives error %v, want %v", name, err, fs.ErrNotExist)
		}
	}
}
