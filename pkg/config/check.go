package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"time"
	_ "time/tzdata" // TIMEZONE must resolve on images without a zone database
)

func fieldNames() []string {
	var names []string
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		if tag := t.Field(i).Tag.Get("env"); tag != "" && tag != "-" {
			names = append(names, t.Field(i).Name)
		}
	}
	return names
}

// check parses what has a form of its own and reports every problem.
func (c *Config) check() []error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	c.checkAddresses(bad)
	c.checkParts(bad)
	c.checkSecrets(bad)
	c.checkLimits(bad)
	return problems
}

// report notes one problem. Every check goes on after it, so that all problems of a configuration
// are reported at once and not one a start.
type report func(format string, args ...any)

func (c *Config) checkAddresses(bad report) {
	host, _, err := net.SplitHostPort(c.HTTPAddr)
	if err != nil {
		bad("HTTP_ADDR: %q is not host:port", c.HTTPAddr)
	} else if c.Embedded && !c.EmbeddedPublic && !loopback(host) {
		// An empty host is every interface, so it is refused too.
		bad("HTTP_ADDR: embedded mode has demo passwords and serves this machine only; use 127.0.0.1:PORT, or add -embedded-public if you mean it")
	}
	if c.MetricsAddr != "" {
		if _, _, err := net.SplitHostPort(c.MetricsAddr); err != nil {
			bad("METRICS_ADDR: %q is not host:port", c.MetricsAddr)
		}
	}
	switch {
	case c.PublicURL != "":
		u, err := url.Parse(c.PublicURL)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" {
			bad("PUBLIC_URL: must be http://host or https://host, as people reach the server")
		}
		c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	case c.EmbeddedPublic:
		bad("PUBLIC_URL: is required with -embedded-public: links to files begin with it, as others reach this machine")
	case !c.Embedded:
		bad("PUBLIC_URL: is required: links to files begin with it")
	}
	for _, o := range c.AllowedOrigins {
		if !isOrigin(strings.TrimSpace(o)) {
			bad("ALLOWED_ORIGINS: %q is not an origin such as https://admin.example.com; patterns are not taken, name each origin", o)
		}
	}
	// Everything in these networks may name any client address, so a typo must not become 0.0.0.0/0
	// silently: what can't be parsed is refused.
	for _, text := range c.TrustedProxies {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				bad("TRUSTED_PROXIES: %q is neither an address nor a network such as 10.0.0.0/8", text)
				continue
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		c.Proxies = append(c.Proxies, prefix)
	}
}

// isOrigin reports whether text is an origin as browsers send it (RFC 6454, section 6.2): scheme,
// host and perhaps a port, in lower case. A pattern is none. The check of cookies compares whole
// origins, so a pattern that CORS alone understood would let a page read what it may not send for.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || strings.Contains(u.Host, "*") {
		return false
	}
	return text == strings.ToLower(u.Scheme+"://"+u.Host)
}

// loopback reports whether only this machine reaches host. Other names are not resolved: what they
// mean may change after the check.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func (c *Config) checkParts(bad report) {
	switch scheme, _, ok := strings.Cut(string(c.DatabaseURL), ":"); {
	case c.DatabaseURL == "":
		bad("DATABASE_URL: is required: sqlite:PATH, postgres://… or mysql://…")
	case !ok || (scheme != "sqlite" && scheme != "postgres" && scheme != "postgresql" && scheme != "mysql"):
		bad("DATABASE_URL: must begin with sqlite:, postgres:// or mysql://")
	}
	switch scheme, _, _ := strings.Cut(string(c.RedisURL), "://"); {
	case c.RedisURL == "":
		bad("REDIS_URL: is required: redis://host:6379/0, rediss://, redis-sentinel://, redis-cluster://")
	case c.RedisURL == RedisEmbedded:
		if !c.Embedded {
			bad("REDIS_URL: %s works with -embedded only, since it is shared with no other process", RedisEmbedded)
		}
	case scheme != "redis" && scheme != "rediss" && scheme != "redis-sentinel" && scheme != "redis-cluster":
		bad("REDIS_URL: must begin with redis://, rediss://, redis-sentinel:// or redis-cluster://")
	}
	c.checkStorage(bad)
	if c.SpoolDir == "" {
		bad("SPOOL_DIR: is required: a directory for files being written, with room for the largest export")
	}
	// "Local" loads, but means something else on each machine.
	location, err := time.LoadLocation(c.Timezone)
	if err != nil || c.Timezone == "Local" {
		bad("TIMEZONE: %q is not a zone such as Asia/Shanghai", c.Timezone)
	}
	c.Location = location
	switch strings.ToLower(c.LogLevel) {
	case "debug", "info", "warn", "error":
	default:
		bad("LOG_LEVEL: %q is unknown; use debug, info, warn or error", c.LogLevel)
	}
	if c.Demo && !c.Embedded {
		bad("DEMO: demo people have known passwords; they exist with -embedded only")
	}
}

