package httpapi

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
)

func TestRoutesThatCantBeRight(t *testing.T) {
	ok := func(context.Context, struct{}) (int, error) { return 0, nil }
	raw := func(http.ResponseWriter, *http.Request) error { return nil }
	for want, routes := range map[string][]Route{
		"declared twice":                  {Handle("GET", "/a", CodeRemark, Public, Doc{}, ok), Handle("GET", "/a", StatusMsg, Public, Doc{}, ok)},
		"has no handler":                  {{Method: "GET", Path: "/a", Permission: Public}},
		"must start with /":               {Handle("GET", "a", CodeRemark, Public, Doc{}, ok)},
		"who may call it":                 {Handle("GET", "/a", CodeRemark, "", Doc{}, ok)},
		"no such envelope":                {Handle("GET", "/a", 77, Public, Doc{}, ok)},
		`no field called "id"`:            {Handle("GET", "/a/{id:[0-9]+}", CodeRemark, Public, Doc{}, ok)},
		`no field called "export_format"`: {Handle("GET", "/a", CodeRemark, Public, Doc{}, ok, StartsWith("export_format"))},
		"but takes no input":              {HandleHTTP("GET", "/a", CodeRemark, Public, Doc{}, raw, StartsWith("x"))},
		"must be a struct":                {handling[int]()},
		"func() can't be input":           {handling[struct{ F func() }]()},
		"use Bound":                       {handling[struct{ T time.Time }]()},
		"[]uint8 can't be input":          {handling[struct{ StatusMsg []byte }]()},
		"map[int]string can't be input":   {handling[struct{ M map[int]string }]()},
		"[2]int can't be input":           {handling[struct{ CodeRemark [2]int }]()},
		"embed the struct itself":         {handling[struct{ *PerPagePaging }]()},
		`two fields are called "page"`:    {handling[twice]()},
		`format "ipv4" is not checked`: {handling[struct {
			CodeRemark string `json:"a" format:"ipv4"`
		}]()},
		"a rule that is not checked": {handling[struct {
			CodeRemark int `json:"a" multipleOf:"5"`
		}]()},
		"example or default x: 只能是 a 之一": {handling[struct {
			CodeRemark string `json:"a" enum:"a" example:"x"`
		}]()},
		"1 labels for 2 choices": {handling[struct {
			CodeRemark string `json:"a" enum:"a,b" labels:"甲"`
		}]()},
		"is no number": {handling[struct {
			CodeRemark int `json:"a" clamp:"many"`
		}]()},
		"example or default 0: 不能小于 1": {handling[struct {
			CodeRemark []struct {
				StatusMsg int `json:"b" minimum:"1" default:"0"`
			} `json:"a"`
		}]()},
		"error parsing regexp": {handling[struct {
			CodeRemark string `json:"a" pattern:"("`
		}]()},
		"invalid integer tag": {handling[struct {
			CodeRemark int `json:"a" default:"1.5"`
		}]()},
		`needs json:"-"`: {handling[struct {
			A string `header:"A"`
		}]()},
	} {
		err := Check(routes)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check = %v, want %q", err, want)
			continue
		}
		if _, err := OpenAPI(routes, Info{}); err == nil {
			t.Errorf("%s: was described", want)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: was mounted", want)
				}
			}()
			Mount(chi.NewRouter(), routes, Options{})
		}()
	}
}

type twice struct {
	PerPagePaging
	Other int `json:"x" alias:"page"`
}

func handling[In any]() Route {
	return Handle("POST", "/a", CodeRemark, Public, Doc{}, func(context.Context, In) (int, error) { return 0, nil })
}

func TestCORS(t *testing.T) {
	inner := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) })
	for _, c := range []struct {
		name              string
		allowed           []string
		origin            string
		origins, withAuth string
	}{
		{"listed", []string{" https://admin.example.com/ ", "https://b.example.com"}, "https://admin.example.com", "https://admin.example.com", "true"},
		{"not listed", []string{"https://admin.example.com"}, "https://evil.example", "", ""},
		{"everybody, without cookies", []string{"*"}, "https://evil.example", "*", ""},
		{"nobody", nil, "https://admin.example.com", "", ""},
		{"nobody but blanks", []string{" "}, "https://admin.example.com", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := CORS(c.allowed)(inner)
			plain := httptest.NewRequest("GET", "/api/things", nil)
			plain.Header.Set("Origin", c.origin)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, plain)
			if w.Code != 204 || w.Header().Get("Access-Control-Allow-Origin") != c.origins || w.Header().Get("Access-Control-Allow-Credentials") != c.withAuth {
				t.Errorf("got %d %v", w.Code, w.Header())
			}
			if c.origins != "" && !slices.Contains(strings.Split(w.Header().Get("Access-Control-Expose-Headers"), ", "), "Ratelimit-Remaining") {
				t.Errorf("exposed: %v", w.Header())
			}
			for _, method := range []string{"PUT", "DELETE", "PATCH"} {
				pre := httptest.NewRequest("OPTIONS", "/api/things", nil)
				pre.Header.Set("Origin", c.origin)
				pre.Header.Set("Access-Control-Request-Method", method)
				pre.Header.Set("Access-Control-Request-Headers", "access-token, authorization, content-type, idempotency-key")
				w = httptest.NewRecorder()
				h.ServeHTTP(w, pre)
				if got := w.Header().Get("Access-Control-Allow-Methods"); (got == method) != (c.origins != "") {
					t.Errorf("%s: preflight %v", method, w.Header())
				}
			}
		})
	}
}

func TestRouteTable(t *testing.T) {
	got := RouteTable([]Route{
		Handle("POST", "/api/things", CodeRemark, "thing.write", Doc{}, echo),
		Handle("GET", "/api/things", CodeRemark, "thing.read", Doc{}, echo, StartsWith("export_format")),
		Handle("GET", "/api/a", Native, Public, Doc{}, echo, Starting()),
	})
	want := "GET   /api/a       native  public       always\n" +
		"GET   /api/things  A       thing.read   export_format\n" +
		"POST  /api/things  A       thing.write  -\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestInputsOfARoute(t *testing.T) {
	var got []string
	for _, r := range described()[:3] {
		for _, in := range r.Inputs() {
			if in.Schema == nil || in.Type == nil {
				t.Errorf("%s %s: %s has no rules or no type", r.Method, r.Path, in.Name)
			}
			if in.Name == "id" || in.Required || in.Where == "header" {
				got = append(got, strings.Join(append([]string{r.Method, in.Where, in.Name}, in.Aliases...), " "))
			}
		}
	}
	want := []string{
		"GET query id", "GET query name", "GET query potent_id protent_id", "GET header Prefer",
		"POST body id", "POST body name", "POST body potent_id protent_id", "POST header Prefer",
		"PUT path id", "PUT body name", "PUT body potent_id protent_id", "PUT header Prefer",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, r := range []Route{handling[int](), {Method: "GET", Path: "/x"}} {
		if in := r.Inputs(); in != nil {
			t.Errorf("%v takes %v", r.In, in)
		}
	}
}
