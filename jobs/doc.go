// Package jobs is where work enters a worker: tasks travel through asynq over Redis, and one
// handler answers them all by asking the job engine. The table Kinds says which kinds of job the
// program runs; what they do is declared in the packages that it names.
//
// A task says which job and which attempt; its id says the same, so that enqueueing it twice is
// enqueueing it once. The queue decides nothing about a job: it does not retry attempts (rows do),
// keeps no finished tasks, and may be emptied at any time. Its own retry serves one case, a
// database that can't be reached when the task is answered.
//
//	queue := jobs.NewQueue(client, jobs.DefaultQueue)
//	engine, err := job.NewEngine(job.Options{Queue: queue, ...})
//	err = engine.Register(...)
//	runner, err := engine.Runner(jobs.KindNames()...)
//	server, err := jobs.NewServer(jobs.Options{Redis: client, Engine: runner, Concurrency: 4})
//	err = server.Run(ctx) // beside runner.Run(ctx)
//
// The client is shared with the other users of Redis. Give it ContextTimeoutEnabled, so that the
// bounds of calls hold while Redis is stalled.
//
// Queue and Server are safe for concurrent use.
package jobs
