package auth

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"exporthub/pkg/errs"
)

// TokenTTL is how long a token is good.
const TokenTTL = 24 * time.Hour

const codeTokenMissing = "token_missing"

const (
	tokenSubject = "exporthub_user"
	tokenLeeway  = 5 * time.Second // what clocks of replicas may differ by
	maxTokenLen  = 2048            // far above ours, far below what costs anything to refuse
)

// Token is a token just made.
type Token struct {
	Value   string
	ID      string // its jti
	Expires time.Time
}

// claims are the token's content. The audience is the person's id as a number, which is why the
// library's own claims type, with its text audience, can't be used.
type claims struct {
	Audience  int64            `json:"aud"`
	Issuer    string           `json:"iss"`
	Subject   string           `json:"sub"`
	IssuedAt  *jwt.NumericDate `json:"iat"`
	ExpiresAt *jwt.NumericDate `json:"exp"`
	ID        string           `json:"jti"`
	Epoch     int64            `json:"epoch"`
}

func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.ExpiresAt, nil }
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error)       { return c.IssuedAt, nil }
func (c *claims) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil }
func (c *claims) GetIssuer() (string, error)                   { return c.Issuer, nil }
func (c *claims) GetSubject() (string, error)                  { return c.Subject, nil }
func (c *claims) GetAudience() (jwt.ClaimStrings, error) {
	return jwt.ClaimStrings{strconv.FormatInt(c.Audience, 10)}, nil
}

// tokens makes and reads tokens. It knows nothing of revocation.
type tokens struct {
	keys   [][]byte // the first one signs
	issuer string
	now    func() time.Time
	parser *jwt.Parser
}

func newTokens(keys [][]byte, env string, now func() time.Time) *tokens {
	t := &tokens{keys: keys, issuer: "exporthub-" + env, now: now}
	t.parser = jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithIssuer(t.issuer), jwt.WithSubject(tokenSubject),
		jwt.WithLeeway(tokenLeeway), jwt.WithTimeFunc(now), jwt.WithStrictDecoding(),
	)
	return t
}

// issue makes a token. An empty session starts a new one.
func (t *tokens) issue(userID, epoch int64, session string) (Token, error) {
	if session == "" {
		session = rand.Text()
	}
	now := t.now().UTC().Truncate(time.Second)
	expires, id := now.Add(TokenTTL), session+"."+rand.Text()[:10]
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, &claims{
		Audience:  userID,
		Issuer:    t.issuer,
		Subject:   tokenSubject,
		IssuedAt:  jwt.NewNumericDate(now),
		ExpiresAt: jwt.NewNumericDate(expires),
		ID:        id,
		Epoch:     epoch,
	}).SignedString(t.keys[0])
	if err != nil {
		return Token{}, fmt.Errorf("sign token: %w", err)
	}
	return Token{Value: signed, ID: id, Expires: expires}, nil
}

// parse verifies all that the token itself shows. Every failure is the same error of
// kind Unauthenticated.
func (t *tokens) parse(token string) (*claims, error) {
	// Before the parser, which would decode and unmarshal megabytes of header first.
	if len(token) > maxTokenLen {
		return nil, badToken(nil)
	}
	// The decoder of base64 skips line breaks, also where it is strict, so one signature could be
	// written in any number of ways. A header can't hold them, the JSON of a message can.
	if strings.ContainsAny(token, "\r\n") {
		return nil, badToken(nil)
	}
	var c claims
	_, err := t.parser.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) {
		set := jwt.VerificationKeySet{}
		// All keys, so that a new AUTH_SECRET logs out nobody while the previous one is configured.
		for _, k := range t.keys {
			set.Keys = append(set.Keys, k)
		}
		return set, nil
	})
	if err != nil {
		return nil, badToken(err)
	}
	if c.Audience <= 0 || c.ID == "" || c.IssuedAt == nil {
		return nil, badToken(nil)
	}
	return &c, nil
}

// sessionOf returns the part of a jti that renewing keeps and logging out revokes.
func sessionOf(tokenID string) string {
	session, _, _ := strings.Cut(tokenID, ".")
	return session
}

func badToken(cause error) error {
	return &errs.Error{Kind: errs.Unauthenticated, Code: "token_invalid", Message: "登录已失效，请重新登录", Cause: cause}
}

func noToken() error {
	return &errs.Error{Kind: errs.Unauthenticated, Code: codeTokenMissing, Message: "请先登录"}
}
