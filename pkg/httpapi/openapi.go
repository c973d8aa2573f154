package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
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
	schemas, err := d.schemas(paths)
	if err != nil {
		return nil, err
	}
	return encoded(m{
		"openapi":    "3.1.0",
		"info":       head,
		"paths":      paths,
		"tags":       tagList,
		"components": m{"schemas": schemas, "securitySchemes": d.securitySchemes(), "responses": d.failures()},
	})
}

// encoded writes JSON with keys in order (maps are sorted) and Chinese readable.
func encoded(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return buf.Bytes(), err
}

var schemaRef = regexp.MustCompile(`"\$ref":"` + schemaPrefix + `([^"]+)"`)

// schemas returns what paths refers to, directly or through other schemas. The inputs of GETs are
// parameters one by one and need no schema of their own.
func (d *describer) schemas(paths m) (m, error) {
	used := m{}
	// Followed through the encoded text instead of the structs: huma's schemas refer to each other
	// in a dozen places, and the text has every one of them in one form.
	for open := []any{paths}; len(open) > 0; open = open[1:] {
		text, err := encoded(open[0])
		if err != nil {
			return nil, err
		}
		for _, ref := range schemaRef.FindAllSubmatch(text, -1) {
			name := string(ref[1])
			if used[name] != nil {
				continue
			}
			schema := d.in.Map()[name]
			if schema == nil {
				schema = d.out.Map()[name]
			}
			used[name] = schema
			open = append(open, schema)
		}
	}
	return used, nil
}

// securitySchemes are the three ways to send a token. Any one of them is enough.
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

// operation describes one route. The x- fields are ours: the viewer shows them, and tests that send
// every route something wrong read them.
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

// inputs describes a route's input: parameters of path, query and headers, and the body of methods
// that have one.
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
	schema := bodySchema(root, whole, inPath)
	content, types := m{}, r.Accepts
	if len(types) == 0 {
		types = []string{"application/json", "application/x-www-form-urlencoded"}
	}
	for _, t := range types {
		content[t] = m{"schema": schema}
	}
	// A body is required when anything in it is; an alternative of spellings counts too.
	required := slices.ContainsFunc(whole.Required, func(name string) bool { return !slices.Contains(inPath, name) })
	return params, m{"content": content, "required": required || len(whole.AllOf) > 0}
}

// bodySchema is the input without what comes in the path.
func bodySchema(root, whole *huma.Schema, inPath []string) *huma.Schema {
	if len(inPath) == 0 {
		return root
	}
	body := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{}, AllOf: whole.AllOf}
	for name, property := range whole.Properties {
		if !slices.Contains(inPath, name) {
			body.Properties[name] = property
		}
	}
	for _, name := range whole.Required {
		if !slices.Contains(inPath, name) {
			body.Required = append(body.Required, name)
		}
	}
	return body
}

// parameter describes one spelling of a field that does not come in the body. With several
// spellings none is required by itself.
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
