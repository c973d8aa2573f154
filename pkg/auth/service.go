package auth

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"exporthub/pkg/audit"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrations makes the tables of this package.
var Migrations fs.FS = migrations

// Options configure a Service. DB and Secret are required.
type Options struct {
	DB     *database.DB
	Secret string // keys are derived from it
	// PreviousSecrets are still good for verifying, so that a change of Secret logs nobody out.
	PreviousSecrets []string
	Env             string // the issuer is exporthub-<Env>; default "development"
	// PublicURL is where the page is served; with https the cookie is Secure. Its origin counts as
	// our own.
	PublicURL string
	// AllowedOrigins are other origins whose pages may use the cookie: "https://app.example.com".
	AllowedOrigins []string
	// TrustedProxies are those whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// AllowDemoPasswords lets the passwords of the demo people work.
	AllowDemoPasswords bool
	// Menus returns the page's menus of a person; nil means none.
	Menus func(ctx context.Context, userID int64) ([]any, error)

	CacheTTL time.Duration // how long what the database said is believed; default 1 s
	// how long live sessions go on while the database is away; default 2 min
	Grace      time.Duration
	LockAfter  int           // wrong passwords within LockWindow that lock; default 5, at most 12
	LockWindow time.Duration // default 15 min
	LockFor    time.Duration // default 15 min
	// LoginRate is how many wrong passwords a minute one address (IPv6: /64; four times as many its
	// /48) may try over all accounts, in this process; default 60, below 0 is off.
	LoginRate int
	// Audit counts what is refused; default one that nobody flushes, so that it writes the first
	// refusal of a minute alone.
	Audit  *audit.Log
	Cost   PasswordCost // of one password hash
	Now    func() time.Time
	Logger *slog.Logger // default slog.Default()
}

// maxLockAfter is how many times fit into login_failures.wrong_at.
const maxLockAfter = 12

// Service is the identity of one process. See the package comment.
type Service struct {
	opts         Options
	db           *database.DB
	now          func() time.Time
	tokens       *tokens
	hasher       *hasher
	guard        *originGuard
	turns        turns
	tries        *tries
	audit        *audit.Log
	secureCookie bool
	channelKeys  [][]byte
	standings    *cache[standingKey, standing]
	roles        *cache[struct{}, rolePermissions]
	lastSweep    atomic.Int64 // microseconds; when expired rows were deleted last
}

// New makes a Service. It opens nothing and asks the database nothing.
func New(opts Options) (*Service, error) {
	if opts.DB == nil {
		return nil, errors.New("auth: no database")
	}
	if strings.TrimSpace(opts.Secret) == "" {
		return nil, errors.New("auth: no secret")
	}
	opts.Env = cmp.Or(opts.Env, "development")
	opts.CacheTTL = cmp.Or(opts.CacheTTL, time.Second)
	opts.Grace = cmp.Or(opts.Grace, 2*time.Minute)
	opts.LockAfter = max(1, min(cmp.Or(opts.LockAfter, 5), maxLockAfter))
	opts.LockWindow = cmp.Or(opts.LockWindow, 15*time.Minute)
	opts.Logger = cmp.Or(opts.Logger, slog.Default())
	opts.LockFor = cmp.Or(opts.LockFor, 15*time.Minute)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	origins := opts.AllowedOrigins
	var secure bool
	if opts.PublicURL != "" {
		u, err := url.Parse(opts.PublicURL)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("auth: public URL %q: want https://host", opts.PublicURL)
		}
		secure = u.Scheme == "https"
		origins = append([]string{u.Scheme + "://" + u.Host}, origins...)
	}
	guard, err := newOriginGuard(origins)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	s := &Service{
		opts:         opts,
		db:           opts.DB,
		now:          opts.Now,
		hasher:       newHasher(opts.Cost),
		guard:        guard,
		secureCookie: secure,
		tokens:       newTokens(DeriveKeys(opts.Secret, opts.PreviousSecrets, PurposeTokens), opts.Env, opts.Now),
		channelKeys:  DeriveKeys(opts.Secret, opts.PreviousSecrets, PurposeCapabilities),
	}
	s.audit = opts.Audit
	if s.audit == nil {
		s.audit = audit.New(audit.Options{DB: opts.DB, Now: opts.Now, Logger: opts.Logger})
	}
	s.tries = newTries(cmp.Or(opts.LoginRate, 60), opts.Now)
	s.standings = newCache(opts.CacheTTL, opts.Grace, maxStandings, opts.Now, s.loadStanding)
	s.roles = newCache(opts.CacheTTL, opts.Grace, 1, opts.Now, s.loadRoles)
	return s, nil
}

// ClientIP returns the address a request came from; see the function of that name.
func (s *Service) ClientIP(r *http.Request) netip.Addr { return ClientIP(r, s.opts.TrustedProxies) }

// CrossSite reports whether the request was provably made by a page of another origin that is not
// allowed, so that a cookie in it must not count.
func (s *Service) CrossSite(r *http.Request) bool { return s.guard.crossSite(r) }

// unanswered is the error of a question about identity that the database did not answer. It is
// never Unauthenticated: an outage must not log anybody out.
func unanswered(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if e := errs.As(err); e != nil && e.Kind == errs.Unavailable {
		return err
	}
	return &errs.Error{
		Kind:       errs.Unavailable,
		Code:       "identity_unavailable",
		Message:    "暂时无法确认登录状态，请稍后再试",
		RetryAfter: 2 * time.Second,
		Cause:      err,
	}
}
