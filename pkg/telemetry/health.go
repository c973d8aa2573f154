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
	// Ping asks whether the part answers; nil is for parts of this machine, which always do.
	Ping func(ctx context.Context) error
	// Write does the operation for which the part is there, on something of no importance. A part
	// that answers Ping and takes no writes (a full Redis, a database that became a replica) is
	// "read_only" and turns the status into "degraded", Required or not: with a 503 every replica
	// would leave the balancer at once, and lists can still be read. nil is for parts whose Ping
	// writes.
	Write func(ctx context.Context) error
}

// The states of a part in the answer of /readyz.
const (
	stateOK          = "ok"
	stateReadOnly    = "read_only"
	stateUnreachable = "unreachable"
)

// state asks one part.
func (c Check) state(ctx context.Context) string {
	if c.Ping != nil && c.Ping(ctx) != nil {
		return stateUnreachable
	}
	if c.Write != nil && c.Write(ctx) != nil {
		return stateReadOnly
	}
	return stateOK
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
			states[i] = c.state(ctx)
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

// Ready answers 200 while every required part can be read, 503 otherwise. Parts that are not
// required, and those that take no writes, turn the status into "degraded" and keep the 200; checks
// names them.
func (h *Health) Ready(w http.ResponseWriter, r *http.Request) {
	states := h.states(r.Context())
	status, overall, parts := http.StatusOK, "ok", map[string]string{}
	for i, c := range h.Checks {
		parts[c.Name] = states[i]
		switch {
		case states[i] == stateOK:
		case c.Required && states[i] == stateUnreachable:
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
