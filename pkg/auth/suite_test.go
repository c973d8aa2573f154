package auth_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/errs"
	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const (
	secret   = "a secret of the tests, long enough for all of them"
	password = "correct horse 42"
)

// cheap keeps hashing out of the way of what is tested.
var cheap = auth.PasswordCost{MemoryKiB: 64, Passes: 1, Threads: 1}

var (
	home  = netip.MustParseAddr("192.0.2.1")
	other = netip.MustParseAddr("192.0.2.2")
	start = time.Date(2026, 11, 18, 10, 0, 0, 0, time.UTC) // a Wednesday
)

var declared = []auth.Permission{
	{Name: "invitation.read", Title: "查看邀请", Defaults: auth.Everyone},
	{Name: "invitation.export", Title: "导出邀请", Defaults: auth.StaffAndAbove},
	{Name: "invitation.approve", Title: "审批邀请", Defaults: auth.AdministratorsOnly},
}

// each runs a test on every engine.
func each(t *testing.T, fn func(t *testing.T, db *database.DB)) {
	t.Helper()
	dbtest.Each(t, []fs.FS{auth.Migrations}, fn)
}

// newService makes a service as one replica has it; change alters its options.
func newService(t testing.TB, db *database.DB, clock *testkit.Clock, change ...func(*auth.Options)) *auth.Service {
	t.Helper()
	o := auth.Options{
		DB: db, Secret: secret, Env: "test", Cost: cheap, Now: clock.Now, Logger: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&o)
	}
	s, err := auth.New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	if err := s.Seed(t.Context(), declared); err != nil {
		t.Fatalf("Seed: %v", err)
	}
	return s
}

func mustPerson(t testing.TB, s *auth.Service, account, phone string, role auth.Role) int64 {
	t.Helper()
	p := auth.Person{Account: account, Phone: phone, Name: "名 " + account, Nickname: "nick " + account, Role: role}
	id, err := s.EnsurePerson(t.Context(), p, password)
	if err != nil || id == 0 {
		t.Fatalf("EnsurePerson(%s) = %d, %v", account, id, err)
	}
	return id
}

func mustLogin(t testing.TB, s *auth.Service, name, password string) (auth.Token, *auth.Principal) {
	t.Helper()
	token, p, err := s.Login(t.Context(), name, password, home)
	if err != nil {
		t.Fatalf("Login(%s): %v", name, err)
	}
	return token, p
}

func mustIdentify(t testing.TB, s *auth.Service, token string) *auth.Principal {
	t.Helper()
	p, err := s.Identify(t.Context(), token)
	if err != nil {
		t.Fatalf("Identify: %v", err)
	}
	return p
}

// wantKind fails unless err is of the kind and, when given, the code.
func wantKind(t testing.TB, err error, kind errs.Kind, code ...string) {
	t.Helper()
	if !errs.Is(err, kind) {
		t.Fatalf("error %v, want one of kind %s", err, kind)
	}
	if len(code) > 0 && errs.CodeOf(err) != code[0] {
		t.Fatalf("code %s of error %v, want %s", errs.CodeOf(err), err, code[0])
	}
}

func TestLogin(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		clock := testkit.NewClock(start)
		s := newService(t, db, clock)
		id := mustPerson(t, s, "zhang.san", "13800000001", auth.Staff)

		for _, name := range []string{"zhang.san", " Zhang.SAN ", "13800000001"} {
			token, p := mustLogin(t, s, name, password)
			if p.UserID != id || p.Role != auth.Staff || p.Name != "名 zhang.san" || !token.Expires.Equal(start.Add(24*time.Hour)) {
				t.Errorf("Login(%q) = %+v until %s", name, p, token.Expires)
			}
			got := mustIdentify(t, s, token.Value)
			if got.UserID != id || got.TokenID == "" || !got.Expires.Equal(token.Expires) || got.ByCookie || got.Disabled {
				t.Errorf("Identify = %+v", got)
			}
			if want := []string{"invitation.export", "invitation.read"}; !slices.Equal(got.Permissions(), want) || !got.Can("invitation.read") {
				t.Errorf("permissions %v, want %v", got.Permissions(), want)
			}
		}

		wrong := map[string][2]string{
			"wrong password":   {"zhang.san", "something else"},
			"no such account":  {"nobody", password},
			"no account":       {"  ", password},
			"not UTF-8":        {"zhang\xff", password},
			"NUL":              {"zhang\x00san", password},
			"case of password": {"zhang.san", "Correct horse 42"},
			"endless password": {"zhang.san", fmt.Sprintf("%02000d", 1)},
			"endless account":  {fmt.Sprintf("%02000d", 1), password},
		}
		for name, w := range wrong {
			_, _, err := s.Login(t.Context(), w[0], w[1], netip.MustParseAddr("198.51.100.7"))
			wantKind(t, err, errs.Invalid, "credentials_wrong")
			if got := errs.As(err).Message; got != "账号或密码错误" {
				t.Errorf("%s: answered %q", name, got)
			}
			clock.Advance(time.Hour) // nothing locks here
		}
	})
}

