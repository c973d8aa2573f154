package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"exporthub/pkg/auth"
	"exporthub/pkg/bayeux"
	"exporthub/pkg/config"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/dataset"
	"exporthub/pkg/event"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/testkit"
)

// replica is one of two api processes on one database and one Redis.
type replica struct {
	*Parts
	realtime *bayeux.Server
	web      *httptest.Server
}

// cluster is two replicas, and a process beside them that changes rights. No replica is notified of
// a change, as it is when another one makes it.
type cluster struct {
	t        *testing.T
	replicas [2]*replica
	outside  *auth.Service
	db       *database.DB
	people   map[string]*auth.Principal
	job      string // an export of ann's
}

func startCluster(t *testing.T, dsn string) *cluster {
	t.Helper()
	c := &cluster{t: t, people: map[string]*auth.Principal{}}
	redis, files := testkit.Redis(t), t.TempDir()
	for i := range c.replicas {
		cfg, err := config.Load([]string{
			"PUBLIC_URL=http://exporthub.test",
			"DATABASE_URL=" + dsn,
			"REDIS_URL=" + redis,
			"AUTH_SECRET=0f1c9a7be2d84f60a5c7d9e1b3f5a7c9d1e3f5a7b9c1d3e5",
			"STORAGE_DIR=" + files,
			"SPOOL_DIR=" + t.TempDir(),
		}, "", config.Mode{})
		if err != nil {
			t.Fatal(err)
		}
		c.replicas[i] = startReplica(t, cfg)
	}
	c.db = c.replicas[0].DB
	var err error
	if c.outside, err = auth.New(auth.Options{DB: c.db, Secret: strings.Repeat("another secret ", 4)}); err != nil {
		t.Fatal(err)
	}
	for name, role := range map[string]auth.Role{"chief": auth.Administrator, "ann": auth.Staff} {
		id, err := c.outside.EnsurePerson(t.Context(), auth.Person{Account: name, Role: role}, "")
		if err != nil {
			t.Fatal(err)
		}
		if c.people[name], err = c.outside.Person(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	ctx := auth.With(t.Context(), c.people["ann"].Granted("contact.export", "contact.read_notes"))
	set, ok := c.replicas[0].Registry.Get("contact")
	if !ok {
		t.Fatal("there is no list of contacts")
	}
	ticket, err := c.replicas[0].Exports.Queue(ctx, dataset.Request{Dataset: "contact", Filter: set.NewFilter()})
	if err != nil {
		t.Fatal(err)
	}
	c.job = ticket.UUID
	return c
}

func startReplica(t *testing.T, cfg config.Config) *replica {
	t.Helper()
	parts, err := Build(t.Context(), cfg, slog.New(slog.DiscardHandler), Options{})
	if err != nil {
		t.Fatal(err)
	}
	realtime, err := parts.Realtime()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- realtime.Run(ctx) }()
	r := chi.NewRouter()
	r.Handle("/faye", realtime)
	r.Handle("/faye/*", realtime) // event streams
	httpapi.Mount(r, parts.Exports.Routes(parts.Visitors()), httpapi.Options{Authorize: parts.Auth.Authorize, Logger: parts.Log})
	web := httptest.NewServer(r)
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		web.Close()
		parts.Exports.Drain()
		parts.Close()
	})
	return &replica{Parts: parts, realtime: realtime, web: web}
}

// send posts Bayeux messages and returns the replies.
func (r *replica) send(t *testing.T, body string) []map[string]any {
	t.Helper()
	res, err := http.Post(r.web.URL+"/faye", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return decodeReplies(t, res.Body)
}

// decodeReplies reads a list of Bayeux messages.
func decodeReplies(t *testing.T, from io.Reader) (replies []map[string]any) {
	t.Helper()
	raw, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &replies); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return replies
}

// subscribe opens a session, anonymous for nil, and subscribes to the channels.
func (r *replica) subscribe(t *testing.T, who *auth.Principal, channels ...string) (client string) {
	t.Helper()
	ext := "{}"
	if who != nil {
		token, err := r.Auth.Renew(who)
		if err != nil {
			t.Fatal(err)
		}
		ext = fmt.Sprintf(`{"access_token":%q}`, token.Value)
	}
	shaken := r.send(t, `{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"ext":`+ext+`}`)[0]
	client, _ = shaken["clientId"].(string)
	names, err := json.Marshal(channels)
	if err != nil {
		t.Fatal(err)
	}
	answer := r.send(t, fmt.Sprintf(`{"channel":"/meta/subscribe","clientId":%q,"subscription":%s}`, client, names))[0]
	if answer["successful"] != true {
		t.Fatalf("subscribe to %v: %v", channels, answer)
	}
	return client
}

// poll returns what waits for a client: the channels of messages, in order.
func (r *replica) poll(t *testing.T, client string) (channels []string) {
	t.Helper()
	connect := `{"channel":"/meta/connect","clientId":%q,"connectionType":"long-polling","advice":{"timeout":0}}`
	for _, m := range r.send(t, fmt.Sprintf(connect, client)) {
		if _, isReply := m["successful"]; !isReply {
			channels = append(channels, m["channel"].(string))
		}
	}
	return channels
}

