package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"exporthub/pkg/errs"
)

type who struct{}

// gate is an Authorize that knows one token and records what it was asked.
type gate struct {
	mu    sync.Mutex
	asked []string
}

func (g *gate) authorize(r *http.Request, permission string, changing bool) (context.Context, error) {
	g.mu.Lock()
	g.asked = append(g.asked, permission+map[bool]string{true: " changing"}[changing])
	g.mu.Unlock()
	if permission == Public {
		return r.Context(), nil
	}
	if r.Header.Get("ACCESS-TOKEN") != "good" {
		return nil, errs.New(errs.Unauthenticated, "")
	}
	if permission != SignedIn && permission != "thing.read" {
		return nil, errs.New(errs.Forbidden, "")
	}
	return context.WithValue(r.Context(), who{}, "42"), nil
}

type thingIn struct {
	ExportParams
	ID   string `json:"id"`
	Name string `json:"name"`
}

func echo(ctx context.Context, in thingIn) (map[string]string, error) {
	person, _ := ctx.Value(who{}).(string)
	return map[string]string{"id": in.ID, "name": in.Name, "person": person, "zone": Location(ctx).String(), "request": RequestID(ctx)}, nil
}

func TestWhoMayCallWhat(t *testing.T) {
	g := &gate{}
	s := serve(t, []Route{
		Handle("GET", "/api/open", CodeRemark, Public, Doc{}, echo),
		Handle("GET", "/api/mine", StatusMsg, SignedIn, Doc{}, echo),
		Handle("GET", "/api/things", CodeRemark, "thing.read", Doc{}, echo, StartsWith("export_format")),
		Handle("POST", "/api/things", CodeRemark, "thing.write", Doc{}, echo),
		Handle("GET", "/api/copy", StatusError, "thing.read", Doc{}, echo, Starting()),
	}, Options{Authorize: g.authorize, Logger: quiet()})
	for _, c := range []struct {
		name, method, target, token, prefetch string
		status                                int
		asked                                 string
	}{
		{"public", "GET", "/api/open", "", "", 200, "public"},
		{"no token", "GET", "/api/mine", "", "", 401, "signed-in"},
		{"token", "GET", "/api/mine", "good", "", 200, "signed-in"},
		{"list", "GET", "/api/things?export_format=", "good", "", 200, "thing.read"},
		{"export", "GET", "/api/things?export_format=xlsx", "good", "", 200, "thing.read changing"},
		{"export, disguised", "GET", "/api/things?export%5Fformat[]=xlsx", "good", "", 200, "thing.read changing"},
		{"export, wrong format", "GET", "/api/things?export_format=exe", "good", "", 200, "thing.read changing"},
		{"always starts", "GET", "/api/copy", "good", "", 200, "thing.read changing"},
		{"post, not permitted", "POST", "/api/things", "good", "", 200, "thing.write changing"},
		{"prefetched list", "GET", "/api/things", "good", "prefetch", 200, "thing.read"},
		{"prefetched export", "GET", "/api/things?export_format=xlsx", "good", "prefetch;prerender", 503, ""},
		{"prefetched start", "GET", "/api/copy", "good", "prefetch", 503, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			g.asked = nil
			r, err := http.NewRequest(c.method, s.URL+c.target, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("ACCESS-TOKEN", c.token)
			if c.prefetch != "" {
				r.Header.Set("Sec-Purpose", c.prefetch)
			}
			status, body, _ := send(t, r)
			if status != c.status || strings.Join(g.asked, "|") != c.asked {
				t.Errorf("status %d, asked %q; want %d, %q; body %s", status, g.asked, c.status, c.asked, body)
			}
		})
	}
}

func TestWithoutAuthorizeOnlyPublicRoutesAnswer(t *testing.T) {
	s := serve(t, []Route{Handle("GET", "/api/open", CodeRemark, Public, Doc{}, echo), Handle("GET", "/api/mine", CodeMsg, SignedIn, Doc{}, echo)}, Options{Logger: quiet()})
	if status, _ := call(t, s, "GET", "/api/open", "", ""); status != 200 {
		t.Errorf("public: %d", status)
	}
	if status, _ := call(t, s, "GET", "/api/mine", "", ""); status != 401 {
		t.Errorf("signed in: %d", status)
	}
}

