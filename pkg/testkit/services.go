package testkit

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"exporthub/pkg/testkit/internal/server"
)

// The variables that tell of shared servers. The services command sets them.
const (
	RedisEnv    = "TESTKIT_REDIS_URL"
	PostgresEnv = "TESTKIT_POSTGRES_URL"
	MariaDBEnv  = "TESTKIT_MARIADB_URL"
)

// service is one kind of server: the shared one of the environment, or this process's own.
type service struct {
	env   string
	start func(context.Context) (*server.Server, error)

	mu  sync.Mutex
	own *server.Server
	err error // of the start, kept: the second test would wait as long for the same answer
}

var (
	redisService = &service{env: RedisEnv, start: func(ctx context.Context) (*server.Server, error) {
		return server.Redis(ctx)
	}}
	postgresService = &service{env: PostgresEnv, start: server.Postgres}
	mariadbService  = &service{env: MariaDBEnv, start: server.MariaDB}
)

// url returns where the server is, starting one where there is none.
func (s *service) url(t testing.TB) string {
	t.Helper()
	if url := os.Getenv(s.env); url != "" {
		return url
	}
	// The lock is held over the start: tests that run in parallel wait for one server, not start
	// many.
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own == nil && s.err == nil {
		// Not the test's context: the server is for the tests after it too.
		s.own, s.err = s.start(context.Background())
	}
	if s.err != nil {
		t.Fatalf("testkit: %v", s.err)
	}
	return s.own.URL
}

func (s *service) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own == nil {
		return nil
	}
	own := s.own
	s.own = nil // a second stop has nothing left to do
	return own.Stop()
}

// PostgresURL is the URL of a PostgreSQL server's superuser, for making databases; see dbtest for a
// fresh one.
func PostgresURL(t testing.TB) string {
	t.Helper()
	return postgresService.url(t)
}

// MariaDBURL is the URL of a MariaDB server's administrator, for making databases; see dbtest for a
// fresh one.
func MariaDBURL(t testing.TB) string {
	t.Helper()
	return mariadbService.url(t)
}

// Main runs a package's tests, stops the servers this process started, and exits.
func Main(m *testing.M) { os.Exit(Stopping(m).Run()) }

// Runner is a *testing.M, or what wraps one.
type Runner interface{ Run() int }

// Stopping wraps m so that its Run ends by stopping the servers this process started. It is for
// packages that check for leaked goroutines: goleak.VerifyTestMain(testkit.Stopping(m)).
func Stopping(m Runner) Runner { return stopping{m} }

type stopping struct{ m Runner }

func (s stopping) Run() int {
	code := s.m.Run()
	// A server that can't be stopped does not fail the tests: it dies with this process anyway.
	for _, service := range []*service{redisService, postgresService, mariadbService} {
		if err := service.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "testkit: stop server:", err)
		}
	}
	return code
}
