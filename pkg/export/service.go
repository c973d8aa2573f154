package export

import (
	"cmp"
	"context"
	"embed"
	"log/slog"
	"strings"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/export/attempt"
	"exporthub/pkg/export/delivery"
	"exporthub/pkg/export/record"
	"exporthub/pkg/export/retention"
	"exporthub/pkg/job"
	"exporthub/pkg/storage"
)

// Migrations are the tables of this package.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Jobs is what the service needs of the job engine.
type Jobs interface {
	// Enqueue stores a job in the caller's transaction; a worker is woken after the commit.
	Enqueue(ctx context.Context, tx *database.Tx, n job.New) (job.Job, error)
	// Wait returns the job once it has moved past a sequence number, or as it is when ctx ends.
	Wait(ctx context.Context, uuid string, sinceSeq uint64) (job.Job, error)
	// Cancel ends a queued job and asks for the end of a running one; Conflict when it ended
	// otherwise.
	Cancel(ctx context.Context, uuid string) (job.Job, error)
}

// People is what the service needs to know of identities.
type People interface {
	// Person returns a person with today's role and permissions; one who may not sign in has none.
	Person(ctx context.Context, id int64) (*auth.Principal, error)
	// ExportChannel returns the person's capability channel.
	ExportChannel(p *auth.Principal) string
	// CheckExportChannel returns whose capability channel this is; Forbidden when it is not valid
	// (any more).
	CheckExportChannel(ctx context.Context, channel string) (int64, error)
	// ExportChannelAlive reports cheaply whether a subscription to a checked channel may go on.
	ExportChannelAlive(ctx context.Context, channel string) bool
}

// RateLimiter bounds how often something is requested.
type RateLimiter interface {
	Allow(ctx context.Context, key string) (ok bool, retryAfter time.Duration)
}

// Limits is how many exports a person may have: at once, and in a calendar day.
type Limits struct {
	Active int
	Daily  int
}

// Options is what a Service is made of. Everything without a stated default is required.
type Options struct {
	DB   *database.DB
	Jobs Jobs // the engine on which Kind is registered
	// Workers returns who runs the jobs. An error is the queue's, ErrQueueReadOnly among them.
	Workers  func(ctx context.Context) (job.Workers, error)
	People   People
	Registry *dataset.Registry
	Formats  []dataset.Format
	Store    storage.Store
	Signer   *storage.Signer
	Rate     RateLimiter // nil is no limit

	Limits    Limits
	Retention time.Duration  // how long a file can be fetched
	PublicURL string         // what links begin with
	SpoolDir  string         // where files are written before they are stored
	Location  *time.Location // the zone whose midnight begins a day, and of times in files
	Now       func() time.Time
	Logger    *slog.Logger

	// CleanupGrace is how old something left behind has to be before Clean removes it; 0 is 1 h.
	CleanupGrace time.Duration

	// Wait is how long Service.Wait waits, FileWait how long a link waits for its file; 0 is 25 s
	// and 10 minutes.
	Wait, FileWait time.Duration

	CountTime   time.Duration // how long counting the rows may take; 0 is 2 s
	UploadTries int           // tries to store a file within an attempt; 0 is 4
	UploadDelay time.Duration // before the second try, doubling; 0 is 2 s

	// Ended, when set, is called in the transaction that ends an export, once.
	Ended func(ctx context.Context, tx *database.Tx, e Ended) error

	// Observe, when set, is called with how each request was answered: accepted, or the refusal's
	// code.
	Observe func(answer string)
}

// Service is the export engine. What it does is in its parts; the methods below are what the rest
// of the program calls.
type Service struct {
	db        *database.DB
	registry  *dataset.Registry
	formats   record.Formats
	jobs      Jobs
	workers   func(ctx context.Context) (job.Workers, error)
	kind      *job.Definition[record.Args, record.Detail, record.File]
	rows      *job.Store
	now       func() time.Time
	admission *admission
	channels  *channels
	lifecycle *lifecycle
	attempts  *attempt.Runner
	links     *delivery.Links
	cleaner   *retention.Cleaner
}

