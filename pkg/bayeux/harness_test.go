package bayeux

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// door is an Authorizer for tests: ext.token names the principal, streams are named like channels
// unless aliased, /secret is for ann.
type door struct {
	mu     sync.Mutex
	dead   map[string]bool
	alias  map[string]string
	latest func(ctx context.Context, channel string) ([]Event, error)
	valid  func(channel string) bool
	refuse error // for Subscribe
	// audience receives ends once, unless it is empty.
	audience string
}

func (d *door) Handshake(_ context.Context, r Request) (Principal, error) {
	var ext struct {
		Token string `json:"token"`
	}
	if r.Ext != nil {
		if err := json.Unmarshal(r.Ext, &ext); err != nil {
			return Principal{}, errors.New("bad ext")
		}
	}
	if c, err := r.HTTP.Cookie("who"); err == nil && r.CookieCounts {
		ext.Token = c.Value
	}
	switch ext.Token {
	case "bad":
		return Principal{}, errors.New("bad token")
	case "later":
		return Principal{}, &Refusal{Code: 500, Text: "Database away", RetryAfter: 3 * time.Second}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead[ext.Token] {
		return Principal{}, errors.New("revoked")
	}
	return Principal{ID: ext.Token}, nil
}

func (d *door) Subscribe(_ context.Context, p Principal, channel string) (Grant, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse != nil {
		return Grant{}, d.refuse
	}
	if strings.HasPrefix(channel, "/secret") && p.ID != "ann" {
		return Grant{}, errors.New("not yours")
	}
	g := Grant{Stream: d.alias[channel], Audience: d.audience, EndsOnce: d.audience != ""}
	if latest := d.latest; latest != nil {
		g.Latest = func(ctx context.Context) ([]Event, error) { return latest(ctx, channel) }
	}
	if valid := d.valid; valid != nil {
		g.Valid = func() bool { return valid(channel) }
	}
	return g, nil
}

func (d *door) Alive(_ context.Context, p Principal) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.dead[p.ID]
}

func (d *door) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// site is a running server for a test.
type site struct {
	t    testing.TB
	srv  *Server
	bus  *LocalBus
	door *door
	web  *httptest.Server
	url  string
	end  func() // ends Run and waits for it
}

func start(t testing.TB, opt Options) *site {
	t.Helper()
	return startAs(t, opt, func(d *door) Authorizer { return d })
}

// startAs runs a server whose Authorizer is made around the door.
func startAs(t testing.TB, opt Options, around func(*door) Authorizer) *site {
	t.Helper()
	s := &site{t: t, bus: &LocalBus{}, door: &door{dead: map[string]bool{}, alias: map[string]string{}}}
	if opt.Timeout == 0 {
		opt.Timeout = 10 * time.Second
	}
	if opt.DrainSpread == 0 {
		opt.DrainSpread = time.Millisecond
	}
	srv, err := New(around(s.door), s.bus, opt)
	if err != nil {
		t.Fatal(err)
	}
	s.srv = srv
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	s.web = httptest.NewServer(srv)
	s.url = s.web.URL + srv.opt.Mount
	s.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		s.end()
		s.web.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	eventually(t, "the bus is up", func() bool {
		s.bus.mu.Lock()
		defer s.bus.mu.Unlock()
		return len(s.bus.servers) == 1
	})
	return s
}

// eventually waits for a condition, and fails the test when it does not come.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

type object = map[string]any

// post sends a JSON body and returns the reply array.
func (s *site) post(body string) []object {
	s.t.Helper()
	replies, err := s.tryPost(context.Background(), body)
	if err != nil {
		s.t.Fatal(err)
	}
	return replies
}

func (s *site) tryPost(ctx context.Context, body string) ([]object, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	var list []object
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, errors.New(res.Status + ": " + string(raw))
	}
	return list, nil
}

// handshake returns a clientId, for a principal when one is named.
func (s *site) handshake(who string) string {
	s.t.Helper()
	replies := s.post(`{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"ext":{"token":"` + who + `"}}`)
	id, _ := replies[0]["clientId"].(string)
	if id == "" {
		s.t.Fatalf("handshake failed: %v", replies)
	}
	return id
}

func (s *site) subscribe(id string, channels ...string) object {
	s.t.Helper()
	list, err := json.Marshal(channels)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.post(`{"channel":"/meta/subscribe","clientId":"` + id + `","subscription":` + string(list) + `}`)[0]
}

// subscribeAsync subscribes without waiting for the confirmation, which the channel returns.
func (s *site) subscribeAsync(id string, channels ...string) <-chan object {
	confirmed := make(chan object, 1)
	go func() { confirmed <- s.subscribe(id, channels...) }()
	return confirmed
}

func (s *site) publish(e Event) {
	s.t.Helper()
	if err := s.bus.Publish(context.Background(), e); err != nil {
		s.t.Fatal(err)
	}
}

func say(stream, text string) Event {
	data, _ := json.Marshal(text)
	return Event{Streams: []string{stream}, Data: data}
}

func connectBody(id, msgID string) string {
	return `{"channel":"/meta/connect","clientId":"` + id + `","connectionType":"long-polling","id":"` + msgID + `"}`
}

// poll makes one connect and returns the data of what it delivered.
func (s *site) poll(id, msgID string) []any {
	s.t.Helper()
	return data(s.post(connectBody(id, msgID)))
}

// pollAll connects until n messages have come, and returns their data.
func (s *site) pollAll(id string, n int) (got []any) {
	s.t.Helper()
	for turn := 0; len(got) < n; turn++ {
		if turn > n+5 {
			s.t.Fatalf("got only %v", got)
		}
		got = append(got, s.poll(id, "all"+strconv.Itoa(turn))...)
	}
	return got
}

// pollNow is a connect that does not wait.
func (s *site) pollNow(id, msgID string) []any {
	s.t.Helper()
	return data(s.post(strings.Replace(connectBody(id, msgID), `{`, `{"advice":{"timeout":0},`, 1)))
}

// data returns what the deliveries among replies carry.
func data(replies []object) []any {
	var list []any
	for _, r := range replies {
		if _, isReply := r["successful"]; !isReply {
			list = append(list, r["data"])
		}
	}
	return list
}

// held waits until the session holds a connect.
func (s *site) held(id string) {
	s.t.Helper()
	eventually(s.t, "the connect is held", func() bool {
		sess := s.srv.session(id)
		if sess == nil {
			return false
		}
		sess.mu.Lock()
		defer sess.mu.Unlock()
		return sess.poll != nil || sess.held != nil
	})
}

func decode(t testing.TB, body []byte) []object {
	t.Helper()
	var list []object
	if err := json.Unmarshal(body, &list); err != nil || len(list) == 0 {
		t.Fatalf("%s: %v", body, err)
	}
	return list
}