func (c *Config) checkSecrets(bad report) {
	if c.AuthSecret == "" {
		if !c.Embedded { // embedded mode keeps a generated one
			bad("AUTH_SECRET: is required; make one with: openssl rand -hex 32")
		}
		return
	}
	for name, s := range map[string]Secret{"AUTH_SECRET": c.AuthSecret, "AUTH_SECRET_PREVIOUS": c.AuthSecretPrevious} {
		if s != "" && weakSecret(string(s)) {
			bad("%s: must be at least %d random bytes, no repetition and no example; make one with: openssl rand -hex 32", name, minSecret)
		}
	}
}

func (c *Config) checkLimits(bad report) {
	for _, n := range []struct {
		name     string
		value    int
		min, max int
	}{
		{"DATABASE_POOL", c.DatabasePool, 4, 1000},
		{"EXPORT_QUEUE_LIMIT", c.ExportQueueLimit, 1, 1000},
		{"EXPORT_DAILY_LIMIT", c.ExportDailyLimit, 1, 1_000_000},
		{"EXPORT_RATE", c.ExportRate, 0, 1_000_000},
		{"LOGIN_RATE", c.LoginRate, 0, 1_000_000},
		{"BODY_MEMORY", c.BodyMemory, 2, 1 << 20},
		{"BODY_ADDRESS_MEMORY", c.BodyAddressMemory, 2, c.BodyMemory},
		{"FAYE_SESSIONS", c.FayeSessions, 1, 10_000_000},
		{"FAYE_RESERVED", c.FayeReserved, 0, c.FayeSessions - 1},
		{"FAYE_ADDRESS_SESSIONS", c.FayeAddressSessions, 1, 10_000_000},
		{"FAYE_ADDRESS_SOCKETS", c.FayeAddressSockets, 1, 10_000_000},
		{"FAYE_ADDRESS_HANDSHAKES", c.FayeAddressHandshakes, 1, 1_000_000},
		{"WORKER_CONCURRENCY", c.WorkerConcurrency, 1, 256},
		{"DEMO_ROWS", c.DemoRows, 0, 50_000_000},
	} {
		if n.value < n.min || n.value > n.max {
			bad("%s: must be %d to %d", n.name, n.min, n.max)
		}
	}
	// The lower bounds are what tests use; below them the clockwork would only spin. The upper ones
	// catch a wrong unit, such as 30m where 30ms was meant.
	for _, d := range []struct {
		name     string
		value    time.Duration
		min, max time.Duration
	}{
		{"EXPORT_RETENTION", c.ExportRetention, time.Second, 10 * 365 * 24 * time.Hour},
		{"EXPORT_WAIT", c.ExportWait, time.Millisecond, time.Minute},
		{"LEASE", c.Lease, 300 * time.Millisecond, 10 * time.Minute},
		{"LEADER_LEASE", c.LeaderLease, 100 * time.Millisecond, 10 * time.Minute},
		{"RECONCILE_EVERY", c.ReconcileEvery, 10 * time.Millisecond, time.Minute},
		{"PROGRESS_EVERY", c.ProgressEvery, time.Millisecond, time.Minute},
		{"TASK_CHECK_EVERY", c.taskCheckEvery(), time.Millisecond, time.Minute},
		{"QINIU_TIMEOUT", c.QiniuTimeout, 100 * time.Millisecond, 10 * time.Minute},
		{"UPLOAD_RETRY_DELAY", c.UploadRetryDelay, time.Millisecond, 10 * time.Minute},
		{"DRAIN_TIMEOUT", c.DrainTimeout, 100 * time.Millisecond, 27 * time.Second},
		{"RETRY_DELAY", c.RetryDelay, time.Millisecond, time.Hour},
		{"CLEANUP_EVERY", c.CleanupEvery, 100 * time.Millisecond, 24 * time.Hour},
		{"CLEANUP_GRACE", c.CleanupGrace, 100 * time.Millisecond, 30 * 24 * time.Hour},
		{"JOB_RETENTION", c.JobRetention, 24 * time.Hour, 100 * 365 * 24 * time.Hour},
		{"AUDIT_RETENTION", c.AuditRetention, 24 * time.Hour, 100 * 365 * 24 * time.Hour},
		{"FAYE_TIMEOUT", c.FayeTimeout, 100 * time.Millisecond, 10 * time.Minute},
		{"FAYE_PING", c.FayePing, 100 * time.Millisecond, 10 * time.Minute},
	} {
		if d.value < d.min || d.value > d.max {
			bad("%s: must be %s to %s", d.name, d.min, d.max)
		}
	}
}

// taskCheckEvery is how often workers poll for tasks: the in-process Redis runs Lua in Go, so a
// poll costs more there.
func (c *Config) taskCheckEvery() time.Duration {
	if c.TaskCheckEvery == 0 {
		c.TaskCheckEvery = 15 * time.Millisecond
		if c.RedisURL == RedisEmbedded {
			c.TaskCheckEvery = 100 * time.Millisecond
		}
	}
	return c.TaskCheckEvery
}
