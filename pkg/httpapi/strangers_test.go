package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestIntegralDigits(t *testing.T) {
	for number, want := range map[string]string{
		"13800094001":     "13800094001",
		"13800094001.0":   "13800094001",
		"1.38E10":         "13800000000",
		"1.3800094001e10": "13800094001",
		"138000940010e-1": "13800094001",
		"-5.00":           "-5",
		"-0.0":            "0",
		"0e0":             "0",
		"0.000e3":         "0",
		"1.50":            "1.50",
		"15e-1":           "15e-1",
		"0.1":             "0.1",
		"1e63":            "1" + strings.Repeat("0", 63),
		// Nothing that grows beyond what was sent.
		"1e64":                      "1e64",
		"1e999999999":               "1e999999999",
		"1e99999999999999999999":    "1e99999999999999999999",
		"1e-99999999999999999999":   "1e-99999999999999999999",
		"12345678901234567890123.0": "12345678901234567890123",
	} {
		if got := integralDigits(number); got != want {
			t.Errorf("%s: %s, want %s", number, got, want)
		}
	}
}

func FuzzIntegralDigits(f *testing.F) {
	for _, seed := range []string{"1", "1.0", "1.38E10", "-0.0", "1e-3", "100e-2", "1e400"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, number string) {
		var n json.Number
		if json.Unmarshal([]byte(number), &n) != nil || n.String() != strings.TrimSpace(number) || n == "" {
			return // no number, which the parser before this function refuses
		}
		got := integralDigits(n.String())
		a, errA := n.Float64()
		b, errB := json.Number(got).Float64()
		if errA == nil && (errB != nil || a != b) {
			t.Errorf("%s became %s", n, got)
		}
		if len(got) > max(len(n), maxWritten+1) {
			t.Errorf("%s grew to %d bytes", n, len(got))
		}
	})
}

// Every way in which text of JSON reaches a field: a body, JSON text in a query or form, an array,
// an object's value and its name.
func TestLoneSurrogatesAreRefusedByName(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		bad  string // the field that is named; "" is none
	}{
		"high":            {`{"text":"a\ud83d"}`, "text"},
		"low":             {`{"text":"\ude00b"}`, "text"},
		"upper case":      {`{"text":"\uD83D"}`, "text"},
		"twice high":      {`{"text":"\ud83d\ud83d\ude00"}`, "text"},
		"swapped":         {`{"text":"\ude00\ud83d"}`, "text"},
		"cut":             {`{"text":"\ud83d\n"}`, "text"},
		"in an array":     {`{"texts":["a","\ud83d"]}`, "texts[1]"},
		"in an object":    {`{"person":{"name":"\ud83d"}}`, "person.name"},
		"in a map":        {`{"labels":{"a\ud83d":1}}`, "labels"},
		"in any value":    {`{"any":{"a":["\ud83d"]}}`, "any"},
		"in raw JSON":     {`{"raw":{"a":"\ud83d"}}`, "raw"},
		"in JSON in text": {`{"texts":"[\"\\ud83d\"]"}`, "texts[0]"},
		"a pair":          {`{"text":"\ud83d\ude00"}`, ""},
		"a pair, mixed":   {`{"text":"\uD83D\uDe00"}`, ""},
		"written out":     {`{"text":"\\ud83d"}`, ""},
		"below":           {`{"text":"\ud7ff\ue000"}`, ""},
		"in no field":     {`{"unknown":"\ud83d"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var in everything
			err := DecodeValues([]byte(c.body), &in)
			switch {
			case c.bad == "" && err != nil:
				t.Errorf("%s: %v", c.body, err)
			case c.bad != "" && (err == nil || !strings.Contains(err.Error(), "["+c.bad+": ")):
				t.Errorf("%s: %v, want a problem of %s", c.body, err, c.bad)
			}
		})
	}
}

func FuzzMarkLoneSurrogates(f *testing.F) {
	for _, seed := range []string{`"\ud83d"`, `"\ud83d\ude00"`, `"\\ud83d"`, `"\u`, `\ud83d\u`, `"\ud83d\\ude00"`, `"\uFFFd"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var plain, marked string
		before := text
		out := markLoneSurrogates([]byte(text))
		if text != before || len(out) != len(text) {
			t.Fatalf("%q became %q", text, out)
		}
		if json.Unmarshal([]byte(text), &plain) != nil || !utf8.ValidString(text) {
			return // no JSON text: that nothing was changed but the marks is all there is to hold
		}
		if err := json.Unmarshal(out, &marked); err != nil {
			t.Fatalf("%q became %q: %v", text, out, err)
		}
		// The library's reading is the oracle: it puts U+FFFD where a surrogate has no partner.
		if !strings.Contains(text, "\uFFFD") && !strings.Contains(strings.ToLower(text), `\ufffd`) &&
			strings.Contains(plain, "\uFFFD") != (marked != plain) {
			t.Fatalf("%q reads as %q, marked as %q", text, plain, marked)
		}
	})
}

