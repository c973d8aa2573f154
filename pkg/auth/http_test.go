package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"exporthub/pkg/auth"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/testkit"
)

// world is a server with the routes of identity, and a list and an export of its own.
type world struct {
	t       *testing.T
	service *auth.Service
	clock   *testkit.Clock
	handler http.Handler
	staff   int64
}

type listInput struct {
	Format string `json:"export_format"`
}

func newWorld(t *testing.T, change ...func(*auth.Options)) *world {
	t.Helper()
	w := &world{t: t, clock: testkit.NewClock(start)}
	w.service = newService(t, dbtest.SQLite(t, auth.Migrations), w.clock, append(change, func(o *auth.Options) {
		// httptest's remote address
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	})...)
	w.staff = mustPerson(t, w.service, "staff", "13800000002", auth.Staff)
	mustPerson(t, w.service, "reader", "13800000003", auth.Correspondent)
	list := func(ctx context.Context, _ listInput) (string, error) { return auth.From(ctx).Name, nil }
	routes := append(w.service.Routes(),
		httpapi.Handle("GET", "/api/list", httpapi.CodeMsg, "invitation.read", httpapi.Doc{}, list, httpapi.StartsWith("export_format")),
		httpapi.Handle("GET", "/api/export", httpapi.CodeMsg, "invitation.export", httpapi.Doc{}, list, httpapi.Starting()),
		httpapi.Handle("POST", "/api/approve", httpapi.CodeMsg, "invitation.approve", httpapi.Doc{}, list),
		httpapi.Handle("POST", "/api/save", httpapi.CodeMsg, httpapi.SignedIn, httpapi.Doc{}, list),
	)
	r := chi.NewRouter()
	httpapi.Mount(r, routes, httpapi.Options{
		Authorize: w.service.Authorize, Logger: slog.New(slog.DiscardHandler), Info: httpapi.Info{Title: "test", Version: "1"},
	})
	w.handler = r
	return w
}

type request struct {
	method, path, body string
	headers            map[string]string
	cookie             string
}

