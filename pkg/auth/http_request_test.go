package auth

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"exporthub/pkg/errs"
)

func TestClientIP(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	cases := map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"direct":                      {"192.0.2.1:1234", nil, "192.0.2.1"},
		"forged by a stranger":        {"192.0.2.1:1234", []string{"198.51.100.1"}, "192.0.2.1"},
		"one proxy":                   {"10.0.0.1:1234", []string{"192.0.2.7"}, "192.0.2.7"},
		"forged behind a proxy":       {"10.0.0.1:1234", []string{"198.51.100.1, 192.0.2.7"}, "192.0.2.7"},
		"two proxies":                 {"10.0.0.1:1234", []string{"198.51.100.1,192.0.2.7 , 10.0.0.2"}, "192.0.2.7"},
		"several headers":             {"10.0.0.1:1234", []string{"198.51.100.1", "192.0.2.7", "10.0.0.2"}, "192.0.2.7"},
		"proxies all the way":         {"10.0.0.1:1234", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"nothing forwarded":           {"10.0.0.1:1234", []string{""}, "10.0.0.1"},
		"rubbish forwarded":           {"10.0.0.1:1234", []string{"192.0.2.7, unknown, 10.0.0.2"}, "10.0.0.2"},
		"with a port":                 {"10.0.0.1:1234", []string{"192.0.2.7:80"}, "192.0.2.7"},
		"IPv6":                        {"[::1]:1234", []string{"2001:db8::7"}, "2001:db8::7"},
		"IPv6 with a port":            {"[::1]:1234", []string{"[2001:db8::7]:80"}, "2001:db8::7"},
		"IPv6 in brackets":            {"[::1]:1234", []string{"[2001:db8::7]"}, "2001:db8::7"},
		"IPv6 with a zone":            {"[fe80::1%eth0]:1234", nil, "fe80::1"},
		"IPv4 in IPv6":                {"[::ffff:10.0.0.1]:1234", []string{"::ffff:192.0.2.7"}, "192.0.2.7"},
		"Unix socket":                 {"@", []string{"192.0.2.7"}, "invalid IP"},
		"no port":                     {"192.0.2.1", nil, "192.0.2.1"},
		"nobody is trusted by nobody": {"", nil, "invalid IP"},
	}
	for name, c := range cases {
		r := &http.Request{RemoteAddr: c.remote, Header: http.Header{"X-Forwarded-For": c.forwarded}}
		if got := ClientIP(r, trusted).String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestPairKey(t *testing.T) {
	key := func(who, from string) string { return pairKey(who, netip.MustParseAddr(from)) }
	if key("a", "192.0.2.1") == key("a", "192.0.2.2") || key("a", "192.0.2.1") == key("b", "192.0.2.1") {
		t.Error("two pairs have one key")
	}
	if key("a", "2001:db8::1") != key("a", "2001:db8::ffff") || key("a", "2001:db8::1") == key("a", "2001:db8:0:1::1") {
		t.Error("IPv6 does not count by /64")
	}
	if len(pairKey("a", netip.Addr{})) != 64 {
		t.Error("a caller without an address has no key")
	}
}

func TestRequestToken(t *testing.T) {
	cases := map[string]struct {
		headers  map[string][]string
		cookie   string
		token    string
		byCookie bool
		kind     errs.Kind
	}{
		"none":                     {},
		"ACCESS-TOKEN":             {headers: map[string][]string{"Access-Token": {" t1 "}}, token: "t1"},
		"Bearer":                   {headers: map[string][]string{"Authorization": {"Bearer t1"}}, token: "t1"},
		"bearer, spaces":           {headers: map[string][]string{"Authorization": {" bearer   t1 "}}, token: "t1"},
		"bare":                     {headers: map[string][]string{"Authorization": {"t1"}}, token: "t1"},
		"cookie":                   {cookie: "t1", token: "t1", byCookie: true},
		"header wins":              {headers: map[string][]string{"Authorization": {"Bearer t1"}}, cookie: "t2", token: "t1"},
		"same twice":               {headers: map[string][]string{"Authorization": {"Bearer t1"}, "Access-Token": {"t1", "t1"}}, token: "t1"},
		"two headers":              {headers: map[string][]string{"Authorization": {"Bearer t1"}, "Access-Token": {"t2"}}, kind: errs.Unauthenticated},
		"one header twice":         {headers: map[string][]string{"Authorization": {"Bearer t1", "Bearer t2"}}, cookie: "t1", kind: errs.Unauthenticated},
		"empty headers":            {headers: map[string][]string{"Authorization": {"Bearer "}, "Access-Token": {""}}, cookie: "t1", token: "t1", byCookie: true},
		"another scheme":           {headers: map[string][]string{"Authorization": {"Basic dTpw"}}, cookie: "t1", token: "t1", byCookie: true},
		"another scheme, no more":  {headers: map[string][]string{"Authorization": {"Basic dTpw"}}},
		"another scheme and token": {headers: map[string][]string{"Authorization": {"Basic dTpw"}, "Access-Token": {"t1"}}, token: "t1"},
	}
	for name, c := range cases {
		r := httptest.NewRequest("GET", "/", nil)
		for k, v := range c.headers {
			r.Header[k] = v
		}
		if c.cookie != "" {
			r.AddCookie(&http.Cookie{Name: CookieName, Value: c.cookie})
		}
		token, byCookie, err := RequestToken(r)
		if token != c.token || byCookie != c.byCookie || err != nil && !errs.Is(err, c.kind) || (err != nil) != (c.kind != errs.Internal) {
			t.Errorf("%s: %q, %t, %v; want %q, %t, %s", name, token, byCookie, err, c.token, c.byCookie, c.kind)
		}
	}
}

func TestCrossSite(t *testing.T) {
	guard, err := newOriginGuard([]string{"https://app.example.com", "http://localhost:5173/"})
	if err != nil {
		t.Fatal(err)
	}
	const own = "http://export.example.com"
	cases := map[string]struct {
		headers map[string]string
		want    bool
	}{
		"no browser":                     {nil, false},
		"own page":                       {map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": own}, false},
		"typed address":                  {map[string]string{"Sec-Fetch-Site": "none"}, false},
		"another site":                   {map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, true},
		"another site's link":            {map[string]string{"Sec-Fetch-Site": "cross-site"}, true},
		"another origin of the site":     {map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "https://x.example.com"}, true},
		"allowed origin":                 {map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://app.example.com"}, false},
		"allowed origin's link":          {map[string]string{"Sec-Fetch-Site": "cross-site", "Referer": "https://app.example.com/page?x=1"}, false},
		"allowed origin, slash in list":  {map[string]string{"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:5173"}, false},
		"allowed host, other scheme":     {map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "http://app.example.com"}, true},
		"browser says own, origin lies":  {map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, false},
		"old browser, own page":          {map[string]string{"Origin": own}, false},
		"old browser, another site":      {map[string]string{"Origin": "https://evil.example"}, true},
		"old browser, other port":        {map[string]string{"Origin": own + ":8081"}, true},
		"old browser, opaque":            {map[string]string{"Origin": "null"}, true},
		"old browser, allowed":           {map[string]string{"Origin": "https://app.example.com"}, false},
		"referer, own":                   {map[string]string{"Referer": own + "/page"}, false},
		"referer, another site":          {map[string]string{"Referer": "https://evil.example/page"}, true},
		"referer, own host as path":      {map[string]string{"Referer": "https://evil.example/export.example.com"}, true},
		"origin before referer":          {map[string]string{"Origin": "https://evil.example", "Referer": own + "/"}, true},
		"referer that tells nothing":     {map[string]string{"Referer": "about:blank"}, false},
		"empty headers say nothing more": {map[string]string{"Origin": "", "Sec-Fetch-Site": "", "Referer": ""}, false},
	}
	for name, c := range cases {
		for _, method := range []string{"GET", "POST"} {
			r := httptest.NewRequest(method, own+"/api/contacts/export", nil)
			for k, v := range c.headers {
				r.Header.Set(k, v)
			}
			if got := guard.crossSite(r); got != c.want {
				t.Errorf("%s, %s: %t, want %t", name, method, got, c.want)
			}
		}
	}
	for _, bad := range []string{"app.example.com", "https://app.example.com/page", "https://", "://"} {
		if _, err := newOriginGuard([]string{bad}); err == nil {
			t.Errorf("%q is taken for an origin", bad)
		}
	}
}
