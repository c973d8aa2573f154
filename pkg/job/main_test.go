package job

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/event"
	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(testkit.Stopping(m)) }

// schema is ours and a table in which the tests' kind notes every end.
var schema = []fs.FS{Migrations, fstest.MapFS{"20261121000299_ends.sql": {Data: []byte(`-- +goose Up
CREATE TABLE ends (id {{id}}, uuid VARCHAR(36) NOT NULL, state VARCHAR(20) NOT NULL) {{table}};
`)}}}

// engines runs a test of the engine on the two that differ most: one writer at a time, and many.
func engines(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { fn(t, newWorld(t, dbtest.SQLite(t, schema...))) })
	t.Run("PostgreSQL", func(t *testing.T) { fn(t, newWorld(t, dbtest.Postgres(t, schema...))) })
}

// world is a database with what tests hold in their hands around it.
type world struct {
	t     *testing.T
	db    *database.DB
	queue *testQueue
	bus   *testBus
}

func newWorld(t *testing.T, db *database.DB) *world {
	w := &world{t: t, db: db, queue: &testQueue{states: map[Task]TaskState{}}, bus: &testBus{}}
	t.Cleanup(w.queue.handled.Wait)
	return w
}

// engine makes an engine with short timers and runs it until the test ends.
func (w *world) engine(spec testSpec, change func(*Options)) *testEngine {
	w.t.Helper()
	e := w.idleEngine(spec, change)
	w.start(e)
	return e
}

// idleEngine is one whose Run is not called.
func (w *world) idleEngine(spec testSpec, change func(*Options)) *testEngine {
	w.t.Helper()
	hb, err := w.db.Sibling(w.t.Context(), 4)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { hb.Close() })
	o := Options{
		DB: w.db, HeartbeatDB: hb, Queue: w.queue, Publisher: w.bus,
		Lease: 10 * time.Second, RenewEvery: 20 * time.Millisecond, ReconcileEvery: 20 * time.Millisecond,
		LeaderLease: time.Second, TaskAge: 50 * time.Millisecond, TaskTakenFor: 100 * time.Millisecond,
		CallTimeout: 200 * time.Millisecond, DrainTimeout: 2 * time.Second, WaitEvery: 5 * time.Millisecond,
		Logger: quiet,
	}
	if change != nil {
		change(&o)
	}
	e, err := NewEngine(o)
	if err != nil {
		w.t.Fatal(err)
	}
	kind := Define(spec)
	if err := e.Register(kind); err != nil {
		w.t.Fatal(err)
	}
	runner, err := e.Runner("test")
	if err != nil {
		w.t.Fatal(err)
	}
	return &testEngine{Engine: e, Runner: runner, kind: kind}
}

func (w *world) start(e *testEngine) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				w.t.Errorf("Run: %v", err)
			}
		})
	}
	w.t.Cleanup(stop)
	return stop
}

