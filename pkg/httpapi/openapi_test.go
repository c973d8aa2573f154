package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"exporthub/pkg/errs"
	"exporthub/pkg/page"
)

type describedIn struct {
	PerPagePaging
	ExportParams
	ID      int64       `json:"id" minimum:"1" doc:"编号"`
	Name    string      `json:"name" required:"true" maxLength:"20" doc:"名称" example:"张三"`
	Price   Cents       `json:"price" doc:"价格"`
	Since   Bound       `json:"since"`
	Note    Opt[string] `json:"note" doc:"备注"`
	Potent  int64       `json:"potent_id" alias:"protent_id" required:"true"`
	Prefer  string      `json:"-" header:"Prefer" doc:"等待"`
	Members []person    `json:"members"`
}

type describedOut struct {
	ID     int       `json:"id" doc:"编号"`
	Parent *leaf     `json:"parent" doc:"上级"`
	Leaf   *leaf     `json:"leaf,omitempty"`
	Leaves []leaf    `json:"leaves"`
	Price  Cents     `json:"price"`
	Note   *string   `json:"note"`
	Any    any       `json:"any"`
	Times  [2]string `json:"-"`
}

type leaf struct {
	Name string `json:"name"`
}

// described has a route of every sort.
func described() []Route {
	list := func(context.Context, describedIn) (ModelsPage[describedOut], error) {
		return ModelsList(page.Result[describedOut]{Items: []describedOut{{}}, Request: page.Of(0, 0, 15)}), nil
	}
	save := func(_ context.Context, in describedIn) (Reply[describedOut], error) {
		if in.Name == "conflict" {
			return Reply[describedOut]{}, errs.New(errs.Conflict, "")
		}
		return Reply[describedOut]{Msg: "操作成功", Data: describedOut{Parent: &leaf{}}}, nil
	}
	none := func(context.Context, struct{}) (Reply[struct{}], error) { return Reply[struct{}]{NoData: true}, nil }
	var routes []Route
	for _, e := range Envelopes() {
		at := "/api/" + strings.ToLower(e.String())
		doc := Doc{Summary: "测试 " + e.String(), Detail: "说明", Tag: e.String()}
		routes = append(routes,
			Handle("GET", at+"/things", e, "thing.read", doc, list, StartsWith("export_format")),
			Handle("POST", at+"/things", e, "thing.write", doc, save, WithStatus(201)),
			Handle("PUT", at+"/things/{id:[0-9]+}", e, "thing.write", doc, save),
			Handle("DELETE", at+"/open", e, Public, doc, none),
			HandleHTTP("GET", at+"/files/{name}", e, SignedIn, doc, func(http.ResponseWriter, *http.Request) error { return nil }, Gives("application/octet-stream"), Starting()),
			HandleHTTP("POST", at+"/uploads/{id}", e, SignedIn, Doc{}, func(http.ResponseWriter, *http.Request) error { return nil }, Takes[thingIn]("multipart/form-data")),
		)
	}
	return routes
}

// document is the description as its readers see it.
type document map[string]any

