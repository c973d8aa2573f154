package bayeux

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// The conformance suite speaks to a server only through its address, and each check is named after
// the rule it holds the server to. Rules are those of Bayeux 1.0 as the Faye client and server 1.4
// speak it; where that leaves clients or servers open to harm, the rule is ours and says so with
// "safely".

// rule is one check.
type rule struct {
	name  string
	check func(c *conformance)
}

// conformance is a server under test and what a check needs to speak to it.
type conformance struct {
	*testing.T
	s *site
}

// hold is how long the server holds a connect; what is not held is answered well before.
const hold = 2 * time.Second

func TestConformance(t *testing.T) {
	s := startAs(t, Options{
		Timeout: hold, AllowPatterns: true, AllowedOrigins: []string{"https://listed.example"}, MaxBody: 100_000,
		StreamPing: 50 * time.Millisecond,
		Client: fstest.MapFS{
			"faye-browser-min.js":     {Data: []byte("min()//# sourceMappingURL=faye-browser-min.js.map")},
			"faye-browser-min.js.map": {Data: []byte("{}")}, "faye-browser.js": {Data: []byte("full()")}, "faye-browser.js.map": {Data: []byte("{}")},
		},
	}, func(d *door) Authorizer { return talker{door: d, service: make(chan string, 100)} })
	for _, group := range []struct {
		name  string
		rules []rule
	}{
		{"endpoints", endpointRules}, {"envelope", envelopeRules}, {"channels", channelRules}, {"messages", messageRules},
		{"polling", pollingRules}, {"websocket", websocketRules}, {"stream", streamRules}, {"sessions", sessionRules}, {"security", securityRules},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, r := range group.rules {
				t.Run(r.name, func(t *testing.T) { r.check(&conformance{t, s}) })
			}
		})
	}
}

// answer is a response with its body read.
type answer struct {
	status int
	header http.Header
	body   string
}

func (c *conformance) do(method, path, body string, header ...string) answer {
	c.Helper()
	req, err := http.NewRequestWithContext(c.Context(), method, c.s.web.URL+path, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	// Which follows nothing and unpacks nothing it was not asked to.
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		c.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		c.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(raw)}
}

// ask posts JSON, which must be answered with 200 and an array.
func (c *conformance) ask(body string) []object {
	c.Helper()
	a := c.do(http.MethodPost, "/faye", body, "Content-Type", "application/json")
	var list []object
	if err := json.Unmarshal([]byte(a.body), &list); err != nil || a.status != http.StatusOK {
		c.Fatalf("%s got %d %s", body, a.status, a.body)
	}
	return list
}

// one is ask for a single message, which must have a single reply.
func (c *conformance) one(body string) object {
	c.Helper()
	list := c.ask(body)
	if len(list) != 1 {
		c.Fatalf("%s got %v", body, list)
	}
	return list[0]
}

func (c *conformance) session(channels ...string) string {
	c.Helper()
	id, _ := c.one(shake)["clientId"].(string)
	if len(channels) > 0 {
		list, _ := json.Marshal(channels)
		c.ok(c.one(fmt.Sprintf(`{"channel":"/meta/subscribe","clientId":%q,"subscription":%s}`, id, list)))
	}
	return id
}

// publish has another session say something.
func (c *conformance) publish(channel, text string) {
	c.Helper()
	c.ok(c.one(say2(c.session(), channel, "1", fmt.Sprintf("%q", text))))
}

func (c *conformance) ok(r object) {
	c.Helper()
	if r["successful"] != true {
		c.Fatalf("refused: %v", r)
	}
}

func (c *conformance) status(a answer, want int) {
	c.Helper()
	if a.status != want {
		c.Fatalf("status %d, want %d: %s", a.status, want, a.body)
	}
}

// equal compares a thing with what it should be, by their JSON.
func (c *conformance) equal(got, want any) {
	c.Helper()
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if !bytes.Equal(a, b) {
		c.Fatalf("got %s, want %s", a, b)
	}
}

// fails checks a reply's error.
func (c *conformance) fails(r object, want string) {
	c.Helper()
	if r["successful"] != false || r["error"] != want {
		c.Fatalf("got %v, want %s", r, want)
	}
}

// advised returns one member of a reply's advice.
func advised(r object, name string) any {
	advice, _ := r["advice"].(object)
	return advice[name]
}

// polled returns what one connect that does not wait brings.
func (c *conformance) polled(id, msgID string) []any {
	c.Helper()
	return data(c.ask(fmt.Sprintf(`{"channel":"/meta/connect","clientId":%q,"connectionType":"long-polling","id":%q%s}`, id, msgID, now)))
}

// background posts without waiting for the answer.
func (c *conformance) background(body string) <-chan []object {
	got := make(chan []object, 1)
	go func() {
		list, err := c.s.tryPost(context.Background(), body)
		if err != nil {
			c.Error(err)
		}
		got <- list
	}()
	return got
}