type searchIn struct {
	ExportParams
	PerPagePaging
	Name  string   `json:"name" alias:"title"`
	Names []string `json:"names"`
}

type plainSearchIn struct {
	Name string `json:"name"`
}

func searched(in searchIn) map[string]any {
	return map[string]any{"name": in.Name, "names": in.Names, "page": in.Page}
}

func TestSearchesAndStartingRequests(t *testing.T) {
	s := serve(t, []Route{
		Handle("GET", "/api/things", Native, Public, Doc{}, handle(searched), StartsWith("export_format")),
		Handle("POST", "/api/things", Native, Public, Doc{}, handle(searched)),
		Handle("GET", "/api/things/export", Native, Public, Doc{},
			handle(func(in plainSearchIn) map[string]any { return map[string]any{"name": in.Name} }), Starting()),
	}, Options{Logger: quiet()})
	for _, c := range []struct {
		method, target string
		status         int
		part           string
	}{
		{"GET", "/api/things?name=%20a%20b%09", 200, `"name":"a b"`},
		{"GET", "/api/things?name=%E3%80%80a", 200, `"name":"a"`},
		{"GET", "/api/things?name=%20%20", 200, `"name":""`},
		{"GET", "/api/things?names[]=%20a&names[]=b%20", 200, `"names":["a","b"]`},
		{"POST", "/api/things?name=%20a", 200, `"name":" a"`},
		{"GET", "/api/things?page=0", 422, `"field":"page"`},
		{"GET", "/api/things?nmae=a", 200, `"name":""`},
		{"GET", "/api/things?export_format=xlsx&page=0&per_page=x&count=-1&limit=z&page_size=", 200, `"page":0`},
		{"GET", "/api/things?export_format=xlsx&_=17&t=1&callback=f", 200, ""},
		{"GET", "/api/things?export_format=xlsx&title=a", 200, `"name":"a"`},
		{"GET", "/api/things?export_format=xlsx&nmae=a&zzz=1", 422, `[{"field":"nmae",`},
		{"GET", "/api/things?export_format=xlsx&nmae=", 200, ""},
		{"GET", "/api/things/export?ids=1,2", 422, `"field":"ids"`},
		{"GET", "/api/things/export?columns[]=a", 422, `"field":"columns"`},
		{"GET", "/api/things/export?page=2", 200, ""},
	} {
		status, body := call(t, s, c.method, c.target, "", "")
		if status != c.status || !strings.Contains(body, c.part) {
			t.Errorf("%s %s: %d %s, want %d with %s", c.method, c.target, status, body, c.status, c.part)
		}
	}
}