// do sends a request and returns the answer with its body read.
func (w *world) do(q request) (*http.Response, string) {
	w.t.Helper()
	r := httptest.NewRequest(q.method, "http://export.example.com"+q.path, strings.NewReader(q.body))
	if q.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for k, v := range q.headers {
		r.Header.Set(k, v)
	}
	if q.cookie != "" {
		r.AddCookie(&http.Cookie{Name: auth.CookieName, Value: q.cookie})
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	body, err := io.ReadAll(rec.Result().Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return rec.Result(), strings.TrimSpace(string(body))
}

func (w *world) expect(name string, q request, status int, body string) *http.Response {
	w.t.Helper()
	res, got := w.do(q)
	if res.StatusCode != status || body != "" && got != body {
		w.t.Errorf("%s: %d %s\nwant %d %s", name, res.StatusCode, got, status, body)
	}
	return res
}

// login returns the cookie that logging in sets.
func (w *world) login(account string) *http.Cookie {
	w.t.Helper()
	res := w.expect("login of "+account, request{method: "POST", path: "/api/user/login",
		body: fmt.Sprintf(`{"phoneNumber":%q,"password":%q}`, account, password)}, 200, `{"status":0,"msg":"登陆成功"}`)
	c := cookieOf(res)
	if c == nil || c.Value == "" {
		w.t.Fatalf("login of %s sets no cookie", account)
	}
	return c
}

func cookieOf(res *http.Response) *http.Cookie {
	for _, c := range res.Cookies() {
		if c.Name == auth.CookieName {
			return c
		}
	}
	return nil
}

func (w *world) token(account string) string {
	w.t.Helper()
	_, body := w.do(request{method: "POST", path: "/api/access/token", body: fmt.Sprintf(`{"account":%q,"password":%q}`, account, password)})
	var a struct{ Data struct{ Token string } }
	if err := json.Unmarshal([]byte(body), &a); err != nil || a.Data.Token == "" {
		w.t.Fatalf("no token in %s: %v", body, err)
	}
	return a.Data.Token
}

func TestTokenRoute(t *testing.T) {
	w := newWorld(t)
	res, body := w.do(request{method: "POST", path: "/api/access/token", body: `{"account":"13800000002","password":"` + password + `"}`})
	var a struct {
		Status int
		Data   map[string]any
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil || res.StatusCode != 200 || a.Status != 0 {
		t.Fatalf("%d %s: %v", res.StatusCode, body, err)
	}
	token, _ := a.Data["token"].(string)
	want := fmt.Sprintf(`{"status":0,"data":{"token":%q,"token_method":"HS256","token_type":"Bearer","expire_time":%d,"nickname":"nick staff"}}`,
		token, start.Add(24*time.Hour).Unix())
	if body != want {
		t.Errorf("answered %s\nwant %s", body, want)
	}
	if cookieOf(res) != nil || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", res.Header)
	}
	w.expect("form body", request{method: "POST", path: "/api/access/token", body: "account=staff&password=" + strings.ReplaceAll(password, " ", "+"),
		headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}}, 200, "")
	wrong := `{"status":1,"error":"账号或密码错误"}`
	w.expect("wrong password", request{method: "POST", path: "/api/access/token", body: `{"account":"staff","password":"x"}`}, 400, wrong)
	w.expect("wrong account", request{method: "POST", path: "/api/access/token", body: `{"account":"nobody","password":"x"}`}, 400, wrong)
	res, body = w.do(request{method: "POST", path: "/api/access/token", body: `{"account":"staff"}`})
	if res.StatusCode != 400 || !strings.Contains(body, `"errors":{"password":`) {
		t.Errorf("without a password: %d %s", res.StatusCode, body)
	}
}

func TestFourWaysToSendAToken(t *testing.T) {
	w := newWorld(t)
	token := w.token("staff")
	other := w.token("reader")
	ok := `{"code":200,"msg":"success","data":"名 staff"}`
	ways := map[string]request{
		"ACCESS-TOKEN":   {headers: map[string]string{"ACCESS-TOKEN": token}},
		"Bearer":         {headers: map[string]string{"Authorization": "Bearer " + token}},
		"bare":           {headers: map[string]string{"Authorization": token}},
		"cookie":         {cookie: token},
		"header, cookie": {headers: map[string]string{"Authorization": token}, cookie: other},
		"unset, cookie":  {headers: map[string]string{"Authorization": "Bearer undefined"}, cookie: token},
		"null, cookie":   {headers: map[string]string{"Authorization": "null", "ACCESS-TOKEN": "undefined"}, cookie: token},
		"empty, cookie":  {headers: map[string]string{"Authorization": "Bearer "}, cookie: token},
		"unset, header":  {headers: map[string]string{"Authorization": "Bearer undefined", "ACCESS-TOKEN": token}},
	}
	for name, q := range ways {
		q.method, q.path = "GET", "/api/list"
		w.expect(name, q, 200, ok)
	}
	bad := map[string]request{
		"none":                        {},
		"two headers":                 {headers: map[string]string{"Authorization": token, "ACCESS-TOKEN": other}},
		"bad header, good cookie":     {headers: map[string]string{"Authorization": "Bearer nonsense"}, cookie: token},
		"a variable that was not set": {headers: map[string]string{"Authorization": "Bearer undefined"}},
		"in the query, where logs go": {path: "/api/list?access_token=" + token},
	}
	for name, q := range bad {
		q.method = "GET"
		if q.path == "" {
			q.path = "/api/list"
		}
		res := w.expect(name, q, 401, "")
		if got := res.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, `Bearer realm="exporthub"`) {
			t.Errorf("%s: WWW-Authenticate %q", name, got)
		}
	}
	w.clock.Advance(24*time.Hour + 6*time.Second)
	w.expect("a day later", request{method: "GET", path: "/api/list", cookie: token}, 401, "")
}

