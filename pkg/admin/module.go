package admin

import (
	"context"
	"io/fs"
	"log/slog"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/job"
)

// Deps is everything a module may use outside its own folder. The wiring fills all fields; tests
// leave out what they do not reach.
type Deps struct {
	DB      *database.DB
	Exports Exports
	Jobs    Jobs
	Events  Events
	// ImportRate limits imports a minute and person on all replicas; nil is no limit.
	ImportRate Rate
	PublicURL  string           // prefix of links to this server, without a slash at the end
	Location   *time.Location   // the zone in which people read and enter times (TIMEZONE)
	Now        func() time.Time // the clock for everything but leases; tests set it
	Logger     *slog.Logger     // default slog.Default()
}

// Exports queues exports of any dataset for the caller of ctx. Refusals are *errs.Error with the
// documented texts: Forbidden, Conflict while one is active, Quota when the daily quota is used
// up, TooMany, Invalid.
type Exports interface {
	Queue(ctx context.Context, r dataset.Request) (dataset.Ticket, error)
	// Wait waits until an export of the caller has ended, but at most EXPORT_WAIT, and returns its
	// state. An unknown export and another person's are both NotFound.
	Wait(ctx context.Context, uuid string) (dataset.Outcome, error)
	// WaitLink returns a link to the file of an accepted export. The link may be requested before
	// the file is there: the GET then waits for it. Each GET checks the owner's rights and is
	// audited. filename is the request's, with the format's extension.
	WaitLink(uuid, filename string) string
}

// Rate limits how often something is done. key names what is counted.
type Rate interface {
	// Allow counts one more and reports whether it is within the limit, else how long to wait.
	Allow(ctx context.Context, key string) (ok bool, wait time.Duration)
}

// Jobs accepts durable work of the kinds that modules declare; *job.Engine does.
type Jobs interface {
	// Enqueue stores a job in the caller's transaction; once that has committed a worker is woken.
	// job.Definition.New makes what it takes. A kind that Module.Jobs does not declare is an error.
	Enqueue(ctx context.Context, tx *database.Tx, n job.New) (job.Job, error)
}

// Events reports what happens: to pages after the fact, and to other modules within it.
type Events interface {
	// Publish sends data, as JSON, to the present subscribers of a channel on every replica. Call
	// it after the commit (database.Tx.AfterCommit). It is best effort, because the database is
	// the truth and pages read it when they reconnect. It returns within about a second even when
	// the bus is unreachable.
	Publish(ctx context.Context, channel string, data any) error
	// Raise runs the reactions of every module to an event, in the modules' order and in tx. The
	// first error ends it.
	Raise(ctx context.Context, tx *database.Tx, event Event, data any) error
}

// Module is one system of the back office as plain data: everything the rest of the program needs
// to know about it. Nothing is registered by side effect, so a test can build and inspect one.
type Module struct {
	Name         string
	Permissions  []auth.Permission
	Routes       []httpapi.Route
	Datasets     []dataset.Dataset
	Dictionaries []dataset.Dictionary
	Migrations   fs.FS
	Jobs         []job.Kind         // kinds of jobs, run by workers
	Channels     []auth.ChannelRule // who may subscribe to which channel
	// On is the module's reactions to events. They run in the transaction that raises the event.
	On map[Event]Reaction
	// Settle brings rows of older releases into the present form where SQL alone can't. It runs
	// after the migrations at every start, maybe on several replicas at once, and must be quick
	// when there is nothing to do.
	Settle func(ctx context.Context, db *database.DB) error
	// Check describes rows that need a person's decision, one a line, for "api -check".
	Check func(ctx context.Context, db *database.DB) ([]string, error)
	// Demo fills the module's tables for a first look; size is the number of rows of its large
	// tables. It runs at every start of the demo, and must do nothing when its rows are there. The
	// modules' run in the reverse order of the list, so that what one raises finds the reactions'
	// own demo rows written already.
	Demo func(ctx context.Context, db *database.DB, size int) error
}
