package attempt

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/export/record"
	"exporthub/pkg/storage"
)

// People is what an attempt needs to know of identities.
type People interface {
	// Person returns a person with today's role and permissions; one who may not sign in has none.
	Person(ctx context.Context, id int64) (*auth.Principal, error)
}

// Deps is what a Runner is made of. Everything without a stated default is required.
type Deps struct {
	DB       *database.DB
	People   People
	Registry *dataset.Registry
	Formats  record.Formats
	Store    storage.Store
	// FileURL returns the link to a stored file that expires at an instant.
	FileURL func(key string, expires time.Time) string

	Retention time.Duration  // how long a file can be fetched
	SpoolDir  string         // where files are written before they are stored; made when missing
	Location  *time.Location // the zone of times in files
	Now       func() time.Time
	Logger    *slog.Logger

	CountTime   time.Duration // how long counting the rows may take; 0 is 2 s
	UploadTries int           // tries to store a file within an attempt; 0 is 4
	UploadDelay time.Duration // before the second try, doubling; 0 is 2 s
}

// Runner runs attempts, any number of them at once.
type Runner struct {
	deps Deps
}

// New returns a Runner.
func New(d Deps) *Runner {
	d.CountTime = cmp.Or(d.CountTime, 2*time.Second)
	d.UploadTries = cmp.Or(d.UploadTries, 4)
	d.UploadDelay = cmp.Or(d.UploadDelay, 2*time.Second)
	return &Runner{deps: d}
}
