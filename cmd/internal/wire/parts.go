package wire

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"

	"exporthub/jobs"
	"exporthub/pkg/admin"
	"exporthub/pkg/admin/all"
	"exporthub/pkg/audit"
	"exporthub/pkg/auth"
	"exporthub/pkg/bayeux/redisbus"
	"exporthub/pkg/config"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/event"
	"exporthub/pkg/export"
	"exporthub/pkg/export/csv"
	"exporthub/pkg/export/xlsx"
	"exporthub/pkg/job"
	"exporthub/pkg/ratelimit"
	"exporthub/pkg/storage"
	"exporthub/pkg/telemetry"
)

// Parts are the program's parts, built and connected. Close them when everything that uses them has
// ended.
type Parts struct {
	Config   config.Config
	Log      *slog.Logger
	Metrics  *telemetry.Metrics
	DB       *database.DB
	Redis    redis.UniversalClient
	Audit    *audit.Log
	Auth     *auth.Service
	Modules  []admin.Module    // in the order in which their reactions run
	Registry *dataset.Registry // of every module's datasets
	Store    storage.Store     // of finished files
	Exports  *export.Service
	Engine   *job.Engine // accepts jobs
	Runner   *job.Runner // runs them; made last, when every kind is registered
	Bus      *redisbus.Bus
	Queue    *jobs.Queue // of the jobs' tasks

	now   func() time.Time
	close []func() // what Close calls, the last first
}

// Options change what Build makes, for tests.
type Options struct {
	Now func() time.Time // the clock of everything that is not a lease; default time.Now
}

// heartbeatConns is the size of the pool for leases and transitions. It is a pool of its own
// because every connection of the other one can be held by an export's long read at the same time.
// Four are enough: its statements take milliseconds.
const heartbeatConns = 4

// identityConns is the size of the pool from which people are identified. It is a pool of its own,
// so that a request does not wait behind others before its caller is known, and so that
// what identifies its caller within a transaction does not wait for itself.
const identityConns = 4

// busPrefix names the bus's channels in Redis, with the number of the database. Processes of the
// release before and after meet on it, so it can't be renamed.
const busPrefix = "exporthub:%d:events"

