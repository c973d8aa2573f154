package telemetry

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Check is one part the program depends on.
type Check struct {
	Name     string
	Required bool // without it the process is not ready; otherwise it is reported as degraded
	Ping     func(ctx context.Context) error
}

// Health answers /healthz and /readyz.
type Health struct {
	// Checks are asked side by side on each /readyz.
	Checks []Check
	// Timeout bounds each check; 0 is 2 s.
	Timeout time.Duration
	// Keep is how long an answer serves further requests, so that asking often costs nothing; 0 is
	// 1 s.
	Keep time.Duration

	mu    sync.Mutex
	asked time.Time
	last  []string
}

// states asks every part, or returns what they said a moment ago.
func (h *Health) states(ctx context.Context) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.last != nil && time.Since(h.asked) < cmp.Or(h.Keep, time.Second) {
		return h.last
	}
	// The caller may leave; the answer serves others too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(h.Timeout, 2*time.Second))
	defer cancel()
	states := make([]string, len(h.Checks))
	var wait sync.WaitGroup
	for i, c := range h.Checks {
		wait.Go(func() {
			states[i] = "ok"
			if c.Ping(ctx) != nil {
				states[i] = "unreachable"
			}
		})
	}
	wait.Wait()
	h.last, h.asked = states, time.Now()
	return states
}

// Live answers 200 while the process serves at all.
func (h *Health) Live(w http.ResponseWriter, _ *http.Request) {
	writeHealth(w, http.StatusOK, map[string]any{"status": "ok"})
}

// Ready answers 200 while every required part answers, 503 otherwise. Parts that are not required
// turn the status into "degraded" and keep the 200: work is still accepted.
func (h *Health) Ready(w http.ResponseWriter, r *http.Request) {
	states := h.states(r.Context())
	status, overall, parts := http.StatusOK, "ok", map[string]string{}
	for i, c := range h.Checks {
		parts[c.Name] = states[i]
		switch {
		case states[i] == "ok":
		case c.Required:
			status, overall = http.StatusServiceUnavailable, "unavailable"
		case overall == "ok":
			overall = "degraded"
		}
	}
	writeHealth(w, status, map[string]any{"status": overall, "checks": parts})
}

func writeHealth(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A client that has gone needs no answer.
	_ = json.NewEncoder(w).Encode(body)
}
