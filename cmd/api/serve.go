package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"exporthub/cmd/internal/wire"
)

// closeTimeout bounds how long answers may take to end once the program is asked to stop: below the
// 30 s that orchestrators wait, and above what a running job may take to be released.
const closeTimeout = 28 * time.Second

// serve runs every part until ctx ends. What ends first ends the others.
func serve(ctx context.Context, parts *wire.Parts, listener net.Listener, out io.Writer) error {
	realtime, err := parts.Realtime()
	if err != nil {
		_ = listener.Close()
		return err
	}
	parts.Watch(realtime)
	greet(out, parts)
	defer parts.LogStop(ctx)()

	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return serveHTTP(ctx, listener, handler(parts, realtime), parts.Log) })
	g.Go(func() error { return realtime.Run(ctx) })
	g.Go(func() error { return parts.Runner.Run(ctx) })
	g.Go(func() error { return parts.Audit.Run(ctx) })
	// Requests that wait for an export answer before the server waits for them.
	g.Go(func() error {
		<-ctx.Done()
		parts.Exports.Drain()
		return nil
	})
	if parts.Config.Embedded {
		g.Go(func() error { return parts.RunWorker(ctx) })
	}
	if parts.Config.MetricsAddr != "" {
		g.Go(func() error { return parts.ServeMetrics(ctx) })
	}
	return g.Wait()
}

// serveHTTP answers until ctx ends, then takes nothing new and waits for what is being answered.
func serveHTTP(ctx context.Context, listener net.Listener, h http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 256 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		// No write timeout: downloads and held polls are long by nature, and bound themselves.
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	err := server.Shutdown(bound)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close() // a download that outlasts the bound begins again at its last byte
	}
	<-done
	return err
}

// greet says where the system is and, in embedded mode, how to log in.
func greet(out io.Writer, parts *wire.Parts) {
	fmt.Fprintf(out, "Exporthub is at %s\n", parts.Config.PublicURL)
	if !parts.Config.Demo {
		return
	}
	fmt.Fprintln(out, "\nDemo logins (account / password):")
	for _, p := range wire.DemoPeople {
		fmt.Fprintf(out, "  %-12s / %s   %s\n", p.Account, wire.DemoPassword, p.Name)
	}
	fmt.Fprintf(out, "\nAPI description: %s/api/docs\nStop with Ctrl-C.\n", parts.Config.PublicURL)
}
