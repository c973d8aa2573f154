package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// places are where servers are installed when they are not in PATH: Debian keeps PostgreSQL's per version, Homebrew keeps
// versioned packages unlinked.
var places = []string{
	"/usr/sbin", "/usr/local/sbin", "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/*/bin", "/usr/local/opt/*/bin",
}

func find(name, packages string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, place := range places {
		if paths, err := filepath.Glob(filepath.Join(place, name)); err == nil && len(paths) > 0 {
			return slices.Max(paths), nil
		}
	}
	return "", fmt.Errorf("%s is not installed: install %s, or run \"make deps\"", name, packages)
}

// freeAddress is a loopback address nobody listens on, below the ports that systems give to outgoing connections.
func freeAddress(taken map[string]bool) (string, error) {
	for range 1000 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(15_000+rand.IntN(15_000)))
		if taken[address] {
			continue
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		taken[address] = true
		return address, l.Close()
	}
	return "", errors.New("no free loopback port between 15000 and 30000")
}

// redis is a Redis that remembers and never throws anything out, as in compose.yaml.
func redis(s settings, address string) (part, error) {
	binary, err := find("redis-server", "redis-server (apt) or redis (brew)")
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
		cmd: func() *exec.Cmd {
			cmd := exec.Command(binary, "--bind", "127.0.0.1", "--port", port, "--dir", dir, "--appendonly", "yes",
				"--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--save", "", "--daemonize", "no")
			cmd.Dir = dir
			return cmd
		},
		ready: func(ctx context.Context) error { return pong(ctx, address) },
	}, nil
}

// pong speaks the one word by itself: while a server reads its log in, it says so in place of the answer.
func pong(ctx context.Context, address string) error {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "PING\r\n"); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && answer != "+PONG\r\n" {
		err = fmt.Errorf("it answers %q", answer)
	}
	return err
}

func postgresURL(address string) string {
	return "postgres://postgres@" + address + "/postgres?sslmode=disable"
}

// postgres is a PostgreSQL whose data is made at the first start. Its user is postgres, without a password.
func postgres(ctx context.Context, s settings, address string) (part, error) {
	const packages = "postgresql (apt, brew)"
	initdb, err := find("initdb", packages)
	if err != nil {
		return part{}, err
	}
	binary, err := find("postgres", packages)
	if err != nil {
		return part{}, err
	}
	who, err := unprivileged()
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
		name: "postgres", quit: syscall.SIGINT, grace: 30 * time.Second, // SIGINT ends connections too
		cmd: func() *exec.Cmd {
			return as(context.Background(), who, dir, binary, "-D", dir, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
				"-c", "max_connections=400", "-c", "logging_collector=off")
		},
		ready: func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
			defer cancel()
			conn, err := pgx.Connect(ctx, postgresURL(address))
			if err != nil {
				return err
			}
			return conn.Close(ctx)
		},
	}, nil
}

// makeDatabase makes the data directory where there is none. Half a one of a start that was interrupted is made again.
func makeDatabase(ctx context.Context, initdb, dir string, who *syscall.Credential) error {
	if _, err := os.Stat(filepath.Join(dir, "PG_VERSION")); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
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
	cmd := as(ctx, who, making, initdb, "--pgdata="+making, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w (a directory above %s may be closed to the user it runs as)\n%s", err, dir, out)
	}
	return os.Rename(making, dir)
}

// unprivileged is who PostgreSQL runs as where this is root, whom it refuses; nil is this process's own user.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("this is root, and there is no user postgres or nobody to run PostgreSQL as")
}

// as prepares a command that runs as who, in a directory that user may enter, and is killed when ctx ends.
func as(ctx context.Context, who *syscall.Credential, dir, binary string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	return cmd
}
