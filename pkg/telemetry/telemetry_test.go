package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestReady(t *testing.T) {
	up := func(context.Context) error { return nil }
	down := func(context.Context) error { return errors.New("connection refused by 10.0.0.1") }
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for name, c := range map[string]struct {
		checks []Check
		code   int
		status string
	}{
		"all well":              {[]Check{{Name: "database", Required: true, Ping: up}, {Name: "redis", Required: false, Ping: up}}, 200, "ok"},
		"redis away":            {[]Check{{Name: "database", Required: true, Ping: up}, {Name: "redis", Required: false, Ping: down}}, 200, "degraded"},
		"database away":         {[]Check{{Name: "database", Required: true, Ping: down}, {Name: "redis", Required: false, Ping: up}}, 503, "unavailable"},
		"both away":             {[]Check{{Name: "redis", Required: false, Ping: down}, {Name: "database", Required: true, Ping: down}}, 503, "unavailable"},
		"a part hangs":          {[]Check{{Name: "database", Required: true, Ping: up}, {Name: "storage", Required: false, Ping: hang}}, 200, "degraded"},
		"required part hanging": {[]Check{{Name: "database", Required: true, Ping: hang}}, 503, "unavailable"},
		"database read-only":    {[]Check{{Name: "database", Required: true, Ping: up, Write: down}}, 200, "degraded"},
		"database write hangs":  {[]Check{{Name: "database", Required: true, Ping: up, Write: hang}}, 200, "degraded"},
		"redis full":            {[]Check{{Name: "redis", Ping: up, Write: down}}, 200, "degraded"},
		"all can be written":    {[]Check{{Name: "redis", Ping: up, Write: up}}, 200, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &Health{Checks: c.checks, Timeout: 20 * time.Millisecond}
			w := httptest.NewRecorder()
			h.Ready(w, httptest.NewRequest("GET", "/readyz", nil))
			var body struct{ Status string }
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatal(err)
			}
			if w.Code != c.code || body.Status != c.status {
				t.Errorf("got %d %q, want %d %q", w.Code, body.Status, c.code, c.status)
			}
			if strings.Contains(w.Body.String(), "10.0.0.1") {
				t.Errorf("the answer leaks a cause: %s", w.Body)
			}
		})
	}
}

// The answer names what is wrong with which part, for the person who reads it.
func TestReadyNamesWhatCannotBeWritten(t *testing.T) {
	up := func(context.Context) error { return nil }
	down := func(context.Context) error { return errors.New("OOM command not allowed") }
	h := &Health{Checks: []Check{
		{Name: "database", Required: true, Ping: up, Write: down},
		{Name: "redis", Ping: up, Write: up},
		{Name: "storage", Ping: down},
	}}
	w := httptest.NewRecorder()
	h.Ready(w, httptest.NewRequest("GET", "/readyz", nil))
	want := `{"checks":{"database":"read_only","redis":"ok","storage":"unreachable"},"status":"degraded"}` + "\n"
	if w.Code != http.StatusOK || w.Body.String() != want {
		t.Errorf("got %d %s, want 200 %s", w.Code, w.Body, want)
	}
}

func TestLive(t *testing.T) {
	w := httptest.NewRecorder()
	(&Health{}).Live(w, httptest.NewRequest("GET", "/healthz", nil))
	if w.Code != http.StatusOK {
		t.Errorf("got %d", w.Code)
	}
}

func TestMetricsTellRequestsJobsAndGauges(t *testing.T) {
	m := NewMetrics()
	m.Request("/api/things/{id}", "GET", 200, 3*time.Millisecond)
	m.Attempt("export", "success")
	m.ExportRequest("accepted")
	m.Gauge("exporthub_sessions", "Live sessions.", func() float64 { return 7 })
	s := httptest.NewServer(m.Handler())
	defer s.Close()
	res, err := http.Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`exporthub_http_request_seconds_count{method="GET",route="/api/things/{id}",status="200"} 1`,
		`exporthub_job_attempts_total{kind="export",outcome="success"} 1`,
		`exporthub_export_requests_total{answer="accepted"} 1`,
		"exporthub_sessions 7", "go_goroutines",
	} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("no %q in the figures", want)
		}
	}
}

func TestParseLevel(t *testing.T) {
	if l, err := ParseLevel(" warn "); err != nil || l != slog.LevelWarn {
		t.Errorf("got %v, %v", l, err)
	}
	if _, err := ParseLevel("loud"); err == nil || !strings.Contains(err.Error(), "loud") {
		t.Errorf("want an error that names the value, got %v", err)
	}
}
