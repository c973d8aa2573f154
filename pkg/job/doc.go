// Package job runs durable work: a row in the table jobs is the truth about each piece of it, a
// queue only wakes a worker, and whatever dies on the way, an accepted job ends in exactly one of
// success, failure and cancelled.
//
// # Use
//
// A kind of job is declared once, with the types of what it stores:
//
//	reports := job.Define(job.Spec[Request, Progress, File]{
//		Name:   "report",
//		Stages: []job.StageSpec{{Name: "writing", Succeeds: true}},
//		Run:    writeReport,
//		Render: renderReport,
//	})
//
// The engine is made first, kinds are registered on it, and the runner comes last, when none is
// missing:
//
//	engine, err := job.NewEngine(job.Options{DB: db, HeartbeatDB: sibling, Queue: queue, ...})
//	err = engine.Register(reports, ...)
//	runner, err := engine.Runner("report", ...)
//	go runner.Run(ctx) // owns everything that is started, and drains it when ctx ends
//
//	err = db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
//		n, err := reports.New(user, request)
//		...
//		j, err := engine.Enqueue(ctx, tx, n)
//		...
//	})
//
// The queue's edge calls Runner.Handle for each task that it is given.
//
// # Lifecycle and stages
//
// The engine owns the lifecycle: queued, running, success, failure, cancelled. The stages of a
// running job belong to its kind, which says what may follow what. Both are written by
// compare-and-set.
//
// # Attempts, leases, fencing
//
// A worker takes a job by a compare-and-set of (queued, attempt) and holds it by a lease, which it
// renews by the database's clock. Going back to queued raises the attempt, and every write names
// the attempt it belongs to: a worker that was thought dead and comes back changes nothing. It
// publishes nothing either, because a run whose lease may have ended by its own clock is silent
// until a renewal has succeeded. What slips through is recognised by Seq, which orders the events
// of a job over all its attempts.
//
// # Delivery
//
// Events and tasks leave through a bounded outbox after the commit, so that a queue or bus that is
// away slows down neither requests nor work. A full outbox drops progress first. A task that was
// lost is enqueued again by the reconciler, which one process at a time leads by a lease in the
// database; the compare-and-set makes extra tasks harmless.
//
// # Concurrency
//
// Engine, Runner, Store, Definition and Run are safe for concurrent use.
package job
