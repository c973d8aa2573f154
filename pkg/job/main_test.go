package job

import (
	"context"
	"encoding/json"
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
	t    *testing.T
	db   *database.DB
	bell *testBell
	bus  *testBus
}

func newWorld(t *testing.T, db *database.DB) *world {
	w := &world{t: t, db: db, bell: &testBell{states: map[Doorbell]BellState{}}, bus: &testBus{}}
	t.Cleanup(w.bell.handled.Wait)
	return w
}

// engine makes an engine with short timers and runs it until the test ends.
func (w *world) engine(kind Kind, change func(*Options)) *Engine {
	w.t.Helper()
	e := w.idleEngine(kind, change)
	w.start(e)
	return e
}

// idleEngine is one whose Run is not called.
func (w *world) idleEngine(kind Kind, change func(*Options)) *Engine {
	w.t.Helper()
	hb, err := w.db.Sibling(w.t.Context(), 4)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { hb.Close() })
	o := Options{
		DB: w.db, HeartbeatDB: hb, Bell: w.bell, Publisher: w.bus, Kinds: []Kind{kind},
		Lease: 10 * time.Second, RenewEvery: 20 * time.Millisecond, ReconcileEvery: 20 * time.Millisecond,
		LeaderLease: time.Second, BellAge: 50 * time.Millisecond, BellTaken: 100 * time.Millisecond,
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
	return e
}

func (w *world) start(e *Engine) (stop func()) {
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
func (w *world) accept(e *Engine) Job {
	w.t.Helper()
	var j Job
	err := w.db.Write(w.t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
		j, err = e.Enqueue(ctx, tx, New{Kind: "test", OwnerID: 7, Payload: map[string]int{"rows": 3}})
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

// testKind is a kind whose ends are noted and whose data is its state and numbers.
func testKind(run func(ctx context.Context, r *Run) (any, error)) Kind {
	return Kind{
		Name: "test", Run: run,
		Backoff: func(int) time.Duration { return 0 },
		Ended: func(ctx context.Context, tx *database.Tx, j Job) error {
			_, err := tx.Exec(ctx, "INSERT INTO ends (uuid, state) VALUES (?, ?)", j.UUID, string(j.State))
			return err
		},
		Render: func(j Job) (json.RawMessage, []string) {
			text := fmt.Sprintf("%s %d", j.State, j.Progress)
			if j.Failure != nil {
				text += " " + j.Failure.Code
			}
			data, _ := json.Marshal(text)
			return data, []string{fmt.Sprintf("/test/%d", j.OwnerID)}
		},
	}
}

// succeed walks through every state.
func succeed(ctx context.Context, r *Run) (any, error) {
	for i, s := range []State{StateStart, StateWritingFile, StateBeforeUpload, StateUploading} {
		if err := r.Advance(ctx, s, 3+20*i, map[string]int{"count": i}); err != nil {
			return nil, err
		}
	}
	return map[string]string{"file": "a.xlsx"}, nil
}

// untilTold waits for its context to be ended and returns why.
func untilTold(ctx context.Context, _ *Run) (any, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

var quiet = slog.New(slog.DiscardHandler)

var errBellDown = errors.New("bell is down")

// testBell remembers rings and, when it has an engine, delivers them.
type testBell struct {
	handled sync.WaitGroup

	mu      sync.Mutex
	engine  *Engine
	down    bool
	rung    []Doorbell
	states  map[Doorbell]BellState
	refuses int
}

func (b *testBell) deliverTo(e *Engine) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.engine = e
}

func (b *testBell) Ring(_ context.Context, d Doorbell) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		b.refuses++
		return errBellDown
	}
	if b.states[d] != BellAbsent {
		return nil
	}
	b.rung = append(b.rung, d)
	b.states[d] = BellWaiting
	if e := b.engine; e != nil {
		b.states[d] = BellTaken
		b.handled.Go(func() {
			_ = e.Handle(context.Background(), d.UUID, d.Attempt) // a bell has nobody to tell
			b.set(d, BellAbsent)
		})
	}
	return nil
}

func (b *testBell) State(_ context.Context, d Doorbell) (BellState, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		b.refuses++
		return BellAbsent, errBellDown
	}
	return b.states[d], nil
}

func (b *testBell) set(d Doorbell, s BellState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s == BellAbsent {
		delete(b.states, d)
		return
	}
	b.states[d] = s
}

func (b *testBell) setDown(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

func (b *testBell) rings() []Doorbell {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Doorbell(nil), b.rung...)
}

// testBus remembers what was published.
type testBus struct {
	mu     sync.Mutex
	down   bool
	tries  int
	events []Event
}

func (b *testBus) Publish(_ context.Context, e Event) error {
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

func (b *testBus) of(uuid string) []Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	var events []Event
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
