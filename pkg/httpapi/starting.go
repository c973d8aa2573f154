package httpapi

import (
	"maps"
	"net/http"
	"reflect"
	"slices"

	"exporthub/pkg/errs"
)

// pagingKeys ask for a page in one of the systems, and harmlessKeys are added by the clients'
// libraries against caches or for JSONP. A request for a file ignores both, wrong values too.
var (
	pagingKeys   = []string{"page", "per_page", "count", "limit", "page_size"}
	harmlessKeys = []string{"_", "t", "callback"}
)

// startingValues returns what was sent with a request that starts something, without the parameters
// of pages.
//
// A name that the route does not take is refused, where a list would ignore it: a misspelled filter
// of a list shows too many rows, and one of an export puts them into a file that is handed on.
func (r Route) startingValues(query map[string]any) (map[string]any, error) {
	kept := maps.Clone(query)
	for _, name := range pagingKeys {
		delete(kept, name)
	}
	asked := maps.Clone(kept)
	for _, name := range harmlessKeys {
		delete(asked, name)
	}
	if unknown := unknownNames(r.In, asked); len(unknown) > 0 {
		return nil, &errs.Error{Kind: errs.Invalid, Fields: unknown}
	}
	return kept, nil
}

// unknownNames returns the names among values that the struct in has no field for, in order, so
// that the same request always gets the same answer.
func unknownNames(in reflect.Type, values map[string]any) (unknown []errs.Field) {
	known := map[string]bool{}
	for _, f := range inputFields(in) {
		known[f.name] = true
		for _, alias := range f.aliases {
			known[alias] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		// An empty parameter is an absent one.
		v := values[name]
		empty := v == nil || v == "" || v == text("") || isNothing(v)
		if !known[name] && !empty && len(unknown) < maxProblems {
			unknown = append(unknown, errs.Field{Name: name, Reason: msgNotTaken})
		}
	}
	return unknown
}

// posts serves the same export by POST: a request line has room for some 1,000 ticked rows, a body
// for all 10,000 that are allowed. What starts it (export_format) still stands in the query, so
// that a path whose POST creates something keeps meaning that.
func (r Route) posts(export, otherwise http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		// A query that can't be read starts nothing; the other handler answers what is wrong with
		// it.
		if query, err := parseForm(req.URL.RawQuery); err == nil && starts(query, r.Starts) {
			export.ServeHTTP(w, req)
			return
		}
		otherwise.ServeHTTP(w, req)
	})
}
