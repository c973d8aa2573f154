// Command worker runs jobs: any number of them share one database, one Redis and one storage with
// the api processes.
//
// It takes no arguments: the environment variables are those of the README's table. SIGTERM lets
// running jobs finish for DRAIN_TIMEOUT and releases the others, so that a deploy loses nothing.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sync/errgroup"

	"exporthub/cmd/internal/wire"
	"exporthub/pkg/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx, os.Args[1:], os.Environ(), ".env", os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "exporthub worker:", err)
		os.Exit(1)
	}
}

// run is the program: it returns when ctx has ended and running jobs have finished or were handed
// back.
func run(ctx context.Context, args, environ []string, dotenv string, logs io.Writer) error {
	if len(args) == 1 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
		fmt.Fprintln(logs, "worker runs jobs. It takes no arguments: the README's table lists the environment variables.")
		return nil
	}
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q: the worker is configured by environment variables", args[0])
	}
	// All problems are reported together, before anything is opened.
	cfg, err := config.Load(environ, dotenv, config.Mode{})
	if err != nil {
		return fmt.Errorf("the configuration has problems:\n%w", err)
	}
	log, err := wire.Logger(cfg, logs)
	if err != nil {
		return err
	}
	parts, err := wire.Build(ctx, cfg, log, wire.Options{})
	if err != nil {
		return err
	}
	defer parts.Close()
	defer parts.LogStop(ctx)()

	// What ends first ends the others: a worker without its metrics or its queue is restarted
	// whole.
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return parts.Runner.Run(ctx) })
	g.Go(func() error { return parts.RunWorker(ctx) })
	if cfg.MetricsAddr != "" {
		g.Go(func() error { return parts.ServeMetrics(ctx) })
	}
	log.Info("worker started", "concurrency", cfg.WorkerConcurrency)
	return g.Wait()
}
