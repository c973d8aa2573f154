package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
)

// routedPath is the path that chi routes by: the escaped one when there is one, so that %2F in a
// parameter is no slash.
func routedPath(r *http.Request) string {
	if r.URL.RawPath != "" {
		return r.URL.RawPath
	}
	return r.URL.Path
}

// cleanSlashes returns path without doubled and trailing slashes. Dots stay: a client that means
// something by ".." is not answered with what it did not ask for.
func cleanSlashes(path string) string {
	if !strings.Contains(path, "//") && (len(path) < 2 || !strings.HasSuffix(path, "/")) {
		return path
	}
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	return "/" + strings.Join(parts, "/")
}

// withCleanPath returns the request under its path without superfluous slashes, or nil when it has
// none. Joining a base that ends in a slash with a path that begins with one is the commonest
// mistake of a client, and a document of the message system does it itself.
func withCleanPath(r *http.Request) *http.Request {
	clean := cleanSlashes(routedPath(r))
	if clean == routedPath(r) {
		return nil
	}
	// A fresh routing context: the old one has consumed the path already.
	next := r.WithContext(context.WithValue(r.Context(), chi.RouteCtxKey, chi.NewRouteContext()))
	url := *r.URL
	url.Path, url.RawPath = cleanSlashes(url.Path), cleanSlashes(url.RawPath)
	next.URL = &url
	return next
}

// envelopeAt returns the envelope of the routes that lie nearest to a path none of them has: those
// that share the most leading segments with it, two at least. Where the nearest disagree, or there
// are none, it is Native, whose statuses every client understands.
func envelopeAt(routes []Route, path string) Envelope {
	asked := strings.Split(strings.Trim(path, "/"), "/")
	best, envelope := 1, Native
	for _, route := range routes {
		shared := 0
		for i, segment := range strings.Split(strings.Trim(route.Path, "/"), "/") {
			if i >= len(asked) || segment != asked[i] && !strings.HasPrefix(segment, "{") {
				break
			}
			shared++
		}
		switch {
		case shared > best:
			best, envelope = shared, route.Envelope
		case shared == best && best > 1 && route.Envelope != envelope:
			envelope = Native
		}
	}
	return envelope
}
