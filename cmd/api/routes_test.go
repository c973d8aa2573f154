package main

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"exporthub/cmd/internal/wire"
	"exporthub/pkg/config"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/testkit"
)

// A change of the API is a visible change of this file.
func TestGoldenRouteTable(t *testing.T) {
	testkit.Golden(t, "testdata/routes.txt", httpapi.RouteTable(declared(t)))
}

// declared are the program's routes, taken from its parts without serving them.
func declared(t *testing.T) []httpapi.Route {
	t.Helper()
	dir := t.TempDir()
	cfg, err := config.Load([]string{
		"DATABASE_URL=sqlite:" + filepath.Join(dir, "x.db"), "STORAGE_DIR=" + filepath.Join(dir, "files"),
		"SPOOL_DIR=" + filepath.Join(dir, "spool"), "DEMO=false", "PUBLIC_URL=http://127.0.0.1:8080",
	}, "", config.Mode{Embedded: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := wire.Build(t.Context(), cfg, slog.New(slog.DiscardHandler), wire.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return routes(p)
}

// Everything mounted is described, and the description is served with a viewer from our own server.
func TestTheDescriptionIsServed(t *testing.T) {
	a := startEmbedded(t, "DEMO_ROWS=1")
	res := a.Do("GET", "/api/openapi.json", nil)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]any
	}
	res.JSON(t, &doc)
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("openapi %q", doc.OpenAPI)
	}
	for _, r := range declared(t) {
		if doc.Paths[r.Path][strings.ToLower(r.Method)] == nil {
			t.Errorf("%s %s is not described", r.Method, r.Path)
		}
	}
	page := a.Do("GET", "/api/docs", nil)
	if page.Status == http.StatusMovedPermanently || page.Status == http.StatusFound {
		page = a.Do("GET", page.Header.Get("Location"), nil)
	}
	if page.Status != 200 || !strings.Contains(page.Header.Get("Content-Type"), "text/html") {
		t.Errorf("the viewer answers %d %s", page.Status, page.Header.Get("Content-Type"))
	}
	for _, outside := range []string{"https://", "http://", "//cdn"} {
		if strings.Contains(string(page.Body), "src=\""+outside) || strings.Contains(string(page.Body), "href=\""+outside) {
			t.Errorf("the viewer loads something from %s", outside)
		}
	}
}

func TestUnknownPaths(t *testing.T) {
	a := startEmbedded(t, "DEMO_ROWS=1")
	for path, want := range map[string]int{
		"/api/nothing": 404, "/faye/nothing.js": 404, "/export/": 404, "/assets/gone.js": 404,
		"/media/": 404, "/admin/nothing": 404,
		// A slash at the end is cleaned: the list, which wants a token.
		"/api/admin/invitations/": 401,
		// Below the messages' base: their envelope, whose failures are bodies under 200.
		"/admin/message/waithandle": 200, "/business/1/nothing": 200,
		"/business//admin/message/unread": 200, "/business//admin/message/7/read": 200,
	} {
		if res := a.Do("GET", path, nil); res.Status != want || strings.Contains(res.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s answers %d %s, want %d and no page", path, res.Status, res.Header.Get("Content-Type"), want)
		}
	}
	if res := a.Do("DELETE", "/api/admin/invitations", nil); res.Status != 405 {
		t.Errorf("a method nobody declared answers %d, want 405", res.Status)
	}
}
