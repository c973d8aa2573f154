package auth_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/errs"
	"exporthub/pkg/testkit"
)

func TestCreateAdmin(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		s := newService(t, db, testkit.NewClock(start))
		if err := s.CreateAdmin(t.Context(), "Root", password); err != nil {
			t.Fatal(err)
		}
		_, p := mustLogin(t, s, "root", password)
		if p.Role != auth.Administrator || !p.Can("invitation.approve") || !p.Can(auth.StaffWrite) {
			t.Errorf("administrator %+v holds %v", p, p.Permissions())
		}
		wantKind(t, s.CreateAdmin(t.Context(), "ROOT", password), errs.Conflict)
		for name, account := range map[string]string{"empty": " ", "space": "a b", "long": strings.Repeat("a", 65), "leading dot": ".a"} {
			if err := s.CreateAdmin(t.Context(), account, password); !errs.Is(err, errs.Invalid) || errs.As(err).Fields[0].Name != "account" {
				t.Errorf("%s: CreateAdmin(%q) = %v, want what is wrong with account", name, account, err)
			}
		}
		for _, weak := range []string{"", "1234567", "123456", "12345678", "other.admin"} {
			if err := s.CreateAdmin(t.Context(), "other.admin", weak); !errs.Is(err, errs.Invalid) || errs.As(err).Fields[0].Name != "password" {
				t.Errorf("CreateAdmin with password %q = %v, want what is wrong with password", weak, err)
			}
		}
	})
}

func TestEnsurePerson(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		s := newService(t, db, testkit.NewClock(start))
		ctx := t.Context()
		id := mustPerson(t, s, "admin", "13800000001", auth.Administrator)
		again, err := s.EnsurePerson(ctx, auth.Person{Account: "Admin", Role: auth.Staff}, "another password")
		if err != nil || again != id {
			t.Errorf("again = %d, %v, want %d", again, err, id)
		}
		mustLogin(t, s, "admin", password) // the first password stayed

		byPhone, err := s.EnsurePerson(ctx, auth.Person{Phone: "13800000002", Role: auth.Staff}, password)
		if err != nil || byPhone == id {
			t.Errorf("by phone only = %d, %v", byPhone, err)
		}
		mustLogin(t, s, "13800000002", password)

		for range 2 { // people without a phone don't collide
			if _, err := s.EnsurePerson(ctx, auth.Person{Account: "p" + time.Now().Format("150405.000000000"), Role: auth.Staff}, ""); err != nil {
				t.Error(err)
			}
		}
		_, err = s.EnsurePerson(ctx, auth.Person{Account: "thief", Phone: "13800000001", Role: auth.Staff}, password)
		wantKind(t, err, errs.Conflict)

		bad := map[string]auth.Person{
			// would shadow another's phone
			"account": {Account: "13800000001", Phone: "13800000009", Role: auth.Staff},
			"phone":   {Account: "x", Phone: "call me", Role: auth.Staff},
			"role":    {Account: "x"},
			"name":    {Account: "x", Role: auth.Staff, Name: strings.Repeat("名", 129)},
		}
		for field, p := range bad {
			if _, err := s.EnsurePerson(ctx, p, ""); !errs.Is(err, errs.Invalid) || errs.As(err).Fields[0].Name != field {
				t.Errorf("EnsurePerson(%+v) = %v, want what is wrong with %s", p, err, field)
			}
		}
	})
}

func TestChangePassword(t *testing.T) {
	db := dbtest.SQLite(t, auth.Migrations)
	s := newService(t, db, testkit.NewClock(start))
	id := mustPerson(t, s, "qian.duo", "13800000008", auth.Staff)
	ctx := t.Context()

	if err := s.SetPassword(ctx, id, "from the admin 1", true); err != nil {
		t.Fatal(err)
	}
	if _, p := mustLogin(t, s, "qian.duo", "from the admin 1"); !p.MustChangePassword {
		t.Error("a password that was reset need not be changed")
	}
	p, err := s.ChangePassword(ctx, "13800000008", "from the admin 1", "my own 密码 now", home)
	if err != nil || p.UserID != id || p.MustChangePassword {
		t.Fatalf("ChangePassword = %+v, %v", p, err)
	}
	mustLogin(t, s, "qian.duo", "my own 密码 now")
	_, _, err = s.Login(ctx, "qian.duo", "from the admin 1", home)
	wantKind(t, err, errs.Invalid, "credentials_wrong")

	for _, bad := range []string{"short", "my own 密码 now", strings.Repeat("long", 40), "88888888", "13800000008", "QIAN.DUO", "tab\tinside", "broken\xff utf8"} {
		_, err := s.ChangePassword(ctx, "qian.duo", "my own 密码 now", bad, home)
		if !errs.Is(err, errs.Invalid) || len(errs.As(err).Fields) != 1 || errs.As(err).Fields[0].Name != "new_password" {
			t.Errorf("ChangePassword to %q = %v, want what is wrong with new_password", bad, err)
		}
	}
	wantKind(t, s.SetPassword(ctx, 999999, password, false), errs.NotFound)
	wantKind(t, s.SetPassword(ctx, id, "short", false), errs.Invalid)
}

