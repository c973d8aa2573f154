package job

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"

	"exporthub/pkg/database"
	"exporthub/pkg/event"
)

// Options are what an Engine is made of. DB and Queue are required.
type Options struct {
	DB *database.DB
	// HeartbeatDB is a small pool on the same database (database.DB.Sibling), for everything that
	// must not wait behind long reads: leases, transitions, the reconciler. It also lets
	// Run.Advance be called inside DB's Read. Default DB, which is right only where no kind reads
	// for long. About 4 connections.
	HeartbeatDB *database.DB
	Queue       Queue
	Publisher   event.Publisher // nil publishes nothing
	// Owner names this process in leases, at most 100 bytes; default host, pid and a random part.
	Owner string

	// Concurrency bounds the attempts that run at once; further tasks wait. 0 is no bound here.
	Concurrency int

	// Lease is how long a worker may be silent before its jobs are given to others; default 10 s.
	Lease time.Duration
	// RenewEvery is the time between two heartbeats of a run, and so until it sees a cancellation;
	// default Lease/10, at most 1 s.
	RenewEvery time.Duration
	// RetryDelay is how long a job waits after its first failure, then doubling; default 2 s.
	RetryDelay time.Duration
	// ProgressEvery is the least time between two progress events of a run; default 100 ms.
	ProgressEvery time.Duration
	// ReconcileEvery is the time between two polls of the reconciler; default 1 s, at most Lease/4.
	ReconcileEvery time.Duration
	// LeaderLease is how long the reconciler's leader may be silent; default 3 s.
	LeaderLease time.Duration
	// TaskAge is how long a row waits untouched before its task is checked; default 2 s.
	TaskAge time.Duration
	// TaskTakenFor is how long a taken task may leave its row queued before another task is
	// enqueued for it; default 2 s. With the polls before and after, that is within 5.
	TaskTakenFor time.Duration
	// CallTimeout bounds one call of the queue or the bus; default 1 s.
	CallTimeout time.Duration
	// EventTTL is how long an unpublished event is worth another try; default 2 min.
	EventTTL time.Duration
	// DrainTimeout is how long jobs may finish once Run ends, before they are released; default 20
	// s.
	DrainTimeout time.Duration
	// ReleaseWait is how long the kinds may take to return from a released run; default 5 s.
	ReleaseWait time.Duration
	// WaitEvery is the time between two polls of the row by Wait; default 250 ms.
	WaitEvery time.Duration
	// MaxWaiters is how many calls of Wait there may be at once; default 2,000.
	MaxWaiters int
	// MaxTakeovers is how many lost workers a job may have before it fails; default 20.
	MaxTakeovers int

	// Now is this process's clock, monotonic; default time.Now. Rows are timed by the database's.
	Now    func() time.Time
	Logger *slog.Logger // default slog.Default()
	// Attempt observes every attempt that ended here, and jobs ended or taken over without running
	// here: success, failure, cancelled, retry, hand_back, lost, takeover. Nil ignores it.
	Attempt func(kind, outcome string)
}

func (o Options) withDefaults() Options {
	if o.HeartbeatDB == nil {
		o.HeartbeatDB = o.DB
	}
	if o.Owner == "" {
		host, _ := os.Hostname() // only a name to recognise; the random part makes it unique
		o.Owner = fmt.Sprintf("%.60s/%d/%s", host, os.Getpid(), uuid.NewString()[:8])
	}
	o.Lease = cmp.Or(o.Lease, 10*time.Second)
	o.RenewEvery = cmp.Or(o.RenewEvery, min(o.Lease/10, time.Second))
	o.RetryDelay = cmp.Or(o.RetryDelay, 2*time.Second)
	o.ProgressEvery = cmp.Or(o.ProgressEvery, 100*time.Millisecond)
	// Polls further apart than half a lease are no proof that the database was there in between,
	// so that with a short lease no job would ever be taken over.
	o.ReconcileEvery = min(cmp.Or(o.ReconcileEvery, time.Second), o.Lease/4)
	o.LeaderLease = cmp.Or(o.LeaderLease, 3*time.Second)
	o.TaskAge = cmp.Or(o.TaskAge, 2*time.Second)
	o.TaskTakenFor = cmp.Or(o.TaskTakenFor, 2*time.Second)
	o.CallTimeout = cmp.Or(o.CallTimeout, time.Second)
	o.EventTTL = cmp.Or(o.EventTTL, 2*time.Minute)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, 20*time.Second)
	o.ReleaseWait = cmp.Or(o.ReleaseWait, 5*time.Second)
	o.WaitEvery = cmp.Or(o.WaitEvery, 250*time.Millisecond)
	o.MaxWaiters = cmp.Or(o.MaxWaiters, 2000)
	o.MaxTakeovers = cmp.Or(o.MaxTakeovers, 20)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Attempt == nil {
		o.Attempt = func(string, string) {}
	}
	return o
}

// check reports everything that is wrong at once.
func (o Options) check() error {
	var problems []error
	if o.DB == nil {
		problems = append(problems, errors.New("DB is required"))
	}
	if o.Queue == nil {
		problems = append(problems, errors.New("Queue is required"))
	}
	if len(o.Owner) > 100 {
		problems = append(problems, fmt.Errorf("option Owner: want at most 100 bytes, got %d", len(o.Owner)))
	}
	if o.Concurrency < 0 {
		problems = append(problems, fmt.Errorf("option Concurrency: want 0 or more, got %d", o.Concurrency))
	}
	if o.RenewEvery > o.Lease/3 {
		// A heartbeat that is late or fails once must not cost the job its worker.
		problems = append(problems,
			fmt.Errorf("RenewEvery: want at most a third of Lease (%s), got %s", o.Lease, o.RenewEvery))
	}
	return errors.Join(problems...)
}
