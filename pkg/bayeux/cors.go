package bayeux

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// origin is where a request's page comes from, and what follows.
type origin struct {
	// The Origin header; empty for programs, scripts loaded by JSONP, and some same-origin
	// requests.
	name         string
	admitted     bool
	cookieCounts bool
}

// origin judges a request. A browser says in Sec-Fetch-Site how page and server relate, which a
// proxy that changes scheme or port can't falsify; without it the Origin has to be our own host. A
// request with neither, JSONP's from an old browser among them, may come from any page, so its
// cookie does not count.
func (s *Server) origin(r *http.Request) origin {
	o := origin{name: r.Header.Get("Origin")}
	site := r.Header.Get("Sec-Fetch-Site")
	same := site == "same-origin" || site == "" && o.name != "" && sameHost(o.name, r.Host)
	o.cookieCounts = same || o.name != "" && s.lists(o.name)
	o.admitted = o.name == "" || o.cookieCounts || s.opt.AnonymousFromAnyOrigin
	return o
}

// admitsScript judges a request that a page makes by loading a script, which has no Origin: where
// only some origins are admitted, the page is recognised by its Referer, which it may hide, but not
// from a browser that sends Sec-Fetch-Site. A request with neither comes from a program or can't be
// distinguished from one; it carries no cookie that counts.
func (s *Server) admitsScript(r *http.Request, o origin) bool {
	if o.name != "" || o.cookieCounts || s.opt.AnonymousFromAnyOrigin {
		return o.admitted
	}
	site := r.Header.Get("Sec-Fetch-Site")
	if site == "none" {
		return true
	}
	page, err := url.Parse(r.Header.Get("Referer"))
	if err != nil || page.Host == "" {
		return site == ""
	}
	return site == "" && strings.EqualFold(page.Host, r.Host) || s.lists(page.Scheme+"://"+page.Host)
}

// lists reports whether an origin is on the list.
func (s *Server) lists(origin string) bool {
	return slices.ContainsFunc(s.opt.AllowedOrigins, func(a string) bool { return strings.EqualFold(a, origin) })
}

func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, host)
}

// writeHeaders lets the page read the response. The stock client's transport uses credentials, for
// which browsers want the origin by name.
func (o origin) writeHeaders(w http.ResponseWriter) {
	h := w.Header()
	h.Add("Vary", "Origin")
	if o.name != "" && o.admitted {
		h.Set("Access-Control-Allow-Origin", o.name)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// preflight answers what a page may send. The stock client sets Pragma on each request.
func (o origin) preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if o.admitted {
		h.Set("Access-Control-Allow-Origin", cmp.Or(o.name, r.Header.Get("Referer"), "*"))
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Pragma, X-Requested-With")
		h.Set("Access-Control-Allow-Methods", "POST, GET")
		h.Set("Access-Control-Max-Age", "86400")
	}
	h.Set("Content-Length", "0")
	plain(w, http.StatusOK, "")
}
