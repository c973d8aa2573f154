package main

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// A replica that dies under a GET makes the transport send it again. Both tries carry one id.
func TestARequestThatIsSentAgainKeepsItsID(t *testing.T) {
	var mu sync.Mutex
	var ids []string
	replica := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, r.Header.Get("X-Request-Id"))
		if len(ids) == 2 {
			// It cuts a connection that was used before: only then is the request tried again.
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(replica.Close)
	f := front(t, []string{replica.Listener.Addr().String()})
	get(t, f.URL+"/warm")
	if body, _ := get(t, f.URL+"/start"); !strings.HasPrefix(body, "200") {
		t.Fatalf("answered %s", body)
	}
	get(t, f.URL+"/own", "X-Request-Id", "client-made-id-0001")
	if len(ids) != 4 || ids[1] != ids[2] || ids[0] == ids[1] || len(ids[1]) < 8 || ids[3] != "client-made-id-0001" {
		t.Errorf("sent on with the ids %q, want the second and third alike", ids)
	}
}

// The id of a session is in the path of its event stream: with it, its events can be read.
func TestTheProxyLogsNoSessionID(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	var logs bytes.Buffer
	handler := newProxy([]string{closed.Listener.Addr().String()}, slog.New(slog.NewTextHandler(&logs, nil)))
	for path, want := range map[string]string{
		"/faye/session4711?x=secret4711": "path=/faye/-",
		"/api/exports?s=secret4711":      "path=/api/exports",
	} {
		logs.Reset()
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusBadGateway || !strings.Contains(logs.String(), want) || strings.Contains(logs.String(), "4711") {
			t.Errorf("%s: answered %d, logged %s", path, w.Code, &logs)
		}
	}
}

// As many bytes of a request line as the programs take, 16 KiB, pass.
func TestALongRequestLinePasses(t *testing.T) {
	replica := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(r.RequestURI))
	}))
	t.Cleanup(replica.Close)
	f := front(t, []string{replica.Listener.Addr().String()})
	path := "/api/contacts?ids=" + strings.Repeat("1", 16<<10)
	if body, _ := get(t, f.URL+path); body != "200 "+path {
		t.Errorf("answered %.100s with %d bytes", body, len(body))
	}
}
