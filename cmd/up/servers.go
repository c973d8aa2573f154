package main

import (
	"context"
	"errors"
	"exporthub/pkg/localserver"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// redis is a Redis that keeps its data over a restart and never throws anything out, as in
// compose.yaml.
func redis(s settings, address string) (part, error) {
	binary, err := localserver.Find("redis-server", "redis-server (apt) or redis (brew)")
	if err != nil {
		return part{}, err
	}
	dir := filepath.Join(s.Data, "redis")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return part{}, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return part{}, err
	}
	return part{
		name: "redis", quit: syscall.SIGTERM, grace: 20 * time.Second,
		// The same flags as in compose.yaml: tasks and sessions survive a restart, and a full Redis
		// refuses writes instead of dropping keys.
		cmd: func() *exec.Cmd {
			cmd := exec.Command(binary, "--bind", "127.0.0.1", "--port", port, "--dir", dir, "--appendonly", "yes",
				"--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--save", "", "--daemonize", "no")
			cmd.Dir = dir
			return cmd
		},
		ready: func(ctx context.Context) error { return localserver.AskRedis(ctx, address) },
	}, nil
}

// postgres is a PostgreSQL whose data is made at the first start. Its user is postgres, without a
// password.
func postgres(ctx context.Context, s settings, address string) (part, error) {
	const packages = "postgresql (apt, brew)"
	initdb, err := localserver.Find("initdb", packages)
	if err != nil {
		return part{}, err
	}
	binary, err := localserver.Find("postgres", packages)
	if err != nil {
		return part{}, err
	}
	who, err := localserver.Unprivileged("postgres")
	if err != nil {
		return part{}, err
	}
	dir := filepath.Join(s.Data, "postgres")
	if err := makeDatabase(ctx, initdb, dir, who); err != nil {
		return part{}, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return part{}, err
	}
	return part{
		name: "postgres",
		// SIGTERM would wait for clients to leave; SIGINT ends their connections.
		quit: syscall.SIGINT, grace: 30 * time.Second,
		cmd: func() *exec.Cmd {
			return localserver.Command(who, dir, binary, "-D", dir, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
				"-c", "max_connections=400", "-c", "logging_collector=off")
		},
		ready: func(ctx context.Context) error {
			return localserver.AskPostgres(ctx, localserver.PostgresURL(address))
		},
	}, nil
}

// makeDatabase makes the data directory where there is none. Half a one of a start that was
// interrupted is made again.
func makeDatabase(ctx context.Context, initdb, dir string, who *syscall.Credential) error {
	if _, err := os.Stat(filepath.Join(dir, "PG_VERSION")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// initdb is not atomic, a rename is.
	making := dir + ".new"
	if err := os.RemoveAll(making); err != nil {
		return err
	}
	if err := os.MkdirAll(making, 0o700); err != nil {
		return err
	}
	if who != nil {
		if err := os.Chown(making, int(who.Uid), int(who.Gid)); err != nil {
			return err
		}
	}
	cmd := localserver.Command(who, making, initdb, "--pgdata="+making, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
	stopped := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stopped()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w (a directory above %s may be closed to the user it runs as)\n%s", err, dir, out)
	}
	return os.Rename(making, dir)
}
