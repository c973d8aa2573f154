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

// Deps is all that a system may reach beyond its own folder.
type Deps struct {
	DB        *database.DB
	Exports   Exports
	Jobs      Jobs
	Events    Events
	PublicURL string           // what links to this server begin with, without a slash at the end
	Location  *time.Location   // the zone in which people read and enter times
	Now       func() time.Time // the clock of everything that is not a lease
	Logger    *slog.Logger     // default slog.Default()
}

// Exports queues exports of any dataset for the caller that ctx carries. Refusals are
// *errs.Error with the documented words: Forbidden, Conflict while one is active, Quota when the
// day's are used up, TooMany, Invalid.
type Exports interface {
	Queue(ctx context.Context, r dataset.Request) (dataset.Ticket, error)
	// Wait waits for the end of an export of the caller's, as long as the configuration allows
	// (EXPORT_WAIT), and returns how far it has come. One that is unknown or another's is
	// NotFound.
	Wait(ctx context.Context, uuid string) (dataset.Outcome, error)
	// WaitLink returns a link to the file of an accepted export that is good from now on: a GET
	// waits for the file where it has to, checks the owner's rights and is audited. filename is
	// the request's, with the format's extension.
	WaitLink(uuid, filename string) string
}

// Jobs accepts durable work of the kinds that modules declare.
type Jobs interface {
	// Enqueue stores a job of the caller that ctx carries in the caller's transaction and
	// returns its uuid; once that has committed a worker is told. payload is what Kind.Run
	// needs, as JSON. A ctx without a caller is Unauthenticated.
	Enqueue(ctx context.Context, tx *database.Tx, kind string, payload any) (uuid string, err error)
}

// Events tells others of what happens.
type Events interface {
	// Publish brings data, as JSON, to whoever follows the channel now, on every replica. It
	// belongs after the commit (database.Tx.AfterCommit) and is best effort: the database is the
	// truth, and pages read it when they come back. It returns within about a second, whatever
	// becomes of the bus.
	Publish(ctx context.Context, channel string, data any) error
	// Raise runs the reactions of every module to an event, in the modules' order and in tx. The
	// first error ends it.
	Raise(ctx context.Context, tx *database.Tx, event Event, data any) error
}

// Module is a system as plain data: everything the rest of the program needs to know of it.
type Module struct {
	Name         string
	Permissions  []auth.Permission
	Routes       []httpapi.Route
	Datasets     []dataset.Dataset
	Dictionaries []dataset.Dictionary
	Migrations   fs.FS
	Jobs         []job.Kind         // what its jobs do, run by workers
	Channels     []auth.ChannelRule // who may subscribe to which channel
	// what it does about events, in the transaction of whoever raises them
	On map[Event]Reaction
	// Demo fills the module's tables for a first look; size is how many rows its large tables
	// get. It changes nothing when it has run before.
	Demo func(ctx context.Context, db *database.DB, size int) error
}
