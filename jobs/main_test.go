package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"exporthub/pkg/database"
	"exporthub/pkg/job"
	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) {
	LogRedis(quiet)
	goleak.VerifyTestMain(testkit.Stopping(m))
}

var quiet = slog.New(slog.DiscardHandler)

// redises runs a test on a real Redis and on the in-process one of embedded mode.
func redises(t *testing.T, fn func(t *testing.T, client redis.UniversalClient)) {
	t.Helper()
	t.Run("Redis", func(t *testing.T) { fn(t, connect(t, testkit.Redis(t))) })
	t.Run("miniredis", func(t *testing.T) { fn(t, connect(t, "redis://"+miniredis.RunT(t).Addr())) })
}

func connect(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	o.ContextTimeoutEnabled = true
	o.DialTimeout, o.ReadTimeout, o.MaxRetries = time.Second, time.Second, 1
	client := redis.NewClient(o)
	t.Cleanup(func() { client.Close() })
	return client
}

// parts is a worker as a process has it: an engine and its server, on a database and a Redis.
type parts struct {
	t      *testing.T
	db     *database.DB
	client redis.UniversalClient
	engine *job.Engine
	bus    *bus
}

func newParts(t *testing.T, db *database.DB, client redis.UniversalClient, run func(context.Context, *job.Run) (any, error)) *parts {
	t.Helper()
	hb, err := db.Sibling(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hb.Close() })
	p := &parts{t: t, db: db, client: client, bus: &bus{}}
	p.engine, err = job.NewEngine(job.Options{
		DB: db, HeartbeatDB: hb, Bell: NewBell(client, DefaultQueue), Publisher: p.bus, Logger: quiet,
		Kinds: []job.Kind{{Name: "test", Run: run, Render: func(j job.Job) (json.RawMessage, []string) {
			data, _ := json.Marshal(j.State)
			return data, []string{"/test"}
		}}},
		RenewEvery: 50 * time.Millisecond, ReconcileEvery: 50 * time.Millisecond, BellAge: 200 * time.Millisecond,
		BellTaken: 300 * time.Millisecond, CallTimeout: 500 * time.Millisecond, DrainTimeout: 3 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	start(t, p.engine.Run)
	return p
}

// serve runs a server and returns what ends it.
func (p *parts) serve() (stop func()) {
	p.t.Helper()
	s, err := NewServer(Options{Redis: p.client, Engine: p.engine, Logger: quiet, DrainTimeout: 3 * time.Second})
	if err != nil {
		p.t.Fatal(err)
	}
	return start(p.t, s.Run)
}

// start runs something until the test, or what it returns, ends it.
func start(t *testing.T, run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func (p *parts) accept() job.Job {
	p.t.Helper()
	var j job.Job
	err := p.db.Write(p.t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
		j, err = p.engine.Enqueue(ctx, tx, job.New{Kind: "test", OwnerID: 7})
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return j
}

func (p *parts) await(uuid string, want job.State) job.Job {
	p.t.Helper()
	var j job.Job
	testkit.Eventually(p.t, 15*time.Second, func() bool {
		var err error
		if j, err = p.engine.Store().Get(p.t.Context(), uuid); err != nil {
			p.t.Fatal(err)
		}
		return j.State == want
	}, "job in %s", want)
	return j
}

// bus remembers the states told of each job.
type bus struct {
	mu   sync.Mutex
	told map[string][]string
}

func (b *bus) Publish(_ context.Context, e job.Event) error {
	var state string
	if err := json.Unmarshal(e.Data, &state); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.told == nil {
		b.told = map[string][]string{}
	}
	b.told[e.Key] = append(b.told[e.Key], state)
	return nil
}

func (b *bus) of(uuid string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.told[uuid]...)
}

// fakeEngine answers doorbells as a test says.
type fakeEngine struct {
	mu      sync.Mutex
	answers []error // of the first calls; then nil
	handled []doorbell
	drained bool
}

func (f *fakeEngine) Handle(_ context.Context, uuid string, attempt int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handled = append(f.handled, doorbell{uuid, attempt})
	if n := len(f.handled); n <= len(f.answers) {
		return f.answers[n-1]
	}
	return nil
}

func (f *fakeEngine) Drain(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drained = true
	return nil
}

func (f *fakeEngine) calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.handled)
}

var errAway = errors.New("database is away")
