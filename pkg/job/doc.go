// Package job runs durable work: a row in the table jobs is the truth about each piece of it, a queue only rings the
// bell, and whatever dies on the way, an accepted job ends in exactly one of success, failure and cancelled.
//
// # Use
//
// A Kind says what an attempt does. The Engine of every process knows all kinds:
//
//	engine, err := job.NewEngine(job.Options{DB: db, HeartbeatDB: sibling, Bell: bell, Publisher: bus, Kinds: kinds})
//	go engine.Run(ctx) // owns everything the engine starts, and drains it when ctx ends
//
//	err = db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
//		j, err := engine.Enqueue(ctx, tx, job.New{Kind: "export", OwnerID: user, Payload: request})
//		...
//	})
//
// The queue's edge calls Engine.Handle for each doorbell it is given.
//
// # Attempts, leases, fencing
//
// A worker takes a job by a compare-and-set of (queued, attempt) and holds it by a lease, which it renews by the
// database's clock. Going back to queued raises the attempt, and every write names the attempt it belongs to: a worker
// that was thought dead and comes back changes nothing. It publishes nothing either, because a run whose lease may have
// ended by its own clock is silent until a renewal has succeeded. What slips through is told apart by Seq, which orders
// the events of a job over all its attempts.
//
// # Delivery
//
// Events and doorbells leave through a bounded outbox after the commit, so that a queue or bus that is away slows down
// neither requests nor work. A full outbox drops progress first. A doorbell that was lost is rung again by the
// reconciler, which one process at a time leads by a lease in the database; the compare-and-set makes extra rings
// harmless.
//
// # Concurrency
//
// Engine, Store and Run are safe for concurrent use.
package job
