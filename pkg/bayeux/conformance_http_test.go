package bayeux

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/url"
	"strings"
)

const jsonType = "application/json"

func form(message string) string { return "message=" + url.QueryEscape(message) }

// jsonp is the query of a JSONP request.
func jsonp(message, callback string) string {
	return "/faye?" + url.Values{"message": {message}, "jsonp": {callback}}.Encode()
}

var endpointRules = []rule{
	{"paths below the mount are the mount", func(c *conformance) {
		for _, path := range []string{"/faye", "/faye/", "/faye/handshake", "/faye/connect", "/faye/disconnect", "/faye/any/thing"} {
			c.status(c.do(http.MethodPost, path, `[]`, "Content-Type", jsonType), 200)
		}
	}},
	{"a path ending in .js or .map is a file, never Bayeux", func(c *conformance) {
		c.status(c.do(http.MethodPost, "/faye/x.js", `[]`, "Content-Type", jsonType), 404)
		c.status(c.do(http.MethodGet, "/faye/x.map?message=[]", ""), 404)
	}},
	{"OPTIONS, and any request asking for POST, is a preflight", func(c *conformance) {
		for _, method := range []string{http.MethodOptions, http.MethodGet} {
			a := c.do(method, "/faye", "", "Origin", "https://listed.example", "Access-Control-Request-Method", "POST")
			c.status(a, 200)
			c.equal(a.header.Get("Access-Control-Allow-Methods"), "POST, GET")
		}
	}},
	{"anything else is refused in plain text", func(c *conformance) {
		for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodGet} {
			a := c.do(method, "/faye", "")
			if a.status != 400 && a.status != 405 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
				c.Fatalf("%s: %d %v", method, a.status, a.header)
			}
		}
	}},
	{"a body is JSON when its type is application/json before any semicolon", func(c *conformance) {
		for _, kind := range []string{jsonType, jsonType + "; charset=utf-8", jsonType + ";x"} {
			c.status(c.do(http.MethodPost, "/faye", `[]`, "Content-Type", kind), 200)
		}
	}},
	{"every other type, or none, is a form", func(c *conformance) {
		for _, kind := range []string{"text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "application/jsonx", ""} {
			a := c.do(http.MethodPost, "/faye", form(shake), "Content-Type", kind)
			c.status(a, 200)
			c.ok(decode(c, []byte(a.body))[0])
		}
	}},
	{"an array with several messages has a reply for each", func(c *conformance) {
		c.equal(len(c.ask(`[`+shake+`,`+shake+`]`)), 2)
	}},
	{"top-level null and an empty array give an empty array", func(c *conformance) {
		for _, body := range []string{"null", "[]", " [ ] ", "[null]"} {
			c.equal(len(c.ask(body)), 0)
		}
	}},
	{"numbers, strings, bad JSON, empty bodies and forms without message give 400", func(c *conformance) {
		for _, body := range []string{`7`, `"x"`, `true`, `{`, `[1,`, ``, `[]x`} {
			c.status(c.do(http.MethodPost, "/faye", body, "Content-Type", jsonType), 400)
		}
		for _, body := range []string{"", "x=1", "message=", "message=%zz", "message=7"} {
			c.status(c.do(http.MethodPost, "/faye", body), 400)
		}
	}},
	{"all message fields of a form are read", func(c *conformance) {
		a := c.do(http.MethodPost, "/faye", form(shake)+"&"+form(shake))
		c.equal(len(decode(c, []byte(a.body))), 2)
	}},
	{"a reply is JSON, not cached, not sniffed, of known length", func(c *conformance) {
		a := c.do(http.MethodPost, "/faye", shake, "Content-Type", jsonType)
		c.equal([]string{a.header.Get("Content-Type"), a.header.Get("Cache-Control"), a.header.Get("X-Content-Type-Options")},
			[]string{"application/json; charset=utf-8", "no-cache, no-store", "nosniff"})
		if a.header.Get("Content-Length") == "" || a.body[0] != '[' {
			c.Fatalf("%v %s", a.header, a.body)
		}
	}},
	{"a protocol failure is a 200", func(c *conformance) {
		c.fails(c.one(`{"channel":"/meta/connect","clientId":"gone","connectionType":"long-polling"}`), "401:gone:Unknown client")
	}},

	{"JSONP calls the callback", func(c *conformance) {
		a := c.do(http.MethodGet, jsonp(shake, "a.b_$1"), "")
		c.status(a, 200)
		c.equal(a.header.Get("Content-Type"), "text/javascript; charset=utf-8")
		if !strings.HasPrefix(a.body, "/**/a.b_$1([{") || !strings.HasSuffix(a.body, "}]);") {
			c.Fatal(a.body)
		}
	}},
	{"JSONP without a name calls jsonpcallback", func(c *conformance) {
		for _, path := range []string{"/faye?message=[]", "/faye?message=[]&jsonp="} {
			c.equal(c.do(http.MethodGet, path, "").body, "/**/jsonpcallback([]);")
		}
	}},
	{"JSONP reflects nothing but dotted identifiers", func(c *conformance) {
		for _, name := range []string{"alert(1)", "a b", "a..b", ".a", "a.", "1a", "a-b", "a[0]", "ü", "a\n", "<x>"} {
			a := c.do(http.MethodGet, jsonp("[]", name), "")
			c.status(a, 400)
			if strings.Contains(a.body, name) {
				c.Fatal(a.body)
			}
		}
	}},
	{"JSONP can't be taken for another kind of file", func(c *conformance) {
		a := c.do(http.MethodGet, jsonp("[]", "f"), "")
		c.equal([]string{a.header.Get("X-Content-Type-Options"), a.header.Get("Content-Disposition")}, []string{"nosniff", "attachment; filename=f.txt"})
	}},
	{"JSONP escapes U+2028 and U+2029", func(c *conformance) {
		id := c.session("/chat/sep")
		c.publish("/chat/sep", "a\u2028b\u2029c")
		a := c.do(http.MethodGet, jsonp(`{"channel":"/meta/connect","clientId":"`+id+`","connectionType":"callback-polling"}`, "f"), "")
		if strings.ContainsAny(a.body, "\u2028\u2029") || !strings.Contains(a.body, `a\u2028b\u2029c`) {
			c.Fatal(a.body)
		}
	}},
	{"JSONP takes request lines of 16 kB", func(c *conformance) {
		c.status(c.do(http.MethodGet, jsonp(`{"channel":"/a","data":"`+strings.Repeat("x", 16<<10)+`"}`, "f"), ""), 200)
	}},
	{"no reply forbids embedding from elsewhere", func(c *conformance) {
		if got := c.do(http.MethodGet, jsonp("[]", "f"), "").header.Get("Cross-Origin-Resource-Policy"); got != "" {
			c.Fatal(got)
		}
	}},

	{"a preflight names origin, credentials, headers with Pragma, methods and an age", func(c *conformance) {
		h := c.do(http.MethodOptions, "/faye", "", "Origin", "https://listed.example", "Access-Control-Request-Method", "POST").header
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin": "https://listed.example", "Access-Control-Allow-Credentials": "true",
			"Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, Pragma, X-Requested-With",
			"Access-Control-Allow-Methods": "POST, GET", "Access-Control-Max-Age": "86400",
		} {
			c.equal(h.Get(name), want)
		}
	}},
	{"a preflight without origin names the referer, or all", func(c *conformance) {
		for referer, want := range map[string]string{"": "*", "https://listed.example/": "https://listed.example/"} {
			h := c.do(http.MethodOptions, "/faye", "", "Referer", referer).header
			c.equal(h.Get("Access-Control-Allow-Origin"), want)
		}
	}},
	{"a reply to a listed origin echoes it with credentials", func(c *conformance) {
		h := c.do(http.MethodPost, "/faye", form("[]"), "Origin", "https://listed.example").header
		c.equal([]string{h.Get("Access-Control-Allow-Origin"), h.Get("Access-Control-Allow-Credentials"), h.Get("Vary")},
			[]string{"https://listed.example", "true", "Origin"})
	}},
	{"safely: an origin off the list is refused and not echoed", func(c *conformance) {
		for _, method := range []string{http.MethodPost, http.MethodOptions} {
			a := c.do(method, "/faye", form("[]"), "Origin", "https://other.example")
			if got := a.header.Get("Access-Control-Allow-Origin"); got != "" || method == http.MethodPost && a.status != 403 {
				c.Fatalf("%s: %d, %q", method, a.status, got)
			}
		}
	}},

	{"the client is served under its names, with maps", func(c *conformance) {
		for path, want := range map[string]int{
			"/faye.js": 200, "/faye/client.js": 200, "/faye/faye-browser.js": 200, "/faye/faye-browser-min.js": 200,
			"/faye/faye-browser.js.map": 200, "/faye/faye-browser-min.js.map": 200, "/faye/client.js.map": 404, "/faye/other.js": 404,
		} {
			c.status(c.do(http.MethodGet, path, ""), want)
		}
	}},
	{"safely: the client has a strong ETag and answers 304", func(c *conformance) {
		a := c.do(http.MethodGet, "/faye/client.js", "", "Accept-Encoding", "identity")
		tag := a.header.Get("ETag")
		if !strings.HasPrefix(tag, `"`) || a.header.Get("Cache-Control") != "no-cache" || a.header.Get("Vary") != "Accept-Encoding" {
			c.Fatal(a.header)
		}
		c.status(c.do(http.MethodGet, "/faye/client.js", "", "If-None-Match", tag), 304)
		c.status(c.do(http.MethodGet, "/faye/client.js", "", "If-None-Match", `"other"`), 200)
	}},
	{"the client has a time and answers 304 to those who have it", func(c *conformance) {
		at := c.do(http.MethodGet, "/faye/client.js", "").header.Get("Last-Modified")
		c.status(c.do(http.MethodGet, "/faye/client.js", "", "If-Modified-Since", at), 304)
	}},
	{"safely: the client is compressed for those who can read it", func(c *conformance) {
		a := c.do(http.MethodGet, "/faye/client.js", "", "Accept-Encoding", "gzip")
		z, err := gzip.NewReader(strings.NewReader(a.body))
		if err != nil || a.header.Get("Content-Encoding") != "gzip" {
			c.Fatal(err, a.header)
		}
		if raw, err := io.ReadAll(z); err != nil || !strings.HasPrefix(string(raw), "min()") {
			c.Fatal(err, string(raw))
		}
	}},
}

