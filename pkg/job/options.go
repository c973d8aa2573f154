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
)

// Options are what an Engine is made of. DB, Bell and Kinds are required.
type Options struct {
	DB *database.DB
	// HeartbeatDB is a small pool of its own on the same database (database.DB.Sibling), for everything that must not
	// wait behind long reads: leases, transitions, the reconciler. It also lets Run.Advance be called inside DB's
	// Read. Default DB, which is right only where no kind reads for long. About 4 connections.
	HeartbeatDB *database.DB
	Bell        Bell
	Publisher   Publisher // nil publishes nothing
	Kinds       []Kind
	Owner       string // names this process in leases, at most 100 bytes; default host, pid and a random part

	// Concurrency bounds the attempts that run at once; further doorbells wait. 0 is no bound of our own.
	Concurrency int

	Lease          time.Duration // how long a worker may be silent before it is thought dead; default 10 s
	RenewEvery     time.Duration // between two heartbeats of a run, and so until it sees a cancellation; default Lease/10, at most 1 s
	RetryDelay     time.Duration // before the attempt after a job's first transient failure, then doubling; default 2 s
	ProgressEvery  time.Duration // at least this long between two progress events of a run; default 100 ms
	ReconcileEvery time.Duration // between two looks of the reconciler; default 1 s, at most Lease/4
	LeaderLease    time.Duration // how long the reconciler's leader may be silent; default 3 s
	BellAge        time.Duration // how long a row waits untouched before its doorbell is looked for; default 2 s
	BellTaken      time.Duration // how long a taken doorbell may leave its row queued before it is rung anew; default 2 s: with the looks before and after, it is answered within 5
	CallTimeout    time.Duration // for one ring or publish; default 1 s
	EventTTL       time.Duration // how long an unpublished event is worth another try; default 2 min
	DrainTimeout   time.Duration // how long Run lets jobs finish when it ends, before they are handed back; default 20 s
	HandBackWait   time.Duration // how long jobs told to hand back may take for it; default 5 s
	WaitEvery      time.Duration // between two looks of Wait at the row; default 250 ms
	MaxWaiters     int           // calls of Wait at once; default 2,000
	MaxTakeovers   int           // lost workers after which a job fails instead of being given to the next; default 20

	Now    func() time.Time // this process's clock, monotonic; default time.Now. Rows are timed by the database's
	Logger *slog.Logger     // default slog.Default()
	// Attempt is told of every attempt that ended here, and of jobs ended or taken over without running here: success,
	// failure, cancelled, retry, hand_back, lost, takeover. Nil ignores it.
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
	// Looks that are further apart than half a lease are no proof that the database was there in between, so that with a
	// short lease nobody would ever be taken over.
	o.ReconcileEvery = min(cmp.Or(o.ReconcileEvery, time.Second), o.Lease/4)
	o.LeaderLease = cmp.Or(o.LeaderLease, 3*time.Second)
	o.BellAge = cmp.Or(o.BellAge, 2*time.Second)
	o.BellTaken = cmp.Or(o.BellTaken, 2*time.Second)
	o.CallTimeout = cmp.Or(o.CallTimeout, time.Second)
	o.EventTTL = cmp.Or(o.EventTTL, 2*time.Minute)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, 20*time.Second)
	o.HandBackWait = cmp.Or(o.HandBackWait, 5*time.Second)
	o.WaitEvery = cmp.Or(o.WaitEvery, 250*time.Millisecond)
	o.MaxWaiters = cmp.Or(o.MaxWaiters, 2000)
	o.MaxTakeovers = cmp.Or(o.MaxTakeovers, 20)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Attempt == nil {
		o.Attempt = func(string, string) {}
	}
	return o
}

// check tells everything that is wrong at once.
func (o Options) check() (map[string]*Kind, error) {
	var problems []error
	if o.DB == nil {
		problems = append(problems, errors.New("DB is required"))
	}
	if o.Bell == nil {
		problems = append(problems, errors.New("Bell is required"))
	}
	if len(o.Owner) > 100 {
		problems = append(problems, fmt.Errorf("option Owner is %d bytes long, want at most 100", len(o.Owner)))
	}
	if o.Concurrency < 0 {
		problems = append(problems, fmt.Errorf("option Concurrency is %d, want 0 or more", o.Concurrency))
	}
	if o.RenewEvery > o.Lease/3 {
		problems = append(problems, fmt.Errorf("RenewEvery is %s, want at most a third of Lease (%s)", o.RenewEvery, o.Lease))
	}
	kinds := make(map[string]*Kind, len(o.Kinds))
	for i := range o.Kinds {
		k := o.Kinds[i]
		switch {
		case k.Name == "" || len(k.Name) > 40:
			problems = append(problems, fmt.Errorf("kind %d: name %q, want 1 to 40 bytes", i, k.Name))
		case kinds[k.Name] != nil:
			problems = append(problems, fmt.Errorf("kind %s: declared twice", k.Name))
		case k.Run == nil || k.Render == nil:
			problems = append(problems, fmt.Errorf("kind %s: Run and Render are required", k.Name))
		}
		kinds[k.Name] = &k
	}
	return kinds, errors.Join(problems...)
}
