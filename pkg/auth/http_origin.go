package auth

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// originGuard decides whether a request was provably made by a page of another site.
type originGuard struct {
	protection *http.CrossOriginProtection
}

// newOriginGuard makes a guard that trusts the given origins ("https://app.example.com") beside the
// server's own.
func newOriginGuard(origins []string) (*originGuard, error) {
	p := http.NewCrossOriginProtection()
	for _, o := range origins {
		if err := p.AddTrustedOrigin(strings.TrimSuffix(strings.TrimSpace(o), "/")); err != nil {
			return nil, fmt.Errorf("allowed origin: %w", err)
		}
	}
	return &originGuard{protection: p}, nil
}

// crossSite reports whether the request provably comes from a page of another origin that is not
// trusted: Sec-Fetch-Site says so, or else Origin, or else Referer. A request that says nothing
// (not a browser's) does not.
func (g *originGuard) crossSite(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		// A link followed from another page carries no Origin.
		origin = refererOrigin(r.Header.Get("Referer"))
	}
	// The library lets GET pass, whatever it starts; ask as for a POST.
	probe := &http.Request{Method: http.MethodPost, Host: r.Host, URL: &url.URL{Path: "/"}, Header: http.Header{}}
	if origin != "" {
		probe.Header.Set("Origin", origin)
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		probe.Header.Set("Sec-Fetch-Site", site)
	}
	return g.protection.Check(probe) != nil
}

// refererOrigin returns the origin of a Referer, or "" when there is none to tell.
func refererOrigin(referer string) string {
	u, err := url.Parse(referer)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// changes reports whether the request changes or starts something.
func changes(r *http.Request, starting bool) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return starting
	}
	return true
}