// exec changes the database behind the backs of both replicas.
func (c *cluster) exec(query string, args ...any) {
	c.t.Helper()
	err := c.db.Write(c.t.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) setRole(who string, role auth.Role) {
	c.exec(`UPDATE people SET role = ? WHERE id = ?`, int(role), c.people[who].UserID)
}

func (c *cluster) setStatus(who string, status auth.Status) {
	c.t.Helper()
	if err := c.outside.SetStatus(c.t.Context(), c.people[who].UserID, status); err != nil {
		c.t.Fatal(err)
	}
}

// refresh reads the people anew: a status that was taken away has ended their tokens.
func (c *cluster) refresh() {
	c.t.Helper()
	for name, p := range c.people {
		now, err := c.outside.Person(c.t.Context(), p.UserID)
		if err != nil {
			c.t.Fatal(err)
		}
		c.people[name] = now
	}
}

// kindOfChannel is a kind of channel, and whose right opens it.
type kindOfChannel struct {
	who     string // who subscribes; "" is anonymous
	channel func(c *cluster) string
}

// loss is a change of rights, and the channels whose subscriptions it ends.
type loss struct {
	name  string
	lose  func(c *cluster)
	after func(c *cluster) // puts things back
	ends  []kindOfChannel
}

func demote(c *cluster)  { c.setRole("chief", auth.Staff) }
func promote(c *cluster) { c.setRole("chief", auth.Administrator) }
func disable(c *cluster) { c.setStatus("ann", auth.Disabled) }
func enable(c *cluster)  { c.setStatus("ann", auth.Enabled) }

func endTokens(c *cluster) {
	c.t.Helper()
	err := c.db.Write(c.t.Context(), func(ctx context.Context, tx *database.Tx) error {
		return auth.EndTokens(ctx, tx, c.people["ann"].UserID)
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

func ofAnn(prefix string) func(*cluster) string {
	return func(c *cluster) string { return prefix + strconv.FormatInt(c.people["ann"].UserID, 10) }
}

func jobOfAnn(c *cluster) string { return "/export/" + c.job }

func capability(c *cluster) string { return c.replicas[0].Auth.ExportChannel(c.people["ann"]) }

// channelsOfAnn are all channels that somebody may follow by a right of their own.
func channelsOfAnn(who string) []kindOfChannel {
	return []kindOfChannel{
		{who, jobOfAnn},
		{who, ofAnn("/export/")},
		{who, ofAnn("/message/")},
		{who, ofAnn("/approval/")},
	}
}

func losses() []loss {
	return []loss{
		{
			name:  "an administrator is demoted",
			lose:  demote,
			after: promote,
			ends:  channelsOfAnn("chief"),
		},
		{
			name:  "a person is disabled",
			lose:  disable,
			after: enable,
			ends:  append(channelsOfAnn("ann"), kindOfChannel{"", capability}),
		},
		{
			name:  "a person's tokens are ended",
			lose:  endTokens,
			after: func(*cluster) {},
			ends:  append(channelsOfAnn("ann"), kindOfChannel{"", capability}),
		},
	}
}

// Whatever opened a subscription, it ends on both replicas when the right has gone.
func TestLosingARightEndsWhatItHadOpened(t *testing.T) {
	dbtest.EachURL(t, func(t *testing.T, dsn string) {
		c := startCluster(t, dsn)
		for _, l := range losses() {
			t.Run(l.name, func(t *testing.T) {
				c.t = t
				var clients [2][]string
				for i, r := range c.replicas {
					// What the row before put back may not be known to the replica yet.
					testkit.Eventually(t, 20*time.Second, func() bool {
						c.refresh()
						_, err := r.Auth.CheckExportChannel(t.Context(), capability(c))
						chief, failed := r.Auth.Person(t.Context(), c.people["chief"].UserID)
						return err == nil && failed == nil && chief.Role == auth.Administrator
					}, "replica %d to know the rights", i)
					for _, kind := range l.ends {
						clients[i] = append(clients[i], r.subscribe(t, c.people[kind.who], kind.channel(c)))
					}
				}
				l.lose(c)
				for i, r := range c.replicas {
					testkit.Eventually(t, 20*time.Second, func() bool { return r.realtime.Stats().Subscriptions == 0 },
						"replica %d to end all of %d subscriptions", i, len(l.ends))
				}
				l.after(c)
				for i, r := range c.replicas {
					for _, client := range clients[i] {
						r.send(t, fmt.Sprintf(`{"channel":"/meta/disconnect","clientId":%q}`, client))
					}
				}
			})
		}
	})
}

// A system that adds a channel has to add it to the table above.
func TestEveryChannelIsInTheTable(t *testing.T) {
	c := startCluster(t, dbtest.SQLiteURL(t))
	known := map[string]bool{}
	for _, l := range losses() {
		for _, kind := range l.ends {
			channel := kind.channel(c)
			known[channel[:strings.Index(channel[1:], "/")+2]] = true
		}
	}
	rules := c.replicas[0].Exports.Channels()
	for _, m := range c.replicas[0].Modules {
		rules = append(rules, m.Channels...)
	}
	for _, rule := range rules {
		if !known[rule.Prefix] {
			t.Errorf("no test says what ends a subscription below %s", rule.Prefix)
		}
	}
}

// A demoted administrator goes on with channels of their own, and gets nothing of others that was
// queued before the right was lost and not fetched.
func TestWhatWaitsEndsWithTheRight(t *testing.T) {
	c := startCluster(t, dbtest.PostgresURL(t))
	chief := c.people["chief"]
	own := "/message/" + strconv.FormatInt(chief.UserID, 10)
	others := ofAnn("/message/")(c)
	var clients [2]string
	for i, r := range c.replicas {
		clients[i] = r.subscribe(t, chief, own, others)
	}
	say := func(channel string) {
		e := event.Event{Streams: []string{channel}, Data: json.RawMessage(`{}`)}
		if err := c.replicas[0].Bus.Publish(t.Context(), realtimeEvent(e)); err != nil {
			t.Fatal(err)
		}
	}
	say(others)
	say(own)
	demote(c)
	for i, r := range c.replicas {
		testkit.Eventually(t, 20*time.Second, func() bool { return r.realtime.Stats().Subscriptions == 1 },
			"replica %d to end one of two subscriptions", i)
	}
	say(others)
	say(own)
	for i, r := range c.replicas {
		var got []string
		testkit.Eventually(t, 20*time.Second, func() bool {
			got = append(got, r.poll(t, clients[i])...)
			return len(got) >= 2
		}, "replica %d to deliver what is the person's own", i)
		if !slices.Equal(got, []string{own, own}) {
			t.Errorf("replica %d delivered %v", i, got)
		}
	}
}

// A file's link ends on both replicas when its owner may not export the list any more, or not sign
// in.
func TestLinksEndWithTheRight(t *testing.T) {
	dbtest.EachURL(t, func(t *testing.T, dsn string) {
		c := startCluster(t, dsn)
		status := func(r *replica) int {
			res, err := http.Head(strings.Replace(r.Exports.WaitLink(c.job, "a.xlsx"), "http://exporthub.test", r.web.URL, 1))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			return res.StatusCode
		}
		ends := func(what string, lose, restore func()) {
			for i, r := range c.replicas {
				if s := status(r); s != http.StatusServiceUnavailable && s != http.StatusOK {
					t.Fatalf("%s: replica %d answers %d before", what, i, s)
				}
			}
			lose()
			for i, r := range c.replicas {
				testkit.Eventually(t, 20*time.Second, func() bool { return status(r) == http.StatusForbidden },
					"%s: replica %d to refuse the link", what, i)
			}
			restore()
			for i, r := range c.replicas {
				testkit.Eventually(t, 20*time.Second, func() bool { return status(r) != http.StatusForbidden },
					"%s: replica %d to take it again", what, i)
			}
		}
		ends("the person is disabled", func() { disable(c) }, func() { enable(c) })
		ends("the permission is revoked",
			func() {
				c.exec(`DELETE FROM role_permissions WHERE role = ? AND permission = 'contact.export'`, int(auth.Staff))
			},
			func() {
				c.exec(`INSERT INTO role_permissions (role, permission) VALUES (?, 'contact.export')`, int(auth.Staff))
			})
	})
}

// The promise of two seconds is a sum: how old an answer about rights may be, and how often it is
// asked for.
func TestRightsAreCheckedWithinTwoSeconds(t *testing.T) {
	const cacheTTL = time.Second // auth.Options.CacheTTL, which the wiring leaves at its default
	if sum := checkEvery + cacheTTL; sum >= 2*time.Second {
		t.Errorf("a lost right goes on for %v", sum)
	}
}

// A rule that does not say how long it holds grants nothing.
func TestARuleWithoutAnEndGrantsNothing(t *testing.T) {
	rule := auth.ChannelRule{
		Prefix: "/x/",
		Resolve: func(_ context.Context, _ *auth.Principal, channel string) (auth.Subscription, error) {
			return auth.Subscription{Stream: channel}, nil
		},
	}
	a := authorizer{rules: []auth.ChannelRule{rule}}
	var refusal *bayeux.Refusal
	if _, err := a.Subscribe(t.Context(), bayeux.Principal{}, "/x/1"); !errors.As(err, &refusal) || refusal.Code != 403 {
		t.Errorf("got %v", err)
	}
}

// A request that waits for a change is answered by the rights of the moment of its answer.
func TestAWaitingRequestIsAnsweredByPresentRights(t *testing.T) {
	c := startCluster(t, dbtest.SQLiteURL(t))
	r := c.replicas[0]
	token, err := r.Auth.Renew(c.people["chief"])
	if err != nil {
		t.Fatal(err)
	}
	ask := func(prefer string) (int, []byte) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.web.URL+"/api/exports/"+c.job, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", token.Value)
		req.Header.Set("Prefer", prefer)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, body
	}
	if status, body := ask(""); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	demote(c)
	if status, body := ask("wait=2"); status != http.StatusNotFound || bytes.Contains(body, []byte("contact")) {
		t.Errorf("a demoted administrator, after the wait: %d %s", status, body)
	}
}