var securityRules = []rule{
	{"safely: a socket from an origin off the list is refused", func(c *conformance) {
		a := c.do(http.MethodGet, "/faye", "", "Origin", "https://other.example", "Connection", "Upgrade", "Upgrade", "websocket",
			"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
		c.status(a, 403)
	}},
	{"safely: a cookie alone does not identify a script's request", func(c *conformance) {
		a := c.do(http.MethodGet, jsonp(shake, "f"), "", "Cookie", "who=ann")
		_, rest, _ := strings.Cut(a.body, `"clientId":"`)
		id, _, _ := strings.Cut(rest, `"`)
		c.fails(c.one(`{"channel":"/meta/subscribe","clientId":"`+id+`","subscription":"/secret/1"}`), "403:/secret/1:Forbidden channel")
	}},
	{"safely: unknown and not yours are the same refusal", func(c *conformance) {
		id := c.session()
		c.fails(c.one(`{"channel":"/meta/subscribe","clientId":"`+id+`","subscription":"/secret/is"}`), "403:/secret/is:Forbidden channel")
		c.fails(c.one(`{"channel":"/meta/subscribe","clientId":"`+id+`","subscription":"/secret/isnot"}`), "403:/secret/isnot:Forbidden channel")
	}},
	{"safely: a pattern is authorised as a set", func(c *conformance) {
		id := c.session()
		for _, pattern := range []string{"/secret/*", "/secret/**"} {
			c.fails(c.one(`{"channel":"/meta/subscribe","clientId":"`+id+`","subscription":"`+pattern+`"}`), "403:"+pattern+":Forbidden channel")
		}
	}},
	{"safely: a body over the limit is 413", func(c *conformance) {
		c.status(c.do(http.MethodPost, "/faye", strings.Repeat(" ", 100_001), "Content-Type", jsonType), 413)
	}},
	{"safely: a message nested too deep is refused with its id", func(c *conformance) {
		r := c.one(`{"channel":"/chat/1","id":"7","data":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`)
		c.fails(r, "400::Nested too deep")
		c.equal(r["id"], "7")
	}},
	{"safely: nesting that can't be parsed is 400", func(c *conformance) {
		c.status(c.do(http.MethodPost, "/faye", strings.Repeat("[", 20_000)+strings.Repeat("]", 20_000), "Content-Type", jsonType), 400)
	}},
	{"safely: a long clientId is just unknown", func(c *conformance) {
		r := c.one(`{"channel":"/meta/connect","clientId":"` + strings.Repeat("a", 5000) + `","connectionType":"long-polling"}`)
		if err, _ := r["error"].(string); !strings.HasPrefix(err, "401:") || len(err) > 400 {
			c.Fatal(r)
		}
	}},
	{"every reply is not cached and not sniffed", func(c *conformance) {
		for _, a := range []answer{c.do(http.MethodGet, "/faye", ""), c.do(http.MethodPost, "/faye", "x"), c.do(http.MethodGet, jsonp("[]", "f"), "")} {
			c.equal([]string{a.header.Get("X-Content-Type-Options"), a.header.Get("Cache-Control")}, []string{"nosniff", "no-cache, no-store"})
		}
	}},
}
