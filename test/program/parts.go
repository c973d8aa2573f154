package program

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"exporthub/pkg/admin"
	"exporthub/pkg/admin/invitation"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/testkit"
)

const (
	// Secret is the AUTH_SECRET of every system that tests start in parts.
	Secret = "7a1f9c3be2d84f60a5c7d9e1b3f5a7c9d1e3f5a7b9c1d3e5"

	adminAccount  = "13800000021"
	adminPassword = "correct horse 21"
)

// Parts is the system as separate processes on real Redis and PostgreSQL.
type Parts struct {
	*App
	Environ []string // of every program
	DSN     string   // of the database
	API     *Process
}

// StartParts makes an administrator and rows of demo invitations and starts an api; workers are the
// test's to start. Variables in more win.
func StartParts(t testing.TB, rows int, more ...string) *Parts {
	t.Helper()
	return StartPartsFrom(t, Build(t), dbtest.PostgresURL(t), rows, more...)
}

// StartPartsFrom is StartParts with the programs of another release, by the folder that they are
// in, and on the empty database of that DSN.
func StartPartsFrom(t testing.TB, dir, dsn string, rows int, more ...string) *Parts {
	t.Helper()
	address := FreeAddress(t)
	shared := t.TempDir()
	p := &Parts{
		App: &App{T: t, URL: "http://" + address},
		DSN: dsn,
	}
	p.Environ = append([]string{
		"APP_ENV=test",
		"HTTP_ADDR=" + address,
		"PUBLIC_URL=" + p.URL,
		"DATABASE_URL=" + p.DSN,
		"REDIS_URL=" + testkit.Redis(t),
		"AUTH_SECRET=" + Secret,
		"STORAGE_DIR=" + filepath.Join(shared, "files"),
		"SPOOL_DIR=" + filepath.Join(shared, "spool"),
		"PATH=/usr/bin:/bin",
	}, more...)
	// As an operator does it, and it makes the tables for the demo rows below.
	create := exec.Command(filepath.Join(dir, "api"), "-create-admin", adminAccount)
	create.Env = p.Environ
	create.Dir = t.TempDir()
	create.Stdin = strings.NewReader(adminPassword + "\n")
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("-create-admin: %v\n%s", err, out)
	}
	db, err := database.Open(t.Context(), p.DSN, database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // the rows are all that this connection is for
	Seed(t, db, rows)
	p.API = SpawnFrom(t, dir, "api", p.Environ)
	Ready(t, p.URL, p.API)
	return p
}

// Seed adds demo invitations. No person is notified of them: messages about thousands of
// invitations that await a decision are what the tests' own are counted among.
func Seed(t testing.TB, db *database.DB, rows int) {
	t.Helper()
	deps := admin.Deps{
		DB:     db,
		Events: silence{},
	}
	if err := invitation.Module(deps).Demo(t.Context(), db, rows); err != nil {
		t.Fatal(err)
	}
}

// silence is where events go that no part of the system should receive.
type silence struct{}

// Publish implements admin.Events.
func (silence) Publish(context.Context, string, any) error { return nil }

// Raise implements admin.Events.
func (silence) Raise(context.Context, *database.Tx, admin.Event, any) error { return nil }

// Worker starts a worker.
func (p *Parts) Worker() *Process { return Spawn(p.T, "worker", p.Environ) }

// Checked runs "api -check" and fails when counters and rows differ.
func (p *Parts) Checked() {
	p.T.Helper()
	Check(p.T, p.Environ)
}

// Check runs "api -check" with an environment and fails when counters and rows differ.
func Check(t testing.TB, environ []string) {
	t.Helper()
	check := exec.Command(filepath.Join(Build(t), "api"), "-check")
	check.Env = environ // nothing of this process: a variable of CI would change what is checked
	check.Dir = t.TempDir()
	if out, err := check.Output(); err != nil || !strings.Contains(string(out), "0 differences") {
		t.Errorf("-check: %v\n%s", err, out)
	}
}

// SignIn returns the administrator's token and export channel.
func (p *Parts) SignIn() (token, channel string) {
	p.T.Helper()
	res := p.Do("POST", "/api/access/token", map[string]string{"account": adminAccount, "password": adminPassword})
	var login struct{ Data struct{ Token string } }
	res.JSON(p.T, &login)
	me := p.Do("GET", "/api/user/me", nil, "ACCESS-TOKEN", login.Data.Token)
	var who struct {
		Data struct {
			Channel string `json:"export_channel"`
		}
	}
	me.JSON(p.T, &who)
	if login.Data.Token == "" || who.Data.Channel == "" {
		p.T.Fatalf("sign in: %s %s", res.Body, me.Body)
	}
	return login.Data.Token, who.Data.Channel
}

// Count asks the database itself, past the programs.
func (p *Parts) Count(query string) (n int) {
	p.T.Helper()
	db, err := database.Open(p.T.Context(), p.DSN, database.Options{MaxConns: 2})
	if err != nil {
		p.T.Fatal(err)
	}
	defer db.Close()
	err = db.Read(p.T.Context(), func(ctx context.Context, tx *database.Tx) error {
		n, err = database.One(ctx, tx, database.Scalar[int], query)
		return err
	})
	if err != nil {
		p.T.Fatal(err)
	}
	return n
}

// Identity opens the people of a running program, to make tokens without the cost of a password
// each: hashing is slow on purpose.
func Identity(t testing.TB, dsn, secret, env string) (*database.DB, *auth.Service) {
	t.Helper()
	db, err := database.Open(t.Context(), dsn, database.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	people, err := auth.New(auth.Options{
		DB:     db,
		Secret: secret,
		Env:    env,
	})
	if err != nil {
		t.Fatal(err)
	}
	return db, people
}

// Person adds somebody with a role and no password, and returns them.
func Person(t testing.TB, people *auth.Service, account string, role auth.Role) *auth.Principal {
	t.Helper()
	id, err := people.EnsurePerson(t.Context(), auth.Person{Account: account, Role: role}, "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := people.Person(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
