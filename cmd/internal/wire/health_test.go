package wire

import (
	"encoding/json"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"exporthub/pkg/config"
	"exporthub/pkg/testkit"
)

// readiness is the answer of /readyz.
type readiness struct {
	code   int
	Status string
	Checks map[string]string
}

// ask asks parts anew, whatever they said a moment ago.
func ask(t *testing.T, p *Parts) (r readiness) {
	t.Helper()
	w := httptest.NewRecorder()
	p.Health().Ready(w, httptest.NewRequest("GET", "/readyz", nil))
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	r.code = w.Code
	return r
}

// Each part is judged by what is needed of it: what takes no writes is named, and only a database
// that can't be read takes the replica out of the balancer.
func TestReadinessIsJudgedByTheOperationThatIsNeeded(t *testing.T) {
	server, primary := testkit.OwnRedis(t, "--maxmemory-policy", "noeviction"), testkit.OwnRedis(t)
	dir := t.TempDir()
	p, err := Build(t.Context(), config.Config{
		DatabaseURL:      config.Secret("sqlite://" + filepath.Join(dir, "health.db")),
		DatabasePool:     4,
		RedisURL:         config.Secret(server.URL()),
		AuthSecret:       "q7Yx2Lw9Zt4Rk8Vb3Nc6Hd1Fs5Ga0JmPeUoTi",
		PublicURL:        "http://127.0.0.1",
		Storage:          "disk",
		StorageDir:       filepath.Join(dir, "files"),
		SpoolDir:         filepath.Join(dir, "spool"),
		ExportQueueLimit: 1,
		ExportDailyLimit: 9,
		ExportRetention:  time.Hour,
		Location:         time.UTC,
	}, slog.New(slog.DiscardHandler), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	expect := func(what string, code int, status string, bad map[string]string) {
		t.Helper()
		want := map[string]string{"database": "ok", "redis": "ok", "storage": "ok", "spool": "ok"}
		maps.Copy(want, bad)
		if got := ask(t, p); got.code != code || got.Status != status || !maps.Equal(got.Checks, want) {
			t.Errorf("%s: %+v, want %d %s %v", what, got, code, status, want)
		}
	}
	redis := func(args ...any) {
		t.Helper()
		if err := p.Redis.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	expect("all is well", 200, "ok", nil)
	redis("CONFIG", "SET", "maxmemory", "1")
	expect("Redis is full", 200, "degraded", map[string]string{"redis": "read_only"})
	redis("CONFIG", "SET", "maxmemory", "0")
	redis("REPLICAOF", "127.0.0.1", primary.Addr()[len("127.0.0.1:"):])
	expect("Redis is a read-only replica", 200, "degraded", map[string]string{"redis": "read_only"})
	redis("REPLICAOF", "NO", "ONE")
	expect("Redis is a primary again", 200, "ok", nil)
	// A file in place of the folder: rights would not stop root.
	if err := os.RemoveAll(p.Config.SpoolDir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.Config.SpoolDir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	expect("no spool", 200, "degraded", map[string]string{"spool": "read_only"})
	server.Kill()
	expect("Redis is gone too", 200, "degraded", map[string]string{"spool": "read_only", "redis": "unreachable"})
	if err := p.DB.Close(); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, p); got.code != 503 || got.Checks["database"] != "unreachable" {
		t.Errorf("no database: %+v", got)
	}
}
