package httpapi

import (
	"maps"
	"net/http"
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
	known := map[string]bool{}
	for _, f := range inputFields(r.In) {
		known[f.name] = true
		for _, alias := range f.aliases {
			known[alias] = true
		}
	}
	kept := maps.Clone(query)
	var unknown []errs.Field
	// In order, so that the same request always gets the same answer.
	for _, name := range slices.Sorted(maps.Keys(query)) {
		switch {
		case slices.Contains(pagingKeys, name):
			delete(kept, name)
		case known[name], slices.Contains(harmlessKeys, name):
		case query[name] == text("") || isNothing(query[name]):
			// An empty parameter is an absent one.
		case len(unknown) < maxProblems:
			unknown = append(unknown, errs.Field{Name: name, Reason: msgNotTaken})
		}
	}
	if len(unknown) > 0 {
		return nil, &errs.Error{Kind: errs.Invalid, Fields: unknown}
	}
	return kept, nil
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
