// Package jobs is the queue's edge: doorbells travel as asynq tasks over Redis, and one handler answers them all by
// asking the job engine. It knows no kind of job.
//
// A task says which job and which attempt; its id says the same, so that ringing twice is ringing once. Nothing of a
// job's fate is left to the queue: it does not retry attempts (rows do), keeps no finished tasks, and may be emptied at
// any time. Its own retry serves one case, a database that can't be reached when the doorbell is answered.
//
//	bell := jobs.NewBell(client, jobs.DefaultQueue)
//	engine, err := job.NewEngine(job.Options{Bell: bell, ...})
//	server, err := jobs.NewServer(jobs.Options{Redis: client, Engine: engine, Concurrency: 4})
//	err = server.Run(ctx) // beside engine.Run(ctx)
//
// The client is shared with whoever else needs Redis. Give it ContextTimeoutEnabled, so that the bounds of rings and
// publishes hold while Redis is stalled.
//
// Bell and Server are safe for concurrent use.
package jobs
