package wire

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"exporthub/pkg/auth"
	"exporthub/pkg/database/dbtest"
)

// The id of a session that a page opened may be read in a log or over a shoulder. It opens neither
// the event stream nor a websocket, and no request is answered by it.
func TestNoTransportOpensASessionByItsIDAlone(t *testing.T) {
	c := startCluster(t, dbtest.SQLiteURL(t))
	r := c.replicas[0]
	cookie := func(who string) string {
		token, err := r.Auth.Renew(c.people[who])
		if err != nil {
			t.Fatal(err)
		}
		return auth.CookieName + "=" + token.Value
	}
	mine, other := cookie("ann"), cookie("chief")
	// As a browser sends it.
	header := func(cookie string) http.Header {
		h := http.Header{"Content-Type": {"application/json"}, "Sec-Fetch-Site": {"same-origin"}}
		if cookie != "" {
			h.Set("Cookie", cookie)
		}
		return h
	}
	do := func(method, path, body string, h http.Header) *http.Response {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), method, r.web.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header = h
		res, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	shaken := do("POST", "/faye",
		`{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["eventsource"]}`, header(mine))
	client := decodeReplies(t, shaken.Body)[0]["clientId"].(string)
	connect := fmt.Sprintf(`{"channel":"/meta/connect","clientId":%q,"connectionType":"websocket","advice":{"timeout":0}}`, client)

	for name, given := range map[string]struct {
		cookie string
		opens  bool
	}{
		"no cookie":               {"", false},
		"another person's cookie": {other, false},
		"a cookie of no one":      {auth.CookieName + "=dead", false},
		"its person's cookie":     {mine, true},
	} {
		stream := header(given.cookie)
		stream.Set("Accept", "text/event-stream")
		if got := do("GET", "/faye/"+client, "", stream).StatusCode == 200; got != given.opens {
			t.Errorf("%s opens its event stream: %t", name, got)
		}
		polled := decodeReplies(t, do("POST", "/faye", strings.Replace(connect, "websocket", "long-polling", 1), header(given.cookie)).Body)
		if got := polled[0]["successful"] == true; got != given.opens {
			t.Errorf("%s opens it by a request: %v", name, polled)
		}
		upgrade := http.Header{}
		if given.cookie != "" {
			upgrade.Set("Cookie", given.cookie)
		}
		conn, res, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(r.web.URL, "http")+"/faye", upgrade)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if err := conn.WriteMessage(websocket.TextMessage, []byte(connect)); err != nil {
			t.Fatal(err)
		}
		_, answer, err := conn.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		replies := decodeReplies(t, strings.NewReader(string(answer)))
		if got := replies[0]["successful"] == true; got != given.opens {
			t.Errorf("%s opens it on a websocket: %s", name, answer)
		}
	}
}
