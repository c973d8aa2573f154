package exporttest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"exporthub/jobs"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/dataset"
	"exporthub/pkg/export"
	"exporthub/pkg/export/csv"
	"exporthub/pkg/export/record"
	"exporthub/pkg/export/retention"
	"exporthub/pkg/export/xlsx"
	"exporthub/pkg/job"
	"exporthub/pkg/storage"
	"exporthub/pkg/storage/disk"
	"exporthub/pkg/testkit"
)

// secret signs tokens and links; it is a test's alone.
const secret = "6f1c9a7be2d84f60a5c7d9e1b3f5a7c9d1e3f5a7b9c1d3e5"

// Hub is a whole export engine on real parts: database, Redis, disk.
type Hub struct {
	T       testing.TB
	DB      *database.DB
	Auth    *auth.Service
	Exports *export.Service
	Cleaner *retention.Cleaner // what Exports.Clean uses
	Engine  *job.Engine
	Runner  *job.Runner
	Clock   *testkit.Clock
	Store   *FaultyStore
	Spool   string // the folder of unfinished files
	Files   string // the folder of the store
	Events  *Recorder
	Redis   *redis.Client // of the queue
	Queue   *jobs.Queue
}

// Options change what New makes.
type Options struct {
	Limits export.Limits // default: one at once, fifty a day
	Work   bool          // run a worker
	Rate   export.RateLimiter

	RedisURL string // of the queue; default a database of the tests' server

	// Wait and FileWait are how long Exports.Wait and the links that wait do.
	Wait     time.Duration
	FileWait time.Duration

	Set       *dataset.Dataset // instead of Things
	CountTime time.Duration

	// Wrap returns the store that exports use, over the faulty disk; nil is the disk.
	Wrap func(*FaultyStore) storage.Store
}

// New returns an engine over a database, which stops with the test.
func New(t testing.TB, db *database.DB, o Options) *Hub {
	t.Helper()
	dir := t.TempDir()
	h := &Hub{
		T:      t,
		DB:     db,
		Events: &Recorder{},
		Clock:  testkit.NewClock(time.Now()),
		Spool:  filepath.Join(dir, "spool"),
		Files:  filepath.Join(dir, "files"),
	}
	log := slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	var err error
	h.Auth, err = auth.New(auth.Options{
		DB:       db,
		Secret:   secret,
		Now:      h.Clock.Now,
		Logger:   log,
		CacheTTL: time.Nanosecond, // permissions that a test changes count at once
	})
	if err != nil {
		t.Fatal(err)
	}
	disks, err := disk.Open(h.Files)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = disks.Close() })
	h.Store = &FaultyStore{Store: disks}
	h.openEngine(o.RedisURL, log)
	h.buildExports(o, log)
	h.startEngine(o.Work, log)
	if err := h.Auth.Seed(t.Context(), []auth.Permission{
		{Name: "thing.export", Title: "导出物品", Defaults: auth.StaffAndAbove},
		{Name: "thing.phone", Title: "查看电话", Defaults: auth.AdministratorsOnly},
	}); err != nil {
		t.Fatal(err)
	}
	return h
}

