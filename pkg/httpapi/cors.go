package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-chi/cors"
)

// CORS lets pages of the allowed origins ("https://admin.example.com") call all five systems, with
// cookies. "*" lets every origin call, without cookies. With no origins nothing is allowed beyond
// the server's own pages. It belongs before the router, so that it answers preflights of every
// path.
func CORS(allowed []string) func(http.Handler) http.Handler {
	var origins []string
	for _, origin := range allowed {
		if origin = strings.TrimRight(strings.TrimSpace(origin), "/"); origin != "" {
			origins = append(origins, origin)
		}
	}
	if len(origins) == 0 {
		// The library takes an empty list for everybody.
		return func(next http.Handler) http.Handler { return next }
	}
	return cors.Handler(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		// Cache-Control, X-Requested-With and X-XSRF-TOKEN are what axios, jQuery and Laravel's
		// page templates add by themselves.
		AllowedHeaders: []string{"Accept", "ACCESS-TOKEN", "Authorization", "Cache-Control", "Content-Type",
			"Idempotency-Key", "If-Match", "If-None-Match", "Prefer", "X-Request-Id", "X-Requested-With", "X-XSRF-TOKEN"},
		ExposedHeaders: []string{"Content-Disposition", "ETag", "Location", "RateLimit-Limit", "RateLimit-Policy",
			"RateLimit-Remaining", "RateLimit-Reset", "Retry-After", "X-Request-Id", "X-Total-Estimated"},
		AllowCredentials: !slices.Contains(origins, "*"),
		MaxAge:           600,
	})
}