func TestLoginSetsTheCookie(t *testing.T) {
	w := newWorld(t)
	c := w.login("13800000002")
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Secure || c.MaxAge != 24*3600 || c.Domain != "" {
		t.Errorf("cookie %+v", c)
	}
	secure := newWorld(t, func(o *auth.Options) { o.PublicURL = "https://export.example.com" })
	if c := secure.login("staff"); !c.Secure {
		t.Errorf("behind https the cookie is %+v", c)
	}
	wrong := `{"status":1,"msg":"账号或密码错误"}`
	res := w.expect("wrong password", request{method: "POST", path: "/api/user/login", body: `{"phoneNumber":"13800000002","password":"x"}`}, 200, wrong)
	if cookieOf(res) != nil {
		t.Error("a wrong password sets a cookie")
	}
	w.expect("a number as phone", request{method: "POST", path: "/api/user/login", body: `{"phoneNumber":13800000099,"password":"x"}`}, 200, wrong)
	w.expect("with a dead cookie", request{method: "POST", path: "/api/user/login", cookie: "dead",
		body: `{"phoneNumber":"13800000002","password":"` + password + `"}`}, 200, `{"status":0,"msg":"登陆成功"}`)
	w.expect("by another site", request{method: "POST", path: "/api/user/login", headers: map[string]string{"Sec-Fetch-Site": "cross-site"},
		body: `{"phoneNumber":"13800000002","password":"` + password + `"}`}, 200, `{"status":1,"msg":"不接受来自其他网站的请求"}`)
}

// Wrong passwords that another site sends through a visitor's browser would lock the visitor's own
// account. What is allowed, and what says nothing of its site, is verified as ever.
func TestCredentialsFromOtherSites(t *testing.T) {
	w := newWorld(t)
	for path, body := range map[string]string{
		"/api/user/login":    `{"phoneNumber":"13800000002","password":"x"}`,
		"/api/access/token":  `{"account":"13800000002","password":"x"}`,
		"/api/user/password": `{"phoneNumber":"13800000002","old_password":"x","new_password":"long enough 1"}`,
	} {
		original := body
		for name, c := range map[string]struct {
			headers map[string]string
			refused bool
		}{
			"cross-site":      {map[string]string{"Sec-Fetch-Site": "cross-site"}, true},
			"foreign origin":  {map[string]string{"Origin": "https://evil.example"}, true},
			"null origin":     {map[string]string{"Origin": "null"}, true},
			"foreign referer": {map[string]string{"Referer": "https://evil.example/form"}, true},
			"no browser":      {nil, false},
			"our own page":    {map[string]string{"Sec-Fetch-Site": "same-origin"}, false},
		} {
			body = original
			for range 6 { // one more than locks
				if !c.refused {
					// Somebody else's counter, so that the last check is about the refused ones.
					body = strings.ReplaceAll(body, "13800000002", "13800000098")
				}
				_, answer := w.do(request{method: "POST", path: path, body: body, headers: c.headers})
				if got := strings.Contains(answer, "不接受来自其他网站的请求"); got != c.refused {
					t.Errorf("%s, %s: %s", path, name, answer)
				}
				if !c.refused {
					break
				}
			}
		}
	}
	w.expect("after all of it", request{method: "POST", path: "/api/user/login",
		body: `{"phoneNumber":"13800000002","password":"` + password + `"}`}, 200, `{"status":0,"msg":"登陆成功"}`)
}

