package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"exporthub/jobs"
	"exporthub/pkg/auth"
	"exporthub/pkg/bayeux"
	"exporthub/pkg/config"
	"exporthub/pkg/export"
	"exporthub/pkg/job"
	"exporthub/pkg/telemetry"
)

// Logger returns the program's logger: lines for a person in embedded mode, JSON otherwise.
func Logger(cfg config.Config, w io.Writer) (*slog.Logger, error) {
	level, err := telemetry.ParseLevel(cfg.LogLevel)
	if err != nil {
		return nil, fmt.Errorf("LOG_LEVEL: %w", err)
	}
	if cfg.Embedded {
		return telemetry.NewTextLogger(w, level), nil
	}
	return telemetry.NewLogger(w, level), nil
}

// RunWorker takes tasks from the queue and has the engine answer them, and takes part in the
// clean-up, until ctx ends.
func (p *Parts) RunWorker(ctx context.Context) error {
	server, err := jobs.NewServer(jobs.Options{
		Redis:             p.Redis,
		Engine:            p.Runner,
		Concurrency:       p.Config.WorkerConcurrency,
		TaskCheckInterval: p.Config.TaskCheckEvery,
		DrainTimeout:      p.Config.DrainTimeout,
		Logger:            p.Log,
	})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return server.Run(ctx) })
	g.Go(func() error { return p.cleanUp(ctx) })
	g.Go(func() error { return p.cleanLocal(ctx) })
	return g.Wait()
}

// cleanUp takes part in what one worker at a time does.
func (p *Parts) cleanUp(ctx context.Context) error {
	return p.Runner.RunPeriodic(ctx, job.PeriodicTask{
		Name:  "cleanup",
		Every: p.Config.CleanupEvery,
		Do: func(ctx context.Context) error {
			err := p.Exports.Clean(ctx)
			// A job is kept at least as long as its file: the file's link is checked against the
			// row.
			_, purgeErr := p.Runner.Purge(ctx, max(p.Config.JobRetention, p.Config.ExportRetention))
			_, auditErr := p.Audit.Purge(ctx, p.Config.AuditRetention)
			return errors.Join(err, purgeErr, auditErr)
		},
	})
}

// cleanLocal cleans up after this process and on its machine, which no other worker may see.
func (p *Parts) cleanLocal(ctx context.Context) error {
	tick := time.NewTicker(p.Config.CleanupEvery)
	defer tick.Stop()
	for {
		removed, err := p.Exports.CleanLocal(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			p.Log.Warn("not all that was left behind here was removed", "error", err)
		case removed > 0:
			p.Log.Info("cleaned up", "what", "spool files and aborted uploads", "removed", removed)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Visitors says who is behind a request that needs no login, for the audit of downloads.
func (p *Parts) Visitors() export.Visitors {
	return export.Visitors{
		Address: func(r *http.Request) string { return p.Auth.ClientIP(r).String() },
		Actor: func(r *http.Request) int64 {
			// A token that is no good, or can't be checked now, is no reason to refuse a good link:
			// the download counts as one by link.
			token, _, err := auth.RequestToken(r)
			if err != nil {
				return 0
			}
			who, err := p.Auth.Identify(r.Context(), token)
			if err != nil {
				return 0
			}
			return who.UserID
		},
	}
}

// Health judges each part by the operation that is needed of it. Without the database nothing can
// be read and the process is not ready; anything else that is away or takes no writes is reported,
// and requests that need it are refused one by one. Storage and spool are checked by writing to
// them.
func (p *Parts) Health() *telemetry.Health {
	return &telemetry.Health{Checks: []telemetry.Check{
		{
			Name:     "database",
			Required: true,
			Ping:     p.DB.Ping,
			Write:    p.DB.CheckWrite,
		},
		{
			Name: "redis",
			Ping: func(ctx context.Context) error { return p.Redis.Ping(ctx).Err() },
			// Tasks are what Redis has to take.
			Write: p.Queue.CheckWrite,
		},
		{
			Name: "storage",
			Ping: p.Store.Check,
		},
		{
			Name:  "spool",
			Write: p.Exports.CheckSpool,
		},
	}}
}

// Watch adds the realtime server's figures to the metrics.
func (p *Parts) Watch(s *bayeux.Server) {
	p.Metrics.Gauge("exporthub_faye_sessions", "Live Bayeux sessions.", func() float64 { return float64(s.Stats().Sessions) })
	p.Metrics.Gauge("exporthub_faye_sockets", "Open websockets.", func() float64 { return float64(s.Stats().Sockets) })
	p.Metrics.Gauge("exporthub_faye_subscriptions", "Live subscriptions.",
		func() float64 { return float64(s.Stats().Subscriptions) })
	p.Metrics.Gauge("exporthub_faye_timers_fired", "Timers of the realtime server that fired.",
		func() float64 { return float64(s.Timers().Fired) })
	p.Metrics.Gauge("exporthub_faye_timer_slowest_seconds", "The longest that one timer held up the others.",
		func() float64 { return s.Timers().Slowest.Seconds() })
}

// LogStop logs when the process is asked to stop, which is when ctx ends. What it returns logs that
// it has ended for that reason; an error has its own line.
func (p *Parts) LogStop(ctx context.Context) (stopped func()) {
	var asked sync.WaitGroup
	asked.Add(1)
	cancel := context.AfterFunc(ctx, func() {
		defer asked.Done()
		p.Log.Info("asked to stop: what runs may finish", "within", p.Config.DrainTimeout)
	})
	return func() {
		if cancel() {
			return // ctx has not ended
		}
		asked.Wait() // the lines are to stand in their order
		p.Log.Info("stopped")
	}
}

// ServeMetrics serves /metrics, /healthz and /readyz on METRICS_ADDR until ctx ends.
func (p *Parts) ServeMetrics(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.Config.MetricsAddr)
	if err != nil {
		return fmt.Errorf("listen on METRICS_ADDR: %w", err)
	}
	mux := http.NewServeMux()
	health := p.Health()
	mux.HandleFunc("GET /healthz", health.Live)
	mux.HandleFunc("GET /readyz", health.Ready)
	mux.Handle("GET /metrics", p.Metrics.Handler())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve metrics: %w", err)
	case <-ctx.Done():
		err := server.Close()
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			return served
		}
		return err
	}
}
