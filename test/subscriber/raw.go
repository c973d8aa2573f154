package subscriber

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// Raw subscribes to one channel with the bare protocol.
type Raw struct {
	t      testing.TB
	who    string
	story  Story         // of the reader's goroutine
	ready  chan struct{} // closed when the subscription is confirmed
	events chan Event
	failed chan error // why it ended, unless the test ended it
}

// maxEvents is more than one subscriber receives in any test, so that a test may read them late.
const maxEvents = 5000

// exchange sends messages, or nothing, and returns what comes back.
type exchange func(context.Context, []message) ([]message, error)

// startRaw runs a session over an exchange until the test ends.
func startRaw(t testing.TB, who, channel, connection string, send exchange) *Raw {
	t.Helper()
	r := &Raw{
		t:      t,
		who:    who,
		story:  Story{Steady: true},
		ready:  make(chan struct{}),
		events: make(chan Event, maxEvents),
		failed: make(chan error, 1),
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		// A session ends by an error only; closing the connection at the end of the test is one.
		if err := r.run(ctx, channel, connection, send); ctx.Err() == nil {
			r.failed <- err
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return r
}

// message is a Bayeux message, either way.
type message struct {
	Channel      string          `json:"channel"`
	ID           string          `json:"id,omitempty"`
	ClientID     string          `json:"clientId,omitempty"`
	Successful   bool            `json:"successful,omitempty"`
	Error        string          `json:"error,omitempty"`
	Version      string          `json:"version,omitempty"`
	Connection   string          `json:"connectionType,omitempty"`
	Supported    []string        `json:"supportedConnectionTypes,omitempty"`
	Subscription string          `json:"subscription,omitempty"`
	Data         json.RawMessage `json:"data,omitempty"`
}

// run is one session: handshake, subscription, then one connect after the other. A websocket
// answers the connect late and delivers events before it, so one request may take several
// exchanges.
func (r *Raw) run(ctx context.Context, channel, connection string, send exchange) error {
	client := ""
	n := 0
	for next := "/meta/handshake"; ; {
		n++ // ids are per session, and answers repeat them
		m := message{Channel: next, ID: fmt.Sprint(n), ClientID: client}
		switch next {
		case "/meta/handshake":
			m.Version = "1.0"
			m.Supported = []string{connection}
		case "/meta/subscribe":
			m.Subscription = channel
		case "/meta/connect":
			m.Connection = connection
		}
		answered := false
		for out := []message{m}; !answered; out = nil {
			got, err := send(ctx, out)
			if err != nil {
				return err
			}
			for _, m := range got {
				if m.Channel != next {
					if err := r.take(m); err != nil {
						return err
					}
					continue
				}
				if !m.Successful {
					return fmt.Errorf("%s: %s is refused: %s", r.who, next, m.Error)
				}
				answered = true
				if next == "/meta/handshake" {
					client = m.ClientID
				}
			}
		}
		switch next {
		case "/meta/handshake":
			next = "/meta/subscribe"
		case "/meta/subscribe":
			next = "/meta/connect"
			close(r.ready)
		}
	}
}

// take keeps the event that a message brings, if it brings one.
func (r *Raw) take(m message) error {
	if len(m.Data) == 0 {
		return nil
	}
	var e Event
	if err := json.Unmarshal(m.Data, &e); err != nil {
		return fmt.Errorf("%s: event %s: %w", r.who, m.Data, err)
	}
	if err := r.story.Take(e); err != nil {
		r.t.Errorf("%s received what it may not: %v", r.who, err)
	}
	r.events <- e
	return nil
}

// Socket subscribes over a websocket to the system at base.
func Socket(t testing.TB, who, base, channel string) *Raw {
	t.Helper()
	conn, res, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(base, "http")+"/faye", nil)
	if err != nil {
		t.Fatalf("%s: dial: %v %v", who, err, res)
	}
	r := startRaw(t, who, channel, "websocket", func(_ context.Context, send []message) ([]message, error) {
		// Nothing to send means that the answer to what was sent is still awaited.
		if send != nil {
			if err := conn.WriteJSON(send); err != nil {
				return nil, err
			}
		}
		var got []message
		return got, conn.ReadJSON(&got)
	})
	// Cleanups run in reverse: the reader's wait is registered before, so the connection closes
	// first.
	t.Cleanup(func() { _ = conn.Close() })
	return r
}

// JSONP subscribes by callback-polling, as a page of another site on an old browser does.
func JSONP(t testing.TB, who, base, channel string) *Raw {
	t.Helper()
	return startRaw(t, who, channel, "callback-polling", func(ctx context.Context, send []message) ([]message, error) {
		text, err := json.Marshal(send)
		if err != nil {
			return nil, err
		}
		query := url.Values{"message": {string(text)}, "jsonp": {"__jsonp1__"}}
		req, err := http.NewRequestWithContext(ctx, "GET", base+"/faye?"+query.Encode(), nil)
		if err != nil {
			return nil, err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		// The comment before the call keeps the answer from being taken for another file type.
		script, called := strings.CutPrefix(string(body), "/**/__jsonp1__(")
		if res.StatusCode != 200 || !called || !strings.HasSuffix(script, ");") {
			return nil, fmt.Errorf("%s: answered %d %.200s", who, res.StatusCode, body)
		}
		var got []message
		return got, json.Unmarshal([]byte(strings.TrimSuffix(script, ");")), &got)
	})
}

// Subscribed waits until the subscription is confirmed.
func (r *Raw) Subscribed(t testing.TB) {
	t.Helper()
	select {
	case <-r.ready:
	case err := <-r.failed:
		t.Fatalf("%s: %v", r.who, err)
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: no subscription", r.who)
	}
}

// Next returns the next event.
func (r *Raw) Next(ctx context.Context) (Event, error) {
	select {
	case e := <-r.events:
		return e, nil
	default: // what came before the failure counts first
	}
	select {
	case e := <-r.events:
		return e, nil
	case err := <-r.failed:
		return Event{}, fmt.Errorf("%s: %w", r.who, err)
	case <-ctx.Done():
		return Event{}, fmt.Errorf("%s: nothing more came: %w", r.who, ctx.Err())
	}
}

// Until reads events up to the end of a job, which is the last returned.
func (r *Raw) Until(ctx context.Context, stop func(Event) bool) ([]Event, error) {
	var all []Event
	for {
		e, err := r.Next(ctx)
		if err != nil {
			return all, err
		}
		if all = append(all, e); stop(e) {
			return all, nil
		}
	}
}