func TestSlashes(t *testing.T) {
	type idIn struct {
		ID string `json:"id"`
	}
	shown := func(in idIn) map[string]string { return map[string]string{"id": in.ID} }
	at := func(name string) func(none struct{}) map[string]string {
		return func(struct{}) map[string]string { return map[string]string{"at": name} }
	}
	s := serve(t, []Route{
		Handle("GET", "/api/things", CodeMsg, Public, Doc{}, handle(at("list"))),
		Handle("GET", "/api/things/{id}", CodeMsg, Public, Doc{}, handle(shown)),
		Handle("PUT", "/api/things/{id}", CodeMsg, Public, Doc{}, handle(shown)),
		Handle("PUT", "/api/things/approve", CodeMsg, Public, Doc{}, handle(at("all"))),
		Handle("PUT", "/api/things/{id}/approve", CodeMsg, Public, Doc{}, handle(shown)),
		Handle("GET", "/business/{id}/admin/message", ResultMsg, Public, Doc{}, handle(shown)),
	}, Options{Logger: quiet()})
	for _, c := range []struct {
		method, target string
		status         int
		part           string
	}{
		{"GET", "/api/things/", 200, `"at":"list"`},
		{"GET", "//api/things", 200, `"at":"list"`},
		{"GET", "/api//things///", 200, `"at":"list"`},
		{"GET", "/api/things/5/", 200, `"id":"5"`},
		{"GET", "/api/things/a%2Fb/", 200, `"id":"a/b"`},
		{"GET", "/api/things/a%2F%2Fb//", 200, `"id":"a//b"`},
		{"GET", "/business/1//admin/message", 200, `"id":"1"`},
		{"HEAD", "/business/1//admin/message/", 200, ``},
		{"PUT", "/api/things/5//approve", 200, `"id":"5"`},
		// An id that is missing must not turn one thing into all of them.
		{"PUT", "/api/things//approve", 404, `"code":404`},
		{"PUT", "/api/things/", 405, `"code":405`},
		{"GET", "/business//admin/message", 200, `"result":0`},
		{"GET", "/business/1/admin/nothing", 200, `"result":0`},
		{"GET", "/api/things/5/nothing", 404, `"code":404,"msg":"没有这个接口"`},
		{"GET", "/api/other", 404, `application/problem+json`},
		{"GET", "/api/things/../things", 404, ``},
	} {
		r, err := http.NewRequest(c.method, s.URL+c.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		status, body, h := send(t, r)
		if status != c.status || !strings.Contains(h.Get("Content-Type")+body, c.part) {
			t.Errorf("%s %s: %d %s, want %d with %s", c.method, c.target, status, body, c.status, c.part)
		}
	}
}

func TestLongRequestLines(t *testing.T) {
	s := serve(t, []Route{
		Handle("GET", "/api/things", StatusError, Public, Doc{}, handle(searched)),
		Handle("POST", "/api/things", StatusError, Public, Doc{}, handle(searched)),
	}, Options{Logger: quiet()})
	query := func(size int) string { return "?name=" + strings.Repeat("a", size-len("/api/things?name=")) }
	for _, c := range []struct {
		method string
		size   int
		path   string
		status int
	}{
		{"GET", 16 << 10, "/api/things", 200},
		{"GET", 16<<10 + 1, "/api/things", 414},
		{"GET", 60_000, "/api/things", 414},
		{"POST", 16<<10 + 1, "/api/things", 414},
		{"GET", 16<<10 + 1, "/api/nothin", 414},
	} {
		status, body := call(t, s, c.method, c.path+query(c.size), "", "")
		if status != c.status || status != 200 && (!strings.Contains(body, "POST") || !json.Valid([]byte(body))) {
			t.Errorf("%s of %d bytes: %d %.300s, want %d", c.method, c.size, status, body, c.status)
		}
	}
}

// What is too long for a request line goes into the body of a POST, also where POST means something
// else without export_format.
func TestExportsByPost(t *testing.T) {
	g := &gate{}
	var exported searchIn
	s := serve(t, []Route{
		Handle("GET", "/api/things", CodeMsg, "thing.read", Doc{}, handle(func(in searchIn) string {
			exported = in
			return "exported"
		}), StartsWith("export_format")),
		Handle("POST", "/api/things", CodeMsg, Public, Doc{}, handle(func(plainSearchIn) string { return "created" })),
		Handle("GET", "/api/others", ResultMsg, "thing.read", Doc{}, handle(searched), StartsWith("export_format")),
	}, Options{Authorize: g.authorize, Logger: quiet()})
	ids := make([]string, 10_000)
	for i := range ids {
		ids[i] = "1844674400"
	}
	body := `{"page":"x","name":" a ","ids":[` + strings.Join(ids, ",") + `]}`
	for _, c := range []struct {
		target, body string
		status       int
		part, asked  string
	}{
		{"/api/things?export_format=xlsx", body, 200, `"exported"`, "thing.read changing"},
		{"/api/things?export_format=xlsx", `{"nmae":"a"}`, 400, `"nmae"`, "thing.read changing"},
		{"/api/things", `{"export_format":"xlsx","name":"a"}`, 200, `"created"`, "public changing"},
		{"/api/things?export_format=", `{"name":"a"}`, 200, `"created"`, "public changing"},
		{"/api/others", `{}`, 405, `"result":0`, ""},
	} {
		g.asked = nil
		r, err := http.NewRequest("POST", s.URL+c.target, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", jsonBody)
		r.Header.Set("ACCESS-TOKEN", "good")
		status, answer, _ := send(t, r)
		if status != c.status || !strings.Contains(answer, c.part) || strings.Join(g.asked, "|") != c.asked {
			t.Errorf("%s %.50s: %d %.300s, asked %q; want %d with %s, %q", c.target, c.body, status, answer, g.asked, c.status, c.part, c.asked)
		}
	}
	if len(exported.IDs) != 10_000 || exported.Name != "a" || exported.Page != 0 {
		t.Errorf("%d ids, name %q, page %d; want all ids, the name trimmed and no page", len(exported.IDs), exported.Name, exported.Page)
	}
}
