package bayeux

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// do sends a request to a path below the site and returns response and body.
func (s *site) do(method, path, body string, header map[string]string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.web.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res, string(b)
}

func TestBodies(t *testing.T) {
	s := start(t, Options{MaxBody: 2000, MaxBatch: 3})
	one := url.QueryEscape(`[{"channel":"/x","data":1}]`)
	const refused = `{"channel":"/x","successful":false,"error":"403:/x:Forbidden channel"}`
	for _, row := range []struct {
		rule, method, path, kind, body string
		status                         int
		want                           string // a prefix for JSON that is not compared in whole
	}{
		{"JSON with a charset", "POST", "/faye", "application/json; charset=utf-8", `{"channel":"/x","data":1}`, 200, `[` + refused + `]`},
		{"the mount with a slash behaves as the mount", "POST", "/faye/", "application/json", `[]`, 200, `[]`},
		{"paths below the mount behave as the mount", "POST", "/faye/handshake", "application/json", `[]`, 200, `[]`},
		{"a form", "POST", "/faye", "application/x-www-form-urlencoded", "message=" + one, 200, `[` + refused + `]`},
		{"a form as text/plain", "POST", "/faye", "text/plain;charset=UTF-8", "message=" + one, 200, `[` + refused + `]`},
		{"a form without a type", "POST", "/faye", "", "message=" + one, 200, `[` + refused + `]`},
		{"all messages of a form", "POST", "/faye", "", "message=" + one + "&message=" + one, 200, `[` + refused + `,` + refused + `]`},
		{"JSON with another type is no form", "POST", "/faye", "application/vnd.api+json", `[]`, 400, "Bad request"},
		{"a form without message", "POST", "/faye", "text/plain", "massage=1", 400, "Bad request"},
		{"a broken form", "POST", "/faye", "text/plain", "message=%zz", 400, "Bad request"},
		{"an empty body", "POST", "/faye", "application/json", "", 400, "Bad request"},
		{"bad JSON", "POST", "/faye", "application/json", `[{"channel":]`, 400, "Bad request"},
		{"JSON with a tail", "POST", "/faye", "application/json", `[] []`, 400, "Bad request"},
		{"a number", "POST", "/faye", "application/json", `1`, 400, "Bad request"},
		{"a string", "POST", "/faye", "application/json", `"x"`, 400, "Bad request"},
		{"text that is not UTF-8", "POST", "/faye", "application/json", "{\"channel\":\"/x\xff\"}", 400, "Bad request"},
		{"nesting without end", "POST", "/faye", "application/json", strings.Repeat("[", 1900), 400, "Bad request"},
		{"a batch over the limit", "POST", "/faye", "application/json", `[` + strings.Repeat("{},", 30) + `{}]`, 400, "Bad request"},
		{"a body over the limit", "POST", "/faye", "application/json", strings.Repeat(" ", 2001), 413, "Body too large"},
		{"PUT", "PUT", "/faye", "application/json", `[]`, 400, "Bad request"},
		{"GET without message", "GET", "/faye", "", "", 400, "Bad request"},
		{"a path beside the mount", "POST", "/fayette", "application/json", `[]`, 404, "404 page not found\n"},
		{"an unknown script is never Bayeux", "POST", "/faye/x.js", "application/json", `[]`, 404, "404 page not found\n"},
	} {
		t.Run(row.rule, func(t *testing.T) {
			res, body := s.do(row.method, row.path, row.body, map[string]string{"Content-Type": row.kind})
			if res.StatusCode != row.status || body != row.want {
				t.Errorf("%d %s, want %d %s", res.StatusCode, body, row.status, row.want)
			}
			if res.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Error("nosniff is missing")
			}
			if res.StatusCode != 200 {
				return
			}
			if ct := res.Header.Get("Content-Type"); ct != "application/json; charset=utf-8" {
				t.Errorf("content type %q", ct)
			}
			if cc := res.Header.Get("Cache-Control"); cc != "no-cache, no-store" || res.ContentLength != int64(len(body)) {
				t.Errorf("cache control %q, length %d of %d", cc, res.ContentLength, len(body))
			}
		})
	}
}

