package admin

import (
	"context"
	"io/fs"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/job"
)

// Deps is all that a system may reach beyond its own folder.
type Deps struct {
	DB       *database.DB
	Exports  Exports
	Location *time.Location   // the zone in which people read and enter times
	Now      func() time.Time // the clock of everything that is not a lease
}

// Exports queues exports of any dataset for the caller that ctx carries. Refusals are *errs.Error with the documented
// words: Forbidden, Conflict while one is active, Quota when the day's are used up, TooMany, Invalid.
type Exports interface {
	Queue(ctx context.Context, r dataset.Request) (dataset.Ticket, error)
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
	// Demo fills the module's tables for a first look; size is how many rows its large tables get. It changes nothing
	// when it has run before.
	Demo func(ctx context.Context, db *database.DB, size int) error
}
