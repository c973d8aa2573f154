package export_test

import (
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"exporthub/jobs"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/dataset"
	"exporthub/pkg/export"
	"exporthub/pkg/export/csv"
	"exporthub/pkg/export/xlsx"
	"exporthub/pkg/job"
	"exporthub/pkg/storage"
	"exporthub/pkg/storage/disk"
	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(testkit.Stopping(m)) }

//go:embed testdata/migrations/*.sql
var testMigrations embed.FS

func sources(t testing.TB) []fs.FS {
	t.Helper()
	things, err := fs.Sub(testMigrations, "testdata")
	if err != nil {
		t.Fatal(err)
	}
	return []fs.FS{auth.Migrations, job.Migrations, export.Migrations, things}
}

const secret = "6f1c9a7be2d84f60a5c7d9e1b3f5a7c9d1e3f5a7b9c1d3e5"

// thingFilter is the filter of the test's list.
type thingFilter struct {
	Name string `json:"name,omitempty"`
}

type thing struct {
	ID    int64
	Name  string
	Price int64
	Phone string
}

// things is a list over a table of its own, with a column that needs a permission.
func things() dataset.Dataset {
	where := func(q dataset.Query[thingFilter]) (string, []any) {
		text, args := " WHERE id > ?", []any{0}
		if q.Filter.Name != "" {
			text, args = text+" AND name = ?", append(args, q.Filter.Name)
		}
		for i, id := range q.IDs {
			join := ","
			if i == 0 {
				text, join = text+" AND id IN (", ""
			}
			text, args = text+join+"?", append(args, id)
		}
		if len(q.IDs) > 0 {
			text += ")"
		}
		return text, args
	}
	return dataset.Define(dataset.Spec[thingFilter, thing]{
		Name: "thing", Service: "Exports::Thing", Title: "物品", Permission: "thing.export",
		Fields: []dataset.Field[thing]{
			{Column: dataset.Column{Key: "id", Title: "ID", Type: dataset.Int}, Value: func(r *thing) dataset.Value { return dataset.Number(r.ID) }},
			{Column: dataset.Column{Key: "name", Title: "名称"}, Value: func(r *thing) dataset.Value { return dataset.String(r.Name) }},
			{Column: dataset.Column{Key: "price", Title: "价格", Type: dataset.Money}, Value: func(r *thing) dataset.Value { return dataset.Number(r.Price) }},
			{Column: dataset.Column{Key: "phone", Title: "电话", Permission: "thing.phone"}, Value: func(r *thing) dataset.Value { return dataset.String(r.Phone) }},
		},
		Count: func(ctx context.Context, tx *database.Tx, q dataset.Query[thingFilter]) (int64, error) {
			text, args := where(q)
			return database.One(ctx, tx, database.Scalar[int64], "SELECT COUNT(*) FROM things"+text, args...)
		},
		Page: func(ctx context.Context, tx *database.Tx, q dataset.Query[thingFilter], last *thing, limit int, into []thing) ([]thing, error) {
			text, args := where(q)
			if last != nil {
				args[0] = last.ID
			}
			rows, err := database.All(ctx, tx, func(row database.Scanner) (v thing, err error) {
				err = row.Scan(&v.ID, &v.Name, &v.Price, &v.Phone)
				return v, err
			}, "SELECT id, name, price, phone FROM things"+text+" ORDER BY id LIMIT ?", append(args, limit)...)
			return append(into, rows...), err
		},
	})
}

// faultyStore is the disk, out of order for as long as refuse says so.
type faultyStore struct {
	storage.Store
	mu     sync.Mutex
	refuse func(try int) error
	hold   func(ctx context.Context) // before anything else, with the upload's own context
	tries  int
}

func (s *faultyStore) Put(ctx context.Context, key string, src io.ReaderAt, size int64, o storage.PutOptions) error {
	s.mu.Lock()
	s.tries++
	refuse, hold, try := s.refuse, s.hold, s.tries
	s.mu.Unlock()
	if hold != nil {
		hold(ctx)
	}
	if refuse != nil {
		if err := refuse(try); err != nil {
			return err
		}
	}
	return s.Store.Put(ctx, key, src, size, o)
}

// hub is a whole export engine on real parts: database, Redis, disk.
type hub struct {
	t       testing.TB
	db      *database.DB
	auth    *auth.Service
	exports *export.Service
	engine  *job.Engine
	clock   *testkit.Clock
	store   *faultyStore
	spool   string
	files   string
	events  *recorder
}

// recorder is a follower of everything that is published.
type recorder struct {
	mu     sync.Mutex
	events []job.Event
}

func (r *recorder) Publish(_ context.Context, e job.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	return nil
}

func (r *recorder) of(uuid string) []job.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []job.Event
	for _, e := range r.events {
		if e.Key == uuid {
			found = append(found, e)
		}
	}
	return found
}

type hubOptions struct {
	limits export.Limits
	work   bool // run a worker
	rate   export.RateLimiter

	wait, fileWait time.Duration // how long Wait and the links that wait do

	set       *dataset.Dataset // instead of things
	countTime time.Duration

	following *followingStore // a store that takes files while they are written; its disk is made here
	aborting  *abortingStore  // a store whose uploads anyone can end; its disk is made here
}

