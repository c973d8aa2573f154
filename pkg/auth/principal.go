package auth

import (
	"context"
	"time"
)

// Role is what a person is in the organisation; permissions hang on it.
type Role int

// The roles. Their numbers are part of the documented API.
const (
	Administrator Role = 1
	Staff         Role = 2
	Correspondent Role = 3
)

// Valid reports whether r is one of the roles.
func (r Role) Valid() bool { return r >= Administrator && r <= Correspondent }

func (r Role) title() string {
	switch r {
	case Administrator:
		return "管理员"
	case Staff:
		return "员工"
	}
	return "通讯员"
}

// Principal is an identified caller.
type Principal struct {
	UserID int64
	Name   string
	Role   Role
	// TokenID is the jti of the token that identified the caller, Expires when it ends.
	TokenID string
	Expires time.Time
	// Epoch counts how often all tokens of this person were ended; capabilities are bound to it.
	Epoch int64
	// ByCookie tells that the browser sent the token by itself.
	ByCookie bool
	// MustChangePassword holds until the person has set a password of their own.
	MustChangePassword bool
	// Disabled holds for a person who may not sign in (any more); only Service.Person returns such,
	// and they hold no permission.
	Disabled bool

	permissions map[string]bool
}

// Can reports whether the caller holds a permission.
func (p *Principal) Can(permission string) bool { return p != nil && p.permissions[permission] }

// Holding returns a copy of the principal that holds the given permissions and no others. Requests
// get theirs from the database; this is for callers that are made up, as in tests.
func (p Principal) Holding(permissions ...string) *Principal {
	p.permissions = make(map[string]bool, len(permissions))
	for _, name := range permissions {
		p.permissions[name] = true
	}
	return &p
}

type principalKey struct{}

// With returns a context that carries the caller.
func With(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From returns the caller the context carries, or nil for a stranger.
func From(ctx context.Context) *Principal {
	p, _ := ctx.Value(principalKey{}).(*Principal)
	return p
}
