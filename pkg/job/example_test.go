package job_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"exporthub/pkg/database"
	"exporthub/pkg/job"
)

// What a kind of job that greets somebody stores.
type (
	greeting struct{ Name string }
	greeted  struct{ Said string }
	helloRun = job.Run[greeting, job.None]
)

// A kind of job is declared with the types of what it stores, registered on an engine, and run.
func ExampleDefine() {
	hello := job.Define(job.Spec[greeting, job.None, greeted]{
		Name:   "hello",
		Stages: []job.StageSpec{{Name: "greeting", Succeeds: true}},
		Run: func(_ context.Context, r *helloRun) (greeted, error) {
			return greeted{Said: "hello, " + r.Args().Name}, nil
		},
		Render: func(j job.Record[greeting, job.None, greeted]) (any, []string) {
			return map[string]any{"state": j.State}, []string{"/hello"}
		},
	})

	dir, err := os.MkdirTemp("", "job-example-*")
	must(err)
	defer os.RemoveAll(dir)
	ctx := context.Background()
	db, err := database.Open(ctx, "sqlite:"+filepath.Join(dir, "hub.db"), database.Options{})
	must(err)
	defer db.Close()
	must(database.Migrate(ctx, db, job.Migrations))

	engine, err := job.NewEngine(job.Options{DB: db, Queue: byHand{}})
	must(err)
	must(engine.Register(hello))
	runner, err := engine.Runner("hello")
	must(err)

	// The job is accepted with the transaction that needs it.
	n, err := hello.New(7, greeting{Name: "world"})
	must(err)
	var accepted job.Job
	must(db.Write(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		accepted, err = engine.Enqueue(ctx, tx, n)
		return err
	}))
	fmt.Println(accepted.State)

	// In a program package jobs calls Handle for each task of the queue, beside runner.Run.
	must(runner.Handle(ctx, accepted.UUID, accepted.Attempt))
	j, err := engine.Store().Get(ctx, accepted.UUID)
	must(err)
	fmt.Println(j.State, hello.Decode(j).End.Said)
	// Output:
	// queued
	// success hello, world
}

// byHand is a queue whose tasks the example answers itself.
type byHand struct{}

func (byHand) Enqueue(context.Context, job.Task) error { return nil }
func (byHand) State(context.Context, job.Task) (job.TaskState, error) {
	return job.TaskTaken, nil
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