func TestLockoutAnswers(t *testing.T) {
	w := newWorld(t)
	guess := func(path, body, from string, status int, want string) *http.Response {
		t.Helper()
		return w.expect("guess at "+path, request{method: "POST", path: path, body: body, headers: map[string]string{"X-Forwarded-For": from}}, status, want)
	}
	for range 3 {
		guess("/api/user/login", `{"phoneNumber":"13800000002","password":"x"}`, "198.51.100.1", 200, `{"status":1,"msg":"账号或密码错误"}`)
	}
	guess("/api/access/token", `{"account":"13800000002","password":"x"}`, "198.51.100.1", 400, `{"status":1,"error":"账号或密码错误"}`)
	guess("/api/user/password", `{"phoneNumber":"13800000002","old_password":"x","new_password":"long enough 1"}`, "198.51.100.1", 200, `{"status":1,"msg":"账号或密码错误"}`)

	right := `{"phoneNumber":"13800000002","password":"` + password + `"}`
	res := guess("/api/user/login", right, "198.51.100.1", 200, `{"status":1,"msg":"密码错误次数过多，请 15 分钟后再试"}`)
	if got := res.Header.Get("Retry-After"); got != "900" {
		t.Errorf("Retry-After %q, want 900", got)
	}
	res, _ = w.do(request{method: "POST", path: "/api/access/token", body: `{"account":"13800000002","password":"` + password + `"}`,
		headers: map[string]string{"X-Forwarded-For": "198.51.100.1"}})
	if res.StatusCode != 400 || res.Header.Get("Retry-After") != "900" {
		t.Errorf("locked at the token: %d, Retry-After %q", res.StatusCode, res.Header.Get("Retry-After"))
	}
	guess("/api/user/login", right, "198.51.100.2", 200, `{"status":0,"msg":"登陆成功"}`)
	w.clock.Advance(15 * time.Minute)
	guess("/api/user/login", right, "198.51.100.1", 200, `{"status":0,"msg":"登陆成功"}`)
}

// A page that opens asks who is here. Nobody is an answer like others: a 401 would stand in the
// console of each first visit.
func TestSessionAnswersAVisitorToo(t *testing.T) {
	w := newWorld(t)
	nobody := `{"status":0,"data":{"user":null}}`
	ask := func(cookie string) request { return request{method: "GET", path: "/api/user/session", cookie: cookie} }
	w.expect("a first visit", ask(""), 200, nobody)
	w.expect("a dead cookie", ask("dead"), 200, nobody)
	token := w.token("staff")
	_, body := w.do(request{method: "GET", path: "/api/user/me", cookie: token})
	var me struct{ Data json.RawMessage }
	if err := json.Unmarshal([]byte(body), &me); err != nil {
		t.Fatal(err)
	}
	w.expect("a person", ask(token), 200, `{"status":0,"data":{"user":`+string(me.Data)+`}}`)
}

func TestLogout(t *testing.T) {
	w := newWorld(t)
	ways := map[string]func(token string) request{
		"ACCESS-TOKEN": func(s string) request { return request{headers: map[string]string{"ACCESS-TOKEN": s}} },
		"Bearer":       func(s string) request { return request{headers: map[string]string{"Authorization": "Bearer " + s}} },
		"bare":         func(s string) request { return request{headers: map[string]string{"Authorization": s}} },
		"cookie":       func(s string) request { return request{cookie: s} },
	}
	other := w.token("staff")
	for name, way := range ways {
		token := w.token("staff")
		q := way(token)
		q.method, q.path, q.body = "POST", "/api/user/logout", `{"phoneNumber":"13800000003","password":"whatever"}`
		res := w.expect(name, q, 200, `{"status":0,"msg":"登出成功"}`)
		if c := cookieOf(res); c == nil || c.MaxAge >= 0 || c.Value != "" {
			t.Errorf("%s: logging out leaves the cookie %+v", name, c)
		}
		w.expect(name+", after", request{method: "GET", path: "/api/user/me", cookie: token}, 401, "")
		w.expect(name+", again", q, 200, `{"status":0,"msg":"登出成功"}`)
	}
	w.expect("the other token", request{method: "GET", path: "/api/user/me", cookie: other}, 200, "")
	w.expect("nobody", request{method: "POST", path: "/api/user/logout"}, 200, `{"status":0,"msg":"登出成功"}`)

	w.expect("a bad header and the cookie", request{method: "POST", path: "/api/user/logout", cookie: other,
		headers: map[string]string{"Authorization": "Bearer undefined"}}, 200, `{"status":0,"msg":"登出成功"}`)
	w.expect("the cookie", request{method: "GET", path: "/api/user/me", cookie: other}, 401, "")
	first, second := w.token("staff"), w.token("staff")
	w.expect("two headers", request{method: "POST", path: "/api/user/logout",
		headers: map[string]string{"Authorization": first, "ACCESS-TOKEN": second}}, 401, "")
	w.expect("the first", request{method: "GET", path: "/api/user/me", cookie: first}, 200, "")
}

