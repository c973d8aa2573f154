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
	p, err := planOf(r.In)
	if err != nil {
		return nil
	}
	inPath, out := r.PathParams(), make([]Input, len(p.fields))
	for i, f := range p.fields {
		where := "query"
		switch {
		case f.header != "":
			where = "header"
		case slices.Contains(inPath, f.name):
			where = "path"
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			where = "body"
		}
		out[i] = Input{Name: f.name, Aliases: f.aliases, Where: where, Required: f.required, Type: f.Type, Schema: f.schema}
	}
	return out
}
