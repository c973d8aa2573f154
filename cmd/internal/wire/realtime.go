package wire

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"exporthub/pkg/audit"
	"exporthub/pkg/auth"
	"exporthub/pkg/bayeux"
	"exporthub/pkg/errs"
	"exporthub/web"
)

// Realtime returns the Bayeux server over the program's bus and identities.
func (p *Parts) Realtime() (*bayeux.Server, error) {
	rules := p.Exports.Channels()
	for _, m := range p.Modules {
		rules = append(rules, m.Channels...)
	}
	return bayeux.New(authorizer{auth: p.Auth, audit: p.Audit, rules: rules}, p.Bus, bayeux.Options{
		Client:         web.FayeClient(),
		AllowedOrigins: p.Config.AllowedOrigins,
		// Old pages of any site subscribe to capability channels, which are secret by themselves.
		AnonymousFromAnyOrigin: true,
		Address:                func(r *http.Request) string { return bayeux.Network(p.Auth.ClientIP(r)) },
		MaxSessions:            p.Config.FayeSessions,
		ReservedSessions:       reserved(p.Config.FayeReserved),
		MaxSessionsPerAddress:  p.Config.FayeAddressSessions,
		MaxSocketsPerAddress:   p.Config.FayeAddressSockets,
		HandshakeRate:          p.Config.FayeAddressHandshakes,
		HandshakeBurst:         10 * p.Config.FayeAddressHandshakes,
		CheckEvery:             checkEvery,
		Timeout:                p.Config.FayeTimeout,
		PingEvery:              p.Config.FayePing,
		Logger:                 p.Log,
		Repeat:                 repeated,
	})
}

// checkEvery is how often sessions and subscriptions are checked. Together with auth's CacheTTL it
// is how long a right that was lost goes on, which is promised to be less than two seconds.
const checkEvery = 750 * time.Millisecond

// reserved turns "0 is none" of the settings into what the server takes, where 0 is the default.
func reserved(sessions int) int {
	if sessions == 0 {
		return -1
	}
	return sessions
}

// authorizer lets the systems' channel rules decide for the Bayeux server.
type authorizer struct {
	auth  *auth.Service
	audit *audit.Log // nil records nothing
	rules []auth.ChannelRule
}

var _ interface {
	bayeux.Authorizer
	bayeux.Matcher
} = authorizer{}

// retryAway is how long clients are asked to wait while the database can't be asked.
const retryAway = 5 * time.Second

// token returns what a message brings to identify its sender: ext.access_token (explicit), else a
// cookie that counts.
func token(r bayeux.Request) (text string, explicit bool, err error) {
	if len(r.Ext) > 0 {
		var ext map[string]json.RawMessage // by exact key, which a struct would not be
		if json.Unmarshal(r.Ext, &ext) == nil {
			if raw, ok := ext["access_token"]; ok {
				if err := json.Unmarshal(raw, &text); err != nil || text == "" {
					return "", true, &bayeux.Refusal{Code: 403, Text: "access_token is not a token"}
				}
				return text, true, nil
			}
		}
	}
	if r.CookieCounts && r.HTTP != nil {
		return auth.CookieToken(r.HTTP), false, nil
	}
	return "", false, nil
}

// Handshake identifies the sender. No token makes an anonymous session, which may follow
// capabilities only; a bad token in ext is refused, a dead cookie is no token.
func (a authorizer) Handshake(ctx context.Context, r bayeux.Request) (bayeux.Principal, error) {
	t, explicit, err := token(r)
	if err != nil || t == "" {
		return bayeux.Principal{}, err
	}
	p, err := a.auth.Identify(ctx, t)
	switch {
	case errs.Is(err, errs.Unavailable):
		return bayeux.Principal{}, &bayeux.Refusal{RetryAfter: retryAway, Text: "try again later"}
	case err != nil && !explicit:
		// A browser sends a cookie whether the page means it or not. A page that subscribes to a
		// capability must not break because somebody's login has ended.
		return bayeux.Principal{}, nil
	case err != nil:
		return bayeux.Principal{}, &bayeux.Refusal{Code: 403, Text: "access_token is not valid"}
	}
	return bayeux.Principal{
		ID:      strconv.FormatInt(p.UserID, 10),
		Expires: p.Expires,
		Data:    opener{Principal: p, byCookie: !explicit, address: a.addressOf(r.HTTP)},
	}, nil
}

// opener is who opened a session, and by what.
type opener struct {
	*auth.Principal
	byCookie bool
	address  string // of the handshake, for the audit
}

