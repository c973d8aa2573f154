package wire

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"

	"exporthub/jobs"
	"exporthub/pkg/admin"
	"exporthub/pkg/admin/all"
	"exporthub/pkg/auth"
	"exporthub/pkg/bayeux/redisbus"
	"exporthub/pkg/config"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/export"
	"exporthub/pkg/export/csv"
	"exporthub/pkg/export/xlsx"
	"exporthub/pkg/job"
	"exporthub/pkg/ratelimit"
	"exporthub/pkg/storage"
	"exporthub/pkg/telemetry"
)

// Parts are the program's parts, built and connected. Close them when everything that uses them has ended.
type Parts struct {
	Config   config.Config
	Log      *slog.Logger
	Metrics  *telemetry.Metrics
	DB       *database.DB
	Redis    redis.UniversalClient
	Auth     *auth.Service
	Modules  []admin.Module
	Registry *dataset.Registry
	Store    storage.Store
	Exports  *export.Service
	Engine   *job.Engine
	Bus      *redisbus.Bus

	now   func() time.Time
	close []func()
}

// Options change what Build makes, for tests.
type Options struct {
	Now func() time.Time // the clock of everything that is not a lease; default time.Now
}

// heartbeatConns is the size of the pool that busy exports can't starve.
const heartbeatConns = 4

// busPrefix names the bus's channels in Redis, with the number of the database.
const busPrefix = "exporthub:%d:events"

// Build makes every part. On an error nothing is left open.
func Build(ctx context.Context, cfg config.Config, log *slog.Logger, o Options) (_ *Parts, err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Parts{Config: cfg, Log: log, Metrics: telemetry.NewMetrics(), now: o.Now}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	for _, step := range []func(context.Context) error{
		p.openDatabase, p.openRedis, p.openStore, p.openAuth, p.buildSystems, p.checkSpool, p.migrate, p.seed,
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
	p.close = append(p.close, l.close)
	p.Bus = redisbus.New(l.client, fmt.Sprintf(busPrefix, l.database), redisbus.Options{Logger: p.Log})
	return nil
}

func (p *Parts) openAuth(context.Context) error {
	secret := string(p.Config.AuthSecret)
	if secret == "" {
		var err error
		if secret, err = embeddedSecret(filepath.Join(filepath.Dir(p.Config.StorageDir), "secret")); err != nil {
			return err
		}
		p.Config.AuthSecret = config.Secret(secret)
	}
	service, err := auth.New(auth.Options{
		DB: p.DB, Secret: secret, PreviousSecrets: p.previousSecrets(), Env: p.Config.Env,
		PublicURL: p.Config.PublicURL, AllowedOrigins: p.Config.AllowedOrigins, TrustedProxies: p.Config.Proxies,
		AllowDemoPasswords: p.Config.Embedded, Now: p.now, Logger: p.Log,
	})
	if err != nil {
		return err
	}
	p.Auth = service
	return nil
}

func (p *Parts) previousSecrets() []string {
	if p.Config.AuthSecretPrevious == "" {
		return nil
	}
	return []string{string(p.Config.AuthSecretPrevious)}
}

// buildSystems makes the systems, the export service and the job engine, which know each other by interfaces.
func (p *Parts) buildSystems(ctx context.Context) error {
	queue, work, happens := &exportQueue{}, &jobQueue{}, &events{bus: p.Bus}
	p.Modules = all.Modules(admin.Deps{
		DB: p.DB, Exports: queue, Jobs: work, Events: happens,
		PublicURL: p.Config.PublicURL, Location: p.Config.Location, Now: p.now, Logger: p.Log,
	})
	happens.listen(p.Modules)
	var sets []dataset.Dataset
	kinds := []job.Kind{}
	for _, m := range p.Modules {
		sets = append(sets, m.Datasets...)
		kinds = append(kinds, m.Jobs...)
	}
	var err error
	if p.Registry, err = dataset.NewRegistry(sets...); err != nil {
		return err
	}
	if p.Exports, err = p.exportService(); err != nil {
		return err
	}
	queue.Service = p.Exports

	heartbeat, err := p.DB.Sibling(ctx, heartbeatConns)
	if err != nil {
		return fmt.Errorf("open the heartbeats' pool: %w", err)
	}
	p.close = append(p.close, func() { _ = heartbeat.Close() })
	p.Engine, err = job.NewEngine(job.Options{
		DB: p.DB, HeartbeatDB: heartbeat, Bell: jobs.NewBell(p.Redis, jobs.DefaultQueue), Publisher: publisher{p.Bus},
		Kinds: append(kinds, tellingEnds(p.Exports.Kind(), p.Registry, happens)), Concurrency: p.Config.WorkerConcurrency,
		Lease: p.Config.Lease, LeaderLease: p.Config.LeaderLease, ReconcileEvery: p.Config.ReconcileEvery,
		ProgressEvery: p.Config.ProgressEvery, DrainTimeout: p.Config.DrainTimeout, RetryDelay: p.Config.RetryDelay,
		Logger: p.Log, Attempt: p.Metrics.Attempt,
	})
	if err != nil {
		return err
	}
	p.Exports.Attach(p.Engine)
	work.engine = p.Engine
	return nil
}

// checkSpool refuses a start that every export would fail after.
func (p *Parts) checkSpool(ctx context.Context) error {
	if err := p.Exports.CheckSpool(ctx); err != nil {
		return fmt.Errorf("SPOOL_DIR: %w", err)
	}
	return nil
}

func (p *Parts) exportService() (*export.Service, error) {
	rate := ratelimit.NewShared(p.Redis, ratelimit.Options{PerMinute: p.Config.ExportRate, Name: "export"})
	p.close = append(p.close, rate.Close)
	keys := auth.DeriveKeys(string(p.Config.AuthSecret), p.previousSecrets(), auth.PurposeFiles)
	signer, err := storage.NewSigner(keys)
	if err != nil {
		return nil, err
	}
	return export.New(export.Options{
		DB: p.DB, People: p.Auth, Registry: p.Registry, Store: p.Store, Signer: signer, Rate: rate,
		Formats:   append([]dataset.Format{xlsx.Format(xlsx.Options{})}, csv.Formats()...),
		Limits:    export.Limits{Active: p.Config.ExportQueueLimit, Daily: p.Config.ExportDailyLimit},
		Retention: p.Config.ExportRetention, PublicURL: p.Config.PublicURL, SpoolDir: p.Config.SpoolDir,
		Location: p.Config.Location, Now: p.now, Logger: p.Log, UploadDelay: p.Config.UploadRetryDelay,
		Wait:         p.Config.ExportWait,
		CleanupGrace: p.Config.CleanupGrace, Observe: p.Metrics.ExportRequest,
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

// exportQueue is the export service as systems see it; they are made before it.
type exportQueue struct{ *export.Service }

// publisher puts the engine's events on the bus.
type publisher struct{ bus *redisbus.Bus }

// Publish implements job.Publisher.
func (p publisher) Publish(ctx context.Context, e job.Event) error {
	return p.bus.Publish(ctx, realtimeEvent(e))
}
