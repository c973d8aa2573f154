package bayeux

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Run one of these for ten minutes with
//
//	go test -run '^$' -fuzz '^FuzzForm$' -fuzztime 10m ./pkg/bayeux
//
// What a run finds is kept in testdata/fuzz and tried by every test run from then on.

// fuzzServer answers at once.
func fuzzServer(f *testing.F) *Server {
	f.Helper()
	opt := Options{Timeout: time.Microsecond, Expiry: time.Hour, AllowPatterns: true, MaxBody: 1 << 16, MaxSessions: 100, HandshakeRate: 1 << 30, HandshakeBurst: 1 << 30}
	srv, err := New(talker{door: &door{dead: map[string]bool{}}, service: make(chan string, 1)}, &LocalBus{}, opt)
	if err != nil {
		f.Fatal(err)
	}
	return srv
}

// checkReplies checks what every answer of the protocol has in common.
func checkReplies(t *testing.T, body []byte) {
	var list []map[string]json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil {
		t.Fatalf("%q: %v", body, err)
	}
	for _, r := range list {
		if done := string(r["successful"]); done != "true" && done != "false" {
			t.Fatalf("%s is no reply", body)
		}
		var text string
		if r["error"] != nil && (json.Unmarshal(r["error"], &text) != nil || !replyError.MatchString(text)) {
			t.Fatalf("error %s", r["error"])
		}
	}
}

var replyError = regexp.MustCompile(`^[0-9]{3}:[A-Za-z0-9\-_!~()$@/*. ,]*:[A-Za-z0-9\-_!~()$@/*. ]*$`)

// FuzzForm posts bodies of every type to the whole server.
func FuzzForm(f *testing.F) {
	for _, row := range protocolRows {
		f.Add("application/json", row.send)
		f.Add("text/plain;charset=UTF-8", form(row.send))
	}
	f.Add("", "message=%5B%5D&message=null")
	f.Add("application/x-www-form-urlencoded", "message=%zz;&x")
	f.Add("multipart/form-data; boundary=x", "--x\r\n")
	f.Add("application/json; ;", "[]")
	srv := fuzzServer(f)
	f.Fuzz(func(t *testing.T, kind, body string) {
		if strings.Contains(body, "/service") {
			return // what goes there is kept for a test
		}
		r := httptest.NewRequest(http.MethodPost, "/faye", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		switch w.Code {
		case http.StatusOK:
			checkReplies(t, w.Body.Bytes())
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusServiceUnavailable:
			if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
				t.Fatalf("%d with %v", w.Code, w.Header())
			}
		default:
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}

// FuzzJSONP sends messages and callback names in the address.
func FuzzJSONP(f *testing.F) {
	for _, row := range protocolRows {
		f.Add(row.send, "jsonpcallback")
	}
	for _, name := range []string{"", "a.b", "__jsonp1__", "alert(1)", "a\u2028", "a.", "$", "<script>", "a;b", "ä"} {
		f.Add(`[]`, name)
	}
	f.Add("{\"channel\":\"\u2028\",\"data\":1,\"id\":\"\u2029\"}", "f")
	srv := fuzzServer(f)
	f.Fuzz(func(t *testing.T, message, callback string) {
		if strings.Contains(message, "/service") {
			return // what goes there is kept for a test
		}
		r := httptest.NewRequest(http.MethodGet, "/faye?"+url.Values{"message": {message}, "jsonp": {callback}}.Encode(), nil)
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			if !slices.Contains([]int{http.StatusBadRequest, http.StatusServiceUnavailable}, w.Code) || strings.HasPrefix(w.Body.String(), "/**/") {
				t.Fatalf("%d %s", w.Code, w.Body)
			}
			return
		}
		if callback == "" {
			callback = "jsonpcallback"
		}
		json, called := strings.CutPrefix(w.Body.String(), "/**/"+callback+"(")
		json, ended := strings.CutSuffix(json, ");")
		if !called || !ended || !callbackName.MatchString(callback) || strings.ContainsAny(json, "\u2028\u2029") {
			t.Fatalf("%q", w.Body)
		}
		checkReplies(t, []byte(json))
	})
}
