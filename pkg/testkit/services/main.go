// Command services runs another command with real servers to test against:
//
//	go run ./pkg/testkit/services -- go test ./...
//
// It starts Redis, PostgreSQL and MariaDB on free loopback ports in temporary directories, puts
// their URLs into TESTKIT_REDIS_URL, TESTKIT_POSTGRES_URL and TESTKIT_MARIADB_URL (a variable that
// is set already keeps its server), runs the command, passes signals on to it, stops the servers,
// and exits with the command's code. The servers die with this process, on Linux even when it is
// killed.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sync/errgroup"

	"exporthub/pkg/testkit"
	"exporthub/pkg/testkit/internal/server"
)

// Exit codes of our own, beside the command's.
const (
	exitUsage   = 2
	exitFailure = 1
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(args []string, in io.Reader, out, errs io.Writer) int {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(errs, "usage: services -- command [argument ...]")
		return exitUsage
	}
	// A person presses Ctrl-C less often; more than that may be lost.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	env, stop, err := startServers(signals)
	defer func() {
		if err := stop(); err != nil {
			fmt.Fprintln(errs, "services: stop:", err)
		}
	}()
	if err != nil {
		fmt.Fprintln(errs, "services:", err)
		return exitFailure
	}
	// Appended, so that ours win over what the environment has by the same name.
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, errs
	code, err := runCommand(cmd, signals)
	if err != nil {
		fmt.Fprintln(errs, "services:", err)
	}
	return code
}

// startServers starts all at once. stop is never nil and ends what was started.
func startServers(signals <-chan os.Signal) (env []string, stop func() error, err error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	finished := make(chan struct{})
	defer close(finished)
	go func() {
		select {
		case s := <-signals:
			cancel(fmt.Errorf("got signal: %s", s))
		case <-finished:
		}
	}()
	kinds := []struct {
		env   string
		start func(context.Context) (*server.Server, error)
	}{
		{testkit.RedisEnv, func(ctx context.Context) (*server.Server, error) { return server.Redis(ctx) }},
		{testkit.PostgresEnv, server.Postgres},
		{testkit.MariaDBEnv, server.MariaDB},
	}
	servers := make([]*server.Server, len(kinds))
	g, gctx := errgroup.WithContext(ctx)
	for i, kind := range kinds {
		// CI may bring servers of its own.
		if os.Getenv(kind.env) != "" {
			continue
		}
		g.Go(func() (err error) {
			servers[i], err = kind.start(gctx)
			return err
		})
	}
	err = g.Wait()
	// A signal makes every start fail with "context canceled", which says nothing to a person.
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	for i, s := range servers {
		if s != nil {
			env = append(env, kinds[i].env+"="+s.URL)
		}
	}
	return env, func() error { return stopServers(servers) }, err
}

func stopServers(servers []*server.Server) error {
	var g errgroup.Group
	for _, s := range servers {
		if s != nil {
			g.Go(s.Stop)
		}
	}
	return g.Wait()
}

// runCommand runs the command in a process group of its own, so that a signal from the terminal
// reaches it once, from us, with all its children.
func runCommand(cmd *exec.Cmd, signals <-chan os.Signal) (int, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return exitFailure, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			// The negative id is the group: go test, the test programs and what they started.
			if number, ok := s.(syscall.Signal); ok {
				_ = syscall.Kill(-cmd.Process.Pid, number) // fails only when it has ended
			}
		case err := <-ended:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return exitFailure, err
			}
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
				return 128 + int(status.Signal()), nil // as shells do
			}
			return cmd.ProcessState.ExitCode(), nil
		}
	}
}
