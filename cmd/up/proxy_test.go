package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// replicas are servers that say which one they are and what they were sent.
func replicas(t *testing.T, n int) []string {
	t.Helper()
	var addresses []string
	for i := range n {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if websocket.IsWebSocketUpgrade(r) {
				up := websocket.Upgrader{}
				conn, err := up.Upgrade(w, r, nil) // refuses an Origin that is not r.Host
				if err != nil {
					return
				}
				defer conn.Close()
				_ = conn.WriteMessage(websocket.TextMessage, fmt.Append(nil, i))
				return
			}
			if r.URL.Path == "/" {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
			}
			fmt.Fprintf(w, "%d %s %s", i, r.Host, r.Header.Get("X-Forwarded-For"))
		}))
		t.Cleanup(server.Close)
		addresses = append(addresses, server.Listener.Addr().String())
	}
	return addresses
}

func front(t *testing.T, replicas []string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(newProxy(replicas, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	return server
}

func get(t *testing.T, url string, header ...string) (body string, h http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(res.StatusCode, " ", string(text)), res.Header
}

func TestPlainRequestsTakeTurns(t *testing.T) {
	f := front(t, replicas(t, 3))
	seen := map[string]int{}
	for range 30 {
		body, _ := get(t, f.URL+"/api/x")
		seen[body[:5]]++
	}
	if len(seen) != 3 || seen["200 0"] != 10 {
		t.Errorf("spread as %v", seen)
	}
}

func TestRealtimeStaysOnOneReplica(t *testing.T) {
	f := front(t, replicas(t, 3))
	seen := map[string]bool{}
	for i := range 10 {
		body, _ := get(t, f.URL+"/faye?n="+fmt.Sprint(i))
		seen[body[:5]] = true
		get(t, f.URL+"/api/x") // others' turns change nothing
	}
	if len(seen) != 1 {
		t.Errorf("an address without a cookie was sent to %v", seen)
	}
	for i := range 3 {
		body, _ := get(t, f.URL+"/faye/x", "Cookie", replicaCookie+"="+fmt.Sprint(i))
		if !strings.HasPrefix(body, "200 "+fmt.Sprint(i)) {
			t.Errorf("the cookie of %d leads to %s", i, body)
		}
	}
	for _, bad := range []string{"-1", "99999999999", "x", ""} {
		if body, _ := get(t, f.URL+"/faye", "Cookie", replicaCookie+"="+bad); !seen[body[:5]] {
			t.Errorf("the cookie %q leads to %s, not where the address does", bad, body)
		}
	}
	if _, h := get(t, f.URL+"/"); !strings.Contains(h.Get("Set-Cookie"), replicaCookie+"=") || !strings.Contains(h.Get("Set-Cookie"), "Path=/faye") {
		t.Errorf("the page brings %q", h.Get("Set-Cookie"))
	}
	if _, h := get(t, f.URL+"/api/x"); h.Get("Set-Cookie") != "" {
		t.Errorf("an answer of the API brings %q", h.Get("Set-Cookie"))
	}
}

func TestSocketsPassWithTheirHost(t *testing.T) {
	f := front(t, replicas(t, 2))
	conn, _, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(f.URL, "http")+"/faye",
		http.Header{"Origin": {f.URL}, "Cookie": {replicaCookie + "=1"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, text, err := conn.ReadMessage(); err != nil || string(text) != "1" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestAClientCantSayWhoItIs(t *testing.T) {
	f := front(t, replicas(t, 1))
	body, _ := get(t, f.URL+"/api/x", "X-Forwarded-For", "203.0.113.9")
	if want := "200 0 " + strings.TrimPrefix(f.URL, "http://") + " 127.0.0.1"; body != want {
		t.Errorf("got %q, want %q", body, want)
	}
}

func TestADeadReplicaIsPassedOver(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	_ = l.Close()
	f := front(t, append(replicas(t, 1), dead))
	for i := range 6 {
		if body, _ := get(t, f.URL+"/api/x?n="+fmt.Sprint(i)); !strings.HasPrefix(body, "200 0") {
			t.Errorf("answered %s", body)
		}
	}
	if body, _ := get(t, front(t, []string{dead}).URL+"/api/x"); !strings.HasPrefix(body, "502") {
		t.Errorf("without any replica it answers %s", body)
	}
}
