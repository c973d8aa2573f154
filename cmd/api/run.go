package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"

	"exporthub/cmd/internal/wire"
	"exporthub/pkg/config"
	"exporthub/pkg/export/retention"
)

// flags are the command line of cmd/api.
type flags struct {
	mode        config.Mode
	createAdmin string
	check       bool
}

func parseFlags(args []string, out io.Writer) (flags, error) {
	var f flags
	set := flag.NewFlagSet("api", flag.ContinueOnError)
	set.SetOutput(out)
	set.BoolVar(&f.mode.Embedded, "embedded", false, "run the whole system in this process, with a Redis of its own and demo data")
	set.BoolVar(&f.mode.EmbeddedPublic, "embedded-public", false, "let -embedded listen on an address other machines can reach")
	set.StringVar(&f.createAdmin, "create-admin", "", "make an administrator with this `account`, password from standard input, and exit")
	set.BoolVar(&f.check, "check", false, "compare the export counters with the rows, report every difference, and exit")
	if err := set.Parse(args); err != nil {
		return f, err
	}
	admin := false
	set.Visit(func(f *flag.Flag) { admin = admin || f.Name == "create-admin" })
	switch {
	case admin && f.createAdmin == "":
		return f, fmt.Errorf("-create-admin: the account is empty")
	case admin && f.check:
		return f, fmt.Errorf("-create-admin and -check are two commands; give one")
	}
	if set.NArg() > 0 {
		return f, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	return f, nil
}

// run is the program: it returns when ctx has ended and everything it started has, or with what
// kept it from starting.
func run(ctx context.Context, args, environ []string, w world) error {
	f, err := parseFlags(args, w.Err)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	cfg, err := config.Load(environ, w.Dotenv, f.mode)
	if err != nil {
		return fmt.Errorf("the configuration has problems:\n%w", err)
	}
	log, err := wire.Logger(cfg, w.Err)
	if err != nil {
		return err
	}
	if f.createAdmin != "" || f.check {
		return once(ctx, cfg, f, w)
	}

	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.HTTPAddr)
	if err != nil {
		return fmt.Errorf("listen on HTTP_ADDR: %w", err)
	}
	if cfg.PublicURL == "" {
		cfg.PublicURL = "http://" + listener.Addr().String()
	}
	parts, err := wire.Build(ctx, cfg, log, wire.Options{})
	if err != nil {
		_ = listener.Close()
		return err
	}
	defer parts.Close()
	return serve(ctx, parts, listener, w.Out)
}

// once does what one of the flags asks for and returns.
func once(ctx context.Context, cfg config.Config, f flags, w world) error {
	if cfg.PublicURL == "" {
		cfg.PublicURL = "http://" + cfg.HTTPAddr
	}
	log, err := wire.Logger(cfg, w.Err)
	if err != nil {
		return err
	}
	parts, err := wire.Build(ctx, cfg, log, wire.Options{})
	if err != nil {
		return err
	}
	defer parts.Close()
	if f.createAdmin != "" {
		return createAdmin(ctx, parts, f.createAdmin, w)
	}
	differences, err := retention.Differences(ctx, parts.DB)
	if err != nil {
		return err
	}
	for _, m := range parts.Modules {
		if m.Check == nil {
			continue
		}
		found, err := m.Check(ctx, parts.DB)
		if err != nil {
			return err
		}
		differences = append(differences, found...)
	}
	for _, d := range differences {
		fmt.Fprintln(w.Out, d)
	}
	fmt.Fprintf(w.Out, "%d differences\n", len(differences))
	if len(differences) > 0 {
		return fmt.Errorf("counters and rows differ")
	}
	return nil
}
