package main

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

// told is an event with the number that orders the events of one job.
type told struct {
	progress
	Seq uint64 `json:"seq"`
}

// rawFollower follows one channel with the bare protocol: for transports no program in node offers, and for as many
// followers as a process each would be too many.
type rawFollower struct {
	who    string
	ready  chan struct{} // closed when the subscription stands
	events chan told
	failed chan error // why it ended, unless it was ended
}

// maxEvents is more than one follower is ever told here.
const maxEvents = 5000

// follow runs exchange until the test ends: it is sent messages and returns what comes back.
func followRaw(t testing.TB, who, channel, connection string, exchange func(context.Context, []bayeuxMessage) ([]bayeuxMessage, error)) *rawFollower {
	t.Helper()
	f := &rawFollower{who: who, ready: make(chan struct{}), events: make(chan told, maxEvents), failed: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f.run(ctx, channel, connection, exchange); err != nil && ctx.Err() == nil {
			f.failed <- err
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return f
}

type bayeuxMessage struct {
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

// run is one session: handshake, subscription, then one connect after the other.
func (f *rawFollower) run(ctx context.Context, channel, connection string,
	exchange func(context.Context, []bayeuxMessage) ([]bayeuxMessage, error)) error {
	client, n := "", 0
	for next := "/meta/handshake"; ; {
		n++
		m := bayeuxMessage{Channel: next, ID: fmt.Sprint(n), ClientID: client}
		switch next {
		case "/meta/handshake":
			m.Version, m.Supported = "1.0", []string{connection}
		case "/meta/subscribe":
			m.Subscription = channel
		case "/meta/connect":
			m.Connection = connection
		}
		answered := false
		for send := []bayeuxMessage{m}; !answered; send = nil {
			got, err := exchange(ctx, send)
			if err != nil {
				return err
			}
			for _, m := range got {
				switch {
				case m.Channel == next && !m.Successful:
					return fmt.Errorf("%s: %s is refused: %s", f.who, next, m.Error)
				case m.Channel == next:
					answered = true
					if next == "/meta/handshake" {
						client = m.ClientID
					}
				case len(m.Data) > 0:
					var e told
					if err := json.Unmarshal(m.Data, &e); err != nil {
						return fmt.Errorf("%s: event %s: %w", f.who, m.Data, err)
					}
					f.events <- e
				}
			}
		}
		switch next {
		case "/meta/handshake":
			next = "/meta/subscribe"
		case "/meta/subscribe":
			next = "/meta/connect"
			close(f.ready)
		}
	}
}

// followSocket follows over a websocket.
func followSocket(t testing.TB, who, base, channel string) *rawFollower {
	t.Helper()
	conn, res, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(base, "http")+"/faye", nil)
	if err != nil {
		t.Fatalf("%s: dial: %v %v", who, err, res)
	}
	f := followRaw(t, who, channel, "websocket", func(_ context.Context, send []bayeuxMessage) ([]bayeuxMessage, error) {
		if send != nil {
			if err := conn.WriteJSON(send); err != nil {
				return nil, err
			}
		}
		var got []bayeuxMessage
		return got, conn.ReadJSON(&got)
	})
	t.Cleanup(func() { _ = conn.Close() }) // before the wait for the end of its reader
	return f
}

// followJSONP follows by callback-polling, as a page of another site on an old browser does.
func followJSONP(t testing.TB, who, base, channel string) *rawFollower {
	t.Helper()
	return followRaw(t, who, channel, "callback-polling", func(ctx context.Context, send []bayeuxMessage) ([]bayeuxMessage, error) {
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
		script, called := strings.CutPrefix(string(body), "/**/__jsonp1__(")
		if res.StatusCode != 200 || !called || !strings.HasSuffix(script, ");") {
			return nil, fmt.Errorf("%s: answered %d %.200s", who, res.StatusCode, body)
		}
		var got []bayeuxMessage
		return got, json.Unmarshal([]byte(strings.TrimSuffix(script, ");")), &got)
	})
}

// subscribed waits until the subscription stands.
func (f *rawFollower) subscribed(t testing.TB) {
	t.Helper()
	select {
	case <-f.ready:
	case err := <-f.failed:
		t.Fatalf("%s: %v", f.who, err)
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: no subscription", f.who)
	}
}

// next returns the next event.
func (f *rawFollower) next(ctx context.Context) (told, error) {
	select {
	case e := <-f.events:
		return e, nil
	default: // what came before the end counts first
	}
	select {
	case e := <-f.events:
		return e, nil
	case err := <-f.failed:
		return told{}, fmt.Errorf("%s: %w", f.who, err)
	case <-ctx.Done():
		return told{}, fmt.Errorf("%s: nothing comes any more: %w", f.who, ctx.Err())
	}
}

// until reads events up to the end of a job, which is the last returned.
func (f *rawFollower) until(ctx context.Context, stop func(progress) bool) ([]told, error) {
	var all []told
	for {
		e, err := f.next(ctx)
		if err != nil {
			return all, err
		}
		if all = append(all, e); stop(e.progress) {
			return all, nil
		}
	}
}