// Build makes every part. On an error nothing is left open.
//
// The steps are in the order of what needs what. The spool is checked before the schema is touched,
// so that a start that can't succeed changes nothing; migrations come before the seeds that use
// their tables.
func Build(ctx context.Context, cfg config.Config, log *slog.Logger, opts Options) (_ *Parts, err error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	p := &Parts{
		Config:  cfg,
		Log:     log,
		Metrics: telemetry.NewMetrics(),
		now:     opts.Now,
	}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	for _, step := range []func(context.Context) error{
		p.openDatabase, p.openRedis, p.openStore, p.openAuth, p.openEngine, p.buildSystems, p.checkSpool, p.migrate, p.seed,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Close closes the parts, the last opened first.
func (p *Parts) Close() {
	for i := len(p.close) - 1; i >= 0; i-- {
		p.close[i]()
	}
	p.close = nil
}

func (p *Parts) openDatabase(ctx context.Context) error {
	db, err := database.Open(ctx, string(p.Config.DatabaseURL), database.Options{MaxConns: p.Config.DatabasePool, Logger: p.Log})
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	p.DB = db
	p.close = append(p.close, func() { _ = db.Close() })
	return nil
}

func (p *Parts) openRedis(context.Context) error {
	l, err := openRedis(string(p.Config.RedisURL), p.Log)
	if err != nil {
		return err
	}
	p.Redis = l.client
	p.Queue = jobs.NewQueue(l.client, jobs.DefaultQueue)
	p.close = append(p.close, l.close)
	p.Bus = redisbus.New(l.client, fmt.Sprintf(busPrefix, l.database), redisbus.Options{Logger: p.Log})
	return nil
}

func (p *Parts) openAuth(ctx context.Context) error {
	secret := string(p.Config.AuthSecret)
	if secret == "" {
		// Only embedded mode gets here: config refuses an empty secret elsewhere.
		var err error
		if secret, err = embeddedSecret(filepath.Join(filepath.Dir(p.Config.StorageDir), "secret")); err != nil {
			return err
		}
		p.Config.AuthSecret = config.Secret(secret)
	}
	p.Audit = audit.New(audit.Options{DB: p.DB, Now: p.now, Logger: p.Log})
	identity, err := p.DB.Sibling(ctx, identityConns)
	if err != nil {
		return fmt.Errorf("open the pool of identities: %w", err)
	}
	p.close = append(p.close, func() { _ = identity.Close() })
	service, err := auth.New(auth.Options{
		DB:                 identity,
		Audit:              p.Audit,
		Secret:             secret,
		PreviousSecrets:    p.previousSecrets(),
		Env:                p.Config.Env,
		PublicURL:          p.Config.PublicURL,
		AllowedOrigins:     p.Config.AllowedOrigins,
		TrustedProxies:     p.Config.Proxies,
		AllowDemoPasswords: p.Config.Embedded,
		LoginRate:          loginRate(p.Config.LoginRate),
		Now:                p.now,
		Logger:             p.Log,
	})
	if err != nil {
		return err
	}
	p.Auth = service
	return nil
}

// loginRate turns "0 is off" of the settings into what auth takes, where 0 is the default.
func loginRate(perMinute int) int {
	if perMinute == 0 {
		return -1
	}
	return perMinute
}

func (p *Parts) previousSecrets() []string {
	if p.Config.AuthSecretPrevious == "" {
		return nil
	}
	return []string{string(p.Config.AuthSecretPrevious)}
}

// openEngine makes the job engine, without kinds.
func (p *Parts) openEngine(ctx context.Context) error {
	heartbeat, err := p.DB.Sibling(ctx, heartbeatConns)
	if err != nil {
		return fmt.Errorf("open the heartbeats' pool: %w", err)
	}
	p.close = append(p.close, func() { _ = heartbeat.Close() })
	p.Engine, err = job.NewEngine(job.Options{
		DB:             p.DB,
		HeartbeatDB:    heartbeat,
		Queue:          p.Queue,
		Publisher:      publisher{p.Bus},
		Concurrency:    p.Config.WorkerConcurrency,
		Lease:          p.Config.Lease,
		LeaderLease:    p.Config.LeaderLease,
		ReconcileEvery: p.Config.ReconcileEvery,
		ProgressEvery:  p.Config.ProgressEvery,
		DrainTimeout:   p.Config.DrainTimeout,
		RetryDelay:     p.Config.RetryDelay,
		Logger:         p.Log,
		Attempt:        p.Metrics.Attempt,
	})
	return err
}

// buildSystems makes the export service and the systems, and registers what the systems declare:
// datasets, reactions, kinds of jobs. The registries exist before what uses them, so nothing is
// wired late; the runner, which comes last, refuses when a kind is missing.
func (p *Parts) buildSystems(context.Context) error {
	var err error
	if p.Registry, err = dataset.NewRegistry(); err != nil {
		return err
	}
	happens := newEvents(publisher{p.Bus})
	if p.Exports, err = p.exportService(happens); err != nil {
		return err
	}
	if err := p.Engine.Register(p.Exports.Kind()); err != nil {
		return err
	}
	// Imports have a bucket of their own, of the same size as exports.
	imports := ratelimit.NewShared(p.Redis, ratelimit.Options{PerMinute: p.Config.ExportRate, Name: "import"})
	p.close = append(p.close, imports.Close)
	p.Modules = all.Modules(admin.Deps{
		DB:         p.DB,
		Exports:    p.Exports,
		Jobs:       p.Engine,
		Events:     happens,
		ImportRate: imports,
		PublicURL:  p.Config.PublicURL,
		Location:   p.Config.Location,
		Now:        p.now,
		Logger:     p.Log,
	})
	for _, m := range p.Modules {
		happens.register(m)
		if err := errors.Join(p.Registry.Register(m.Datasets...), p.Engine.Register(m.Jobs...)); err != nil {
			return err
		}
	}
	p.Runner, err = p.Engine.Runner(jobs.KindNames()...)
	return err
}

// checkSpool refuses a start that every export would fail after.
func (p *Parts) checkSpool(ctx context.Context) error {
	if err := p.Exports.CheckSpool(ctx); err != nil {
		return fmt.Errorf("SPOOL_DIR: %w", err)
	}
	return nil
}

func (p *Parts) exportService(happens *events) (*export.Service, error) {
	rate := ratelimit.NewShared(p.Redis, ratelimit.Options{PerMinute: p.Config.ExportRate, Name: "export"})
	p.close = append(p.close, rate.Close)
	// Files are signed with a key of their own, so that a link tells nothing about tokens.
	keys := auth.DeriveKeys(string(p.Config.AuthSecret), p.previousSecrets(), auth.PurposeFiles)
	signer, err := storage.NewSigner(keys)
	if err != nil {
		return nil, err
	}
	return export.New(export.Options{
		DB:       p.DB,
		Jobs:     p.Engine,
		Workers:  p.Queue.Workers,
		People:   p.Auth,
		Registry: p.Registry,
		Store:    p.Store,
		Signer:   signer,
		Rate:     rate,
		Formats:  append([]dataset.Format{xlsx.Format(xlsx.Options{})}, csv.Formats()...),
		Limits: export.Limits{
			Active: p.Config.ExportQueueLimit,
			Daily:  p.Config.ExportDailyLimit,
		},
		Retention:    p.Config.ExportRetention,
		PublicURL:    p.Config.PublicURL,
		SpoolDir:     p.Config.SpoolDir,
		Location:     p.Config.Location,
		Now:          p.now,
		Logger:       p.Log,
		UploadDelay:  p.Config.UploadRetryDelay,
		Wait:         p.Config.ExportWait,
		CleanupGrace: p.Config.CleanupGrace,
		Observe:      p.Metrics.ExportRequest,
		Ended:        happens.exportEnded(p.Registry),
	})
}

func (p *Parts) migrate(ctx context.Context) error {
	sources := []fs.FS{auth.Migrations, job.Migrations, export.Migrations}
	for _, m := range p.Modules {
		if m.Migrations != nil {
			sources = append(sources, m.Migrations)
		}
	}
	if err := database.Migrate(ctx, p.DB, sources...); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	for _, m := range p.Modules {
		if m.Settle == nil {
			continue
		}
		if err := m.Settle(ctx, p.DB); err != nil {
			return fmt.Errorf("settle the rows of %s: %w", m.Name, err)
		}
	}
	return nil
}

func (p *Parts) seed(ctx context.Context) error {
	var permissions []auth.Permission
	for _, m := range p.Modules {
		permissions = append(permissions, m.Permissions...)
	}
	if err := p.Auth.Seed(ctx, permissions); err != nil {
		return fmt.Errorf("seed permissions: %w", err)
	}
	if !p.Config.Demo {
		return nil
	}
	return p.seedDemo(ctx)
}

// publisher puts events on the bus.
type publisher struct{ bus *redisbus.Bus }

// Publish implements event.Publisher.
func (p publisher) Publish(ctx context.Context, e event.Event) error {
	return p.bus.Publish(ctx, realtimeEvent(e))
}
