// Package config turns the environment, and a .env file, into one checked struct. Load reports
// every problem at once, each naming its variable and what to do; secrets never appear in logs or
// errors.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/joho/godotenv"
)

// Secret is a text that is never printed.
type Secret string

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the secret from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Config is the whole configuration of both commands. The README's table lists the same variables
// with their defaults; a test holds the two together. Durations are Go's (90s, 15m, 168h).
type Config struct {
	// The address of the server. MetricsAddr is a second listener because figures must not be
	// reachable where users are; empty starts none. PublicURL heads links to files, decides whether
	// cookies are Secure, and counts as an origin of our own.
	Env            string   `env:"APP_ENV" envDefault:"production"`
	HTTPAddr       string   `env:"HTTP_ADDR" envDefault:"127.0.0.1:8080"`
	MetricsAddr    string   `env:"METRICS_ADDR"`
	PublicURL      string   `env:"PUBLIC_URL"`
	AllowedOrigins []string `env:"ALLOWED_ORIGINS"`
	TrustedProxies []string `env:"TRUSTED_PROXIES"`

	// Both URLs may carry a password, which is why they are secrets. DatabasePool is per process:
	// all processes together must stay below the server's own limit.
	DatabaseURL  Secret `env:"DATABASE_URL"`
	DatabasePool int    `env:"DATABASE_POOL" envDefault:"20"`
	RedisURL     Secret `env:"REDIS_URL"`

	// Keys of tokens, capabilities and file links are derived from AuthSecret. The previous one
	// still verifies, so that a rotation logs nobody out; it is to be removed a week later, when
	// the last link that was signed with it has ended.
	AuthSecret         Secret `env:"AUTH_SECRET"`
	AuthSecretPrevious Secret `env:"AUTH_SECRET_PREVIOUS"`
	// LoginRate is per address and process; 0 is off.
	LoginRate int `env:"LOGIN_RATE" envDefault:"60"`

	// StorageDir is for disk storage and must be one directory that every process shares. SpoolDir
	// is local to a worker and needs room for the largest files that are written at once.
	Storage    string `env:"STORAGE" envDefault:"disk"`
	StorageDir string `env:"STORAGE_DIR"`
	SpoolDir   string `env:"SPOOL_DIR"`

	// Two buckets: what anyone may see, and exported files, which are fetched by signed links only.
	// Upload hosts in the public cloud imply the other hosts; a private installation names them.
	QiniuAccessKey     Secret        `env:"QINIU_ACCESS_KEY"`
	QiniuSecretKey     Secret        `env:"QINIU_SECRET_KEY"`
	QiniuBucket        string        `env:"QINIU_BUCKET"`
	QiniuPrivateBucket string        `env:"QINIU_PRIVATE_BUCKET"`
	QiniuDomain        string        `env:"QINIU_DOMAIN"`
	QiniuPrivateDomain string        `env:"QINIU_PRIVATE_DOMAIN"`
	QiniuUpHosts       []string      `env:"QINIU_UP_HOSTS"`
	QiniuRSHost        string        `env:"QINIU_RS_HOST"`
	QiniuTimeout       time.Duration `env:"QINIU_TIMEOUT" envDefault:"30s"`

	// Timezone decides when a day of ExportDailyLimit begins and how times are shown. The limits
	// are for each person; roles and people may have others in the database. ExportWait has to stay
	// below the patience of the proxy in front.
	Timezone         string        `env:"TIMEZONE" envDefault:"Asia/Shanghai"`
	ExportQueueLimit int           `env:"EXPORT_QUEUE_LIMIT" envDefault:"1"`
	ExportDailyLimit int           `env:"EXPORT_DAILY_LIMIT" envDefault:"50"`
	ExportRetention  time.Duration `env:"EXPORT_RETENTION" envDefault:"168h"`
	ExportWait       time.Duration `env:"EXPORT_WAIT" envDefault:"25s"`
	ExportRate       int           `env:"EXPORT_RATE" envDefault:"300"`

	// The clockwork of jobs. Lease is how long a worker may be silent before its job is taken over;
	// it is renewed at a third of that, so it bounds how long a takeover takes. DrainTimeout has to
	// stay below the time the process manager waits before it kills (30 s in compose.yaml).
	WorkerConcurrency int           `env:"WORKER_CONCURRENCY" envDefault:"4"`
	Lease             time.Duration `env:"LEASE" envDefault:"10s"`
	LeaderLease       time.Duration `env:"LEADER_LEASE" envDefault:"3s"`
	ReconcileEvery    time.Duration `env:"RECONCILE_EVERY" envDefault:"1s"`
	ProgressEvery     time.Duration `env:"PROGRESS_EVERY" envDefault:"100ms"`
	TaskCheckEvery    time.Duration `env:"TASK_CHECK_EVERY"`
	UploadRetryDelay  time.Duration `env:"UPLOAD_RETRY_DELAY" envDefault:"2s"`
	DrainTimeout      time.Duration `env:"DRAIN_TIMEOUT" envDefault:"25s"`
	RetryDelay        time.Duration `env:"RETRY_DELAY" envDefault:"2s"`
	CleanupEvery      time.Duration `env:"CLEANUP_EVERY" envDefault:"1m"`
	CleanupGrace      time.Duration `env:"CLEANUP_GRACE" envDefault:"1h"`
	JobRetention      time.Duration `env:"JOB_RETENTION" envDefault:"2160h"`
	AuditRetention    time.Duration `env:"AUDIT_RETENTION" envDefault:"17520h"`
	FayeTimeout       time.Duration `env:"FAYE_TIMEOUT" envDefault:"45s"`
	FayePing          time.Duration `env:"FAYE_PING" envDefault:"25s"`

	// BodyMemory and BodyAddressMemory are MiB of request bodies that one api process holds at
	// once, of all clients and of one address (IPv6: a /64; a /48 has twice as much).
	BodyMemory        int `env:"BODY_MEMORY" envDefault:"64"`
	BodyAddressMemory int `env:"BODY_ADDRESS_MEMORY" envDefault:"8"`

	// What strangers may have of the realtime endpoint. Of FayeSessions people who are signed in
	// keep FayeReserved for themselves. The limits of an address are for those who are not, an
	// address of IPv6 being a /64; a /48 has twice as much.
	FayeSessions          int `env:"FAYE_SESSIONS" envDefault:"100000"`
	FayeReserved          int `env:"FAYE_RESERVED" envDefault:"50000"`
	FayeAddressSessions   int `env:"FAYE_ADDRESS_SESSIONS" envDefault:"20000"`
	FayeAddressSockets    int `env:"FAYE_ADDRESS_SOCKETS" envDefault:"20000"`
	FayeAddressHandshakes int `env:"FAYE_ADDRESS_HANDSHAKES" envDefault:"1000"`

	// DemoRows is how many invitations the demo data has; small ones start faster.
	LogLevel string `env:"LOG_LEVEL" envDefault:"info"`
	Demo     bool   `env:"DEMO"`
	DemoRows int    `env:"DEMO_ROWS" envDefault:"20000"`

	// Embedded and EmbeddedPublic are flags of cmd/api, not variables.
	Embedded       bool `env:"-"`
	EmbeddedPublic bool `env:"-"`

	// Location and Proxies are TIMEZONE and TRUSTED_PROXIES, parsed.
	Location *time.Location `env:"-"`
	Proxies  []netip.Prefix `env:"-"`
}

