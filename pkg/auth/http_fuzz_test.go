package auth

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// FuzzRequestToken sends headers as strangers may. A token that was found stands in a header as it
// is, two headers never give a token that only one of them names, and the cookie counts only where
// no header does.
func FuzzRequestToken(f *testing.F) {
	f.Add("a.b.c", "Bearer a.b.c", "exporthub_token=c")
	f.Add("", "bearer  undefined", `exporthub_token="x y"; exporthub_token=z`)
	f.Add("null", "Basic dTpw", "=;;exporthub_token")
	f.Fuzz(func(t *testing.T, own, authorization, cookie string) {
		r := &http.Request{Header: http.Header{}}
		r.Header.Set(HeaderName, own)
		r.Header.Set("Authorization", authorization)
		r.Header.Set("Cookie", cookie)
		token, byCookie, err := RequestToken(r)
		switch {
		case err != nil && (token != "" || byCookie):
			t.Errorf("%v beside the token %q", err, token)
		case byCookie && token != CookieToken(r):
			t.Errorf("the cookie's token is %q, got %q", CookieToken(r), token)
		case token != "" && !byCookie && !strings.Contains(own, token) && !strings.Contains(authorization, token):
			t.Errorf("%q is in no header", token)
		}
	})
}

// FuzzClientIP sends what proxies and strangers write into X-Forwarded-For. Only a trusted proxy is
// believed, and what comes out is an address in its one form.
func FuzzClientIP(f *testing.F) {
	f.Add("10.0.0.1:80", "192.0.2.7, 10.0.0.2")
	f.Add("192.0.2.1:80", "127.0.0.1")
	f.Add("[::1]:80", "[2001:db8::1%eth0]:443, ::ffff:10.0.0.9")
	f.Add("@", ",,,")
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	f.Fuzz(func(t *testing.T, remote, forwarded string) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{}}
		plain := ClientIP(r, trusted)
		r.Header.Set("X-Forwarded-For", forwarded)
		got := ClientIP(r, trusted)
		if !isTrusted(plain, trusted) && got != plain {
			t.Errorf("%q is no proxy of ours, and made %q into %s", remote, forwarded, got)
		}
		if got.Zone() != "" || got.Is4In6() {
			t.Errorf("%q, %q: %s is one of two spellings", remote, forwarded, got)
		}
	})
}
