package sweep

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"exporthub/pkg/admin"
	"exporthub/pkg/admin/all"
	"exporthub/pkg/auth"
	"exporthub/pkg/export"
	"exporthub/pkg/httpapi"
	"exporthub/test/program"
)

// declared are the routes of the program, as declarations: what each of them takes, and from whom.
// The handlers behind them are never called; requests go to the running program. The list is
// complete: it has to be the table that cmd/api keeps of everything it mounts.
func declared(t *testing.T) []httpapi.Route {
	t.Helper()
	routes := new(auth.Service).Routes()
	routes = append(routes, new(export.Service).Routes(export.Visitors{})...)
	routes = append(routes, dictionaries())
	for _, m := range all.Modules(admin.Deps{}) {
		routes = append(routes, m.Routes...)
	}
	mounted, err := os.ReadFile(filepath.Join(program.Repository(t), "cmd", "api", "testdata", "routes.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if got := httpapi.RouteTable(routes); got != string(mounted) {
		t.Fatalf("the program mounts\n%s\nand this sweep would send\n%s", mounted, got)
	}
	return routes
}

// dictionaries is the one route that cmd/api declares itself.
func dictionaries() httpapi.Route {
	type in struct{}
	return httpapi.Handle("GET", "/api/dictionaries", httpapi.CodeMsg, httpapi.SignedIn, httpapi.Doc{},
		func(context.Context, in) (map[string]string, error) { return nil, nil })
}