func TestRenew(t *testing.T) {
	w := newWorld(t)
	old := w.login("staff").Value
	w.clock.Advance(23 * time.Hour)
	res, body := w.do(request{method: "POST", path: "/api/access/renew", cookie: old})
	c := cookieOf(res)
	if res.StatusCode != 200 || c == nil || c.Value == old || c.MaxAge != 24*3600 || !strings.Contains(body, c.Value) {
		t.Fatalf("renew by cookie: %d %s, cookie %+v", res.StatusCode, body, c)
	}
	if want := fmt.Sprintf(`"expire_time":%d`, start.Add(47*time.Hour).Unix()); !strings.Contains(body, want) {
		t.Errorf("renewed: %s, want %s", body, want)
	}
	res, body = w.do(request{method: "POST", path: "/api/access/renew", headers: map[string]string{"Authorization": "Bearer " + old}})
	if res.StatusCode != 200 || cookieOf(res) != nil {
		t.Errorf("renew by header: %d %s, cookie %+v", res.StatusCode, body, cookieOf(res))
	}
	w.expect("the old one", request{method: "GET", path: "/api/user/me", cookie: old}, 200, "")
	w.clock.Advance(2 * time.Hour)
	w.expect("the old one after its end", request{method: "GET", path: "/api/user/me", cookie: old}, 401, "")
	w.expect("the new one", request{method: "GET", path: "/api/user/me", cookie: c.Value}, 200, "")
	w.expect("a dead one", request{method: "POST", path: "/api/access/renew", cookie: old}, 401, "")
}

func TestPasswordRoute(t *testing.T) {
	w := newWorld(t)
	change := func(old, new string, q request) request {
		q.method, q.path = "POST", "/api/user/password"
		q.body = fmt.Sprintf(`{"phoneNumber":"13800000002","old_password":%q,"new_password":%q}`, old, new)
		return q
	}
	mine, readers := w.login("staff").Value, w.login("reader").Value
	res := w.expect("own cookie", change(password, "second one 2", request{cookie: mine}), 200, `{"status":0,"msg":"修改成功"}`)
	fresh := cookieOf(res)
	if fresh == nil {
		t.Fatal("changing one's password logs one out")
	}
	w.expect("the old cookie", request{method: "GET", path: "/api/user/me", cookie: mine}, 401, "")
	w.expect("the fresh cookie", request{method: "GET", path: "/api/user/me", cookie: fresh.Value}, 200, "")

	res = w.expect("another's cookie", change("second one 2", "third one 3", request{cookie: readers}), 200, `{"status":0,"msg":"修改成功"}`)
	if cookieOf(res) != nil {
		t.Error("changing another's password makes one that person")
	}
	res = w.expect("no token", change("third one 3", "fourth one 4", request{}), 200, `{"status":0,"msg":"修改成功"}`)
	if cookieOf(res) != nil {
		t.Error("changing a password without a token logs in")
	}
	w.expect("wrong old password", change("third one 3", "fifth one 5", request{}), 200, `{"status":1,"msg":"账号或密码错误"}`)
	w.expect("weak new password", change("fourth one 4", "123456", request{}), 200, `{"status":1,"msg":"new_password 密码至少 8 个字符"}`)
}

