// Command cmd runs the fake Qiniu Kodo on the loopback, for development without an account. It
// prints its URL and the variables that make Exporthub use it, and runs until it is interrupted.
// cmd/up starts it and reads those variables from what it prints.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"exporthub/pkg/storage/qiniu/fake"
)

// main ends on the signals that a terminal and cmd/up send.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run is the program: it takes its arguments and its output, so that a test can run it. It returns
// nil when ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("qiniu-fake", flag.ContinueOnError)
	flags.SetOutput(out)
	address := flags.String("addr", "127.0.0.1:9500", "loopback address to listen on")
	accessKey := flags.String("access-key", "fake-access-key", "the account's access key")
	secretKey := flags.String("secret-key", "fake-secret-key", "the account's secret key")
	public := flags.String("bucket", "public", "name of the public bucket")
	private := flags.String("private-bucket", "private", "name of the private bucket")
	// The defaults need no setting: `make up STORAGE=qiniu` works by itself.
	dir := flags.String("dir", "", "directory for the objects' bytes; empty is one that is removed at the end")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	// Refused and not warned about: it takes uploads from everyone who has read this file.
	if host, _, err := net.SplitHostPort(*address); err != nil || net.ParseIP(host) == nil || !net.ParseIP(host).IsLoopback() {
		return fmt.Errorf("fake qiniu: -addr must be a loopback address such as 127.0.0.1:9500: its keys are known to everyone")
	}
	// Removed at the end only when it is ours: what -dir names may hold other things.
	if *dir == "" {
		made, err := os.MkdirTemp("", "qiniu-fake-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(made)
		*dir = made
	}
	s, err := fake.New(fake.Options{
		AccessKey: *accessKey,
		SecretKey: *secretKey,
		Dir:       *dir,
		Buckets:   []fake.Bucket{{Name: *public, Public: true}, {Name: *private}},
	})
	if err != nil {
		return err
	}
	// Listening before printing: a reader of the output may connect at once, and with port 0 the
	// address is known only now.
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	running := fake.Running{Server: s, URL: "http://" + listener.Addr().String()}
	fmt.Fprintf(out, "The fake Qiniu is at %s\nSTORAGE=qiniu QINIU_ACCESS_KEY=%s QINIU_SECRET_KEY=%s QINIU_BUCKET=%s QINIU_PRIVATE_BUCKET=%s "+
		"QINIU_DOMAIN=%s QINIU_PRIVATE_DOMAIN=%s QINIU_UP_HOSTS=%s QINIU_RS_HOST=%s\n", running.URL, *accessKey, *secretKey, *public, *private,
		running.Domain(*public), running.Domain(*private), running.URL, running.URL)
	return serve(ctx, listener, s)
}

// serve answers requests until ctx ends, then gives those under way 5 s. Its goroutine has ended
// when it returns.
func serve(ctx context.Context, listener net.Listener, s *fake.Server) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	// Requests that a fault made stand still would hold Shutdown for the whole 5 s.
	s.Close()
	// The parent's end must not cut short what is given to requests.
	timed, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := server.Shutdown(timed)
	<-ended
	return err
}