func newHub(t testing.TB, db *database.DB, o hubOptions) *hub {
	t.Helper()
	if o.limits == (export.Limits{}) {
		o.limits = export.Limits{Active: 1, Daily: 50}
	}
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	h := &hub{
		t: t, db: db, events: &recorder{}, clock: testkit.NewClock(time.Now()),
		spool: filepath.Join(dir, "spool"), files: filepath.Join(dir, "files"),
	}
	log := slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	h.auth, err = auth.New(auth.Options{DB: db, Secret: secret, Now: h.clock.Now, Logger: log, CacheTTL: time.Nanosecond})
	if err != nil {
		t.Fatal(err)
	}
	disks, err := disk.Open(h.files)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = disks.Close() })
	h.store = &faultyStore{Store: disks}
	set := things()
	if o.set != nil {
		set = *o.set
	}
	registry, err := dataset.NewRegistry(set)
	if err != nil {
		t.Fatal(err)
	}
	var store storage.Store = h.store
	if o.following != nil {
		o.following.faultyStore, store = h.store, o.following
	}
	if o.aborting != nil {
		o.aborting.faultyStore, store = h.store, o.aborting
	}
	signer, err := storage.NewSigner(auth.DeriveKeys(secret, nil, auth.PurposeFiles))
	if err != nil {
		t.Fatal(err)
	}
	h.exports, err = export.New(export.Options{
		DB: db, People: h.auth, Registry: registry, Store: store, Signer: signer, Rate: o.rate,
		Formats: append([]dataset.Format{xlsx.Format(xlsx.Options{})}, csv.Formats()...),
		Limits:  o.limits, Retention: 7 * 24 * time.Hour, PublicURL: "https://hub.example.com", SpoolDir: h.spool,
		Location: shanghai, Now: h.clock.Now, Logger: log, UploadTries: 3, CountTime: o.countTime, UploadDelay: time.Millisecond,
		Wait: o.wait, FileWait: o.fileWait,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.startEngine(o.work, log)
	if err := h.auth.Seed(t.Context(), []auth.Permission{
		{Name: "thing.export", Title: "导出物品", Defaults: auth.StaffAndAbove},
		{Name: "thing.phone", Title: "查看电话", Defaults: auth.AdministratorsOnly},
	}); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hub) startEngine(work bool, log *slog.Logger) {
	t := h.t
	url, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(url)
	sibling, err := h.db.Sibling(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	h.engine, err = job.NewEngine(job.Options{
		DB: h.db, HeartbeatDB: sibling, Bell: jobs.NewBell(client, jobs.DefaultQueue), Publisher: h.events,
		Kinds: []job.Kind{h.exports.Kind()}, Logger: log, ProgressEvery: time.Millisecond, DrainTimeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	h.exports.Attach(h.engine)
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { _ = h.engine.Run(ctx) })
	if work {
		server, err := jobs.NewServer(jobs.Options{Redis: client, Engine: h.engine, Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		wait.Go(func() { _ = server.Run(ctx) })
	}
	t.Cleanup(func() {
		cancel()
		wait.Wait()
		_ = client.Close()
		_ = sibling.Close()
	})
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

// person adds somebody and returns a context in which they call.
func (h *hub) person(account string, role auth.Role) (context.Context, *auth.Principal) {
	h.t.Helper()
	id, err := h.auth.EnsurePerson(h.t.Context(), auth.Person{Account: account, Name: account, Role: role}, "")
	if err != nil {
		h.t.Fatal(err)
	}
	p, err := h.auth.Person(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return auth.With(h.t.Context(), p), p
}

// fill adds n things.
func (h *hub) fill(n int) {
	h.t.Helper()
	err := h.db.Write(h.t.Context(), func(ctx context.Context, tx *database.Tx) error {
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
		h.t.Fatal(err)
	}
}

// ended waits until a job is over.
func (h *hub) ended(uuid string) job.Job {
	h.t.Helper()
	var j job.Job
	testkit.Eventually(h.t, 30*time.Second, func() bool {
		var err error
		if j, err = h.engine.Store().Get(h.t.Context(), uuid); err != nil {
			h.t.Fatal(err)
		}
		return j.State.Ended()
	}, "job to end")
	return j
}

// balanced fails when counters and rows differ, or a spool file is left.
func (h *hub) balanced() {
	h.t.Helper()
	differences, err := export.Differences(h.t.Context(), h.db)
	if err != nil {
		h.t.Fatal(err)
	}
	if len(differences) > 0 {
		h.t.Errorf("counters and rows differ: %v", differences)
	}
	left, err := os.ReadDir(h.spool)
	if err != nil && !os.IsNotExist(err) {
		h.t.Fatal(err)
	}
	for _, f := range left {
		h.t.Errorf("left in the spool: %s", f.Name())
	}
}

func address(*http.Request) string { return "192.0.2.7" }

func onEach(t *testing.T, fn func(t *testing.T, db *database.DB)) {
	t.Helper()
	dbtest.Each(t, sources(t), fn)
}
