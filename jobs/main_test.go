package jobs

import (
	"cmp"
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
	"exporthub/pkg/event"
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

// none is what the tests' kind stores: nothing.
type none struct{}

type testRun = job.Run[none, none]

// testKind is a kind with the stages of an export, whose data is its stage or state.
func testKind(run func(context.Context, *testRun) (none, error)) *job.Definition[none, none, none] {
	return job.Define(job.Spec[none, none, none]{
		Name: "test",
		Stages: []job.StageSpec{
			{Name: "starting", Next: []job.Stage{"start"}, Succeeds: true},
			{Name: "start", Next: []job.Stage{"writing_file"}},
			{Name: "writing_file", Next: []job.Stage{"before_upload"}},
			{Name: "before_upload", Succeeds: true},
		},
		Run: run,
		Render: func(j job.Record[none, none, none]) (any, []string) {
			return cmp.Or(string(j.Stage), string(j.State)), []string{"/test"}
		},
	})
}

// parts is a worker as a process has it: an engine and its server, on a database and a Redis.
type parts struct {
	t      *testing.T
	db     *database.DB
	client redis.UniversalClient
	kind   *job.Definition[none, none, none]
	engine *job.Engine
	runner *job.Runner
	bus    *bus
}

func newParts(t *testing.T, db *database.DB, client redis.UniversalClient, run func(context.Context, *testRun) (none, error)) *parts {
	t.Helper()
	hb, err := db.Sibling(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hb.Close() })
	p := &parts{t: t, db: db, client: client, bus: &bus{}, kind: testKind(run)}
	p.engine, err = job.NewEngine(job.Options{
		DB: db, HeartbeatDB: hb, Queue: NewQueue(client, DefaultQueue), Publisher: p.bus, Logger: quiet,
		RenewEvery: 50 * time.Millisecond, ReconcileEvery: 50 * time.Millisecond, TaskAge: 200 * time.Millisecond,
		TaskTakenFor: 300 * time.Millisecond, CallTimeout: 500 * time.Millisecond, DrainTimeout: 3 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.engine.Register(p.kind); err != nil {
		t.Fatal(err)
	}
	if p.runner, err = p.engine.Runner("test"); err != nil {
		t.Fatal(err)
	}
	start(t, p.runner.Run)
	return p
}

// serve runs a server and returns what ends it.
func (p *parts) serve() (stop func()) {
	p.t.Helper()
	s, err := NewServer(Options{Redis: p.client, Engine: p.runner, Logger: quiet, DrainTimeout: 3 * time.Second})
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
	n, err := p.kind.New(7, none{})
	if err != nil {
		p.t.Fatal(err)
	}
	var j job.Job
	err = p.db.Write(p.t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
		j, err = p.engine.Enqueue(ctx, tx, n)
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

func (b *bus) Publish(_ context.Context, e event.Event) error {
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

// fakeEngine answers tasks as a test says.
type fakeEngine struct {
	mu      sync.Mutex
	answers []error // of the first calls; then nil
	handled []runPayload
	drained bool
}

func (f *fakeEngine) Handle(_ context.Context, uuid string, attempt int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handled = append(f.handled, runPayload{uuid, attempt})
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
