package httpapi

import (
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"exporthub/pkg/errs"
)

// checkDecoded holds what must be true of any input: it is refused as bad input with named reasons,
// or what came of it is text the program can keep and values inside their rules.
func checkDecoded(t *testing.T, in *everything, err error) {
	t.Helper()
	if err != nil {
		e := errs.As(err)
		if e == nil || e.Kind != errs.Invalid || len(e.Fields) == 0 && e.Message == "" {
			t.Fatalf("not told as bad input: %v", err)
		}
		for _, f := range e.Fields {
			if f.Name == "" || f.Reason == "" {
				t.Fatalf("a problem without a name or a reason: %+v", e.Fields)
			}
		}
		return
	}
	for _, s := range append([]string{in.Text, in.Note.Value, in.Status}, in.Texts...) {
		if !utf8.ValidString(s) || strings.Contains(s, "\x00") {
			t.Fatalf("unusable text got through: %q", s)
		}
	}
	if len(in.Raw) > 0 && !json.Valid(in.Raw) {
		t.Fatalf("raw is no JSON: %s", in.Raw)
	}
	if len(in.Ints) > 4 || in.Page > 1<<31-1 || in.Kind < 1 || in.Kind > 2 || in.Note.Null && !in.Note.Set {
		t.Fatalf("rules do not hold: %+v", in)
	}
	if in.Person != nil && (in.Person.Name == "" || utf8.RuneCountInString(in.Person.Name) > 5) {
		t.Fatalf("nested rules do not hold: %+v", in.Person)
	}
}

func FuzzForm(f *testing.F) {
	for _, seed := range []string{
		"", "&", "=", "a", "a=1&a=2", "text=%E5%BC%A0+b", "text=%zz", "text=%ff", "text=%00", "ints=1,2,,3", "ints[]=1&ints[]=2", "ints[0]=1&ints[9]=2",
		"ints[999999999]=1", "ints[99999999999999999999]=1", "ints[00]=1&ints[0]=2", "person[name]=tom", "person[name][x]=1", "people[0][name]=a&people[1][age]=x",
		"people[][name]=1", "person={%22name%22:%22a%22}", "any[a][b][]=1", "any[a]=1&any=2", "raw[0]=x&raw[b]=y", "a]=1", "[a]=1", "a[=1", "a[]]=1", "a[[b]]=1",
		"page=2147483648", "kind=&level=&since=2026-01-31&price=1.5", "%5B%5D=1", "labels[a]=1&labels[]=2", strings.Repeat("any[a]", 50) + "=1",
		"any" + strings.Repeat("[a]", 40) + "=1", "maybe=是&yes=否", "texts=[%22a%22]&texts=b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		tree, err := parseForm(raw)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatalf("parseForm: %v", err)
			}
			return
		}
		var in, again everything
		err = fill(tree, nil, reflect.ValueOf(&in).Elem(), false)
		checkDecoded(t, &in, err)
		tree, _ = parseForm(raw)
		if errAgain := fill(tree, nil, reflect.ValueOf(&again).Elem(), false); (err == nil) != (errAgain == nil) || !reflect.DeepEqual(in, again) {
			t.Fatalf("the same form reads differently twice: %+v, %v; %+v, %v", in, err, again, errAgain)
		}
	})
}

func FuzzDecodeValues(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, `[]`, `{`, `{"text":13800000001}`, `{"text":null,"note":null,"level":""}`, `{"ints":[1,"2",3.0]}`, `{"ints":"1,2"}`, `{"ints":{"a":1}}`,
		`{"person":{"name":"tom","age":"5"}}`, `{"person":"{\"name\":\"tom\"}"}`, `{"people":{"name":"a"}}`, `{"people":[null,5,{}]}`, `{"labels":{"a":1,"\u0000":2}}`,
		`{"raw":{"a":[1,{"b":null}]},"any":"\ud800"}`, `{"small":1e2,"id":9223372036854775808}`, `{"price":0.1,"since":"2026-01-31T10:00:00 08:00"}`,
		`{"page":-1,"kind":2.0,"maybe":"否"}`, `{"a":1} {"b":2}`, `{"text":"` + "\xff" + `"}`, `{"any":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`,
		`{"ints":"[1,[2]]","texts":"[\"a\",{}]"}`, `{"uuid":"3f2f7c1e-8a53-4b0e-9a59-0d6f7f5f1c11","code":"AB","status":"approved"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var in everything
		err := DecodeValues(raw, &in)
		checkDecoded(t, &in, err)
	})
}

func FuzzQueryOverHTTP(f *testing.F) {
	f.Add("GET", "text=1", "")
	f.Add("POST", "export_format=xlsx", `{"text":1}`)
	f.Add("POST", "a;b", "small=1")
	routes := []Route{{}}
	var got everything
	routes[0] = captureRoute(&got)
	h := Options{Logger: quiet()}.withDefaults().handler(routes[0])
	f.Fuzz(func(t *testing.T, method, query, body string) {
		r := httptest.NewRequest("POST", "/api/any", strings.NewReader(body))
		r.Method, r.URL.RawQuery = method, query
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 || w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}
