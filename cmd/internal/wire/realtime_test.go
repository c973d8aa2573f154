package wire

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"testing"

	"exporthub/pkg/auth"
	"exporthub/pkg/bayeux"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func identities(t *testing.T) (*auth.Service, map[string]string) {
	t.Helper()
	service, err := auth.New(auth.Options{
		DB: dbtest.SQLite(t, []fs.FS{auth.Migrations}...), Secret: "0f1c9a7be2d84f60a5c7d9e1b3f5a7c9d1e3f5a7b9c1d3e5",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Seed(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	tokens := map[string]string{}
	for _, name := range []string{"13800000031", "13800000032"} {
		id, err := service.EnsurePerson(t.Context(), auth.Person{Account: name, Role: auth.Staff}, "")
		if err != nil {
			t.Fatal(err)
		}
		p, err := service.Person(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		token, err := service.Renew(p)
		if err != nil {
			t.Fatal(err)
		}
		tokens[name] = token.Value
	}
	return service, tokens
}

func withCookie(token string) *http.Request {
	r := &http.Request{Header: http.Header{}}
	r.AddCookie(&http.Cookie{Name: auth.CookieName, Value: token})
	return r
}

func ext(t *testing.T, token any) json.RawMessage {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"access_token": token, "ack": true})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestWhoAHandshakeIs(t *testing.T) {
	service, tokens := identities(t)
	good := tokens["13800000031"]
	for name, c := range map[string]struct {
		request bayeux.Request
		known   bool
		refused bool
	}{
		"nothing":                            {bayeux.Request{}, false, false},
		"a token in ext":                     {bayeux.Request{Ext: ext(t, good)}, true, false},
		"a bad token in ext":                 {bayeux.Request{Ext: ext(t, good+"x")}, false, true},
		"a number as token":                  {bayeux.Request{Ext: ext(t, 7)}, false, true},
		"an empty token":                     {bayeux.Request{Ext: ext(t, "")}, false, true},
		"a cookie that counts":               {bayeux.Request{HTTP: withCookie(good), CookieCounts: true}, true, false},
		"a cookie of another site":           {bayeux.Request{HTTP: withCookie(good)}, false, false},
		"a dead cookie":                      {bayeux.Request{HTTP: withCookie("dead"), CookieCounts: true}, false, false},
		"a dead cookie beside an extension":  {bayeux.Request{HTTP: withCookie("dead"), CookieCounts: true, Ext: json.RawMessage(`{"ack":true}`)}, false, false},
		"another spelling is no token":       {bayeux.Request{Ext: json.RawMessage(`{"Access_Token":"` + good + `"}`)}, false, false},
		"an ext that is no object":           {bayeux.Request{Ext: json.RawMessage(`["access_token"]`)}, false, false},
		"a bad token beside a living cookie": {bayeux.Request{Ext: ext(t, "x"), HTTP: withCookie(good), CookieCounts: true}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := authorizer{auth: service}.Handshake(t.Context(), c.request)
			var refusal *bayeux.Refusal
			if refused := errors.As(err, &refusal); refused != c.refused || (p.ID != "") != c.known {
				t.Errorf("got %q, %v; want known %t, refused %t", p.ID, err, c.known, c.refused)
			}
		})
	}
}

// A session that a cookie opened answers to that person's cookie or token only; its id alone, which
// a log may hold, opens nothing. One that a token in ext opened goes on as the stock client does.
func TestASessionIDAloneOpensNothing(t *testing.T) {
	service, tokens := identities(t)
	a := authorizer{auth: service}
	mine, other := tokens["13800000031"], tokens["13800000032"]
	request := func(cookie string) bayeux.Request { return bayeux.Request{HTTP: withCookie(cookie)} }
	bare := bayeux.Request{HTTP: &http.Request{Header: http.Header{}}}
	byCookie, err := a.Handshake(t.Context(), bayeux.Request{HTTP: withCookie(mine), CookieCounts: true})
	if err != nil || byCookie.ID == "" {
		t.Fatal(byCookie, err)
	}
	byToken, err := a.Handshake(t.Context(), bayeux.Request{Ext: ext(t, mine)})
	if err != nil || byToken.ID == "" {
		t.Fatal(byToken, err)
	}
	counting := bayeux.Request{HTTP: withCookie(other), CookieCounts: true}
	for name, c := range map[string]struct {
		request           bayeux.Request
		byCookie, byToken bool
	}{
		"nothing":                      {bare, false, true},
		"its cookie":                   {request(mine), true, true},
		"its cookie, of our own page":  {bayeux.Request{HTTP: withCookie(mine), CookieCounts: true}, true, true},
		"its token":                    {bayeux.Request{Ext: ext(t, mine)}, true, true},
		"another person's cookie":      {counting, false, false},
		"another's, of unknown origin": {request(other), false, true}, // it is not read
		"another person's token":       {bayeux.Request{Ext: ext(t, other)}, false, false},
		"a dead cookie":                {bayeux.Request{HTTP: withCookie("dead"), CookieCounts: true}, false, true},
		"a dead token":                 {bayeux.Request{Ext: ext(t, "dead")}, false, false},
	} {
		if got := a.Matches(t.Context(), c.request, byCookie); got != c.byCookie {
			t.Errorf("%s matches a session by cookie: %t", name, got)
		}
		if got := a.Matches(t.Context(), c.request, byToken); got != c.byToken {
			t.Errorf("%s matches a session by token: %t", name, got)
		}
	}
}

func TestASessionBelongsToItsPerson(t *testing.T) {
	service, tokens := identities(t)
	a := authorizer{auth: service}
	p, err := a.Handshake(t.Context(), bayeux.Request{Ext: ext(t, tokens["13800000031"])})
	if err != nil {
		t.Fatal(err)
	}
	if !a.Matches(t.Context(), bayeux.Request{}, p) || !a.Matches(t.Context(), bayeux.Request{Ext: ext(t, tokens["13800000031"])}, p) {
		t.Error("the person's own message does not match")
	}
	if a.Matches(t.Context(), bayeux.Request{Ext: ext(t, tokens["13800000032"])}, p) {
		t.Error("another person's token reaches into the session")
	}
	if !a.Alive(t.Context(), p) {
		t.Fatal("a fresh session is not alive")
	}
	who := p.Data.(opener)
	rule := auth.ChannelRule{Prefix: "/x/", Resolve: func(_ context.Context, p *auth.Principal, channel string) (auth.Subscription, error) {
		always := func(context.Context, *auth.Principal) bool { return true }
		return auth.Subscription{Stream: channel, StillAllowed: always}, nil
	}}
	a.rules = []auth.ChannelRule{rule}
	if _, err := a.Subscribe(t.Context(), p, "/x/1"); err != nil {
		t.Errorf("a rule that allows: %v", err)
	}
	if _, err := a.Subscribe(t.Context(), p, "/y/1"); err == nil {
		t.Error("a channel without a rule was granted")
	}
	if err := service.SetStatus(t.Context(), who.UserID, auth.Disabled); err != nil {
		t.Fatal(err)
	}
	if a.Alive(t.Context(), p) {
		t.Error("a disabled person's session lives on")
	}
	if _, err := a.Subscribe(t.Context(), p, "/x/1"); err == nil {
		t.Error("a disabled person subscribed")
	}
}

func TestRepeatedMessagesAreMarked(t *testing.T) {
	for data, want := range map[string]string{
		`{"status":"start"}`:                 `{"status":"start","replayed":true}`,
		`{"status":"start","replayed":true}`: `{"status":"start","replayed":true}`,
		`{}`:                                 `{}`,
		`[1]`:                                `[1]`,
		`"text"`:                             `"text"`,
	} {
		if got := string(repeated(json.RawMessage(data))); got != want {
			t.Errorf("%s becomes %s, want %s", data, got, want)
		}
	}
}

func TestEndsCountForThePersonOfTheCapability(t *testing.T) {
	signed := "/export/7-0123456789abcdef0123456789abcdef"
	for channel, want := range map[string]struct {
		person string
		once   bool
	}{
		signed:       {"7", true},
		"/export/7":  {"9", false},
		"/message/9": {"9", false},
	} {
		if person, once := audience(bayeux.Principal{ID: "9"}, channel); person != want.person || once != want.once {
			t.Errorf("%s: %q %v", channel, person, once)
		}
	}
}