// accept enqueues a job of the tests' kind.
func (w *world) accept(e *testEngine) Job {
	w.t.Helper()
	n, err := e.kind.New(7, testArgs{"rows": 3})
	if err != nil {
		w.t.Fatal(err)
	}
	var j Job
	err = w.db.Write(w.t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
		j, err = e.Enqueue(ctx, tx, n)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return j
}

func (w *world) job(uuid string) Job {
	w.t.Helper()
	j, err := NewStore(w.db).Get(w.t.Context(), uuid)
	if err != nil {
		w.t.Fatal(err)
	}
	return j
}

// await waits until the job's row is as cond wants it.
func (w *world) await(uuid string, what string, cond func(Job) bool) Job {
	w.t.Helper()
	var j Job
	testkit.Eventually(w.t, 10*time.Second, func() bool {
		j = w.job(uuid)
		return cond(j)
	}, "%s", what)
	return j
}

func (w *world) awaitStage(uuid string, want Stage) Job {
	w.t.Helper()
	return w.await(uuid, "stage "+string(want), func(j Job) bool { return j.State == StateRunning && j.Stage == want })
}

func (w *world) awaitState(uuid string, want State) Job {
	w.t.Helper()
	return w.await(uuid, "state "+string(want), func(j Job) bool { return j.State == want })
}

// ends returns the states in which a job has ended, as Kind.Ended committed them.
func (w *world) ends(uuid string) []string {
	w.t.Helper()
	var states []string
	err := w.db.Read(w.t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
		states, err = database.All(ctx, tx, func(row database.Scanner) (s string, err error) {
			return s, row.Scan(&s)
		}, "SELECT state FROM ends WHERE uuid = ? ORDER BY id", uuid)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return states
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	err := w.db.Write(w.t.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// The types of the tests' kind.
type (
	testArgs   map[string]int
	testDetail map[string]int
	testEnd    = any
	testRun    = Run[testArgs, testDetail]
	testRecord = Record[testArgs, testDetail, testEnd]
	testSpec   = Spec[testArgs, testDetail, testEnd]
)

// testEngine is an engine with the tests' kind and its runner.
type testEngine struct {
	*Engine
	*Runner
	kind *Definition[testArgs, testDetail, testEnd]
}

// The stages of the tests' kind, those of an export.
const (
	stageStarting      Stage = "starting"
	stageStart         Stage = "start"
	stageWriting       Stage = "writing_file"
	stageBeforeUpload  Stage = "before_upload"
	stageUploading     Stage = "uploading"
	stageUploadFailure Stage = "upload_failure"
)

// lostUploading is how a job ends whose worker is lost in upload_failure.
var lostUploading = &Failure{Kind: "unavailable", Code: "upload_failed", Message: "文件上传失败"}

func testStages() []StageSpec {
	return []StageSpec{
		{Name: stageStarting, Next: []Stage{stageStart}, Succeeds: true},
		{Name: stageStart, Next: []Stage{stageWriting}, Succeeds: true},
		{Name: stageWriting, Next: []Stage{stageBeforeUpload}},
		{Name: stageBeforeUpload, Next: []Stage{stageUploading, stageUploadFailure}, Succeeds: true},
		{Name: stageUploading, Next: []Stage{stageUploadFailure}, Succeeds: true},
		{Name: stageUploadFailure, Fails: lostUploading},
	}
}

// status is a job's stage while it runs, else its state.
func status(j Job) string {
	if j.State == StateRunning {
		return string(j.Stage)
	}
	return string(j.State)
}

// testKind is a kind whose ends are noted and whose data is its status and numbers.
func testKind(run func(ctx context.Context, r *testRun) (testEnd, error)) testSpec {
	return testSpec{
		Name:   "test",
		Stages: testStages(),
		Run:    run,
		Retry:  RetryPolicy{Backoff: func(int) time.Duration { return 0 }},
		Ended: func(ctx context.Context, tx *database.Tx, j testRecord) error {
			_, err := tx.Exec(ctx, "INSERT INTO ends (uuid, state) VALUES (?, ?)", j.UUID, string(j.State))
			return err
		},
		Render: func(j testRecord) (any, []string) {
			text := fmt.Sprintf("%s %d", status(j.Job), j.Progress)
			if j.Failure != nil {
				text += " " + j.Failure.Code
			}
			return text, []string{fmt.Sprintf("/test/%d", j.OwnerID)}
		},
	}
}

// succeed walks through every stage.
func succeed(ctx context.Context, r *testRun) (testEnd, error) {
	for i, s := range []Stage{stageStart, stageWriting, stageBeforeUpload, stageUploading} {
		if err := r.Advance(ctx, s, 3+20*i, testDetail{"count": i}); err != nil {
			return nil, err
		}
	}
	return map[string]string{"file": "a.xlsx"}, nil
}

// untilStopped waits for its context to be ended and returns why.
func untilStopped(ctx context.Context, _ *testRun) (testEnd, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

var quiet = slog.New(slog.DiscardHandler)

var errQueueDown = errors.New("queue is down")

// testQueue remembers tasks and, when it has an engine, delivers them.
type testQueue struct {
	handled sync.WaitGroup

	mu       sync.Mutex
	engine   *testEngine
	down     bool
	enqueued []Task
	states   map[Task]TaskState
	refuses  int
}

func (b *testQueue) deliverTo(e *testEngine) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.engine = e
}

func (b *testQueue) Enqueue(_ context.Context, d Task) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		b.refuses++
		return errQueueDown
	}
	if b.states[d] != TaskAbsent {
		return nil
	}
	b.enqueued = append(b.enqueued, d)
	b.states[d] = TaskPending
	if e := b.engine; e != nil {
		b.states[d] = TaskTaken
		b.handled.Go(func() {
			_ = e.Handle(context.Background(), d.UUID, d.Attempt) // the reconciler tries again
			b.set(d, TaskAbsent)
		})
	}
	return nil
}

func (b *testQueue) State(_ context.Context, d Task) (TaskState, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		b.refuses++
		return TaskAbsent, errQueueDown
	}
	return b.states[d], nil
}

func (b *testQueue) set(d Task, s TaskState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s == TaskAbsent {
		delete(b.states, d)
		return
	}
	b.states[d] = s
}

func (b *testQueue) setDown(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

func (b *testQueue) tasks() []Task {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Task(nil), b.enqueued...)
}

// testBus remembers what was published.
type testBus struct {
	mu     sync.Mutex
	down   bool
	tries  int
	events []event.Event
}

func (b *testBus) Publish(_ context.Context, e event.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tries++
	if b.down {
		return errors.New("bus is down")
	}
	b.events = append(b.events, e)
	return nil
}

func (b *testBus) setDown(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

// told returns the data of a job's events.
func (b *testBus) told(uuid string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var told []string
	for _, e := range b.events {
		if e.Key == uuid {
			told = append(told, strings.Trim(string(e.Data), `"`))
		}
	}
	return told
}

func (b *testBus) of(uuid string) []event.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	var events []event.Event
	for _, e := range b.events {
		if e.Key == uuid {
			events = append(events, e)
		}
	}
	return events
}

// awaitTold waits until a job's events end with one.
func (w *world) awaitTold(uuid, last string) []string {
	w.t.Helper()
	var told []string
	testkit.Eventually(w.t, 10*time.Second, func() bool {
		told = w.bus.told(uuid)
		return len(told) > 0 && told[len(told)-1] == last
	}, "event %q, got %q", last, &told)
	return told
}
