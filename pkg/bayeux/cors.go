package bayeux

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// origin is where a request's page comes from, and what follows.
type origin struct {
	name         string // the Origin header; empty for programs, scripts loaded by JSONP, and some same-origin requests
	admitted     bool
	cookieCounts bool
}

// origin judges a request. A browser says in Sec-Fetch-Site how page and server relate, which a proxy that changes scheme or port can't
// falsify; without it the Origin has to be our own host. A request with neither, JSONP's from an old
// browser among them, may come from any page, so its cookie does not count.
func (s *Server) origin(r *http.Request) origin {
	o := origin{name: r.Header.Get("Origin")}
	site := r.Header.Get("Sec-Fetch-Site")
	same := site == "same-origin" || site == "" && o.name != "" && sameHost(o.name, r.Host)
	listed := o.name != "" && slices.ContainsFunc(s.opt.AllowedOrigins, func(a string) bool { return strings.EqualFold(a, o.name) })
	o.cookieCounts = same || listed
	o.admitted = o.name == "" || o.cookieCounts || s.opt.AnonymousFromAnyOrigin
	return o
}

func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, host)
}

// writeHeaders lets the page read the response. The stock client's transport uses credentials, for which browsers want the origin by
// name.
func (o origin) writeHeaders(w http.ResponseWriter) {
	h := w.Header()
	h.Add("Vary", "Origin")
	if o.name != "" && o.admitted {
		h.Set("Access-Control-Allow-Origin", o.name)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// preflight answers what a page may send. The stock client sets Pragma on each request.
func (o origin) preflight(w http.ResponseWriter) {
	h := w.Header()
	if o.admitted {
		h.Set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Pragma, X-Requested-With")
		h.Set("Access-Control-Allow-Methods", "POST, GET")
		h.Set("Access-Control-Max-Age", "86400")
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}
