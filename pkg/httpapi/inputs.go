package httpapi

import (
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

// Input is one field that a route takes, for tests that send every route something wrong.
type Input struct {
	Name    string
	Aliases []string
	// path, query, body or header; what may come in the body may come in the query too
	Where    string
	Required bool
	Type     reflect.Type
	Schema   *huma.Schema // the rules it is checked by; read only
}

// Inputs returns the fields that the route takes, in order of declaration; none when it can't be
// right, see Check.
func (r Route) Inputs() []Input {
	if r.In == nil {
		return nil
	}
	inPath, out := r.PathParams(), InputsOf(r.In)
	for i := range out {
		switch {
		case out[i].Where != "":
		case slices.Contains(inPath, out[i].Name):
			out[i].Where = "path"
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			out[i].Where = "body"
		default:
			out[i].Where = "query"
		}
	}
	return out
}

// InputsOf returns the fields of a struct that values are decoded into, such as a list's filter.
// Their Where is empty, but for headers.
func InputsOf(t reflect.Type) []Input {
	p, err := planOf(t)
	if err != nil {
		return nil
	}
	out := make([]Input, len(p.fields))
	for i, f := range p.fields {
		out[i] = Input{
			Name:     f.name,
			Aliases:  f.aliases,
			Required: f.required,
			Type:     f.Type,
			Schema:   f.schema,
		}
		if f.header != "" {
			out[i].Where = "header"
		}
	}
	return out
}
