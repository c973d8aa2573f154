package auth_test

import (
	"context"
	"net/http"
	"net/netip"
	"testing"

	"exporthub/pkg/audit"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/testkit"
)

// audited counts what the audit holds of an action.
func audited(t *testing.T, db *database.DB, where string, args ...any) (n int64) {
	t.Helper()
	err := db.Read(t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
		n, err = database.One(ctx, tx, database.Scalar[int64], "SELECT COALESCE(SUM(times), 0) FROM audit WHERE "+where, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Logins, refusals, lock-outs, passwords and rights are in the audit with who and from where.
func TestIdentityIsAudited(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		log := audit.New(audit.Options{DB: db})
		s := newService(t, db, testkit.NewClock(start), func(o *auth.Options) { o.Audit = log })
		id := mustPerson(t, s, "zhang", "13800000001", auth.Staff)
		mustLogin(t, s, "zhang", password)
		for range 6 { // the fifth locks, the sixth is refused for it
			if _, _, err := s.Login(t.Context(), "zhang", "wrong", other); err == nil {
				t.Fatal("a wrong password logs in")
			}
		}
		if _, err := s.ChangePassword(t.Context(), "zhang", password, "another horse 43", home); err != nil {
			t.Fatal(err)
		}
		// An administrator's changes, as their request carries them.
		ctx := audit.With(t.Context(), audit.Caller{ID: 9, Address: home})
		if err := s.SetPassword(ctx, id, "third horse 44", true); err != nil {
			t.Fatal(err)
		}
		if err := s.SetStatus(ctx, id, auth.Disabled); err != nil {
			t.Fatal(err)
		}
		if err := s.SetPermissions(ctx, auth.Staff, []string{"invitation.read", "invitation.approve"}); err != nil {
			t.Fatal(err)
		}
		if err := log.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		person := audit.Person(id)
		for _, c := range []struct {
			want  int64
			where string
			args  []any
		}{
			{1, "action = 'login' AND actor_id = ? AND address = '192.0.2.1'", []any{id}},
			{6, "action = 'login.refused' AND actor_id = 0 AND address = '192.0.2.2' AND subject = '' AND detail = ''", nil},
			{1, "action = 'login.locked' AND subject = ? AND address = '192.0.2.2'", []any{person}},
			{1, "action = 'password.change' AND actor_id = ? AND subject = ? AND address = '192.0.2.1'", []any{id, person}},
			{1, "action = 'password.reset' AND actor_id = 9 AND subject = ? AND address = '192.0.2.1'", []any{person}},
			{1, "action = 'person.create' AND subject = ?", []any{person}},
			{1, "action = 'person.status' AND actor_id = 9 AND subject = ? AND detail = '停用'", []any{person}},
			{1, "action = 'role.grant' AND actor_id = 9 AND subject = 'role:2' AND detail = 'invitation.approve'", nil},
			{1, "action = 'role.revoke' AND actor_id = 9 AND subject = 'role:2' AND detail = 'invitation.export'", nil},
			// The name that was typed and the password stand nowhere.
			{0, "detail LIKE '%wrong%' OR detail LIKE '%horse%'", nil},
		} {
			if got := audited(t, db, c.where, c.args...); got != c.want {
				t.Errorf("%d where %s %v, want %d", got, c.where, c.args, c.want)
			}
		}
	})
}

// Thousands of tries from one address, most of them refused before the database, are one row a
// minute.
func TestAFloodOfTriesIsOneAuditRow(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		log := audit.New(audit.Options{DB: db, Now: testkit.NewClock(start).Now})
		s := newService(t, db, testkit.NewClock(start), func(o *auth.Options) {
			o.Audit = log
			o.LoginRate = 3
		})
		const tries = 500
		from := netip.MustParseAddr("2001:db8::7")
		for range tries {
			if _, _, err := s.Login(t.Context(), "nobody", "wrong", from); err == nil {
				t.Fatal("a wrong password logs in")
			}
		}
		if err := log.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := audited(t, db, "action = 'login.refused' AND address = '2001:db8::/64'"); got != tries {
			t.Errorf("counted %d, want %d", got, tries)
		}
		if got := audited(t, db, "action LIKE 'login%' AND times <> ?", tries); got != 0 {
			t.Errorf("%d in other rows", got)
		}
	})
}

// The context that a handler gets says who asks, and from where.
func TestAuthorizeNamesTheCallerForTheAudit(t *testing.T) {
	each(t, func(t *testing.T, db *database.DB) {
		s := newService(t, db, testkit.NewClock(start))
		id := mustPerson(t, s, "zhang", "13800000001", auth.Staff)
		token, _ := mustLogin(t, s, "zhang", password)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/api/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.RemoteAddr = "192.0.2.9:1234"
		r.Header.Set("ACCESS-TOKEN", token.Value)
		ctx, err := s.Authorize(r, "invitation.read", false)
		if err != nil {
			t.Fatal(err)
		}
		err = db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
			return audit.Record(ctx, tx, audit.Entry{Action: audit.Approve})
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := audited(t, db, "action = ? AND actor_id = ? AND address = '192.0.2.9'", audit.Approve, id); n != 1 {
			t.Errorf("%d rows with person and address, want 1", n)
		}
	})
}