func TestJSONP(t *testing.T) {
	s := start(t, Options{})
	id := s.handshake("")
	s.subscribe(id, "/a")
	s.publish(say("/a", "line\u2028end <script>"))
	query := func(jsonp, message string) string {
		return "/faye?" + url.Values{"message": {message}, "jsonp": {jsonp}}.Encode()
	}
	res, body := s.do("GET", query("__jsonp1__.cb", connectBody(id, "3")), "", nil)
	head, tail, _ := strings.Cut(body, `{"channel":"/a"`)
	if !strings.HasPrefix(head, `/**/__jsonp1__.cb([{"id":"3","channel":"/meta/connect","successful":true`) {
		t.Errorf("body %s", body)
	}
	if want := `,"data":"line\u2028end \u003cscript\u003e"}]);`; tail != want {
		t.Errorf("delivery %s, want %s", tail, want)
	}
	for k, v := range map[string]string{
		"Content-Type": "text/javascript; charset=utf-8", "Content-Disposition": "attachment; filename=f.txt",
		"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache, no-store",
	} {
		if got := res.Header.Get(k); got != v {
			t.Errorf("%s: %q, want %q", k, got, v)
		}
	}
	if got := string(escapeSeparators([]byte("a\u2028b\u2029c"))); got != `a\u2028b\u2029c` {
		t.Errorf("separators of raw data: %s", got)
	}
	if _, body := s.do("GET", query("", `[]`), "", nil); body != "/**/jsonpcallback([]);" {
		t.Errorf("without a name: %s", body)
	}
	for _, bad := range []string{"a(b", "1a", "a.", "a..b", "<x>", "a;b", "a b", "é"} {
		if res, body := s.do("GET", query(bad, `[]`), "", nil); res.StatusCode != 400 || body != "Bad request" {
			t.Errorf("callback %q: %d %s", bad, res.StatusCode, body)
		}
	}
	if res, _ := s.do("GET", query("cb", `{bad`), "", nil); res.StatusCode != 400 {
		t.Errorf("bad JSON: %d", res.StatusCode)
	}
}

func TestCORS(t *testing.T) {
	const ours, listed, foreign = "", "https://page.example.com", "https://stranger.example.org"
	for _, anyOrigin := range []bool{false, true} {
		s := start(t, Options{AllowedOrigins: []string{listed}, AnonymousFromAnyOrigin: anyOrigin})
		own := s.web.URL
		for _, origin := range []string{ours, own, listed, foreign, "null"} {
			admitted := anyOrigin || origin == ours || origin == own || origin == listed
			header := map[string]string{"Content-Type": "application/json"}
			if origin != "" {
				header["Origin"] = origin
			}
			res, _ := s.do("POST", "/faye", `[]`, header)
			if (res.StatusCode == 200) != admitted || !admitted && res.StatusCode != 403 {
				t.Errorf("POST from %q, any origin %v: %d", origin, anyOrigin, res.StatusCode)
			}
			wantOrigin, wantCredentials := "", ""
			if origin != "" && admitted {
				wantOrigin, wantCredentials = origin, "true"
			}
			check := func(res *http.Response, wantOrigin, wantCredentials string) {
				h := res.Header
				if h.Get("Access-Control-Allow-Origin") != wantOrigin || h.Get("Access-Control-Allow-Credentials") != wantCredentials || h.Get("Vary") != "Origin" {
					t.Errorf("from %q, any origin %v: headers %v", origin, anyOrigin, h)
				}
			}
			check(res, wantOrigin, wantCredentials)
			header["Access-Control-Request-Method"] = "POST"
			header["Access-Control-Request-Headers"] = "pragma"
			res, _ = s.do("OPTIONS", "/faye", "", header)
			if origin == "" {
				wantOrigin, wantCredentials = "*", "true"
			}
			check(res, wantOrigin, wantCredentials)
			if allows := strings.Contains(res.Header.Get("Access-Control-Allow-Headers"), "Pragma"); allows != admitted || res.StatusCode != 200 {
				t.Errorf("preflight from %q, any origin %v: %d %v", origin, anyOrigin, res.StatusCode, res.Header)
			}
		}
	}
}