func TestLoginRefusesWhoMayNot(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		s := newService(t, db, testkit.NewClock(start))
		id := mustPerson(t, s, "li.si", "", auth.Staff)
		if _, err := s.EnsurePerson(t.Context(), auth.Person{Account: "invited", Role: auth.Staff}, ""); err != nil {
			t.Fatal(err)
		}
		_, _, err := s.Login(t.Context(), "invited", "", home)
		wantKind(t, err, errs.Invalid, "credentials_wrong")

		for _, status := range []auth.Status{auth.Disabled, auth.Deleted} {
			if err := s.SetStatus(t.Context(), id, status); err != nil {
				t.Fatal(err)
			}
			_, _, err := s.Login(t.Context(), "li.si", password, home)
			wantKind(t, err, errs.Invalid, "credentials_wrong")
		}
		if err := s.SetStatus(t.Context(), id, auth.Enabled); err != nil {
			t.Fatal(err)
		}
		mustLogin(t, s, "li.si", password)

		wantKind(t, s.SetStatus(t.Context(), 999999, auth.Disabled), errs.NotFound)
		wantKind(t, s.SetStatus(t.Context(), id, 2), errs.Invalid)
	})
}

// Two services on one database are two replicas: they share nothing else.
func TestRevocationReachesOtherReplicas(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		clock := testkit.NewClock(start)
		s, replica := newService(t, db, clock), newService(t, db, clock)
		id := mustPerson(t, s, "wang.wu", "", auth.Staff)
		ctx := t.Context()

		cases := map[string]struct {
			end    func(p *auth.Principal) error
			others bool // the person's other tokens end as well
		}{
			"logout":  {func(p *auth.Principal) error { return s.Logout(ctx, p) }, false},
			"disable": {func(*auth.Principal) error { return s.SetStatus(ctx, id, auth.Disabled) }, true},
			"delete":  {func(*auth.Principal) error { return s.SetStatus(ctx, id, auth.Deleted) }, true},
			"password": {func(*auth.Principal) error {
				_, err := s.ChangePassword(ctx, "wang.wu", password, password+" new", home)
				return err
			}, true},
			"reset": {func(*auth.Principal) error { return s.SetPassword(ctx, id, password, false) }, true},
			"end": {func(*auth.Principal) error {
				return db.Write(ctx, func(ctx context.Context, tx *database.Tx) error { return auth.EndTokens(ctx, tx, id) })
			}, true},
		}
		for name, c := range cases {
			if err := errors.Join(s.SetStatus(ctx, id, auth.Enabled), s.SetPassword(ctx, id, password, false)); err != nil {
				t.Fatal(err)
			}
			clock.Advance(3 * time.Second)
			token, _ := mustLogin(t, s, "wang.wu", password)
			otherToken, _ := mustLogin(t, s, "wang.wu", password)
			p := mustIdentify(t, s, token.Value)
			renewed, err := s.Renew(p)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range []string{token.Value, otherToken.Value, renewed.Value} {
				mustIdentify(t, replica, v)
			}
			if !replica.Alive(ctx, id, p.TokenID, p.Epoch) {
				t.Fatalf("%s: not alive before", name)
			}
			if err := c.end(p); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if name != "end" { // who changes the table elsewhere waits like a replica
				_, err = s.Identify(ctx, token.Value)
				wantKind(t, err, errs.Unauthenticated, "token_invalid")
			}
			clock.Advance(time.Second) // the promise is two
			for _, v := range []string{token.Value, renewed.Value} {
				_, err = replica.Identify(ctx, v)
				wantKind(t, err, errs.Unauthenticated, "token_invalid")
			}
			if replica.Alive(ctx, id, p.TokenID, p.Epoch) {
				t.Errorf("%s: still alive after", name)
			}
			if _, err = replica.Identify(ctx, otherToken.Value); (err != nil) != c.others {
				t.Errorf("%s: another token of the person: %v, ended should be %t", name, err, c.others)
			}
		}
	})
}

