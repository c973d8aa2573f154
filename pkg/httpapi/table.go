package httpapi

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// RouteTable lists routes as text, one a line in order of path and method, for a golden file:
// method, path, envelope, permission, and what makes it change or start something ("always" for a
// GET that always does).
func RouteTable(routes []Route) string {
	sorted := slices.Clone(routes)
	slices.SortStableFunc(sorted, func(a, b Route) int {
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		return strings.Compare(a.Method, b.Method)
	})
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 1, 2, ' ', 0)
	for _, r := range sorted {
		starting := strings.Join(r.Starts, ",")
		if r.AlwaysStarts {
			starting = "always"
		}
		if starting == "" {
			starting = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Method, r.Path, r.Envelope, r.Permission, starting)
	}
	_ = w.Flush() // a strings.Builder takes everything
	return out.String()
}
