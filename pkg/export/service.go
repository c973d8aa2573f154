package export

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/job"
	"exporthub/pkg/storage"
)

// Migrations are the tables of this package.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// KindName is the job kind of exports.
const KindName = "export"

// Jobs is what the service needs of the job engine.
type Jobs interface {
	// Enqueue stores a job in the caller's transaction; its doorbell rings after the commit.
	Enqueue(ctx context.Context, tx *database.Tx, n job.New) (job.Job, error)
	// Wait returns the job once it has moved past a sequence number, or as it is when ctx ends.
	Wait(ctx context.Context, uuid string, sinceSeq uint64) (job.Job, error)
	// Cancel ends a queued job and asks for the end of a running one; Conflict when it ended otherwise.
	Cancel(ctx context.Context, uuid string) (job.Job, error)
}

// People is what the service needs to know of identities.
type People interface {
	// Person returns a person with today's role and permissions; one who may not sign in has none.
	Person(ctx context.Context, id int64) (*auth.Principal, error)
	// ExportChannel returns the person's capability channel.
	ExportChannel(p *auth.Principal) string
	// CheckExportChannel returns whose capability channel this is; Forbidden when it is nobody's any more.
	CheckExportChannel(ctx context.Context, channel string) (int64, error)
	// ExportChannelAlive reports cheaply whether a subscription to a checked channel may go on.
	ExportChannelAlive(ctx context.Context, channel string) bool
}

// RateLimiter bounds how often something is asked for.
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
	DB       *database.DB
	People   People
	Registry *dataset.Registry
	Formats  []dataset.Format
	Store    storage.Store
	Signer   *storage.Signer
	Rate     RateLimiter // nil is no limit

	Limits    Limits
	Retention time.Duration  // how long a file can be fetched
	PublicURL string         // what links begin with, without a slash at the end
	SpoolDir  string         // where files are written before they are stored
	Location  *time.Location // the zone whose midnight begins a day, and of times in files
	Now       func() time.Time
	Logger    *slog.Logger

	CleanupGrace time.Duration // how old what was left behind has to be before Clean removes it; 0 is 1 h

	// Wait is how long Service.Wait waits, FileWait how long a link waits for its file; 0 is 25 s and 10 minutes.
	Wait, FileWait time.Duration

	CountTime   time.Duration // how long counting the rows may take; 0 is 2 s
	UploadTries int           // tries to store a file within an attempt; 0 is 4
	UploadDelay time.Duration // before the second try, doubling; 0 is 2 s

	// Observe, when set, is told how each request was answered: accepted, or the refusal's code.
	Observe func(answer string)
}

// Service is the export engine.
type Service struct {
	o       Options
	jobs    Jobs
	store   *job.Store
	formats map[string]dataset.Format
	names   []string

	draining context.Context // ends with Drain; requests' own contexts are other ones
	drain    context.CancelFunc
}

// New returns a Service. It can run and tell jobs as it is; to queue and wait it must be attached to the job engine, which
// in turn is made with its Kind.
func New(o Options) (*Service, error) {
	if o.CountTime == 0 {
		o.CountTime = 2 * time.Second
	}
	if o.UploadTries == 0 {
		o.UploadTries = 4
	}
	if o.UploadDelay == 0 {
		o.UploadDelay = 2 * time.Second
	}
	if o.Wait == 0 {
		o.Wait = 25 * time.Second
	}
	if o.FileWait == 0 {
		o.FileWait = 10 * time.Minute
	}
	if o.CleanupGrace == 0 {
		o.CleanupGrace = time.Hour
	}
	if o.Observe == nil {
		o.Observe = func(string) {}
	}
	o.PublicURL = strings.TrimRight(o.PublicURL, "/")
	s := &Service{o: o, store: job.NewStore(o.DB), formats: map[string]dataset.Format{}}
	s.draining, s.drain = context.WithCancel(context.Background())
	for _, f := range o.Formats {
		if _, taken := s.formats[f.Name]; taken {
			return nil, fmt.Errorf("export: format %q is registered twice", f.Name)
		}
		s.formats[f.Name] = f
		s.names = append(s.names, f.Name)
	}
	if !slices.Contains(s.names, defaultFormat) {
		return nil, fmt.Errorf("export: format %q is required", defaultFormat)
	}
	return s, nil
}

// Attach gives the service the engine its jobs go to. Call it once, before the first request.
func (s *Service) Attach(jobs Jobs) { s.jobs = jobs }

// defaultFormat is what a request without a format gets.
const defaultFormat = "xlsx"