func TestPreflightWithoutOrigin(t *testing.T) {
	s := start(t, Options{AllowedOrigins: []string{"https://page.example.com"}})
	for referer, want := range map[string]string{"": "*", "https://page.example.com/a": "https://page.example.com/a"} {
		header := map[string]string{}
		if referer != "" {
			header["Referer"] = referer
		}
		h := func() http.Header { res, _ := s.do("OPTIONS", "/faye", "", header); return res.Header }()
		if h.Get("Access-Control-Allow-Origin") != want || h.Get("Access-Control-Allow-Credentials") != "true" ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Cache-Control") != "no-cache, no-store" {
			t.Errorf("referer %q: %v", referer, h)
		}
	}
}

// A page may load a script from anywhere, and the request has no Origin.
func TestJSONPHeedsTheListOfOrigins(t *testing.T) {
	const listed, foreign = "https://page.example.com/start", "https://stranger.example.org/"
	for _, anyOrigin := range []bool{false, true} {
		s := start(t, Options{AllowedOrigins: []string{"https://page.example.com"}, AnonymousFromAnyOrigin: anyOrigin})
		for _, row := range []struct {
			site, referer string
			admitted      bool
		}{
			{"", "", true}, // a program
			{"none", "", true},
			{"same-origin", "", true},
			{"same-origin", "https://proxied.example.net/", true},
			{"cross-site", listed, true},
			{"same-site", listed, true},
			{"", listed, true},
			{"", s.web.URL + "/page", true},
			{"cross-site", "", false},
			{"cross-site", foreign, false},
			{"same-site", foreign, false},
			{"same-site", s.web.URL + "/page", false}, // the browser says it is not our own
			{"", foreign, false},
			{"cross-site", "https://page.example.com.example.org/", false},
		} {
			header := map[string]string{}
			for k, v := range map[string]string{"Sec-Fetch-Site": row.site, "Referer": row.referer} {
				if v != "" {
					header[k] = v
				}
			}
			res, body := s.do("GET", "/faye?jsonp=cb&message="+url.QueryEscape(shake), "", header)
			if admitted := res.StatusCode == 200; admitted != (row.admitted || anyOrigin) || !admitted && res.StatusCode != 403 {
				t.Errorf("any origin %v, %+v: %d %s", anyOrigin, row, res.StatusCode, body)
			}
		}
	}
}

func TestCookieCounts(t *testing.T) {
	const listed = "https://page.example.com"
	s := start(t, Options{AllowedOrigins: []string{listed}, AnonymousFromAnyOrigin: true})
	const shake = `{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}`
	for _, row := range []struct {
		rule, origin, site string
		counts             bool
	}{
		{"no origin", "", "", false},
		{"our own origin", s.web.URL, "", true},
		{"our own by the browser's word", "", "same-origin", true},
		{"another port of our host", "http://127.0.0.1:1", "", false},
		{"our host by another scheme, by the browser's word", "https" + strings.TrimPrefix(s.web.URL, "http"), "cross-site", false},
		{"an origin on the list", listed, "cross-site", true},
		{"an origin that starts like one on the list", listed + ".example.org", "", false},
		{"a stranger", "https://stranger.example.org", "", false},
		{"no origin and cross-site, as JSONP", "", "cross-site", false},
	} {
		t.Run(row.rule, func(t *testing.T) {
			header := map[string]string{"Content-Type": "application/json", "Cookie": "who=ann"}
			if row.origin != "" {
				header["Origin"] = row.origin
			}
			if row.site != "" {
				header["Sec-Fetch-Site"] = row.site
			}
			_, body := s.do("POST", "/faye", shake, header)
			_, rest, _ := strings.Cut(body, `"clientId":"`)
			id, _, _ := strings.Cut(rest, `"`)
			r := s.subscribe(id, "/secret/1")
			if r["successful"] != row.counts {
				t.Errorf("the cookie counts: %v, want %v (%v)", r["successful"], row.counts, r)
			}
		})
	}
	_, body := s.do("GET", "/faye?jsonp=cb&message="+url.QueryEscape(shake), "", map[string]string{"Cookie": "who=bad"})
	if !strings.Contains(body, `"successful":true`) {
		t.Errorf("a cookie that does not count is not even looked at: %s", body)
	}
}