// Subscribe asks the rule of the channel's first segment. Roles may have changed since the
// handshake, so it decides by the person's present rights.
func (a authorizer) Subscribe(ctx context.Context, bp bayeux.Principal, channel string) (bayeux.Grant, error) {
	grant, err := a.subscribe(ctx, bp, channel)
	var refused *bayeux.Refusal
	if errors.As(err, &refused) && refused.Code == http.StatusForbidden {
		a.deniedChannel(ctx, bp, channel)
	}
	return grant, err
}

func (a authorizer) subscribe(ctx context.Context, bp bayeux.Principal, channel string) (bayeux.Grant, error) {
	p, err := a.present(ctx, bp)
	if err != nil {
		return bayeux.Grant{}, refusal(err)
	}
	for _, rule := range a.rules {
		if !strings.HasPrefix(channel, rule.Prefix) {
			continue
		}
		sub, err := rule.Resolve(ctx, p, channel)
		if err != nil {
			return bayeux.Grant{}, refusal(err)
		}
		if sub.StillAllowed == nil {
			// A rule that was left out must not become a right for ever.
			return bayeux.Grant{}, &bayeux.Refusal{Code: 403}
		}
		g := a.grant(bp, sub)
		g.Audience, g.EndsOnce = audience(bp, channel)
		return g, nil
	}
	return bayeux.Grant{}, &bayeux.Refusal{Code: 403}
}

// present returns the person of a session with present rights, nil for an anonymous session.
func (a authorizer) present(ctx context.Context, bp bayeux.Principal) (*auth.Principal, error) {
	p, ok := bp.Data.(opener)
	if !ok {
		return nil, nil
	}
	now, err := a.auth.Person(ctx, p.UserID)
	if err == nil && now.Disabled {
		return nil, errs.New(errs.Forbidden, "")
	}
	return now, err
}

func (a authorizer) grant(bp bayeux.Principal, sub auth.Subscription) bayeux.Grant {
	g := bayeux.Grant{
		Stream: sub.Stream,
		Valid: func() bool {
			// The server asks outside any request, so the question has a bound of its own.
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			who, ok := bp.Data.(opener)
			if !ok {
				return sub.StillAllowed(ctx, nil)
			}
			now, known := a.auth.Present(ctx, who.Principal)
			return known && sub.StillAllowed(ctx, now)
		},
	}
	if sub.Latest != nil {
		g.Latest = func(ctx context.Context) ([]bayeux.Event, error) {
			latest, err := sub.Latest(ctx)
			events := make([]bayeux.Event, len(latest))
			for i, e := range latest {
				events[i] = realtimeEvent(e)
			}
			return events, err
		}
	}
	return g
}

func refusal(err error) error {
	if errs.Is(err, errs.Unavailable) {
		return &bayeux.Refusal{RetryAfter: retryAway}
	}
	return &bayeux.Refusal{Code: 403}
}

// Alive reports whether a session's token is still good.
func (a authorizer) Alive(ctx context.Context, bp bayeux.Principal) bool {
	p, ok := bp.Data.(opener)
	return !ok || a.auth.Alive(ctx, p.UserID, p.TokenID, p.Epoch)
}

// Matches holds a session to the person who opened it. Another person's token never reaches into
// it. A session that a cookie opened needs the cookie or a token of that person with each message,
// event streams and upgrades to a websocket included: a browser sends it with all of them, and who
// has only read the session's id has none. One that ext.access_token opened can't be asked for it,
// since the stock client sends ext with its handshake only and can set no header elsewhere.
func (a authorizer) Matches(ctx context.Context, r bayeux.Request, bp bayeux.Principal) bool {
	t, explicit, err := token(r)
	if err != nil {
		return false
	}
	who, ok := bp.Data.(opener)
	if !ok {
		return true // anonymous
	}
	if t == "" && who.byCookie && r.HTTP != nil {
		// Whether the cookie may identify its sender is no question here: it is compared with who
		// is known already, and some browsers send no origin with an event stream.
		t = auth.CookieToken(r.HTTP)
	}
	if t == "" {
		return !who.byCookie
	}
	p, err := a.auth.Identify(ctx, t)
	if err != nil {
		// A cookie that has ended belongs to no other person, and Alive notices a token that has.
		// It proves nothing either, where proof is needed; a database that is away ends no session.
		return errs.Is(err, errs.Unavailable) || !explicit && !who.byCookie
	}
	return p.UserID == who.UserID
}