func TestHandlersSeeTheirRequest(t *testing.T) {
	zone := time.FixedZone("Test/Zone", 3600)
	s := serve(t, []Route{Handle("GET", "/api/things/{id}/x", Native, "thing.read", Doc{}, echo)},
		Options{Authorize: (&gate{}).authorize, Location: zone, Logger: quiet()})
	r, err := http.NewRequest("GET", s.URL+"/api/things/a%2Fb%20%E5%BC%A0/x?name=n", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("ACCESS-TOKEN", "good")
	_, body, h := send(t, r)
	var got map[string]string
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if got["id"] != "a/b 张" || got["name"] != "n" || got["person"] != "42" || got["zone"] != "Test/Zone" || got["request"] != h.Get("X-Request-Id") {
		t.Errorf("got %v", got)
	}
}

func TestRequestIDs(t *testing.T) {
	s := serve(t, []Route{Handle("GET", "/api/open", CodeRemark, Public, Doc{}, echo)}, Options{Logger: quiet()})
	for sent, kept := range map[string]bool{
		"": false, "3f2f7c1e-8a53-4b0e": true, "short": false, strings.Repeat("a", 65): false, "has blank 1": false, `quote"12345`: false, "a.b_c-12": true,
	} {
		r, err := http.NewRequest("GET", s.URL+"/api/open", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Request-Id", sent)
		_, _, h := send(t, r)
		if got := h.Get("X-Request-Id"); got == "" || (got == sent) != kept {
			t.Errorf("sent %q, got %q", sent, got)
		}
	}
}

// observed is one finished request as the log and the metric report it.
type observed struct {
	line   map[string]any
	metric string
}

// watch mounts routes and returns a function that sends a request and tells what was logged and
// measured of it.
func watch(t *testing.T, routes []Route) (do func(*http.Request) observed, url string) {
	t.Helper()
	lines := make(chan string, 10)
	metrics := make(chan string, 10)
	s := serve(t, routes, Options{
		Authorize: (&gate{}).authorize,
		Person:    func(ctx context.Context) string { p, _ := ctx.Value(who{}).(string); return p },
		Logger:    slog.New(slog.NewJSONHandler(lineWriter(lines), nil)),
		Observe: func(route, method string, status int, d time.Duration) {
			metrics <- strings.Join([]string{method, route, http.StatusText(status)}, " ")
		},
	})
	return func(r *http.Request) observed {
		t.Helper()
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
		var o observed
		o.metric = receive(t, metrics)
		if err := json.Unmarshal([]byte(receive(t, lines)), &o.line); err != nil {
			t.Fatal(err)
		}
		return o
	}, s.URL
}

type lineWriter chan string

func (w lineWriter) Write(p []byte) (int, error) { w <- string(bytes.Clone(p)); return len(p), nil }

func receive(t *testing.T, c <-chan string) string {
	t.Helper()
	select {
	case s := <-c:
		return s
	case <-time.After(10 * time.Second):
		t.Fatal("the request was not observed")
		return ""
	}
}

func TestOneLineForEachRequest(t *testing.T) {
	entered := make(chan struct{}, 1)
	do, url := watch(t, []Route{
		Handle("GET", "/api/things/{id}", CodeRemark, "thing.read", Doc{}, echo),
		Handle("GET", "/api/broken", CodeRemark, SignedIn, Doc{}, func(context.Context, struct{}) (int, error) { return 0, errors.New("disk on fire") }),
		Handle("GET", "/api/away", CodeRemark, SignedIn, Doc{}, func(context.Context, struct{}) (int, error) {
			return 0, errs.Wrap(errs.Unavailable, "", errors.New("no route to database"))
		}),
		Handle("GET", "/api/unencodable", CodeRemark, SignedIn, Doc{}, func(context.Context, struct{}) (any, error) { return func() {}, nil }),
		Handle("GET", "/api/panics", CodeRemark, SignedIn, Doc{}, func(context.Context, struct{}) (int, error) { panic("bug") }),
		Handle("GET", "/api/waits", CodeRemark, SignedIn, Doc{}, func(ctx context.Context, _ struct{}) (int, error) {
			entered <- struct{}{}
			<-ctx.Done()
			return 0, ctx.Err()
		}),
	})
	for _, c := range []struct {
		path, metric, level, code, text string
		status                          float64
	}{
		{"/api/things/7?s=SECRET", "GET /api/things/{id} OK", "INFO", "", "", 200},
		{"/api/things/7?ids=x&s=SECRET", "GET /api/things/{id} OK", "INFO", "invalid", "", 200},
		{"/api/broken", "GET /api/broken Internal Server Error", "ERROR", "internal", "disk on fire", 500},
		{"/api/away", "GET /api/away Service Unavailable", "WARN", "unavailable", "no route to database", 503},
		{"/api/unencodable", "GET /api/unencodable Internal Server Error", "ERROR", "internal", "unsupported type", 500},
		{"/api/panics", "GET /api/panics Internal Server Error", "ERROR", "internal", "bug", 500},
		{"/api/nowhere", "GET  Not Found", "INFO", "not_found", "", 404},
	} {
		t.Run(c.path, func(t *testing.T) {
			r, err := http.NewRequest("GET", url+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("ACCESS-TOKEN", "good")
			r.Header.Set("X-Request-Id", testID)
			o := do(r)
			text, _ := o.line["error"].(string)
			code, _ := o.line["code"].(string)
			if o.metric != c.metric || o.line["level"] != c.level || o.line["status"] != c.status || code != c.code ||
				!strings.Contains(text, c.text) || (c.text == "") != (text == "") || o.line["request_id"] != testID || o.line["msg"] != "request" {
				t.Errorf("metric %q, line %v", o.metric, o.line)
			}
			if c.path == "/api/panics" && !strings.Contains(o.line["stack"].(string), "mount_test.go") {
				t.Errorf("the panic's stack does not lead to it: %v", o.line["stack"])
			}
			if c.code != "not_found" && o.line["person"] != "42" {
				t.Errorf("person %v", o.line["person"])
			}
			all, _ := json.Marshal(o.line)
			if strings.Contains(string(all), "SECRET") {
				t.Errorf("the query is in the log: %s", all)
			}
		})
	}
	t.Run("client gone", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, "GET", url+"/api/waits", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("ACCESS-TOKEN", "good")
		// ends with the request: the handler announces itself once
		go func() { <-entered; cancel() }()
		o := do(r)
		if o.line["status"] != 499.0 || o.line["level"] != "INFO" {
			t.Errorf("line %v", o.line)
		}
	})
}

func TestPathsNobodyDeclared(t *testing.T) {
	s := serve(t, []Route{
		Handle("GET", "/api/things/{id}", CodeRemark, Public, Doc{}, echo),
		Handle("PUT", "/api/things/{id}", CodeRemark, Public, Doc{}, echo),
		Handle("GET", "/admin/message", ResultMsg, Public, Doc{}, echo),
	}, Options{Logger: quiet(), Info: Info{Title: "x"}})
	for _, c := range []struct{ method, target, want string }{
		{"GET", "/api/nothing", `404 {"type":"about:blank","title":"Not Found","status":404,"code":"not_found","detail":"没有这个接口","request_id":"test-request-1"}` + "\n  Content-Type: application/problem+json\n"},
		{"POST", "/api/things/5", `405 {"code":404,"message":"failure","remark":"此接口不支持 POST 方法","error":"errors/not_found_error"}` + "\n  Allow: GET, HEAD, PUT\n"},
		{"POST", "/api/docs", `405 {"type":"about:blank","title":"Method Not Allowed","status":405,"code":"method_not_allowed","detail":"此接口不支持 POST 方法","request_id":"test-request-1"}` + "\n  Content-Type: application/problem+json\n  Allow: GET, HEAD\n"},
		{"POST", "/admin/message", `405 {"result":0,"msg":"此接口不支持 POST 方法","data":[]}` + "\n  Allow: GET, HEAD\n"},
		{"OPTIONS", "/admin/message", "204 \n  Allow: GET, HEAD\n"},
		{"OPTIONS", "/api/nothing", `404 {"type":"about:blank","title":"Not Found","status":404,"code":"not_found","detail":"没有这个接口","request_id":"test-request-1"}` + "\n  Content-Type: application/problem+json\n"},
		{"GET", "/api/things/a%2Fb/c", `200 {"code":404,"message":"failure","remark":"没有这个接口","error":"errors/not_found_error"}` + "\n"},
	} {
		if got := show(t, s, c.method, c.target); got != c.want {
			t.Errorf("%s %s:\n%s\nwant\n%s", c.method, c.target, got, c.want)
		}
	}
}

func TestHTTPRoutes(t *testing.T) {
	type in struct {
		Name string `json:"name" required:"true"`
		File string `json:"file"`
	}
	s := serve(t, []Route{
		HandleHTTP("GET", "/api/file/{name}", CodeMsg, Public, Doc{}, func(w http.ResponseWriter, r *http.Request) error {
			var v in
			if err := Decode(r, &v); err != nil {
				return err
			}
			if v.Name == "missing" {
				w.Header().Set("Content-Disposition", "attachment")
				return errs.New(errs.NotFound, "没有这个文件")
			}
			SetHeader(r.Context(), "X-Name", v.Name)
			_, err := io.WriteString(w, "bytes of "+v.Name)
			if v.Name == "broken" {
				return errors.New("too late to say so")
			}
			return err
		}, Takes[in](), Gives("text/plain")),
		HandleHTTP("POST", "/api/upload", CodeMsg, Public, Doc{}, func(w http.ResponseWriter, r *http.Request) error {
			n, err := io.Copy(io.Discard, r.Body)
			if err != nil {
				return bodyError(err)
			}
			_, err = io.WriteString(w, time.Duration(n).String())
			return err
		}, WithMaxBody(2<<20), Takes[in]("multipart/form-data")),
		HandleHTTP("GET", "/api/cut", CodeMsg, Public, Doc{}, func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }),
	}, Options{Logger: quiet()})
	for target, want := range map[string]string{
		"/api/file/a":       "200 bytes of a\n  Content-Type: text/plain; charset=utf-8\n",
		"/api/file/missing": `404 {"code":404,"msg":"没有这个文件","data":null}` + "\n",
		"/api/file/broken":  "200 bytes of broken\n  Content-Type: text/plain; charset=utf-8\n",
		"/api/file/%00":     `400 {"code":400,"msg":"name 含有无法使用的字符，请使用 UTF-8 文本","data":null,"errors":{"name":"含有无法使用的字符，请使用 UTF-8 文本"}}` + "\n",
	} {
		if got := show(t, s, "GET", target); got != want {
			t.Errorf("%s: got %q, want %q", target, got, want)
		}
	}
	for size, want := range map[int]int{2 << 20: 200, 2<<20 + 1: 413} {
		if status, body := call(t, s, "POST", "/api/upload", "multipart/form-data; boundary=x", strings.Repeat("x", size)); status != want {
			t.Errorf("upload of %d: %d %s", size, status, body)
		}
	}
	if _, err := http.Get(s.URL + "/api/cut"); err == nil {
		t.Error("a handler that cut the connection was answered")
	}
}

func TestConditionalGet(t *testing.T) {
	route := Handle("GET", "/api/job", Native, Public, Doc{}, func(ctx context.Context, _ struct{}) (thing, error) {
		SetETag(ctx, "v1")
		return thing{ID: 1}, nil
	})
	s := serve(t, []Route{route}, Options{Logger: quiet()})
	for have, want := range map[string]int{"": 200, `"v1"`: 304, `W/"v1"`: 304, `"v0", "v1"`: 304, "*": 304, `"v2"`: 200} {
		r, err := http.NewRequest("GET", s.URL+"/api/job", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("If-None-Match", have)
		status, body, h := send(t, r)
		if status != want || h.Get("ETag") != `"v1"` || (status == 304) != (body == "") || h.Get("Cache-Control") != "private, no-cache" {
			t.Errorf("If-None-Match %s: %d %q %v", have, status, body, h)
		}
	}
}

// What every answer to a start carries is on those too that never reach a handler.
func TestRefusedStartsCarryTheirHeaders(t *testing.T) {
	type in struct {
		Export string `json:"export" enum:"csv"`
		Count  int    `json:"count2"`
	}
	route := Handle("GET", "/api/x", CodeRemark, SignedIn, Doc{}, func(ctx context.Context, _ in) (int, error) {
		return 0, errs.New(errs.Conflict, "")
	}, StartsWith("export"))
	s := serve(t, []Route{route}, Options{
		Logger: quiet(),
		Authorize: func(r *http.Request, _ string, _ bool) (context.Context, error) {
			if r.Header.Get("ACCESS-TOKEN") == "" {
				return r.Context(), errs.New(errs.Forbidden, "")
			}
			return r.Context(), nil
		},
		Refused: func(ctx context.Context) { SetHeader(ctx, "RateLimit-Remaining", "3") },
	})
	for target, want := range map[string]string{
		"/api/x?export=csv":               "", // the handler's own matter
		"/api/x?export=pdf":               "3",
		"/api/x?export=csv&count2=x":      "3",
		"/api/x?export=csv&nonsense=x":    "3",
		"/api/x?count2=x":                 "",
		"/api/x?export=csv&token=missing": "3",
	} {
		r, err := http.NewRequest("GET", s.URL+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(target, "missing") {
			r.Header.Set("ACCESS-TOKEN", "x")
		}
		if _, body, h := send(t, r); h.Get("RateLimit-Remaining") != want {
			t.Errorf("%s: %q, want %q (%s)", target, h.Get("RateLimit-Remaining"), want, body)
		}
	}
}

func TestHeadersAndCookiesFromHandlers(t *testing.T) {
	route := Handle("GET", "/api/x", CodeRemark, Public, Doc{}, func(ctx context.Context, in thingIn) (int, error) {
		SetHeader(ctx, "RateLimit-Remaining", "3")
		AddCookie(ctx, &http.Cookie{Name: "a", Value: "1", HttpOnly: true})
		if in.Name == "fail" {
			return 0, errs.New(errs.Conflict, "")
		}
		return 1, nil
	})
	s := serve(t, []Route{route}, Options{Logger: quiet()})
	for _, target := range []string{"/api/x", "/api/x?name=fail"} {
		r, err := http.NewRequest("GET", s.URL+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, h := send(t, r); h.Get("RateLimit-Remaining") != "3" || h.Get("Set-Cookie") != "a=1; HttpOnly" {
			t.Errorf("%s: %v", target, h)
		}
	}
	SetHeader(t.Context(), "outside", "a request")
	AddCookie(t.Context(), &http.Cookie{Name: "outside"})
}

func TestARouteThatTakesNothingReadsNothing(t *testing.T) {
	route := Handle("POST", "/api/logout", StatusMsg, Public, Doc{}, func(context.Context, struct{}) (Reply[struct{}], error) {
		return Reply[struct{}]{Msg: "登出成功", NoData: true}, nil
	})
	s := serve(t, []Route{route}, Options{Logger: quiet()})
	for _, kind := range []string{"", "text/plain", "application/json", "multipart/form-data; boundary=x"} {
		if status, body := call(t, s, "POST", "/api/logout?x=%zz", kind, "{whatever"); status != 200 || body != `{"status":0,"msg":"登出成功"}` {
			t.Errorf("%q: %d %s", kind, status, body)
		}
	}
}

func TestTheLogNamesWhoWasRefused(t *testing.T) {
	lines := make(chan string, 1)
	s := serve(t, []Route{Handle("GET", "/api/x", CodeRemark, "secret.read", Doc{}, echo)}, Options{
		Authorize: func(r *http.Request, _ string, _ bool) (context.Context, error) {
			return context.WithValue(r.Context(), who{}, "42"), errs.New(errs.Forbidden, "")
		},
		Person: func(ctx context.Context) string { p, _ := ctx.Value(who{}).(string); return p },
		Logger: slog.New(slog.NewTextHandler(lineWriter(lines), nil)),
	})
	call(t, s, "GET", "/api/x", "", "")
	if line := receive(t, lines); !strings.Contains(line, "person=42") || !strings.Contains(line, "code=forbidden") {
		t.Errorf("line %s", line)
	}
}

func TestHeadNeverStartsAnything(t *testing.T) {
	calls := 0
	fn := func(context.Context, thingIn) (int, error) { calls++; return 1, nil }
	s := serve(t, []Route{
		Handle("GET", "/api/things", CodeRemark, Public, Doc{}, fn, StartsWith("export_format")),
		Handle("GET", "/api/copy", CodeRemark, Public, Doc{}, fn, Starting()),
	}, Options{Logger: quiet()})
	for _, c := range []struct {
		target        string
		status, calls int
	}{{"/api/things", 200, 1}, {"/api/things?export_format=xlsx", 405, 0}, {"/api/copy", 405, 0}} {
		calls = 0
		r, err := http.NewRequest("HEAD", s.URL+c.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if status, body, h := send(t, r); status != c.status || calls != c.calls || body != "" || h.Get("Content-Length") == "" {
			t.Errorf("HEAD %s: %d %q, %d calls; want %d, %d", c.target, status, body, calls, c.status, c.calls)
		}
	}
}

// TestCORSAsMiddleware mounts as a program does that keeps CORS to a group: preflights are answered
// on every path.
func TestCORSAsMiddleware(t *testing.T) {
	r := chi.NewRouter()
	r.Group(func(r chi.Router) {
		r.Use(CORS([]string{"https://admin.example.com"}))
		Mount(r, []Route{
			Handle("POST", "/api/things/{id}", CodeRemark, Public, Doc{}, echo), Handle("GET", "/business/{id}/admin/message", ResultMsg, Public, Doc{}, echo),
		}, Options{Logger: quiet()})
	})
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	for _, target := range []string{"/api/things/1", "/business/2/admin/message"} {
		pre, err := http.NewRequest("OPTIONS", s.URL+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		pre.Header.Set("Origin", "https://admin.example.com")
		pre.Header.Set("Access-Control-Request-Method", "POST")
		pre.Header.Set("Access-Control-Request-Headers", "access-token")
		if status, _, h := send(t, pre); status != 200 || h.Get("Access-Control-Allow-Origin") != "https://admin.example.com" || h.Get("Access-Control-Allow-Credentials") != "true" {
			t.Errorf("%s: %d %v", target, status, h)
		}
	}
}