func TestStaticClient(t *testing.T) {
	script := strings.Repeat("var Faye={};\n", 50)
	s := start(t, Options{Client: fstest.MapFS{
		"faye-browser-min.js":     {Data: []byte(script), ModTime: time.Date(2020, 7, 1, 12, 0, 0, 999, time.UTC)},
		"faye-browser-min.js.map": {Data: []byte(`{"version":3}`)},
		"faye-browser.js":         {Data: []byte("// long")},
	}})
	for path, want := range map[string]string{
		"/faye/client.js": script, "/faye.js": script, "/faye/faye-browser-min.js": script,
		"/faye/faye-browser-min.js.map": `{"version":3}`, "/faye/faye-browser.js": "// long",
	} {
		res, body := s.do("GET", path, "", nil)
		if res.StatusCode != 200 || body != want || res.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %d %q", path, res.StatusCode, body)
		}
		if h := res.Header; h.Get("Vary") != "Accept-Encoding" || h.Get("Cache-Control") != "no-cache" || !strings.HasPrefix(h.Get("ETag"), `"`) {
			t.Errorf("%s: headers %v", path, h)
		}
		zipped, _ := s.do("HEAD", path, "", map[string]string{"Accept-Encoding": "br, gzip;q=0.5"})
		if zipped.Header.Get("Content-Encoding") != "gzip" || zipped.Header.Get("ETag") == res.Header.Get("ETag") {
			t.Errorf("%s with gzip: headers %v", path, zipped.Header)
		}
		for _, tag := range []string{res.Header.Get("ETag"), zipped.Header.Get("ETag"), "W/" + res.Header.Get("ETag"), `"x", *`} {
			if res, body := s.do("GET", path, "", map[string]string{"If-None-Match": tag}); res.StatusCode != 304 || body != "" {
				t.Errorf("%s if none matches %s: %d", path, tag, res.StatusCode)
			}
		}
		if res, _ := s.do("GET", path, "", map[string]string{"If-None-Match": `"x"`}); res.StatusCode != 200 {
			t.Errorf("%s if none matches another: %d", path, res.StatusCode)
		}
	}
	for since, want := range map[string]int{
		"Wed, 01 Jul 2020 12:00:00 GMT": 304, "Thu, 02 Jul 2020 12:00:00 GMT": 304, "Wed, 01 Jul 2020 11:59:59 GMT": 200, "soon": 200, "": 200,
	} {
		res, body := s.do("GET", "/faye.js", "", map[string]string{"If-Modified-Since": since})
		if res.StatusCode != want || (body == "") != (want == 304) || res.Header.Get("Last-Modified") != "Wed, 01 Jul 2020 12:00:00 GMT" {
			t.Errorf("if modified since %q: %d %v", since, res.StatusCode, res.Header)
		}
		if res, _ := s.do("GET", "/faye.js", "", map[string]string{"If-Modified-Since": since, "If-None-Match": `"x"`}); res.StatusCode != 200 {
			t.Errorf("if modified since %q and none matches another: %d", since, res.StatusCode)
		}
	}
	// A file that is part of the program.
	dateless, _ := s.do("GET", "/faye/faye-browser.js", "", nil)
	if at, err := http.ParseTime(dateless.Header.Get("Last-Modified")); err != nil || time.Since(at) > time.Minute {
		t.Errorf("a file without a time: %v", dateless.Header)
	}
	for _, path := range []string{"/faye/client.js.map", "/faye/faye-browser.js.map", "/faye/other.js", "/faye/../client.js", "/faye.js.map"} {
		if res, _ := s.do("GET", path, "", nil); res.StatusCode != 404 || !strings.Contains(res.Header.Get("Cache-Control"), "no-store") {
			t.Errorf("%s: %d %v", path, res.StatusCode, res.Header)
		}
	}
	if res, _ := s.do("GET", "/faye.js", "", map[string]string{"Accept-Encoding": "gzip;q=0"}); res.Header.Get("Content-Encoding") != "" {
		t.Error("gzip;q=0 refuses gzip")
	}
	res, err := http.Get(s.web.URL + "/faye.js") // Go's client unpacks on its own
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != script || !res.Uncompressed {
		t.Errorf("unpacked: %v %v", err, res.Uncompressed)
	}
}
