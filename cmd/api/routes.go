package main

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-chi/chi/v5"

	"exporthub/cmd/internal/wire"
	"exporthub/pkg/auth"
	"exporthub/pkg/dataset"
	"exporthub/pkg/httpapi"
	"exporthub/web"
)

// routes lists every endpoint of the API.
func routes(p *wire.Parts) []httpapi.Route {
	routes := p.Auth.Routes()
	routes = append(routes, p.Exports.Routes(p.Visitors())...)
	routes = append(routes, dictionaries(p))
	for _, m := range p.Modules {
		routes = append(routes, m.Routes...)
	}
	return routes
}

type dictionariesIn struct{}

// dictionaries serves every label dictionary of the systems.
func dictionaries(p *wire.Parts) httpapi.Route {
	all := map[string][]dataset.Entry{}
	for _, m := range p.Modules {
		for _, d := range m.Dictionaries {
			all[d.Name] = d.Entries
		}
	}
	return httpapi.Handle("GET", "/api/dictionaries", httpapi.CodeMsg, httpapi.SignedIn,
		httpapi.Doc{Summary: "代码与名称对照", Tag: "公共", Detail: "页面和导出文件使用同一份对照。"},
		func(context.Context, dictionariesIn) (map[string][]dataset.Entry, error) { return all, nil })
}

// handler serves everything: health, API, realtime, page. realtime is mounted at /faye.
func handler(p *wire.Parts, realtime http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Use(securityHeaders(strings.HasPrefix(p.Config.PublicURL, "https://")), boundBodies(bodySilence), boundAnswers(answerPatience))
	if p.Config.Embedded && !p.Config.EmbeddedPublic {
		r.Use(ownHosts(p.Config.HTTPAddr, p.Config.PublicURL))
	}
	health := p.Health()
	r.Get("/healthz", health.Live)
	r.Get("/readyz", health.Ready)
	if p.Config.MetricsAddr == "" && p.Config.Embedded && !p.Config.EmbeddedPublic {
		r.Method(http.MethodGet, "/metrics", p.Metrics.Handler())
	}
	r.Handle("/faye", realtime)
	r.Handle("/faye.js", realtime)
	r.Handle("/faye/*", realtime)
	r.Group(func(r chi.Router) {
		r.Use(httpapi.CORS(p.Config.AllowedOrigins))
		httpapi.Mount(r, routes(p), httpapi.Options{
			Authorize: p.Auth.Authorize,
			Person:    person,
			Logger:    p.Log,
			Location:  p.Config.Location,
			Observe:   p.Metrics.Request,
			Refused:   p.Exports.ShowLeft,
			Denied:    p.Denied,
			BodyMemory: httpapi.BodyMemory{
				All:        int64(p.Config.BodyMemory) << 20,
				PerAddress: int64(p.Config.BodyAddressMemory) << 20,
				Address:    p.Auth.ClientIP,
			},
			Info: httpapi.Info{
				Title:      "Exporthub",
				Version:    "1",
				CookieName: auth.CookieName,
			},
		})
	})
	r.NotFound(web.Handler().ServeHTTP)
	return r
}

func person(ctx context.Context) string {
	if who := auth.From(ctx); who != nil {
		return strconv.FormatInt(who.UserID, 10)
	}
	return ""
}
