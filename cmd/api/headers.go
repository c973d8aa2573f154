package main

import (
	"net"
	"net/http"
	"net/url"
	"strings"
)

// permissionsPolicy switches off what neither the page nor the API ever asks a browser for, so that
// injected or embedded content can't ask in our name either.
const permissionsPolicy = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"

// strictTransport makes browsers use https for a year, whatever a link says. Without subdomains:
// they may belong to others.
const strictTransport = "max-age=31536000"

// securityHeaders go on every answer. Those that forbid embedding stay off the realtime endpoint,
// which pages of other sites have to be able to load. https says that people reach the server by
// https; a browser would ignore the header on a plain connection.
func securityHeaders(https bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Permissions-Policy", permissionsPolicy)
			if https {
				h.Set("Strict-Transport-Security", strictTransport)
			}
			if !strings.HasPrefix(r.URL.Path, "/faye") {
				h.Set("X-Frame-Options", "DENY")
				h.Set("Referrer-Policy", "same-origin")
			}
			next.ServeHTTP(w, r)
		})
	}
}

// ownHosts answers only requests for a name of this machine's own: localhost, a loopback address,
// or the host of one of the addresses. Embedded mode has passwords that everybody knows. A foreign
// site whose name is made to point at 127.0.0.1 (DNS rebinding) would be of one origin with it, and
// only the Host header shows the name that was asked for.
func ownHosts(listen, public string) func(http.Handler) http.Handler {
	own := map[string]bool{"localhost": true}
	if host, _, err := net.SplitHostPort(listen); err == nil && host != "" {
		own[strings.ToLower(host)] = true
	}
	if u, err := url.Parse(public); err == nil && u.Hostname() != "" {
		own[strings.ToLower(u.Hostname())] = true
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			host := (&url.URL{Host: r.Host}).Hostname()
			ip := net.ParseIP(host)
			if !own[strings.ToLower(strings.TrimSuffix(host, "."))] && (ip == nil || !ip.IsLoopback()) {
				http.Error(w, "embedded mode answers to localhost only; see -embedded-public", http.StatusMisdirectedRequest)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
