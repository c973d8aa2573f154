package config

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const goodSecret = "3f1c9a7be2d84f60a5c7d9e1b3f5a7c9d1e3f5a7b9c1d3e5"

func production(extra ...string) []string {
	return append([]string{
		"PUBLIC_URL=https://hub.example.com", "DATABASE_URL=postgres://hub:pw-db-123@db.example.com/hub",
		"REDIS_URL=redis://:pw-redis-123@redis.example.com:6379/0", "AUTH_SECRET=" + goodSecret,
		"STORAGE_DIR=/srv/files", "SPOOL_DIR=/srv/spool",
	}, extra...)
}

func TestEmbeddedNeedsNothing(t *testing.T) {
	c, err := Load(nil, "", Mode{Embedded: true})
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTPAddr != "127.0.0.1:8080" || !c.Demo || c.RedisURL != RedisEmbedded || c.Location.String() != "Asia/Shanghai" ||
		c.TaskCheckEvery != 100*time.Millisecond {
		t.Errorf("got %+v", c)
	}
}

func TestProduction(t *testing.T) {
	c, err := Load(production("TRUSTED_PROXIES=10.0.0.0/8,192.168.1.4", "PUBLIC_URL=https://hub.example.com/"), "", Mode{})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Proxies) != 2 || c.Proxies[1].String() != "192.168.1.4/32" || c.PublicURL != "https://hub.example.com" ||
		c.TaskCheckEvery != 15*time.Millisecond || c.Demo {
		t.Errorf("got %+v", c)
	}
}

func TestEveryProblemIsReportedAtOnce(t *testing.T) {
	_, err := Load([]string{"EXPORT_DAILY_LIMIT=many", "LEASE=10", "TIMEZONE=Mars/Olympus", "STORAGE=tape", "AUTH_SECRET=short"}, "", Mode{})
	if err == nil {
		t.Fatal("want problems")
	}
	for _, name := range []string{
		"EXPORT_DAILY_LIMIT", "LEASE", "TIMEZONE", "STORAGE", "AUTH_SECRET", "DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "STORAGE_DIR", "SPOOL_DIR",
	} {
		if !strings.Contains(err.Error(), name+":") {
			t.Errorf("no word of %s in:\n%v", name, err)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		environ []string
		mode    Mode
		want    string
	}{
		"embedded on a public address":  {[]string{"HTTP_ADDR=0.0.0.0:8080"}, Mode{Embedded: true}, "-embedded-public"},
		"embedded on every address":     {[]string{"HTTP_ADDR=:8080"}, Mode{Embedded: true}, "-embedded-public"},
		"in-process redis in parts":     {production("REDIS_URL=embedded"), Mode{}, "REDIS_URL"},
		"demo in production":            {production("DEMO=true"), Mode{}, "DEMO"},
		"secret of one letter":          {production("AUTH_SECRET=" + strings.Repeat("a", 64)), Mode{}, "AUTH_SECRET"},
		"secret from an example":        {production("AUTH_SECRET=please-changeme-please-0123456789-abcdef"), Mode{}, "AUTH_SECRET"},
		"previous secret short":         {production("AUTH_SECRET_PREVIOUS=abc"), Mode{}, "AUTH_SECRET_PREVIOUS"},
		"unknown database":              {production("DATABASE_URL=oracle://x"), Mode{}, "DATABASE_URL"},
		"origin with a path":            {production("ALLOWED_ORIGINS=https://a.example.com/page"), Mode{}, "ALLOWED_ORIGINS"},
		"proxy that is no network":      {production("TRUSTED_PROXIES=nearby"), Mode{}, "TRUSTED_PROXIES"},
		"address without a port":        {production("HTTP_ADDR=localhost"), Mode{}, "HTTP_ADDR"},
		"metrics address without port":  {production("METRICS_ADDR=localhost"), Mode{}, "METRICS_ADDR"},
		"public url of another scheme":  {production("PUBLIC_URL=ftp://hub.example.com"), Mode{}, "PUBLIC_URL"},
		"limit below one":               {production("EXPORT_QUEUE_LIMIT=0"), Mode{}, "EXPORT_QUEUE_LIMIT"},
		"a wait nobody sits through":    {production("EXPORT_WAIT=10m"), Mode{}, "EXPORT_WAIT"},
		"lease too short to renew":      {production("LEASE=1ms"), Mode{}, "LEASE"},
		"public without an address":     {[]string{"HTTP_ADDR=:8080"}, Mode{Embedded: true, EmbeddedPublic: true}, "PUBLIC_URL"},
		"draining longer than the end":  {production("DRAIN_TIMEOUT=1h"), Mode{}, "DRAIN_TIMEOUT"},
		"log level nobody knows":        {production("LOG_LEVEL=loud"), Mode{}, "LOG_LEVEL"},
		"flag that is neither":          {production("DEMO=perhaps"), Mode{}, "DEMO"},
		"time zone of the machine":      {production("TIMEZONE=Local"), Mode{}, "TIMEZONE"},
		"redis of an unknown scheme":    {production("REDIS_URL=memcached://x"), Mode{}, "REDIS_URL"},
		"previous secret is an example": {production("AUTH_SECRET_PREVIOUS=example-example-example-example-0123"), Mode{}, "AUTH_SECRET_PREVIOUS"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(c.environ, "", c.mode)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want a problem with %s", err, c.want)
			}
		})
	}
	if _, err := Load([]string{"HTTP_ADDR=0.0.0.0:8080", "PUBLIC_URL=http://hub.example.com:8080"}, "", Mode{Embedded: true, EmbeddedPublic: true}); err != nil {
		t.Errorf("-embedded-public: %v", err)
	}
}

func TestDotenv(t *testing.T) {
	file := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(file, []byte("# limits\nEXPORT_DAILY_LIMIT=7\nEXPORT_QUEUE_LIMIT='3'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load([]string{"EXPORT_QUEUE_LIMIT=2"}, file, Mode{Embedded: true})
	if err != nil {
		t.Fatal(err)
	}
	if c.ExportDailyLimit != 7 || c.ExportQueueLimit != 2 {
		t.Errorf("daily %d, queue %d; want 7 from the file and 2 from the environment", c.ExportDailyLimit, c.ExportQueueLimit)
	}
	if _, err := Load(nil, t.TempDir(), Mode{Embedded: true}); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("a directory: %v", err)
	}
	if err := os.WriteFile(file, []byte("AUTH_SECRET\x00 'pw-leak-999\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(nil, file, Mode{Embedded: true}); err == nil || strings.Contains(err.Error(), "pw-leak") {
		t.Errorf("got %v, want an error without the line", err)
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	c, err := Load(production(), "", Mode{})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("config", "config", c, "secret", c.AuthSecret)
	_, refused := Load(production("AUTH_SECRET=pw-short-1", "DATABASE_URL=pw-bad-url"), "", Mode{})
	for what, text := range map[string]string{
		"%v": fmt.Sprintf("%v", c), "%+v": fmt.Sprintf("%+v", c), "%#v": fmt.Sprintf("%#v", c), "slog": log.String(), "error": refused.Error(),
	} {
		for _, secret := range []string{goodSecret, "pw-db-123", "pw-redis-123", "pw-short-1", "pw-bad-url"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s prints a secret: %s", what, text)
			}
		}
	}
}
