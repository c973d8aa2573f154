package invitation

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/admin/admintest"
	"exporthub/pkg/admin/message"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/event"
	"exporthub/pkg/job"
)

// bus brings the engine's events to those of the test.
type bus struct{ h *admintest.Events }

func (b bus) Publish(_ context.Context, e event.Event) error {
	for _, stream := range e.Streams {
		b.h.Note(stream, string(e.Data))
	}
	return nil
}

// silence is a task queue that enqueues nothing: tests deliver jobs by hand.
type silence struct{}

func (silence) Enqueue(context.Context, job.Task) error { return nil }
func (silence) State(context.Context, job.Task) (job.TaskState, error) {
	return job.TaskTaken, nil
}

// worker is an engine that knows the kind of approvals, and runs what it is given.
type worker struct {
	*job.Engine
	*job.Runner
}

// queue accepts jobs and notes which.
type queue struct {
	engine *worker
	mu     sync.Mutex
	uuids  []string
}

func (q *queue) Enqueue(ctx context.Context, tx *database.Tx, n job.New) (job.Job, error) {
	j, err := q.engine.Enqueue(ctx, tx, n)
	if err == nil {
		tx.AfterCommit(func(context.Context) {
			q.mu.Lock()
			defer q.mu.Unlock()
			q.uuids = append(q.uuids, j.UUID)
		})
	}
	return j, err
}

// accepted are the jobs whose transactions were committed.
func (q *queue) accepted() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.uuids)
}

// office is the system of invitations with messages, jobs and three people: two administrators
// and one of the staff.
type office struct {
	*service
	t         testing.TB
	happens   *admintest.Events
	queue     *queue
	admin     int64
	colleague int64
	inviter   int64 // linked to the inviter of what invite makes
	spec      approvalSpec
}

func inOffice(t *testing.T, fn func(t *testing.T, o *office)) {
	t.Helper()
	messages := message.Module(admin.Deps{}).Migrations
	dbtest.Each(t, []fs.FS{auth.Migrations, job.Migrations, migrations, messages}, func(t *testing.T, db *database.DB) {
		fn(t, openOffice(t, db))
	})
}

func openOffice(t testing.TB, db *database.DB) *office {
	t.Helper()
	happens := &admintest.Events{}
	o := &office{t: t, happens: happens, queue: &queue{}}
	o.service = newService(admin.Deps{
		DB: db, Events: happens, Jobs: o.queue, Location: admintest.Shanghai, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	happens.Reactions = message.Module(o.Deps).On
	o.spec = o.approval()
	o.queue.engine = o.newEngine(o.spec)
	for name, person := range map[string]*int64{"admin": &o.admin, "colleague": &o.colleague, "inviter": &o.inviter} {
		role := auth.Administrator
		if name == "inviter" {
			role = auth.Staff
		}
		*person = o.insert("INSERT INTO people (account, name, role, created_at, updated_at) VALUES (?, ?, ?, 0, 0)",
			name, "名"+name, int(role))
	}
	o.exec("INSERT INTO role_permissions (role, permission) VALUES (1, ?)", permissionApprove)
	return o
}

// newEngine makes an engine that runs what it is handed; its outbox and reconciler run until the
// test ends.
func (o *office) newEngine(spec approvalSpec) *worker {
	o.t.Helper()
	heartbeat, err := o.DB.Sibling(o.t.Context(), 2)
	if err != nil {
		o.t.Fatal(err)
	}
	e, err := job.NewEngine(job.Options{
		DB: o.DB, HeartbeatDB: heartbeat, Queue: silence{}, Publisher: bus{o.happens},
		Logger: slog.New(slog.DiscardHandler), DrainTimeout: time.Second,
	})
	if err != nil {
		o.t.Fatal(err)
	}
	if err := e.Register(job.Define(spec)); err != nil {
		o.t.Fatal(err)
	}
	runner, err := e.Runner(approvalName)
	if err != nil {
		o.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- runner.Run(ctx) }()
	o.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			o.t.Errorf("engine: %v", err)
		}
		_ = heartbeat.Close()
	})
	return &worker{Engine: e, Runner: runner}
}

func (o *office) exec(query string, args ...any) {
	o.t.Helper()
	err := o.DB.Write(o.t.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) insert(query string, args ...any) (id int64) {
	o.t.Helper()
	err := o.DB.Write(o.t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
		id, err = tx.Insert(ctx, query, args...)
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return id
}

// as is a request of a person.
func (o *office) as(person int64) context.Context {
	return auth.With(o.t.Context(), &auth.Principal{UserID: person})
}

// invite makes n invitations by one inviter who is linked to a person, 0 for nobody.
func (o *office) invite(n int, inviterPhone string, person int64) []int64 {
	o.t.Helper()
	exhibition := o.insert("INSERT INTO exhibitions (name, created_at) VALUES (?, ?)", "测试展 "+inviterPhone, 1)
	made := make([]int64, n)
	for i := range made {
		v, err := o.create(o.as(o.admin), creation{
			ExhibitionID: exhibition, User: User{Phone: fmt.Sprintf("137%08d", i)}, RecommendPhone: inviterPhone,
		})
		if err != nil {
			o.t.Fatal(err)
		}
		made[i] = v.ID
	}
	if person != 0 {
		o.exec("UPDATE exhibition_users SET person_id = ? WHERE phone = ?", person, inviterPhone)
	}
	return made
}

// work runs every accepted job's given attempt on an engine.
func (o *office) work(e *worker, attempt int) {
	o.t.Helper()
	for _, uuid := range o.queue.accepted() {
		if err := e.Handle(o.t.Context(), uuid, attempt); err != nil {
			o.t.Fatal(err)
		}
	}
}

func (o *office) jobState(uuid string) job.State {
	o.t.Helper()
	j, err := job.NewStore(o.DB).Get(o.t.Context(), uuid)
	if err != nil {
		o.t.Fatal(err)
	}
	return j.State
}

func (o *office) invitation(id int64) (v Invitation) {
	o.t.Helper()
	err := o.DB.Read(o.t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
		v, err = invitationByID(ctx, tx, id)
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return v
}

// received is a message as a test looks at it.
type received struct {
	Type, Head, Title, Content string
	Sender                     int64
	Awaits                     bool
}

// messages are a person's messages of a type, oldest first.
func (o *office) messages(person int64, kind message.Type) []received {
	o.t.Helper()
	var all []received
	err := o.DB.Read(o.t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
		all, err = database.All(ctx, tx, func(s database.Scanner) (m received, err error) {
			var awaits int
			err = s.Scan(&m.Type, &m.Head, &m.Title, &m.Content, &m.Sender, &awaits)
			m.Awaits = awaits == 1
			return m, err
		}, `SELECT notice_type, head, title, content, operate_id, handle_status FROM messages
			WHERE recipient_id = ? AND notice_type = ? ORDER BY id`, person, string(kind))
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
	return all
}

// waiting is how many of a person's messages wait to be handled.
func (o *office) waiting(person int64) (n int) {
	o.t.Helper()
	for _, m := range o.messages(person, message.ApprovalAwaited) {
		if m.Awaits {
			n++
		}
	}
	return n
}
