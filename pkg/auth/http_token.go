package auth

import (
	"net/http"
	"strings"
	"time"

	"exporthub/pkg/errs"
)

// CookieName is the cookie that carries the token of a browser.
const CookieName = "exporthub_token"

// HeaderName is the header of our own that carries a token, beside Authorization.
const HeaderName = "ACCESS-TOKEN"

// CookieToken returns the token in the request's cookie, or "".
func CookieToken(r *http.Request) string {
	c, err := r.Cookie(CookieName)
	if err != nil {
		return ""
	}
	return c.Value
}

// RequestToken returns the token of a request and whether the browser sent it by itself, as a
// cookie. No token is "". Two headers that name different tokens are an error of kind
// Unauthenticated.
func RequestToken(r *http.Request) (token string, byCookie bool, err error) {
	for _, v := range r.Header.Values(HeaderName) {
		if token, err = sameToken(token, meantToken(v)); err != nil {
			return "", false, err
		}
	}
	for _, v := range r.Header.Values("Authorization") {
		if token, err = sameToken(token, authorizationToken(v)); err != nil {
			return "", false, err
		}
	}
	// A header wins even when its token turns out to be no good: the caller said who they want to
	// be, and falling back to the cookie would act for somebody else.
	if token != "" {
		return token, false, nil
	}
	token = CookieToken(r)
	return token, token != "", nil
}

func sameToken(have, next string) (string, error) {
	if have != "" && next != "" && have != next {
		return "", &errs.Error{Kind: errs.Unauthenticated, Code: "tokens_differ", Message: "请求头中有两个不同的令牌，请只保留一个"}
	}
	if next == "" {
		return have, nil
	}
	return next, nil
}

// authorizationToken reads "Bearer <token>" (RFC 6750) and a bare token; other schemes are not
// ours.
func authorizationToken(value string) string {
	scheme, rest, spaced := strings.Cut(strings.TrimSpace(value), " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return meantToken(rest)
	case !spaced:
		return meantToken(scheme)
	}
	return ""
}

// meantToken returns the token in a header, or "" for what pages send that have none: a variable of
// JavaScript that was never set becomes the text "undefined" or "null". Such a header must not
// spoil a good cookie beside it.
func meantToken(value string) string {
	value = strings.TrimSpace(value)
	switch strings.ToLower(value) {
	case "undefined", "null", "none", "nan", "false", "[object object]":
		return ""
	}
	return value
}

// cookie carries a token to the browser until the token ends.
func (s *Service) cookie(t Token) *http.Cookie {
	return &http.Cookie{
		Name:     CookieName,
		Value:    t.Value,
		Path:     "/",
		HttpOnly: true,
		Secure:   s.secureCookie,
		SameSite: http.SameSiteLaxMode,
		MaxAge:   max(1, int(t.Expires.Sub(s.now())/time.Second)),
	}
}

// noCookie makes the browser delete its token: MaxAge below 0 does, 0 would leave the attribute
// out. Name, path and Secure have to be those of the cookie that is meant.
func (s *Service) noCookie() *http.Cookie {
	return &http.Cookie{
		Name:     CookieName,
		Path:     "/",
		HttpOnly: true,
		Secure:   s.secureCookie,
		SameSite: http.SameSiteLaxMode,
		MaxAge:   -1,
	}
}
