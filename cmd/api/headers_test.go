package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestSecurityHeaders(t *testing.T) {
	for _, https := range []bool{true, false} {
		for path, framed := range map[string]bool{"/": false, "/api/contacts": false, "/faye": true, "/faye/x": true} {
			w := httptest.NewRecorder()
			securityHeaders(https)(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			h := w.Header()
			if (h.Get("Strict-Transport-Security") != "") != https {
				t.Errorf("%s, https %t: Strict-Transport-Security %q", path, https, h.Get("Strict-Transport-Security"))
			}
			if h.Get("Permissions-Policy") != permissionsPolicy || h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: %v", path, h)
			}
			if (h.Get("X-Frame-Options") == "") != framed {
				t.Errorf("%s: X-Frame-Options %q", path, h.Get("X-Frame-Options"))
			}
		}
	}
}

func TestEmbeddedModeAnswersItsOwnNamesOnly(t *testing.T) {
	h := ownHosts("127.0.0.1:8080", "http://demo.internal:8080")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for host, status := range map[string]int{
		"localhost": 200, "localhost:8080": 200, "LOCALHOST:8080": 200, "localhost.:8080": 200, "127.0.0.1:8080": 200,
		"127.0.0.2": 200, "[::1]:8080": 200, "demo.internal:8080": 200,
		"evil.example:8080": 421, "127.0.0.1.evil.example": 421, "localhost.evil.example": 421, "192.0.2.1:8080": 421,
		"[2001:db8::1]:8080": 421, "": 421, "x@localhost:8080": 421,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("Host %q: %d, want %d", host, w.Code, status)
		}
	}
}