func TestLockout(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		clock := testkit.NewClock(start)
		s, replica := newService(t, db, clock), newService(t, db, clock)
		mustPerson(t, s, "zhao.liu", "13800000006", auth.Staff)
		ctx := t.Context()
		guess := func(s *auth.Service, name string, from netip.Addr) error {
			_, _, err := s.Login(ctx, name, "not it", from)
			return err
		}

		// At login and at the password endpoint, on both replicas: all count together.
		wantKind(t, guess(s, "zhao.liu", home), errs.Invalid)
		wantKind(t, guess(replica, " Zhao.Liu", home), errs.Invalid)
		clock.Advance(14 * time.Minute)
		_, err := replica.ChangePassword(ctx, "zhao.liu", "not it", "another long one", home)
		wantKind(t, err, errs.Invalid, "credentials_wrong")
		wantKind(t, guess(s, "zhao.liu", home), errs.Invalid)
		wantKind(t, guess(s, "zhao.liu", home), errs.Invalid)

		for _, s := range []*auth.Service{s, replica} {
			_, _, err = s.Login(ctx, "zhao.liu", password, home)
			wantKind(t, err, errs.Quota, "login_locked")
			if e := errs.As(err); e.RetryAfter != 15*time.Minute || e.Message != "密码错误次数过多，请 15 分钟后再试" {
				t.Errorf("locked answer: %q, retry after %s", e.Message, e.RetryAfter)
			}
			_, err = s.ChangePassword(ctx, "zhao.liu", password, "another long one", home)
			wantKind(t, err, errs.Quota, "login_locked")
		}
		// The person's phone has a counter of its own: a lock that showed at both would tell a
		// stranger whose phone it is.
		wantKind(t, guess(s, "13800000006", home), errs.Invalid, "credentials_wrong")
		if _, _, err := s.Login(ctx, "zhao.liu", password, other); err != nil {
			t.Errorf("another address is locked too: %v", err)
		}
		if _, _, err := s.Login(ctx, "zhao.liu", password, home); !errs.Is(err, errs.Quota) {
			t.Errorf("a login from another address unlocked this one: %v", err)
		}

		clock.Advance(15*time.Minute - time.Microsecond)
		wantKind(t, guess(s, "zhao.liu", home), errs.Quota)
		clock.Advance(time.Microsecond)
		for range 4 { // the old guesses have been paid for
			wantKind(t, guess(s, "zhao.liu", home), errs.Invalid)
		}
		mustLogin(t, s, "zhao.liu", password) // which clears
		for range 4 {
			wantKind(t, guess(s, "zhao.liu", home), errs.Invalid)
		}
		clock.Advance(15 * time.Minute) // after which they no longer count
		for range 5 {
			wantKind(t, guess(s, "zhao.liu", home), errs.Invalid)
		}
		wantKind(t, guess(s, "zhao.liu", home), errs.Quota)

		// Unknown accounts lock alike, or locking would tell which are known.
		for range 5 {
			wantKind(t, guess(s, "nobody", home), errs.Invalid)
		}
		wantKind(t, guess(s, "nobody", home), errs.Quota)
	})
}

func TestRacingGuesses(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		clock := testkit.NewClock(start)
		replicas := []*auth.Service{newService(t, db, clock), newService(t, db, clock)}
		mustPerson(t, replicas[0], "sun.qi", "13800000007", auth.Staff)
		var wrong, locked atomic.Int64
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				name := []string{"sun.qi", "13800000007"}[i%2]
				_, _, err := replicas[i/2%2].Login(t.Context(), name, fmt.Sprintf("guess %d", i), home)
				switch errs.KindOf(err) {
				case errs.Invalid:
					wrong.Add(1)
				case errs.Quota:
					locked.Add(1)
				default:
					t.Errorf("guess %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		// Five for each of the two names, which have counters of their own.
		if wrong.Load() != 10 || locked.Load() != 30 {
			t.Errorf("%d guesses were verified, %d locked out; want 10 and 30", wrong.Load(), locked.Load())
		}
	})
}