// New returns a Service. Its Kind is registered on the job engine that it was given before the
// first request.
func New(o Options) (*Service, error) {
	if o.Observe == nil {
		o.Observe = func(string) {}
	}
	if o.Ended == nil {
		o.Ended = func(context.Context, *database.Tx, Ended) error { return nil }
	}
	o.Wait = cmp.Or(o.Wait, 25*time.Second)
	o.PublicURL = strings.TrimRight(o.PublicURL, "/")
	formats := record.Formats(o.Formats)
	if err := formats.Check(); err != nil {
		return nil, err
	}
	s := &Service{
		db:       o.DB,
		registry: o.Registry,
		formats:  formats,
		jobs:     o.Jobs,
		workers:  o.Workers,
		rows:     job.NewStore(o.DB),
		now:      o.Now,
	}
	s.channels = &channels{
		jobs:     s.rows,
		people:   o.People,
		registry: o.Registry,
		now:      o.Now,
		log:      o.Logger,
	}
	s.links = delivery.NewLinks(delivery.Deps{
		DB:        o.DB,
		Jobs:      o.Jobs,
		People:    o.People,
		Registry:  o.Registry,
		Store:     o.Store,
		Signer:    o.Signer,
		PublicURL: o.PublicURL,
		Retention: o.Retention,
		Now:       o.Now,
		Logger:    o.Logger,
		Wait:      o.Wait,
		FileWait:  o.FileWait,
	})
	s.attempts = newAttempts(o, formats, s.links.FileURL)
	s.cleaner = newCleaner(o, formats)
	s.lifecycle = &lifecycle{
		cleaner: s.cleaner,
		now:     o.Now,
		raise:   o.Ended,
	}
	s.kind = s.lifecycle.kind(s.attempts)
	s.admission = newAdmission(o, formats, s.kind)
	return s, nil
}

func newAttempts(o Options, formats record.Formats, fileURL func(string, time.Time) string) *attempt.Runner {
	return attempt.New(attempt.Deps{
		DB:          o.DB,
		People:      o.People,
		Registry:    o.Registry,
		Formats:     formats,
		Store:       o.Store,
		FileURL:     fileURL,
		Retention:   o.Retention,
		SpoolDir:    o.SpoolDir,
		Location:    o.Location,
		Now:         o.Now,
		Logger:      o.Logger,
		CountTime:   o.CountTime,
		UploadTries: o.UploadTries,
		UploadDelay: o.UploadDelay,
	})
}

func newCleaner(o Options, formats record.Formats) *retention.Cleaner {
	return retention.New(retention.Deps{
		DB:       o.DB,
		Store:    o.Store,
		Formats:  formats,
		SpoolDir: o.SpoolDir,
		Location: o.Location,
		Now:      o.Now,
		Logger:   o.Logger,
		Grace:    o.CleanupGrace,
	})
}

// Queue admits an export for the caller whom ctx carries, or says in the documented words why not.
func (s *Service) Queue(ctx context.Context, r dataset.Request) (dataset.Ticket, error) {
	return s.admission.Queue(ctx, r)
}

// ShowLeft puts what is left of the caller's day on an answer. It is for requests for an export
// that are refused before they get here; Queue's own answers carry it.
func (s *Service) ShowLeft(ctx context.Context) { s.admission.showLeft(ctx) }

// Wait waits for the end of an export that the caller may see; see delivery.Links.Wait.
func (s *Service) Wait(ctx context.Context, uuid string) (dataset.Outcome, error) {
	return s.links.Wait(ctx, uuid)
}

// WaitLink returns a link that waits for the file of an accepted export; see
// delivery.Links.WaitLink.
func (s *Service) WaitLink(uuid, filename string) string { return s.links.WaitLink(uuid, filename) }

// Channels are the rules of /export/…: a person's stream by their id or by their capability, a
// job's stream by its uuid.
func (s *Service) Channels() []auth.ChannelRule {
	return []auth.ChannelRule{{Prefix: record.ChannelPrefix, Resolve: s.channels.resolve}}
}

// Kind is how the job engine runs exports.
func (s *Service) Kind() job.Kind { return s.kind }

// Drain ends every wait with what is known, for the end of the process.
func (s *Service) Drain() { s.links.Drain() }

// Clean does one bounded round of the clean-up; see retention.Cleaner.Clean.
func (s *Service) Clean(ctx context.Context) error { return s.cleaner.Clean(ctx) }

// CleanLocal removes what was left behind on this machine; see retention.Cleaner.CleanLocal.
func (s *Service) CleanLocal(ctx context.Context) (removed int, err error) {
	return s.cleaner.CleanLocal(ctx)
}

// CheckSpool reports whether files can be written where exports write theirs.
func (s *Service) CheckSpool(ctx context.Context) error { return s.attempts.CheckSpool(ctx) }
