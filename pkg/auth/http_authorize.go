package auth

import (
	"context"
	"net/http"
	"net/netip"

	"exporthub/pkg/audit"
	"exporthub/pkg/errs"
	"exporthub/pkg/httpapi"
)

// The paths that a person who must change their password may still call.
const (
	pathPassword = "/api/user/password"
	pathMe       = "/api/user/me"
	pathLogout   = "/api/user/logout"
	pathRenew    = "/api/access/renew"
)

// visit is what the handlers of this package need to know of a request.
type visit struct {
	from      netip.Addr
	token     string // "" is none
	byCookie  bool
	tokenErr  error  // why the headers name no one token
	cookie    string // the cookie's token, whether or not it counts
	crossSite bool   // judged for requests that change or start something only
}

type visitKey struct{}

func visitOf(ctx context.Context) visit {
	v, _ := ctx.Value(visitKey{}).(visit)
	return v
}

// Authorize decides whether a request may go on to a route of the given permission (httpapi.Public,
// httpapi.SignedIn or the name of a permission) and returns the context that carries its caller;
// see From. starting marks a GET that starts or changes something.
//
// A public route gets no caller, whatever token came along: a dead one must not keep anybody from
// logging in. A request that changes or starts something is Forbidden when it is provably made by
// another site's page with our cookie.
func (s *Service) Authorize(r *http.Request, permission string, starting bool) (context.Context, error) {
	changing := changes(r, starting)
	v := visit{from: s.ClientIP(r), cookie: CookieToken(r), crossSite: changing && s.CrossSite(r)}
	v.token, v.byCookie, v.tokenErr = RequestToken(r)
	ctx := audit.With(context.WithValue(r.Context(), visitKey{}, v), audit.Caller{Address: v.from})
	if changing {
		if v.byCookie && v.crossSite {
			return ctx, crossSite()
		}
	}
	// After the cross-site check: login and password changes are public and set or end cookies.
	if permission == httpapi.Public {
		return ctx, nil
	}
	p, err := s.caller(ctx)
	if err != nil {
		challenge(ctx, err)
		return ctx, err
	}
	ctx = audit.With(With(ctx, p), audit.Caller{ID: p.UserID, Address: v.from})
	if p.MustChangePassword && !allowedBeforeChange(r.URL.Path) {
		return ctx, &errs.Error{Kind: errs.Forbidden, Code: "password_change_required", Message: "请先修改密码"}
	}
	// Forbidden and not Unauthenticated, on which old pages log the person out.
	if permission != httpapi.SignedIn && !p.Can(permission) {
		return ctx, &errs.Error{Kind: errs.Forbidden, Code: "permission_missing", Message: "你没有此操作的权限"}
	}
	return ctx, nil
}

// caller identifies the caller of the request that ctx belongs to.
func (s *Service) caller(ctx context.Context) (*Principal, error) {
	v := visitOf(ctx)
	if v.tokenErr != nil {
		return nil, v.tokenErr
	}
	p, err := s.Identify(ctx, v.token)
	if err != nil {
		return nil, err
	}
	p.ByCookie = v.byCookie
	return p, nil
}

// challenge says which kind of token an answer 401 asks for (RFC 9110, section 11.6.1; RFC 6750,
// section 3).
func challenge(ctx context.Context, err error) {
	switch {
	case errs.CodeOf(err) == codeTokenMissing:
		httpapi.SetHeader(ctx, "WWW-Authenticate", `Bearer realm="exporthub"`)
	case errs.Is(err, errs.Unauthenticated):
		httpapi.SetHeader(ctx, "WWW-Authenticate", `Bearer realm="exporthub", error="invalid_token"`)
	}
}

func allowedBeforeChange(path string) bool {
	switch path {
	case pathPassword, pathMe, pathLogout, pathRenew:
		return true
	}
	return false
}

func crossSite() error {
	return &errs.Error{Kind: errs.Forbidden, Code: "cross_site", Message: "不接受来自其他网站的请求"}
}
