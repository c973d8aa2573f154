package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"exporthub/pkg/errs"
)

// Info heads the description.
type Info struct {
	Title       string
	Version     string // of the API; empty is "1"
	Description string
	CookieName  string // the cookie that carries a token; empty describes none
}

type m = map[string]any

// describer writes the description of routes from the very declarations that are mounted.
type describer struct {
	in, out huma.Registry
	info    Info
}

// OpenAPI describes routes as an OpenAPI 3.1 document in JSON. The same routes give the same bytes.
func OpenAPI(routes []Route, info Info) (doc []byte, err error) {
	if err := Check(routes); err != nil {
		return nil, err
	}
	// huma reports types it can't describe by panicking.
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("describe routes: %v", v)
		}
	}()
	d := &describer{in: newInputSchemas(), out: newOutputSchemas(), info: info}
	if d.info.Version == "" {
		d.info.Version = "1"
	}
	paths, tags := m{}, []string{}
	for _, r := range routes {
		path := pathParam.ReplaceAllString(r.Path, "{$1}")
		operations, _ := paths[path].(m)
		if operations == nil {
			operations = m{}
			paths[path] = operations
		}
		operations[strings.ToLower(r.Method)] = d.operation(r)
		if r.Doc.Tag != "" && !slices.Contains(tags, r.Doc.Tag) {
			tags = append(tags, r.Doc.Tag)
		}
	}
	tagList := []m{}
	for _, t := range tags {
		tagList = append(tagList, m{"name": t})
	}
	head := m{"title": d.info.Title, "version": d.info.Version}
	if d.info.Description != "" {
		head["description"] = d.info.Description
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err = enc.Encode(m{
		"openapi": "3.1.0", "info": head, "paths": paths, "tags": tagList,
		"components": m{"schemas": d.schemas(), "securitySchemes": d.securitySchemes(), "responses": d.failures()},
	})
	return buf.Bytes(), err
}

func (d *describer) schemas() m {
	all := m{}
	for name, s := range d.in.Map() {
		all[name] = s
	}
	for name, s := range d.out.Map() {
		all[name] = s
	}
	return all
}

func (d *describer) securitySchemes() m {
	schemes := m{
		"accessToken": m{"type": "apiKey", "in": "header", "name": "ACCESS-TOKEN"},
		"bearer":      m{"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Authorization 中也可不写 Bearer，直接放令牌"},
	}
	if d.info.CookieName != "" {
		schemes["cookie"] = m{"type": "apiKey", "in": "cookie", "name": d.info.CookieName}
	}
	return schemes
}

func (d *describer) security(permission string) []m {
	if permission == Public {
		return []m{}
	}
	s := []m{{"accessToken": []string{}}, {"bearer": []string{}}}
	if d.info.CookieName != "" {
		s = append(s, m{"cookie": []string{}})
	}
	return s
}

func (d *describer) operation(r Route) m {
	op := m{
		"operationId":  operationID(r),
		"summary":      r.Doc.Summary,
		"security":     d.security(r.Permission),
		"x-permission": r.Permission,
		"x-envelope":   r.Envelope.String(),
		"responses":    d.responses(r),
	}
	if r.Doc.Detail != "" {
		op["description"] = r.Doc.Detail
	}
	if r.Doc.Tag != "" {
		op["tags"] = []string{r.Doc.Tag}
	}
	switch {
	case r.AlwaysStarts:
		op["x-starts"] = true
	case len(r.Starts) > 0:
		op["x-starts"] = r.Starts
	}
	params, body := d.inputs(r)
	if len(params) > 0 {
		op["parameters"] = params
	}
	if body != nil {
		op["requestBody"] = body
	}
	return op
}

// operationID is the method and the path in words: get-api-things-id.
func operationID(r Route) string {
	words := strings.FieldsFunc(pathParam.ReplaceAllString(r.Path, "$1"), func(c rune) bool { return c == '/' || c == '*' })
	return strings.ToLower(r.Method) + "-" + strings.Join(words, "-")
}

// inputs describes a route's input: parameters of path, query and headers, and the body of methods that have one.
func (d *describer) inputs(r Route) (params []m, body m) {
	if r.In == nil {
		for _, name := range r.PathParams() {
			params = append(params, m{"name": name, "in": "path", "required": true, "schema": m{"type": "string"}})
		}
		return params, nil
	}
	root := inputSchema(d.in, r.In)
	whole := d.in.SchemaFromRef(root.Ref)
	inPath, hasBody := r.PathParams(), r.Method != http.MethodGet && r.Method != http.MethodHead
	rest := 0
	for _, f := range inputFields(r.In) {
		schema, where := whole.Properties[f.name], "query"
		switch {
		case f.header != "":
			schema, where = huma.SchemaFromField(d.in, f.StructField, "Header"), "header"
			fixArrays(schema)
		case slices.Contains(inPath, f.name):
			where = "path"
		case hasBody:
			rest++
			continue
		}
		for _, name := range append([]string{f.name}, f.aliases...) {
			params = append(params, parameter(name, where, f, schema))
		}
	}
	if rest == 0 {
		return params, nil
	}
	content, types := m{}, r.Accepts
	if len(types) == 0 {
		types = []string{"application/json", "application/x-www-form-urlencoded"}
	}
	for _, t := range types {
		content[t] = m{"schema": root}
	}
	return params, m{"content": content, "required": len(whole.Required) > len(inPath)}
}