// buildExports makes the export service and the clean-up over the hub's store.
func (h *Hub) buildExports(o Options, log *slog.Logger) {
	t := h.T
	if o.Limits == (export.Limits{}) {
		o.Limits = export.Limits{Active: 1, Daily: 50}
	}
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	set := Things()
	if o.Set != nil {
		set = *o.Set
	}
	registry, err := dataset.NewRegistry(set)
	if err != nil {
		t.Fatal(err)
	}
	var store storage.Store = h.Store
	if o.Wrap != nil {
		store = o.Wrap(h.Store)
	}
	signer, err := storage.NewSigner(auth.DeriveKeys(secret, nil, auth.PurposeFiles))
	if err != nil {
		t.Fatal(err)
	}
	formats := append([]dataset.Format{xlsx.Format(xlsx.Options{})}, csv.Formats()...)
	h.Exports, err = export.New(export.Options{
		DB:          h.DB,
		Jobs:        h.Engine,
		Workers:     h.Queue.Workers,
		People:      h.Auth,
		Registry:    registry,
		Store:       store,
		Signer:      signer,
		Rate:        o.Rate,
		Formats:     formats,
		Limits:      o.Limits,
		Retention:   7 * 24 * time.Hour,
		PublicURL:   "https://hub.example.com",
		SpoolDir:    h.Spool,
		Location:    shanghai,
		Now:         h.Clock.Now,
		Logger:      log,
		UploadTries: 3,
		CountTime:   o.CountTime,
		UploadDelay: time.Millisecond,
		Wait:        o.Wait,
		FileWait:    o.FileWait,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.buildCleaner(store, formats, shanghai, log)
}

// buildCleaner makes the clean-up as Exports has it, for tests that call its steps.
func (h *Hub) buildCleaner(store storage.Store, formats []dataset.Format, shanghai *time.Location, log *slog.Logger) {
	h.Cleaner = retention.New(retention.Deps{
		DB:       h.DB,
		Store:    store,
		Formats:  formats,
		SpoolDir: h.Spool,
		Location: shanghai,
		Now:      h.Clock.Now,
		Logger:   log,
	})
}

// openEngine makes the job engine over its queue.
func (h *Hub) openEngine(redisURL string, log *slog.Logger) {
	t := h.T
	if redisURL == "" {
		redisURL = testkit.Redis(t)
	}
	url, err := redis.ParseURL(redisURL)
	if err != nil {
		t.Fatal(err)
	}
	h.Redis = redis.NewClient(url)
	t.Cleanup(func() { _ = h.Redis.Close() })
	h.Queue = jobs.NewQueue(h.Redis, jobs.DefaultQueue)
	sibling, err := h.DB.Sibling(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sibling.Close() })
	h.Engine, err = job.NewEngine(job.Options{
		DB:            h.DB,
		HeartbeatDB:   sibling,
		Queue:         h.Queue,
		Publisher:     h.Events,
		Logger:        log,
		ProgressEvery: time.Millisecond,
		DrainTimeout:  10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// startEngine runs the job engine, and a worker with it where the test wants one, until the test
// ends.
func (h *Hub) startEngine(work bool, log *slog.Logger) {
	t := h.T
	err := h.Engine.Register(h.Exports.Kind())
	if err != nil {
		t.Fatal(err)
	}
	if h.Runner, err = h.Engine.Runner(record.Kind); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { _ = h.Runner.Run(ctx) })
	if work {
		server, err := jobs.NewServer(jobs.Options{Redis: h.Redis, Engine: h.Runner, Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		wait.Go(func() { _ = server.Run(ctx) })
	}
	t.Cleanup(func() {
		cancel()
		wait.Wait()
	})
}

// testWriter shows a log among the output of a test, and only when that fails.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

// Person adds somebody and returns a context in which they call.
func (h *Hub) Person(account string, role auth.Role) (context.Context, *auth.Principal) {
	h.T.Helper()
	id, err := h.Auth.EnsurePerson(h.T.Context(), auth.Person{Account: account, Name: account, Role: role}, "")
	if err != nil {
		h.T.Fatal(err)
	}
	p, err := h.Auth.Person(h.T.Context(), id)
	if err != nil {
		h.T.Fatal(err)
	}
	return auth.With(h.T.Context(), p), p
}

// Fill adds n things.
func (h *Hub) Fill(n int) {
	h.T.Helper()
	err := h.DB.Write(h.T.Context(), func(ctx context.Context, tx *database.Tx) error {
		// SQLite takes at most 999 parameters in one statement, of which a row has three.
		for from := 0; from < n; from += 200 {
			var rows []string
			var args []any
			for i := from; i < min(from+200, n); i++ {
				rows = append(rows, "(?, ?, ?)")
				args = append(args, fmt.Sprintf("物品%d", i), int64(i)*101, fmt.Sprintf("139%08d", i))
			}
			if _, err := tx.Exec(ctx, "INSERT INTO things (name, price, phone) VALUES "+strings.Join(rows, ","), args...); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		h.T.Fatal(err)
	}
}

// Ended waits until a job is over.
func (h *Hub) Ended(uuid string) job.Job {
	h.T.Helper()
	var j job.Job
	testkit.Eventually(h.T, 30*time.Second, func() bool {
		var err error
		if j, err = h.Engine.Store().Get(h.T.Context(), uuid); err != nil {
			h.T.Fatal(err)
		}
		return j.State.Ended()
	}, "job to end")
	return j
}

// Balanced fails when counters and rows differ, or a spool file is left.
func (h *Hub) Balanced() {
	h.T.Helper()
	differences, err := retention.Differences(h.T.Context(), h.DB)
	if err != nil {
		h.T.Fatal(err)
	}
	if len(differences) > 0 {
		h.T.Errorf("counters and rows differ: %v", differences)
	}
	left, err := os.ReadDir(h.Spool)
	if err != nil && !os.IsNotExist(err) {
		h.T.Fatal(err)
	}
	for _, f := range left {
		h.T.Errorf("left in the spool: %s", f.Name())
	}
}

// OnEach runs a test on each database engine.
func OnEach(t *testing.T, fn func(t *testing.T, db *database.DB)) {
	t.Helper()
	dbtest.Each(t, Sources(t), fn)
}
