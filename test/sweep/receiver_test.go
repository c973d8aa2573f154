package sweep

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"exporthub/pkg/httpapi"
	"exporthub/pkg/testkit"
)

// receiver is a realtime session of a person, and everything it was sent.
type receiver struct {
	conn *websocket.Conn
	done chan struct{}

	mu   sync.Mutex
	text strings.Builder
}

// bayeuxAnswer is what the test reads of an answer of the protocol.
type bayeuxAnswer struct {
	Channel      string
	ClientID     string
	Subscription string
	Successful   bool
}

// session opens a realtime session of the viewer and subscribes to channels. It returns those that
// were allowed.
func (v *viewer) session(channels ...string) (e *receiver, allowed []string) {
	h := v.h
	h.t.Helper()
	conn, _, err := websocket.DefaultDialer.DialContext(h.t.Context(), "ws"+strings.TrimPrefix(h.URL, "http")+"/faye", nil)
	if err != nil {
		h.t.Fatal(err)
	}
	e = &receiver{conn: conn, done: make(chan struct{})}
	ask := func(m map[string]any) bayeuxAnswer {
		if err := conn.WriteJSON([]any{m}); err != nil {
			h.t.Fatal(err)
		}
		for {
			var all []bayeuxAnswer
			if err := e.read(&all); err != nil {
				h.t.Fatal(err)
			}
			for _, a := range all {
				if a.Channel == m["channel"] {
					return a
				}
			}
		}
	}
	shaken := ask(map[string]any{
		"channel": "/meta/handshake", "version": "1.0", "supportedConnectionTypes": []string{"websocket"},
		"ext": map[string]string{"access_token": v.token()},
	})
	for _, c := range channels {
		if ask(map[string]any{"channel": "/meta/subscribe", "clientId": shaken.ClientID, "subscription": c}).Successful {
			allowed = append(allowed, c)
		}
	}
	connect := []any{map[string]any{"channel": "/meta/connect", "clientId": shaken.ClientID, "connectionType": "websocket"}}
	go func() {
		defer close(e.done)
		for conn.WriteJSON(connect) == nil {
			for answered := false; !answered; {
				var all []bayeuxAnswer
				if e.read(&all) != nil {
					return
				}
				answered = slices.ContainsFunc(all, func(a bayeuxAnswer) bool { return a.Channel == "/meta/connect" })
			}
		}
	}()
	h.t.Cleanup(e.close)
	return e, allowed
}

// read keeps the text of what is sent next.
func (e *receiver) read(into any) error {
	_, data, err := e.conn.ReadMessage()
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.text.Write(data)
	e.mu.Unlock()
	return json.Unmarshal(data, into)
}

func (e *receiver) received() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.text.String()
}

func (e *receiver) close() {
	_ = e.conn.Close()
	<-e.done
}

// follows reports whether the viewer may subscribe to a channel.
func (v *viewer) follows(channel string) bool {
	e, allowed := v.session(channel)
	e.close()
	return len(allowed) == 1
}

// listens opens a session that follows every channel of the viewer's own.
func (v *viewer) listens() {
	v.h.t.Helper()
	channels := []string{v.h.people.ExportChannel(v.who)}
	for _, prefix := range v.h.prefixes {
		channels = append(channels, fmt.Sprintf("%s%d", prefix, v.id))
	}
	e, allowed := v.session(channels...)
	if len(allowed) != len(channels) {
		v.h.t.Fatalf("%s follows %q of %q", v.name, allowed, channels)
	}
	v.receiver = e
}

// received is what the viewer was sent, once the message about a last export, and of the decisions
// before it, has come.
func (v *viewer) received() map[string]string {
	v.h.t.Helper()
	last := v.h.file(v, "exhibition", "csv")
	testkit.Eventually(v.h.t, 30*time.Second, func() bool {
		text := v.receiver.received()
		_, after, sent := strings.Cut(text, last.uuid)
		return sent && strings.Contains(after, "导出已完成") && (!v.sees || strings.Contains(text, secretsMark))
	}, "the events about the last export")
	return map[string]string{"events of " + v.name: v.receiver.received()}
}

// everything is the answers to every route. What changes something has rows of its own.
func (h *hider) everything(v *viewer) map[string]string {
	h.t.Helper()
	v.file = h.file(v, "exhibition", "csv")
	texts := map[string]string{}
	for _, r := range h.routes {
		if r.Permission == httpapi.Public && r.Method != http.MethodGet {
			continue // credentials
		}
		for _, query := range []string{"", "per_page=1000&page_size=1000&page=1"} {
			p := probe{route: r, values: h.values(v, r)}
			if r.Method == http.MethodGet {
				p.query = query
			}
			res := h.send(v, p)
			if _, err := read(r, res); err != nil {
				h.t.Fatalf("%s %s: %v\n%d %s", r.Method, r.Path, err, res.Status, res.Body)
			}
			texts[r.Method+" "+r.Path+"?"+query] = fmt.Sprint(res.Header) + string(res.Body)
			if uuidIn.Match(res.Body) && r.AlwaysStarts {
				h.fileOf(v, res.Body) // it is over before the next one is asked for
			}
			if r.Method == http.MethodGet {
				continue
			}
			// A decision takes its invitation, a deletion its contact.
			if strings.Contains(r.Path, "approve") || strings.Contains(r.Path, "reject") {
				h.undone = h.undone[1:]
			}
			if r.Method == http.MethodDelete && strings.HasPrefix(r.Path, "/api/contacts") {
				h.contacts = h.contacts[1:]
			}
			break
		}
	}
	return texts
}