func parameter(name, where string, f inputField, schema *huma.Schema) m {
	p := m{"name": name, "in": where, "schema": schema}
	if schema.Description != "" {
		p["description"] = schema.Description
	}
	if name != f.name {
		p["description"] = "同 " + f.name
	}
	if where == "path" || f.required && name == f.name && len(f.aliases) == 0 {
		p["required"] = true
	}
	if where == "query" && schema.Type == huma.TypeArray {
		p["style"], p["explode"] = "form", false
	}
	return p
}

func (d *describer) responses(r Route) m {
	status := r.Status
	if status == 0 {
		status = http.StatusOK
	}
	all := m{strconv.Itoa(status): d.successResponse(r, status)}
	for _, kind := range errs.Kinds() {
		f := failure{kind: kind}
		at := f.status(r.Envelope)
		public := r.Permission == Public
		switch {
		case at == http.StatusOK, kind == errs.Gone,
			public && (kind == errs.Unauthenticated || kind == errs.Forbidden),
			r.In == nil && (kind == errs.Invalid || kind == errs.TooLarge || kind == errs.Unsupported):
			continue
		}
		all[strconv.Itoa(at)] = m{"$ref": "#/components/responses/" + failureName(r.Envelope, at)}
	}
	return all
}

func failureName(e Envelope, status int) string { return e.String() + "-" + strconv.Itoa(status) }

// successResponse describes what a route answers when it did what it was asked. Where failures are 200 too, it describes
// them beside.
func (d *describer) successResponse(r Route, status int) m {
	response := m{"description": http.StatusText(status)}
	if r.Out == nil {
		content := m{}
		for _, t := range r.Produces {
			content[t] = m{}
		}
		if len(content) > 0 {
			response["content"] = content
		}
		return response
	}
	schema := d.wrapped(r)
	if r.Envelope == A || r.Envelope == B || r.Envelope == E {
		schema = m{"oneOf": []any{schema, failureSchema(r.Envelope)}}
	}
	response["content"] = m{"application/json": m{"schema": schema}}
	return response
}

// wrapped is the schema of the envelope around the route's data.
func (d *describer) wrapped(r Route) any {
	t := r.Out
	if t.Implements(reflect.TypeFor[replier]()) {
		data, _ := t.FieldByName("Data")
		t = data.Type
	}
	data := any(outputSchema(d.out, t))
	if r.Envelope == Native {
		return data
	}
	head := sampleObject(func() (*object, error) { return success(r.Envelope, reply{noData: true}, http.StatusOK) })
	properties, required := m{"data": data}, []string{}
	for name, value := range head {
		properties[name] = m{"type": jsonType(value), "examples": []any{value}}
		required = append(required, name)
	}
	slices.Sort(required)
	return m{"type": "object", "properties": properties, "required": required}
}

// failures describes every failure of every envelope, one response for each HTTP status, with examples made by the code
// that answers.
func (d *describer) failures() m {
	all := m{}
	for _, e := range Envelopes() {
		for _, kind := range errs.Kinds() {
			f := sampleFailure(kind)
			status := f.status(e)
			if status == http.StatusOK {
				continue
			}
			name := failureName(e, status)
			response, _ := all[name].(m)
			if response == nil {
				contentType := "application/json"
				if e == Native {
					contentType = "application/problem+json"
				}
				response = m{"description": http.StatusText(status), "content": m{contentType: m{"schema": failureSchema(e), "examples": m{}}}}
				if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
					response["headers"] = m{"Retry-After": m{"description": "多少秒后再试", "schema": m{"type": "integer"}}}
				}
				all[name] = response
			}
			for _, media := range response["content"].(m) {
				media.(m)["examples"].(m)[kind.String()] = m{"value": sampleObject(func() (*object, error) { return f.body(e) })}
			}
		}
	}
	return all
}

func sampleFailure(kind errs.Kind) failure {
	f := failure{kind: kind, code: kind.String(), text: kindText[kind], requestID: "3f2f7c1e-8a53-4b0e-9a59-0d6f7f5f1c11"}
	if kind == errs.Invalid {
		f.fields = []errs.Field{{Name: "page", Reason: msgInteger}}
		f.text = fieldText(f.fields)
	}
	return f
}

// failureSchema is read off a real failure that has every field.
func failureSchema(e Envelope) m {
	sample := sampleObject(func() (*object, error) { return sampleFailure(errs.Invalid).body(e) })
	least := sampleObject(func() (*object, error) { return sampleFailure(errs.Conflict).body(e) })
	properties, required := m{}, []string{}
	for name, value := range sample {
		properties[name] = m{"type": jsonType(value)}
		if _, always := least[name]; always {
			required = append(required, name)
		}
	}
	properties["request_id"] = m{"type": "string", "description": "请求编号"}
	slices.Sort(required)
	return m{"type": "object", "properties": properties, "required": required}
}

func sampleObject(make func() (*object, error)) map[string]any {
	o, err := make()
	if err != nil {
		panic(err)
	}
	var out map[string]any
	if err := json.Unmarshal(o.bytes(), &out); err != nil {
		panic(err)
	}
	return out
}

func jsonType(v any) string {
	switch v.(type) {
	case string:
		return huma.TypeString
	case float64:
		return huma.TypeInteger
	case bool:
		return huma.TypeBoolean
	case []any:
		return huma.TypeArray
	case nil:
		return "null"
	}
	return huma.TypeObject
}