func describe(t *testing.T, routes []Route) document {
	t.Helper()
	raw, err := OpenAPI(routes, Info{Title: "测试接口", Description: "给测试", CookieName: "session"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenAPI(routes, Info{Title: "测试接口", Description: "给测试", CookieName: "session"})
	if err != nil || !bytes.Equal(raw, again) {
		t.Fatalf("the same routes are described differently twice: %v", err)
	}
	var doc document
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// at walks keys of objects.
func at(v any, keys ...string) any {
	for _, k := range keys {
		object, _ := v.(map[string]any)
		v = object[k]
	}
	return v
}

func (d document) resolve(ref string) any {
	return at(map[string]any(d), strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
}

func TestDescriptionIsWhole(t *testing.T) {
	routes := described()
	doc := describe(t, routes)
	if doc["openapi"] != "3.1.0" || at(map[string]any(doc), "info", "version") != "1" {
		t.Errorf("head: %v %v", doc["openapi"], doc["info"])
	}
	walk(map[string]any(doc), "", func(path string, v map[string]any) {
		if ref, ok := v["$ref"].(string); ok && doc.resolve(ref) == nil {
			t.Errorf("%s: %s leads nowhere", path, ref)
		}
		if v["type"] == "array" && v["items"] == nil {
			t.Errorf("%s: an array of what?", path)
		}
	})
	ids, operations := map[string]bool{}, 0
	for _, item := range at(map[string]any(doc), "paths").(map[string]any) {
		operations += len(item.(map[string]any))
	}
	if operations != len(routes) {
		t.Errorf("%d operations for %d routes", operations, len(routes))
	}
	for _, r := range routes {
		name := r.Method + " " + r.Path
		op, ok := at(map[string]any(doc), "paths", strings.Replace(r.Path, ":[0-9]+", "", 1), strings.ToLower(r.Method)).(map[string]any)
		if !ok {
			t.Errorf("%s is not described", name)
			continue
		}
		if id := op["operationId"].(string); ids[id] {
			t.Errorf("%s: operationId %s is taken", name, id)
		} else {
			ids[id] = true
		}
		if op["x-permission"] != r.Permission || op["x-envelope"] != r.Envelope.String() || op["summary"] == nil {
			t.Errorf("%s: %v", name, op)
		}
		if n := len(op["security"].([]any)); (r.Permission == Public) != (n == 0) {
			t.Errorf("%s: %d ways to sign in", name, n)
		}
		for _, param := range r.PathParams() {
			if !describesParam(op, param, "path") {
				t.Errorf("%s: parameter %s is not described", name, param)
			}
		}
		if len(op["responses"].(map[string]any)) < 2 {
			t.Errorf("%s: failures are not described", name)
		}
	}
	golden(t, "openapi.golden.json", excerpt(t, doc))
}

// excerpt prints the parts of the description that one envelope's routes make.
func excerpt(t *testing.T, doc document) string {
	t.Helper()
	part := map[string]any{}
	for path, item := range doc["paths"].(map[string]any) {
		if strings.HasPrefix(path, "/api/a/") {
			part[path] = item
		}
	}
	whole := map[string]any{"paths": part, "schemas": at(map[string]any(doc), "components", "schemas"), "A-401": doc.resolve("#/components/responses/A-401"),
		"native-422": doc.resolve("#/components/responses/native-422")}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(whole); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func describesParam(op map[string]any, name, where string) bool {
	params, _ := op["parameters"].([]any)
	return slices.ContainsFunc(params, func(p any) bool {
		return at(p, "name") == name && at(p, "in") == where && (where != "path" || at(p, "required") == true) && at(p, "schema") != nil
	})
}

func walk(v any, path string, visit func(string, map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(path, v)
		for name, inner := range v {
			walk(inner, path+"/"+name, visit)
		}
	case []any:
		for i, inner := range v {
			walk(inner, fmt.Sprintf("%s/%d", path, i), visit)
		}
	}
}

// matches reports why v does not fit the schema, or "". It knows the words this package writes.
func (d document) matches(schema any, v any) string {
	s, _ := schema.(map[string]any)
	if ref, ok := s["$ref"].(string); ok {
		return d.matches(d.resolve(ref), v)
	}
	for _, word := range []string{"oneOf", "anyOf"} {
		choices, ok := s[word].([]any)
		fits, why := 0, ""
		for _, c := range choices {
			if w := d.matches(c, v); w == "" {
				fits++
			} else {
				why += w + "; "
			}
		}
		if ok && (fits == 0 || word == "oneOf" && fits > 1) {
			return fmt.Sprintf("%s: %d of %d fit: %s", word, fits, len(choices), why)
		}
	}
	if want, ok := s["const"]; ok && want != v {
		return fmt.Sprintf("%v is not %v", v, want)
	}
	if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, v) {
		return fmt.Sprintf("%v is none of %v", v, enum)
	}
	if types := s["type"]; types != nil && !typeFits(types, v) {
		return fmt.Sprintf("%v is no %v", v, types)
	}
	if p, ok := s["pattern"].(string); ok {
		if text, is := v.(string); is && !regexp.MustCompile(p).MatchString(text) {
			return fmt.Sprintf("%q does not match %s", text, p)
		}
	}
	switch v := v.(type) {
	case map[string]any:
		required, _ := s["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				return fmt.Sprintf("%v is missing", name)
			}
		}
		properties, _ := s["properties"].(map[string]any)
		for name, property := range properties {
			if inner, ok := v[name]; ok {
				if why := d.matches(property, inner); why != "" {
					return name + ": " + why
				}
			}
		}
	case []any:
		for _, item := range v {
			if why := d.matches(s["items"], item); why != "" {
				return why
			}
		}
	}
	return ""
}

func typeFits(types, v any) bool {
	if list, ok := types.([]any); ok {
		return slices.ContainsFunc(list, func(one any) bool { return typeFits(one, v) })
	}
	switch v := v.(type) {
	case nil:
		return types == "null"
	case bool:
		return types == "boolean"
	case string:
		return types == "string"
	case float64:
		return types == "number" || types == "integer" && v == math.Trunc(v)
	case []any:
		return types == "array"
	}
	return types == "object"
}

// TestAnswersAreAsDescribed sends real requests and holds the answers to the description.
func TestAnswersAreAsDescribed(t *testing.T) {
	routes := described()
	doc := describe(t, routes)
	s := serve(t, routes, Options{Authorize: (&gate{}).authorize, Logger: quiet()})
	for _, e := range Envelopes() {
		base := "/api/" + strings.ToLower(e.String())
		for _, c := range []struct{ name, method, target, path, token string }{
			{"list", "GET", "/things?name=a&potent_id=1", "/things", "good"},
			{"bad input", "GET", "/things?page=x", "/things", "good"},
			{"no token", "GET", "/things", "/things", ""},
			{"not permitted", "PUT", "/things/1?name=a", "/things/{id}", "good"},
			{"text only", "DELETE", "/open", "/open", ""},
		} {
			r, err := http.NewRequest(c.method, s.URL+base+c.target, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("ACCESS-TOKEN", c.token)
			status, body, h := send(t, r)
			response := at(map[string]any(doc), "paths", base+c.path, strings.ToLower(c.method), "responses", fmt.Sprint(status))
			if ref, ok := at(response, "$ref").(string); ok {
				response = doc.resolve(ref)
			}
			if e == Native && c.name == "text only" {
				if status != 204 {
					t.Errorf("%v %s: %d", e, c.name, status)
				}
				continue
			}
			kind, _, _ := strings.Cut(h.Get("Content-Type"), ";")
			schema := at(response, "content", kind, "schema")
			if schema == nil {
				t.Errorf("%v %s: %d %s is not described", e, c.name, status, kind)
				continue
			}
			var v any
			if err := json.Unmarshal([]byte(body), &v); err != nil {
				t.Fatal(err)
			}
			if why := doc.matches(schema, v); why != "" {
				t.Errorf("%v %s: %d %s does not fit its description: %s", e, c.name, status, body, why)
			}
		}
	}
}

func TestExamplesFitTheirSchemas(t *testing.T) {
	doc := describe(t, described())
	n := 0
	walk(map[string]any(doc), "", func(path string, v map[string]any) {
		switch examples := v["examples"].(type) {
		case []any:
			for _, example := range examples {
				n++
				if why := doc.matches(v, example); why != "" {
					t.Errorf("%s: %s", path, why)
				}
			}
		case map[string]any:
			for name, example := range examples {
				n++
				if why := doc.matches(v["schema"], at(example, "value")); why != "" {
					t.Errorf("%s: %s: %s", path, name, why)
				}
			}
		}
	})
	if n < 50 {
		t.Errorf("only %d examples were found", n)
	}
}

func TestTheViewerNeedsNobodyElse(t *testing.T) {
	s := serve(t, described(), Options{Info: Info{Title: "测试接口"}, Logger: quiet()})
	var page string
	for _, c := range []struct{ target, kind string }{
		{"/api/openapi.json", "application/json"}, {"/api/docs", "text/html"}, {"/api/docs/viewer.js", "text/javascript"}, {"/api/docs/viewer.css", "text/css"},
	} {
		r, err := http.NewRequest("GET", s.URL+c.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		status, body, h := send(t, r)
		if status != 200 || !strings.HasPrefix(h.Get("Content-Type"), c.kind) || !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'self'") {
			t.Errorf("%s: %d %v", c.target, status, h)
		}
		if c.target == "/api/openapi.json" {
			if !json.Valid([]byte(body)) {
				t.Error("the description is no JSON")
			}
			continue
		}
		page += body
	}
	if found := regexp.MustCompile(`https?://|//[a-z]+\.|<script>|<style|onclick|style=|eval\(|innerHTML`).FindString(page); found != "" {
		t.Errorf("the viewer holds %q, which the policy would stop or which comes from elsewhere", found)
	}
	without := serve(t, nil, Options{Logger: quiet()})
	if status, _ := call(t, without, "GET", "/api/docs", "", ""); status != 404 {
		t.Errorf("without a title there is a viewer: %d", status)
	}
}

func TestSchemaNamesTellPackagesApart(t *testing.T) {
	for got, want := range map[string]string{
		schemaName(reflect.TypeFor[leaf](), ""):                     "Leaf",
		schemaName(reflect.TypeFor[*errs.Field](), ""):              "ErrsField",
		schemaName(reflect.TypeFor[ModelsPage[errs.Field]](), ""):   "PageAErrsField",
		schemaName(reflect.TypeFor[ModelsPage[page.Request]](), ""): "PageAPageRequest",
		schemaName(reflect.TypeFor[struct{}](), "Hint"):             "Hint",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A total that is an estimate is marked by a header, which the answers of lists are described with,
// and no others.
func TestListsDescribeTheirEstimatedTotals(t *testing.T) {
	type listIn struct{ PageSizePaging }
	type oneIn struct {
		ID int64 `json:"id"`
	}
	d := describe(t, []Route{
		Handle("GET", "/api/list", CodeMsg, Public, Doc{Summary: "列表", Tag: "一"}, func(context.Context, listIn) (ResultsPage[string], error) { return ResultsPage[string]{}, nil }),
		Handle("GET", "/api/list/{id}", CodeMsg, Public, Doc{Summary: "一条", Tag: "一"}, func(context.Context, oneIn) (string, error) { return "", nil }),
	})
	for path, want := range map[string]bool{"/api/list": true, "/api/list/{id}": false} {
		told := at(map[string]any(d), "paths", path, "get", "responses", "200", "headers", "X-Total-Estimated") != nil
		if told != want {
			t.Errorf("%s: described %v, want %v", path, told, want)
		}
	}
}