func TestMe(t *testing.T) {
	w := newWorld(t)
	me := request{method: "GET", path: "/api/user/me", cookie: w.login("staff").Value}
	p, err := w.service.Person(t.Context(), w.staff)
	if err != nil {
		t.Fatal(err)
	}
	w.expect("me", me, 200, fmt.Sprintf(`{"status":0,"data":{"id":%d,"name":"名 staff","role":2,`+
		`"permissions":["invitation.export","invitation.read"],"menus":[],"export_channel":%q,"must_change_password":false}}`,
		w.staff, w.service.ExportChannel(p)))

	var failing error
	w = newWorld(t, func(o *auth.Options) {
		o.Menus = func(_ context.Context, userID int64) ([]any, error) {
			return []any{map[string]int64{"of": userID}}, failing
		}
	})
	me.cookie = w.login("staff").Value
	if _, body := w.do(me); !strings.Contains(body, fmt.Sprintf(`"menus":[{"of":%d}]`, w.staff)) {
		t.Errorf("with menus: %s", body)
	}
	failing = errors.New("no menus today")
	w.expect("without menus", me, 500, "")
}

func TestPermissionsOfRoutes(t *testing.T) {
	w := newWorld(t)
	forbidden := `{"code":403,"msg":"你没有此操作的权限","data":null}`
	for _, c := range []struct {
		account, method, path string
		status                int
	}{
		{"staff", "GET", "/api/list", 200}, {"staff", "GET", "/api/export", 200}, {"staff", "POST", "/api/approve", 403},
		{"reader", "GET", "/api/list", 200}, {"reader", "GET", "/api/export", 403}, {"reader", "POST", "/api/save", 200},
	} {
		q := request{method: c.method, path: c.path, headers: map[string]string{"ACCESS-TOKEN": w.token(c.account)}}
		want := ""
		if c.status == 403 {
			want = forbidden
		}
		w.expect(c.account+" "+c.path, q, c.status, want)
	}
}

func TestMustChangePassword(t *testing.T) {
	w := newWorld(t)
	if err := w.service.SetPassword(t.Context(), w.staff, password, true); err != nil {
		t.Fatal(err)
	}
	cookie := w.login("staff").Value
	w.expect("a list", request{method: "GET", path: "/api/list", cookie: cookie}, 403, `{"code":403,"msg":"请先修改密码","data":null}`)
	w.expect("saving", request{method: "POST", path: "/api/save", cookie: cookie}, 403, "")
	if _, body := w.do(request{method: "GET", path: "/api/user/me", cookie: cookie}); !strings.Contains(body, `"must_change_password":true`) {
		t.Errorf("me: %s", body)
	}
	w.expect("renewing", request{method: "POST", path: "/api/access/renew", cookie: cookie}, 200, "")
	res := w.expect("changing it", request{method: "POST", path: "/api/user/password", cookie: cookie,
		body: fmt.Sprintf(`{"phoneNumber":"staff","old_password":%q,"new_password":"my very own"}`, password)}, 200, `{"status":0,"msg":"修改成功"}`)
	w.expect("a list, then", request{method: "GET", path: "/api/list", cookie: cookieOf(res).Value}, 200, "")
}

func TestOptionsThatCantBe(t *testing.T) {
	db := dbtest.SQLite(t, auth.Migrations)
	for name, o := range map[string]auth.Options{
		"no database": {Secret: secret},
		"no secret":   {DB: db, Secret: "  "},
		"public URL":  {DB: db, Secret: secret, PublicURL: "export.example.com"},
		"origin":      {DB: db, Secret: secret, AllowedOrigins: []string{"https://app.example.com/page"}},
	} {
		if _, err := auth.New(o); err == nil {
			t.Errorf("%s: New made a service", name)
		}
	}
}
