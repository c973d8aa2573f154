package auth

import (
	"context"
	"maps"
	"slices"

	"exporthub/pkg/errs"
)

// maxStandings bounds the people and sessions remembered, about 200 bytes each.
const maxStandings = 20_000

// standingKey asks about a person, and about one session of theirs unless it is empty.
type standingKey struct {
	userID  int64
	session string
}

// standing is what the database said of a person and a session.
type standing struct {
	person  personRow
	known   bool // there is such a person
	revoked bool // the session was logged out
}

func (st standing) good(epoch int64) bool {
	return st.known && !st.revoked && st.person.status == Enabled && st.person.epoch == epoch
}

// rolePermissions are the permissions of every role. The maps are shared and never changed.
type rolePermissions map[Role]map[string]bool

// Identify returns the person a token speaks for. A token that is no good is Unauthenticated; while
// the database can't be asked the answer is Unavailable.
func (s *Service) Identify(ctx context.Context, token string) (*Principal, error) {
	if token == "" {
		return nil, noToken()
	}
	c, err := s.tokens.parse(token)
	if err != nil {
		return nil, err
	}
	// Signature first, database second: forged tokens cost no query.
	st, err := s.standings.get(ctx, standingKey{c.Audience, sessionOf(c.ID)})
	if err != nil {
		return nil, unanswered(err)
	}
	if !st.good(c.Epoch) {
		return nil, badToken(nil)
	}
	p, err := s.principal(ctx, st.person)
	if err != nil {
		return nil, err
	}
	p.TokenID, p.Expires = c.ID, c.ExpiresAt.Time
	return p, nil
}

// Alive reports whether a session that was identified by a token may go on: the person is enabled,
// the epoch is still theirs and the token was not logged out. That the token has not expired is the
// caller's to see. It is cheap enough to be asked for every delivery: the database is asked at most
// once per CacheTTL and token.
//
// While the database is away, what it said last holds for Options.Grace, so that an outage closes
// no sockets.
func (s *Service) Alive(ctx context.Context, userID int64, tokenID string, epoch int64) bool {
	st, ok := s.lastStanding(ctx, standingKey{userID, sessionOf(tokenID)})
	return ok && st.good(epoch)
}

// lastStanding is the present standing, or the last known one while the database is away.
func (s *Service) lastStanding(ctx context.Context, key standingKey) (standing, bool) {
	st, err := s.standings.get(ctx, key)
	if err == nil {
		return st, true
	}
	return s.standings.last(key)
}

// Person returns a person as they stand now, without a token: what their role may do, or nothing
// when they are disabled or deleted. Work that outlives its request asks it who it still works for.
// Nobody of that id is NotFound.
func (s *Service) Person(ctx context.Context, id int64) (*Principal, error) {
	st, err := s.standings.get(ctx, standingKey{userID: id})
	if err != nil {
		return nil, unanswered(err)
	}
	if !st.known {
		return nil, errs.New(errs.NotFound, "没有这个人员")
	}
	return s.principal(ctx, st.person)
}

// Present returns a person who was identified before with the rights they have now, for what goes
// on after its request: subscriptions. It is as cheap as Alive and bridges an outage likewise; it
// reports false for a person who may not go on, or of whom nothing is known any more.
func (s *Service) Present(ctx context.Context, was *Principal) (*Principal, bool) {
	st, known := s.lastStanding(ctx, standingKey{was.UserID, sessionOf(was.TokenID)})
	if !known || !st.good(was.Epoch) {
		return nil, false
	}
	roles, err := s.roles.get(ctx, struct{}{})
	if err != nil {
		if roles, known = s.roles.last(struct{}{}); !known {
			return nil, false
		}
	}
	now := *was
	now.Name = st.person.displayName()
	now.Role = st.person.role
	now.MustChangePassword = st.person.mustChange
	now.permissions = roles[st.person.role]
	return &now, true
}

func (s *Service) principal(ctx context.Context, row personRow) (*Principal, error) {
	p := &Principal{
		UserID:             row.id,
		Name:               row.displayName(),
		Role:               row.role,
		Epoch:              row.epoch,
		MustChangePassword: row.mustChange,
		Disabled:           row.status != Enabled,
	}
	if p.Disabled {
		return p, nil // without permissions: nothing works for them, a job of theirs included
	}
	roles, err := s.roles.get(ctx, struct{}{})
	if err != nil {
		return nil, unanswered(err)
	}
	p.permissions = roles[row.role]
	return p, nil
}

// dropCached makes this process ask anew about a person, so that what it changed itself shows at
// once. Other replicas see the change within CacheTTL.
func (s *Service) dropCached(userID int64) {
	s.standings.drop(func(k standingKey) bool { return k.userID == userID })
}

// Permissions returns the caller's permissions in alphabetical order, never nil.
func (p *Principal) Permissions() []string {
	if p == nil || len(p.permissions) == 0 {
		return []string{}
	}
	return slices.Sorted(maps.Keys(p.permissions))
}

// Granted returns a copy of p that holds exactly the given permissions, for work on behalf of a
// service and for tests.
func (p *Principal) Granted(permissions ...string) *Principal {
	c := *p
	c.permissions = make(map[string]bool, len(permissions))
	for _, name := range permissions {
		c.permissions[name] = true
	}
	return &c
}
