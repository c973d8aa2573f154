package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Environ(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "exporthub up:", err)
		os.Exit(1)
	}
}

// settings are the command line, with absolute paths after check.
type settings struct {
	Addr    string // where the proxy listens
	Data    string // directory of everything that is kept
	Bin     string // directory of the programs
	APIs    int
	Workers int
	Rows    int // of the large demo lists
}

// More than these does not fit: PostgreSQL is started with 400 connections, of which each program
// takes up to DATABASE_POOL and eight.
const (
	maxAPIs    = 10
	maxWorkers = 50
)

// run is the program. Without a flag it starts itself again as the supervisor, in the background,
// and returns when the system is ready.
func run(ctx context.Context, args, environ []string, out io.Writer) error {
	var s settings
	set := flag.NewFlagSet("up", flag.ContinueOnError)
	set.SetOutput(out)
	set.StringVar(&s.Addr, "addr", "127.0.0.1:8090", "loopback `address` people reach the system at")
	set.StringVar(&s.Data, "data", filepath.Join("data", "up"), "`directory` of data, logs and the process id")
	set.StringVar(&s.Bin, "bin", "bin", "`directory` of the built programs")
	set.IntVar(&s.APIs, "api", 2, "how many API replicas")
	set.IntVar(&s.Workers, "workers", 3, "how many workers")
	set.IntVar(&s.Rows, "rows", 20_000, "rows of the large demo lists, at the first start")
	down := set.Bool("down", false, "stop what runs, and return when it has ended")
	supervise := set.Bool("supervise", false, "stay in the foreground until a signal comes")
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if set.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	if err := s.check(); err != nil {
		return err
	}
	switch {
	case *down:
		return stopRunning(ctx, s, out)
	case *supervise:
		return runSystem(ctx, s, environ, out)
	}
	return startInBackground(ctx, s, args, out)
}

// check makes paths absolute, since the parts run in directories of their own, and refuses what
// can't be right.
func (s *settings) check() error {
	host, _, err := net.SplitHostPort(s.Addr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("-addr %q: use a loopback address such as 127.0.0.1:8090; the parts have no passwords between them", s.Addr)
	}
	if s.APIs < 1 || s.APIs > maxAPIs || s.Workers < 1 || s.Workers > maxWorkers {
		return fmt.Errorf("use 1 to %d APIs and 1 to %d workers", maxAPIs, maxWorkers)
	}
	if s.Rows < 0 {
		return errors.New("-rows can't be negative")
	}
	for _, dir := range []*string{&s.Data, &s.Bin} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return err
		}
	}
	return nil
}
