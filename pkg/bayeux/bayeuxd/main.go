package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"exporthub/pkg/bayeux"
	"exporthub/web"
)

// mount is where the protocol is served.
const mount = "/faye"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

// config is what the flags say.
type config struct {
	addr       string
	redis      string
	token      string
	publish    string
	originList string
	timeout    seconds
	ingest     string
}

// seconds is a duration flag that also takes a bare number.
type seconds time.Duration

// String implements flag.Value.
func (s *seconds) String() string { return time.Duration(*s).String() }

// Set implements flag.Value.
func (s *seconds) Set(text string) error {
	d, err := time.ParseDuration(text)
	if n, numErr := strconv.ParseFloat(text, 64); numErr == nil {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	if err != nil || d < 100*time.Millisecond || d > time.Hour {
		return errors.New("must be between 100ms and 1h, as 45s or a number of seconds")
	}
	*s = seconds(d)
	return nil
}

func parse(args []string, out io.Writer) (config, error) {
	c := config{timeout: seconds(45 * time.Second)}
	f := flag.NewFlagSet("bayeuxd", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&c.addr, "addr", "127.0.0.1:8000", "`address` to listen on, host:port")
	f.StringVar(&c.redis, "redis", "", "`address` of a Redis that several bayeuxd share, host:port or redis://…")
	f.StringVar(&c.token, "token", "", "`token` that every handshake must carry in ext.access_token")
	f.StringVar(&c.publish, "publish", "none", "who may publish: open, token or none")
	f.StringVar(&c.originList, "origins", "*", "`list` of origins whose pages may use it, separated by commas; * is any")
	f.Var(&c.timeout, "timeout", "how `long` a connect is held")
	f.StringVar(&c.ingest, "ingest", "", "`name` of a Redis pub/sub channel whose messages are delivered as events")
	if err := f.Parse(args); err != nil {
		return c, err
	}
	err := c.check(f.Args())
	f.Visit(func(given *flag.Flag) {
		if given.Name == "token" && c.token == "" && err == nil {
			// Of a variable that was not set, most likely.
			err = errors.New("-token is empty, which would let everybody in")
		}
	})
	if err != nil {
		fmt.Fprintln(out, "bayeuxd:", err)
	}
	return c, err
}

func (c config) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case c.publish != "open" && c.publish != "token" && c.publish != "none":
		return fmt.Errorf("-publish %q is none of open, token, none", c.publish)
	case c.publish == "token" && c.token == "":
		return errors.New("-publish token needs -token")
	case c.ingest != "" && c.redis == "":
		return errors.New("-ingest needs -redis")
	}
	if err := checkAddress(c.addr); err != nil {
		return err
	}
	if c.redis != "" {
		if _, err := redisOptions(c.redis); err != nil {
			return err
		}
	}
	listed, _ := c.origins()
	for _, origin := range listed {
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || origin != u.Scheme+"://"+u.Host || u.Hostname() == "" {
			return fmt.Errorf("-origins: %q does not look like https://example.com", origin)
		}
	}
	return nil
}

// checkAddress says what is wrong with the form of -addr. Whether it can be listened on shows
// later.
func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("-addr: %w", err)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("-addr: %w", err)
	}
	return nil
}

// origins returns the list of -origins, and whether any other is admitted too.
func (c config) origins() (listed []string, any bool) {
	for origin := range strings.SplitSeq(c.originList, ",") {
		switch origin = strings.TrimSuffix(strings.TrimSpace(origin), "/"); origin {
		case "":
		case "*":
			any = true
		default:
			listed = append(listed, origin)
		}
	}
	return listed, any
}

// options are the server's, with bounds wide enough for a load tool at one address.
func (c config) options(log *slog.Logger) bayeux.Options {
	opt := bayeux.Options{
		Mount: mount, Client: web.FayeClient(), AllowPatterns: true, Timeout: time.Duration(c.timeout), Logger: log,
		PublishRate: 10_000, PublishBurst: 10_000,
	}
	opt.AllowedOrigins, opt.AnonymousFromAnyOrigin = c.origins()
	return opt
}

// run serves until ctx ends and returns the exit code.
func run(ctx context.Context, args []string, out io.Writer) int {
	c, err := parse(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2
	}
	log := slog.New(slog.NewTextHandler(out, nil))
	if err := serve(ctx, c, log, out); err != nil {
		log.Error("bayeuxd ends", "error", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, c config, log *slog.Logger, out io.Writer) error {
	bus, closeBus, err := c.bus(log)
	if err != nil {
		return err
	}
	defer closeBus()
	connected := &announced{Bus: bus, up: make(chan struct{})}
	srv, err := bayeux.New(c.rules(), connected, c.options(log))
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.addr)
	if err != nil {
		return err
	}
	// No WriteTimeout: the server sets a deadline for each response, after however long it was
	// held.
	front := &http.Server{
		Handler: srv, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var work sync.WaitGroup
	var served, ran error
	work.Go(func() {
		defer cancel()
		ran = srv.Run(ctx)
		grace, done := context.WithTimeout(context.Background(), 5*time.Second)
		defer done()
		if front.Shutdown(grace) != nil {
			_ = front.Close() // the clients that are left had their notice
		}
	})
	// What is published before the bus stands is lost; a Redis that is away keeps nobody waiting
	// for long.
	select {
	case <-connected.up:
	case <-time.After(busPatience):
	case <-ctx.Done():
	}
	work.Go(func() {
		defer cancel()
		if err := front.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			served = err
		}
	})
	fmt.Fprintf(out, "listening on http://%s%s\n", listener.Addr(), mount)
	work.Wait()
	return errors.Join(served, ran)
}

// busPatience is how long the start waits for the bus.
const busPatience = 2 * time.Second

// redisOptions reads -redis.
func redisOptions(address string) (*redis.Options, error) {
	if strings.Contains(address, "://") {
		opt, err := redis.ParseURL(address)
		if err != nil {
			return nil, fmt.Errorf("-redis: %w", err)
		}
		return opt, nil
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return nil, fmt.Errorf("-redis: %w", err)
	}
	return &redis.Options{Addr: address}, nil
}