// What STORAGE may be.
const (
	StorageDisk  = "disk"
	StorageQiniu = "qiniu"
)

// RedisEmbedded is the REDIS_URL that starts a Redis inside the process.
const RedisEmbedded = "embedded"

// Mode is how a command was started: flags, because they must not be left behind in an environment
// that a later start without them would read.
type Mode struct {
	Embedded       bool // the whole system in this process
	EmbeddedPublic bool // and yet reachable from other machines
}

// Load reads environ ("NAME=value") over the file at dotenv, when there is one, and checks the
// result. The environment wins over the file. All problems are reported in one error.
func Load(environ []string, dotenv string, mode Mode) (Config, error) {
	values, err := readDotenv(dotenv)
	if err != nil {
		return Config{}, err
	}
	// The environment over the file: a container's own settings must win over a file in its image.
	maps.Copy(values, env.ToMap(environ))

	c := Config{Embedded: mode.Embedded, EmbeddedPublic: mode.EmbeddedPublic}
	var problems []error
	if err := env.ParseWithOptions(&c, env.Options{Environment: values}); err != nil {
		problems = append(problems, parseProblems(err)...)
	}
	// Before the checks, which would miss what embedded mode fills in.
	if c.Embedded {
		c.embed(values)
	}
	problems = append(problems, c.check()...)
	return c, errors.Join(problems...)
}

func readDotenv(path string) (map[string]string, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) || path == "" {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("read %s: it is a directory", path)
	}
	values, err := godotenv.Parse(file)
	if err != nil {
		// godotenv quotes the offending line, which may hold a secret.
		return nil, fmt.Errorf("read %s: a line is not NAME=value", path)
	}
	return values, nil
}

// embed fills what embedded mode needs and was not set. It asks for the variable and not for the
// field's zero value: DEMO=false has to stay false.
func (c *Config) embed(values map[string]string) {
	unset := func(name string) bool { return values[name] == "" }
	if unset("APP_ENV") {
		c.Env = "development"
	}
	if unset("DATABASE_URL") {
		c.DatabaseURL = "sqlite:data/exporthub.db"
	}
	if unset("REDIS_URL") {
		c.RedisURL = RedisEmbedded
	}
	if unset("STORAGE_DIR") {
		c.StorageDir = "data/files"
	}
	if unset("SPOOL_DIR") {
		c.SpoolDir = "data/spool"
	}
	if unset("DEMO") {
		c.Demo = true
	}
}

var fieldVariables = map[string]string{}

func init() {
	params, err := env.GetFieldParams(&Config{})
	if err != nil {
		panic(err) // the struct above is wrong; every test would fail here
	}
	names := fieldNames()
	for i, p := range params {
		fieldVariables[names[i]] = p.Key
	}
}

func parseProblems(err error) []error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return []error{err}
	}
	// The library names fields of the struct; people know variables. The value is left out, since
	// it may be a secret that was pasted into the wrong line.
	var problems []error
	for _, e := range all.Errors {
		var p env.ParseError
		if errors.As(e, &p) {
			problems = append(problems, fmt.Errorf("%s: not a %s", fieldVariables[p.Name], typeWords(p.Type.String())))
			continue
		}
		problems = append(problems, e)
	}
	return problems
}

// typeWords says what a value of a Go type has to look like, to somebody who edits a .env file.
func typeWords(goType string) string {
	switch goType {
	case "time.Duration":
		return "duration; write it as 90s, 15m or 168h"
	case "int":
		return "whole number"
	case "bool":
		return "yes or no; write true or false"
	}
	return strings.TrimPrefix(goType, "*")
}
