package auth_test

import (
	"strings"
	"testing"

	"exporthub/pkg/auth"
)

// With the cookie, what changes or starts something is refused to other sites; what only reads is
// not, and neither is anything with a token in a header, which no other site's page can send.
func TestCrossSiteRequests(t *testing.T) {
	w := newWorld(t, func(o *auth.Options) {
		o.AllowedOrigins = []string{"https://app.example.com"}
		o.PublicURL = "https://public.example.com"
	})
	token := w.token("staff")
	sites := map[string]struct {
		headers map[string]string
		refused bool
	}{
		"script":          {nil, false},
		"own page":        {map[string]string{"Sec-Fetch-Site": "same-origin"}, false},
		"other site":      {map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, true},
		"other site link": {map[string]string{"Sec-Fetch-Site": "cross-site"}, true},
		"same site":       {map[string]string{"Sec-Fetch-Site": "same-site"}, true},
		"allowed":         {map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://app.example.com"}, false},
		"public address":  {map[string]string{"Origin": "https://public.example.com"}, false},
		"old browser":     {map[string]string{"Referer": "https://evil.example/"}, true},
	}
	requests := map[string]struct {
		q      request
		starts bool
	}{
		"list":         {request{method: "GET", path: "/api/list"}, false},
		"list, empty":  {request{method: "GET", path: "/api/list?export_format="}, false},
		"list export":  {request{method: "GET", path: "/api/list?export_format=xlsx"}, true},
		"export":       {request{method: "GET", path: "/api/export"}, true},
		"save":         {request{method: "POST", path: "/api/save"}, true},
		"public route": {request{method: "POST", path: "/api/user/logout"}, true},
	}
	for site, s := range sites {
		for name, r := range requests {
			q := r.q
			q.headers, q.cookie = s.headers, token
			refused := s.refused && r.starts
			if name == "public route" {
				q.cookie = w.token("staff") // it ends
			}
			res, body := w.do(q)
			if got := res.StatusCode == 403 || strings.Contains(body, "其他网站"); got != refused {
				t.Errorf("%s, %s: %d %s, refused should be %t", site, name, res.StatusCode, body, refused)
			}
			if name == "public route" {
				continue
			}
			q.headers, q.cookie = map[string]string{"ACCESS-TOKEN": token}, ""
			for k, v := range s.headers {
				q.headers[k] = v
			}
			w.expect(site+", "+name+" by header", q, 200, "")
		}
	}
}