// Simultaneous right passwords are no guesses: nobody locks themselves out by opening ten tabs.
func TestRacingLogins(t *testing.T) {
	db := dbtest.Postgres(t, auth.Migrations)
	s := newService(t, db, testkit.NewClock(start))
	mustPerson(t, s, "zhou.ba", "", auth.Staff)
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if _, _, err := s.Login(t.Context(), "zhou.ba", password, home); err != nil {
				t.Errorf("Login: %v", err)
			}
		})
	}
	wg.Wait()
}

func TestPermissionDefaultsAreGivenOnce(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		clock := testkit.NewClock(start)
		s := newService(t, db, clock)
		id := mustPerson(t, s, "wu.jiu", "", auth.Correspondent)
		ctx := t.Context()
		permissions := func(s *auth.Service) []string {
			t.Helper()
			p, err := s.Person(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			return p.Permissions()
		}
		if got, want := permissions(s), []string{"invitation.read"}; !slices.Equal(got, want) {
			t.Fatalf("defaults %v, want %v", got, want)
		}
		replica := newService(t, db, clock)
		permissions(replica)
		if err := s.SetPermissions(ctx, auth.Correspondent, []string{"invitation.export"}); err != nil {
			t.Fatal(err)
		}
		if got, want := permissions(s), []string{"invitation.export"}; !slices.Equal(got, want) {
			t.Errorf("after a change %v, want %v", got, want)
		}
		clock.Advance(time.Second)
		if got, want := permissions(replica), []string{"invitation.export"}; !slices.Equal(got, want) {
			t.Errorf("on another replica a second later %v, want %v", got, want)
		}

		// A restart with one more permission, by several processes at once.
		more := append(slices.Clone(declared), auth.Permission{Name: "contact.read", Defaults: auth.Everyone})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := s.Seed(ctx, more); err != nil {
					t.Errorf("Seed: %v", err)
				}
			})
		}
		wg.Wait()
		if got, want := permissions(s), []string{"contact.read", "invitation.export"}; !slices.Equal(got, want) {
			t.Errorf("after a restart %v, want %v", got, want)
		}

		all, err := s.RolePermissions(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"contact.read", "invitation.export", "invitation.read"}; !slices.Equal(all[auth.Staff], want) {
			t.Errorf("staff hold %v, want %v", all[auth.Staff], want)
		}

		wantKind(t, s.SetPermissions(ctx, auth.Staff, []string{"nobody.knows"}), errs.Invalid)
		wantKind(t, s.SetPermissions(ctx, 4, nil), errs.Invalid)
		wantKind(t, s.SetPermissions(ctx, auth.Administrator, []string{"invitation.read"}), errs.Conflict)
		if err := s.SetPermissions(ctx, auth.Staff, nil); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPerson(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		s := newService(t, db, testkit.NewClock(start))
		id := mustPerson(t, s, "zheng.shi", "", auth.Staff)
		p, err := s.Person(t.Context(), id)
		if err != nil || p.UserID != id || p.Disabled || !p.Can("invitation.export") || p.TokenID != "" {
			t.Errorf("Person = %+v, %v", p, err)
		}
		if err := s.SetStatus(t.Context(), id, auth.Disabled); err != nil {
			t.Fatal(err)
		}
		p, err = s.Person(t.Context(), id)
		if err != nil || !p.Disabled || p.Can("invitation.export") || p.Name != "名 zheng.shi" {
			t.Errorf("disabled Person = %+v, %v", p, err)
		}
		_, err = s.Person(t.Context(), 424242)
		wantKind(t, err, errs.NotFound)

		// Asked inside somebody's transaction, which is none of its own.
		err = db.Read(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			_, err := s.Person(ctx, 434343)
			return err
		})
		wantKind(t, err, errs.NotFound)
	})
}