func TestDemoPasswordsWorkOnlyWhereAllowed(t *testing.T) {
	db := dbtest.SQLite(t, auth.Migrations)
	clock := testkit.NewClock(start)
	demo := newService(t, db, clock, func(o *auth.Options) { o.AllowDemoPasswords = true })
	if _, err := demo.EnsurePerson(t.Context(), auth.Person{Account: "admin", Role: auth.Administrator}, "123456"); err != nil {
		t.Fatal(err)
	}
	mustLogin(t, demo, "admin", "123456")
	strict := newService(t, db, clock)
	_, _, err := strict.Login(t.Context(), "admin", "123456", home)
	wantKind(t, err, errs.Invalid, "credentials_wrong")
}

// A hash of an older installation is verified and replaced.
func TestLegacyHash(t *testing.T) {
	db := dbtest.SQLite(t, auth.Migrations)
	s := newService(t, db, testkit.NewClock(start))
	id := mustPerson(t, s, "veteran", "", auth.Staff)
	legacy, err := bcrypt.GenerateFromPassword([]byte("from long ago"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	err = db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, "UPDATE people SET password_hash = ? WHERE id = ?", string(legacy), id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Login(ctx, "veteran", "wrong", home)
	wantKind(t, err, errs.Invalid, "credentials_wrong")
	for range 2 {
		mustLogin(t, s, "veteran", "from long ago")
		var hash string
		err = db.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
			return tx.QueryRow(ctx, "SELECT password_hash FROM people WHERE id = ?", id).Scan(&hash)
		})
		if err != nil || !strings.HasPrefix(hash, "$argon2id$") {
			t.Errorf("after a login the hash is %q, %v", hash, err)
		}
	}
}

// A token is of one installation: another with the same secret may have nobody, or somebody else,
// of that id.
func TestTokenOfAMissingPerson(t *testing.T) {
	clock := testkit.NewClock(start)
	s := newService(t, dbtest.SQLite(t, auth.Migrations), clock)
	mustPerson(t, s, "somebody", "", auth.Staff)
	token, _ := mustLogin(t, s, "somebody", password)
	empty := newService(t, dbtest.SQLite(t, auth.Migrations), clock)
	_, err := empty.Identify(t.Context(), token.Value)
	wantKind(t, err, errs.Unauthenticated, "token_invalid")
	_, err = empty.Identify(t.Context(), "")
	wantKind(t, err, errs.Unauthenticated, "token_missing")
}

func TestDatabaseAway(t *testing.T) {
	db := dbtest.SQLite(t, auth.Migrations)
	clock := testkit.NewClock(start)
	s := newService(t, db, clock)
	id := mustPerson(t, s, "admin", "", auth.Administrator)
	token, _ := mustLogin(t, s, "admin", password)
	p := mustIdentify(t, s, token.Value)
	channel := s.ExportChannel(p)
	ctx := t.Context()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	clock.Advance(time.Second) // what was cached no longer counts
	_, err := s.Identify(ctx, token.Value)
	wantKind(t, err, errs.Unavailable)
	_, err = s.Person(ctx, id)
	wantKind(t, err, errs.Unavailable)
	_, _, err = s.Login(ctx, "admin", password, home)
	wantKind(t, err, errs.Unavailable)
	_, err = s.CheckExportChannel(ctx, channel)
	wantKind(t, err, errs.Unavailable)
	wantKind(t, s.Logout(ctx, p), errs.Unavailable)
	_, err = s.Identify(ctx, "not a token") // which needs no database to see
	wantKind(t, err, errs.Unauthenticated)

	// Live sessions go on for the grace, strangers don't start.
	if !s.Alive(ctx, id, p.TokenID, p.Epoch) {
		t.Error("a live session was ended by an outage")
	}
	if s.Alive(ctx, id, "unknown.session", p.Epoch) || s.Alive(ctx, id, p.TokenID, p.Epoch+1) {
		t.Error("a session nobody had seen is taken for alive")
	}
	clock.Advance(2 * time.Minute)
	if s.Alive(ctx, id, p.TokenID, p.Epoch) {
		t.Error("alive for longer than the grace")
	}
}
