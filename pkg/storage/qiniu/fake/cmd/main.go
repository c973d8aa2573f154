// Command cmd runs the fake Qiniu Kodo on the loopback, for development without an account. It
// prints its URL and the variables that make Exporthub use it, and runs until it is interrupted.
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

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("qiniu-fake", flag.ContinueOnError)
	flags.SetOutput(out)
	address := flags.String("addr", "127.0.0.1:9500", "loopback address to listen on")
	accessKey := flags.String("access-key", "fake-access-key", "the account's access key")
	secretKey := flags.String("secret-key", "fake-secret-key", "the account's secret key")
	public := flags.String("bucket", "public", "name of the public bucket")
	private := flags.String("private-bucket", "private", "name of the private bucket")
	dir := flags.String("dir", "", "directory for the objects' bytes; empty is one that is removed at the end")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if host, _, err := net.SplitHostPort(*address); err != nil || net.ParseIP(host) == nil || !net.ParseIP(host).IsLoopback() {
		return fmt.Errorf("fake qiniu: -addr must be a loopback address such as 127.0.0.1:9500: its keys are known to everyone")
	}
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

func serve(ctx context.Context, listener net.Listener, s *fake.Server) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	s.Close()
	timed, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := server.Shutdown(timed)
	<-ended
	return err
}
