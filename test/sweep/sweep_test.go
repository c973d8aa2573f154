package sweep

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/httpapi"
	"exporthub/test/program"
	"exporthub/test/subscriber"
)

// The sweep sends every declared route everything that its declaration forbids, and much that no
// declaration mentions. It is made of the declarations, so a route that is added tomorrow is swept
// tomorrow.

// sweeper is a running program with its people.
type sweeper struct {
	*program.Embedded
	t      *testing.T
	people *auth.Service
	dsn    string
	secret string
	client *http.Client

	mu     sync.Mutex
	faults []string
	sent   int
}

// atOnce is how many requests are on their way at a time, maxFaults how many failures are printed.
const (
	atOnce    = 4
	maxFaults = 25
)

func startSweeper(t *testing.T, dsn string) *sweeper {
	t.Helper()
	a := program.StartEmbedded(t, "DATABASE_URL="+dsn, "DEMO_ROWS=30", "LOG_LEVEL=info", "EXPORT_RATE=0", "EXPORT_DAILY_LIMIT=100000")
	secret, err := os.ReadFile(filepath.Join(a.Dir, "data", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	s := &sweeper{
		Embedded: a, t: t, dsn: dsn, secret: strings.TrimSpace(string(secret)),
		client: &http.Client{
			Timeout:       20 * time.Second,
			Transport:     &http.Transport{MaxIdleConnsPerHost: atOnce},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	_, s.people = program.Identity(t, s.dsn, s.secret, "development")
	return s
}

// person adds somebody with a role and no password.
func (s *sweeper) person(account string, role auth.Role) *auth.Principal {
	s.t.Helper()
	return program.Person(s.t, s.people, account, role)
}

// signed is a fresh session of a person, by a service that signs like this one or otherwise.
func (s *sweeper) signed(by *auth.Service, p *auth.Principal) string {
	token, err := by.Renew(p)
	if err != nil {
		panic(err) // signing with a key that is there can't fail
	}
	return token.Value
}

// as gives every probe that has no token one of a session of its own, so that what ends a session
// ends only that.
func (s *sweeper) as(p *auth.Principal, probes []probe) []probe {
	for i := range probes {
		probes[i].token = s.signed(s.people, p)
	}
	return probes
}

// send sends a probe and notes what is wrong with the answer.
func (s *sweeper) send(p probe) {
	err := s.try(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent++
	if err != nil {
		s.faults = append(s.faults, fmt.Sprintf("%s %s, %s: %v\n    %s", p.route.Method, p.route.Path, p.what, err, p.curl(s.URL)))
	}
}

func (s *sweeper) try(p probe) error {
	req, err := p.request(s.URL)
	if err != nil {
		return err
	}
	res, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	// Every answer to a request for an export says what is left of the day, a refusal too; but
	// strangers have no day.
	known := res.StatusCode != http.StatusUnauthorized && p.token != ""
	if known && p.exports(req) && res.Header.Get("RateLimit-Remaining") == "" {
		return fmt.Errorf("it does not say what is left of the day: %d %.300s", res.StatusCode, body)
	}
	if err := p.judge(program.Answer{Status: res.StatusCode, Header: res.Header, Body: body}); err != nil {
		return fmt.Errorf("%w\n    %d %.300s", err, res.StatusCode, body)
	}
	return nil
}

// sendAll sends probes, several at once, and returns when all are answered.
func (s *sweeper) sendAll(probes []probe) {
	queue := make(chan probe)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for p := range queue {
				s.send(p)
			}
		})
	}
	for _, p := range probes {
		queue <- p
	}
	close(queue)
	workers.Wait()
}

// report fails with what was found, in an order of its own.
func (s *sweeper) report(name string, since time.Time) {
	s.t.Helper()
	s.t.Logf("%s: %d requests, %s", name, s.sent, time.Since(since).Round(time.Millisecond))
	slices.Sort(s.faults)
	for _, f := range s.faults[:min(len(s.faults), maxFaults)] {
		s.t.Error(f)
	}
	if more := len(s.faults) - maxFaults; more > 0 {
		s.t.Errorf("and %d more", more)
	}
	if s.sent == 0 {
		s.t.Error("nothing was sent")
	}
	s.faults, s.sent = nil, 0
}

func TestBadInputSweep(t *testing.T) {
	// Each database has ideas of its own of what a text, a number and a time may be. They share the
	// hostile input, so that each text reaches each database in some field of every route, and the
	// sweep stays short when routes become many.
	databases := []struct {
		name string
		dsn  func(testing.TB) string
	}{{"sqlite", dbtest.SQLiteURL}, {"postgres", dbtest.PostgresURL}, {"mariadb", dbtest.MariaDBURL}}
	for i, d := range databases {
		t.Run(d.name, func(t *testing.T) { sweep(t, d.dsn(t), i, len(databases)) })
	}
}

// sweep sends everything that has to be refused, and the share-th of so many shares of what may do
// something.
func sweep(t *testing.T, dsn string, share, shares int) {
	s := startSweeper(t, dsn)
	all := declared(t)
	began := time.Now()

	// Who may not call comes first, then what has to be refused: nothing may come of either. What
	// may do something is last.
	admin := s.person("somebody", auth.Administrator)
	bad := s.badTokens(admin, s.signed(s.people, admin))
	for _, r := range all {
		s.sendAll(s.strangers(r, admin, bad))
	}
	s.report("tokens", began)
	began = time.Now()
	for i, r := range all {
		s.sendAll(s.as(s.person(fmt.Sprintf("strict%d", i), auth.Administrator), strict(r)))
	}
	s.report("forbidden input", began)
	began = time.Now()
	for i, r := range all {
		s.sendAll(s.as(s.person(fmt.Sprintf("lenient%d", i), auth.Administrator), lenient(r, share, shares)))
	}
	s.report("hostile input", began)

	// After all of that the program still works, and has written down nothing that was sent.
	if res := s.Do("GET", "/readyz", nil); res.Status != 200 {
		t.Errorf("not ready any more: %d %s", res.Status, res.Body)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s.checkLogs()
}

// checkLogs looks for secrets, and for anything that was sent, in the logs of level info.
func (s *sweeper) checkLogs() {
	s.t.Helper()
	logs := s.Logs.String()
	if strings.Count(logs, "msg=request") < 500 {
		s.t.Fatalf("requests are not logged:\n%.2000s", logs)
	}
	for what, pattern := range map[string]string{
		"something that was sent": regexp.QuoteMeta(canary),
		"a password":              canaryPassword + `|\b123456\b`, // not within a random id
		"a phone number":          `\b1[3-9]\d{9}\b`,
		"a token":                 `eyJ[A-Za-z0-9_-]{8,}`,
		"a capability":            `/export/\d+-[A-Za-z0-9_-]{16,}`,
		"a statement":             `DROP TABLE|pg_sleep`,
		"a panic":                 `(?i)\bpanic\b|goroutine \d+`,
		"an error of ours":        `level=ERROR`,
	} {
		for _, line := range firstLines(logs, regexp.MustCompile(pattern), 3) {
			s.t.Errorf("the logs hold %s: %.400s", what, line)
		}
	}
}

func firstLines(text string, pattern *regexp.Regexp, n int) []string {
	var found []string
	for line := range strings.Lines(text) {
		if pattern.MatchString(line) && len(found) < n {
			found = append(found, line)
		}
	}
	return found
}

// strangers are the requests of those who may not: without a token, with one that is no good, with
// somebody else's.
func (s *sweeper) strangers(r httpapi.Route, admin *auth.Principal, bad map[string]string) []probe {
	s.t.Helper()
	if r.Permission == httpapi.Public {
		return nil
	}
	var all []probe
	add := func(what, token string, want outcome, header ...string) {
		all = append(all, probe{route: r, what: what, values: base(r), token: token, want: want, header: header})
	}
	good := s.signed(s.people, admin)
	for what, token := range bad {
		add(what, token, meansStranger)
		add(what+" as a bearer", "", meansStranger, "Authorization", "Bearer "+token)
		add(what+" as a cookie", "", meansStranger, "Cookie", auth.CookieName+"="+strings.ReplaceAll(token, " ", ""))
	}
	add("no token", "", meansStranger)
	add("a token of another scheme", "", meansStranger, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("admin:"+canaryPassword)))
	add("two tokens", good, meansStranger, "Authorization", "Bearer "+s.signed(s.people, s.person("else", auth.Staff)))
	for _, role := range []auth.Role{auth.Staff, auth.Correspondent} {
		p := s.person(fmt.Sprintf("role%d", role), role)
		want := outcome("")
		if r.Permission != httpapi.SignedIn && !p.Can(r.Permission) {
			want = meansForbidden
		}
		if want != "" || r.Method == http.MethodGet && len(r.PathParams()) > 0 {
			add(fmt.Sprintf("role %d", role), s.signed(s.people, p), want)
		}
	}
	if r.Method != http.MethodGet || r.AlwaysStarts {
		add("the cookie from another site", "", meansForbidden, "Cookie", auth.CookieName+"="+good, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example.com")
	}
	for _, start := range r.Starts {
		for _, in := range r.Inputs() {
			if in.Name == start {
				values := with(r, start, sample(start, in.Schema))
				all = append(all, probe{route: r, what: "a start from another site", values: values, want: meansForbidden,
					header: []string{"Cookie", auth.CookieName + "=" + good, "Sec-Fetch-Site", "cross-site"}})
			}
		}
	}
	return all
}

// badTokens are tokens that identify no person, by what is wrong with them.
func (s *sweeper) badTokens(admin *auth.Principal, good string) map[string]string {
	s.t.Helper()
	parts := strings.Split(good, ".")
	encode := base64.RawURLEncoding.EncodeToString
	_, forger := program.Identity(s.t, s.dsn, strings.Repeat("0123456789abcdef", 4), "development")
	_, elsewhere := program.Identity(s.t, s.dsn, s.secret, "production")
	gone := s.person("gone", auth.Administrator)
	left := s.signed(s.people, gone)
	if err := s.people.SetStatus(s.t.Context(), gone.UserID, auth.Disabled); err != nil {
		s.t.Fatal(err)
	}
	return map[string]string{
		"an expired token":             s.signed(s.yesterday(), admin),
		"a forged token":               s.signed(forger, admin),
		"a token of another place":     s.signed(elsewhere, admin),
		"a token of an unknown person": s.signed(s.people, &auth.Principal{UserID: 1 << 40}),
		"a token of somebody gone":     left,
		"a token of an older epoch":    s.signed(s.people, &auth.Principal{UserID: admin.UserID, Epoch: admin.Epoch - 1}),
		"a token without signature":    encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + ".",
		"a changed token":              parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])),
		"a text":                       canary,
		"a long text":                  strings.Repeat("x", 10_000),
		"an injection":                 canary + "'OR'1'='1",
	}
}

