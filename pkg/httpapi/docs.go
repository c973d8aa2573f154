package httpapi

import (
	"bytes"
	"embed"
	"net/http"
	"path"
	"time"

	"exporthub/pkg/errs"
)

// The viewer is our own, so that it works without any other server and under a
// Content-Security-Policy without inline scripts.
//
//go:embed viewer
var viewer embed.FS

const docsPolicy = "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'self'"

// docRoutes are the routes of the description of routes and of its viewer.
func docRoutes(routes []Route, info Info) []Route {
	doc, err := OpenAPI(routes, info)
	if err != nil {
		panic("httpapi: " + err.Error())
	}
	serve := func(at, name string, data []byte) Route {
		return HandleHTTP(http.MethodGet, at, Native, Public, Doc{}, func(w http.ResponseWriter, r *http.Request) error {
			h := w.Header()
			h.Set("Cache-Control", "no-cache")
			h.Set("Content-Security-Policy", docsPolicy)
			if path.Ext(name) == ".json" {
				h.Set("Content-Type", "application/json; charset=utf-8")
			}
			http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
			return nil
		})
	}
	out := []Route{serve("/api/openapi.json", "openapi.json", doc), serve("/api/docs", "index.html", viewerFile("index.html"))}
	for _, name := range []string{"viewer.js", "viewer.css"} {
		out = append(out, serve("/api/docs/"+name, name, viewerFile(name)))
	}
	return out
}

func viewerFile(name string) []byte {
	data, err := viewer.ReadFile("viewer/" + name)
	if err != nil {
		panic(errs.Wrap(errs.Internal, "the viewer is embedded at build time", err))
	}
	return data
}
