package sweep

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gorilla/websocket"

	"exporthub/pkg/auth"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/httpapi"
	"exporthub/test/program"
)

// Half of a surrogate pair in a JSON text is refused by every route that takes JSON. The sweep
// sends it to those with a decoded body; imports and realtime messages, which read theirs
// themselves, follow here.
func TestHalfASurrogatePairIsRefusedByWhatReadsItself(t *testing.T) {
	s := startSweeper(t, dbtest.SQLiteURL(t))
	somebody := s.person("somebody", auth.Administrator)
	imports := 0
	for _, r := range declared(t) {
		if r.Out != nil || len(r.Accepts) == 0 {
			continue
		}
		for _, in := range r.Inputs() {
			if in.Schema == nil || in.Schema.Type != huma.TypeString {
				continue
			}
			imports++
			checkLine(t, s, r, in.Name, s.signed(s.people, somebody))
		}
	}
	if imports == 0 {
		t.Error("no import takes a text")
	}
	checkMessages(t, s.App)
}

// checkLine sends an import one line with half a pair in one of its fields.
func checkLine(t *testing.T, s *sweeper, r httpapi.Route, name, token string) {
	t.Helper()
	line, err := json.Marshal(with(r, name, halfPair))
	if err != nil {
		t.Fatal(err)
	}
	p := probe{route: r, values: map[string]any{}, body: append(line, '\n'), kind: r.Accepts[0], token: token}
	req, err := p.request(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var report struct {
		Data struct {
			Failed int
			Errors []struct{ Field string }
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&report); err != nil {
		t.Fatal(err)
	}
	if report.Data.Failed != 1 || len(report.Data.Errors) != 1 || report.Data.Errors[0].Field != name {
		t.Errorf("%s with half a pair in %s: %d %+v", r.Path, name, res.StatusCode, report)
	}
}

// checkMessages sends realtime messages with half a pair in each place for a text, over both
// transports that take JSON. None is carried out.
func checkMessages(t *testing.T, a *program.App) {
	t.Helper()
	for what, message := range map[string]string{
		"data":             `{"channel":"/export/1","clientId":"CLIENT","data":{"a":["x\ud83d"]}}`,
		"a key of data":    `{"channel":"/export/1","clientId":"CLIENT","data":{"x\ud83d":1}}`,
		"ext":              `{"channel":"/meta/connect","clientId":"CLIENT","connectionType":"long-polling","ext":{"a":"\ude00"}}`,
		"a subscription":   `{"channel":"/meta/subscribe","clientId":"CLIENT","subscription":"/export/\ud83d"}`,
		"an id":            `{"channel":"/meta/subscribe","clientId":"CLIENT","subscription":"/export/1","id":"\ud83d"}`,
		"a handshake":      `{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"ext":{"access_token":"\ud83d"}}`,
		"an unknown field": `{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"x":"\ud83d"}`,
	} {
		for _, transport := range []string{"long-polling", "websocket"} {
			got := bayeux(t, a, transport, message)
			if !strings.Contains(got, `"successful":false`) || !strings.Contains(got, "surrogate") {
				t.Errorf("%s with half a pair in %s: %s", transport, what, got)
			}
		}
	}
}

// bayeux sends one message in a session of its own and returns the answer.
func bayeux(t *testing.T, a *program.App, transport, message string) string {
	t.Helper()
	handshake := fmt.Sprintf(`{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":[%q]}`, transport)
	var send func(text string) []byte
	if transport == "websocket" {
		conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(a.URL, "http")+"/faye", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		send = func(text string) []byte {
			if err := conn.WriteMessage(websocket.TextMessage, []byte("["+text+"]")); err != nil {
				t.Fatal(err)
			}
			_, data, err := conn.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
	} else {
		send = func(text string) []byte { return a.Do("POST", "/faye", json.RawMessage("["+text+"]")).Body }
	}
	var shaken []struct{ ClientID string }
	if err := json.NewDecoder(bytes.NewReader(send(handshake))).Decode(&shaken); err != nil || len(shaken) == 0 {
		t.Fatalf("the handshake: %v, %v", shaken, err)
	}
	return string(send(strings.ReplaceAll(message, "CLIENT", shaken[0].ClientID)))
}