// yesterday signs tokens that have ended.
func (s *sweeper) yesterday() *auth.Service {
	s.t.Helper()
	db, err := database.Open(s.t.Context(), s.dsn, database.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = db.Close() })
	service, err := auth.New(auth.Options{DB: db, Secret: s.secret, Env: "development", Now: func() time.Time {
		return time.Now().Add(-auth.TokenTTL - time.Hour)
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	return service
}

// Another person's export is not there: reading, cancelling and whatever a uuid in a path may do
// later.
func TestOtherPeoplesThingsAreNotThere(t *testing.T) {
	s := startSweeper(t, dbtest.SQLiteURL(t))
	owner, other := s.Login("admin"), s.Login("13800000002")
	me := s.Do("GET", "/api/user/me", nil, "ACCESS-TOKEN", owner)
	var who struct {
		Data struct {
			Channel string `json:"export_channel"`
		}
	}
	me.JSON(t, &who)
	subscribed := subscriber.Start(t, s.URL, who.Data.Channel, "websocket")
	subscribed.Subscribed()
	uuid, refusal, err := s.Ask(owner, "export_format=csv")
	if err != nil || refusal != "" {
		t.Fatal(refusal, err)
	}
	j := s.Finished(owner, uuid)
	subscribed.Until(time.Minute, subscriber.EndOf(uuid))
	began := time.Now()
	var probes []probe
	for _, r := range declared(t) {
		if !slices.Contains(r.PathParams(), "uuid") {
			continue
		}
		probes = append(probes, probe{route: r, what: "another's uuid", values: with(r, "uuid", uuid), token: other, want: meansRefused})
	}
	s.sendAll(probes)
	s.report("others", began)
	// The link is good for who has it, and for nothing else: a changed one opens nothing.
	link := program.PathOf(t, *j.FileURL)
	name, signature, _ := strings.Cut(link, "?s=")
	for what, path := range map[string]string{
		"no signature": name, "half a signature": link[:len(link)-5], "another's name": strings.Replace(link, uuid, "3f2b8c1e-7a64-4d0b-9c55-0e6f1a2b3c4d", 1),
		"a signature of zeros": name + "?s=" + strings.Repeat("0", len(signature)), "a path": "/export/..%2f..%2fsecret?s=" + signature,
	} {
		if res := s.Do("GET", path, nil, "ACCESS-TOKEN", owner); res.Status < 400 || res.Status >= 500 || strings.Contains(string(res.Body), "邀请") {
			t.Errorf("%s: %d %.100s", what, res.Status, res.Body)
		}
	}
	if res := s.Do("GET", link, nil); res.Status != 200 {
		t.Error(errors.New("the link itself is no good any more"))
	}
}
