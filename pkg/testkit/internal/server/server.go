package server

import (
	"context"
	"errors"
	"exporthub/pkg/localserver"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

// Server is a started server. Its methods are for one goroutine.
type Server struct {
	URL  string // as our program takes it, for an administrator of the server
	Addr string // host:port

	dir  *dir
	proc *process
	cmd  func() *exec.Cmd // a fresh command of the same server on the same port
	ask  func(context.Context) error
	quit syscall.Signal // ends it at once
}

// Stop ends the server and removes its directory. Stopping twice is fine.
func (s *Server) Stop() error {
	if s.dir == nil {
		return nil
	}
	// A server whose start failed has a directory and no process.
	if s.proc != nil {
		s.proc.stop(s.quit, 10*time.Second)
	}
	d := s.dir
	s.dir = nil
	return d.remove()
}

// Kill ends the server like a power cut and returns when it is gone.
func (s *Server) Kill() { s.proc.stop(syscall.SIGKILL, time.Minute) }

// Signal sends a signal, such as SIGSTOP and SIGCONT.
func (s *Server) Signal(signal syscall.Signal) error { return s.proc.cmd.Process.Signal(signal) }

// Restart starts a killed server again on the same port and returns when it answers.
func (s *Server) Restart(ctx context.Context) error {
	proc, err := start(s.cmd(), s.quit)
	if err != nil {
		return err
	}
	s.proc = proc
	return proc.ready(ctx, s.ask)
}

// launch finds a free port and starts a server on it. Another process may take the port in between;
// then the server ends at once and the next port is tried.
func launch(ctx context.Context, d *dir, quit syscall.Signal, make func(port string) *Server) (*Server, error) {
	for try := 1; ; try++ {
		address, err := localserver.FreeAddress(map[string]bool{})
		if err != nil {
			return nil, errors.Join(err, d.remove())
		}
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, errors.Join(err, d.remove())
		}
		s := make(port)
		s.Addr = address
		s.dir = d
		s.quit = quit
		err = s.Restart(ctx)
		if err == nil {
			return s, nil
		}
		// A lost race for the port shows as an early end. Anything else is not mended by another
		// port.
		if try == 5 || !errors.Is(err, errEnded) {
			return nil, errors.Join(err, s.Stop())
		}
	}
}

// Redis starts a redis-server without persistence and with 512 databases; options are appended to
// its command line.
func Redis(ctx context.Context, options ...string) (*Server, error) {
	binary, err := localserver.Find("redis-server", "redis-server (apt) or redis (brew)")
	if err != nil {
		return nil, err
	}
	d, err := newDir()
	if err != nil {
		return nil, err
	}
	return launch(ctx, d, syscall.SIGKILL, func(port string) *Server {
		addr := net.JoinHostPort("127.0.0.1", port)
		return &Server{
			URL: "redis://" + addr + "/0",
			cmd: func() *exec.Cmd {
				return localserver.Command(nil, d.path, binary, append([]string{
					"--port", port, "--bind", "127.0.0.1", "--databases", "512", "--save", "", "--appendonly", "no",
					"--dir", d.path, "--daemonize", "no",
				}, options...)...)
			},
			ask: func(ctx context.Context) error { return localserver.AskRedis(ctx, addr) },
		}
	})
}

// Postgres starts a PostgreSQL with the superuser postgres, who needs no password.
func Postgres(ctx context.Context) (*Server, error) {
	const packages = "postgresql (apt, brew)"
	initdb, err := localserver.Find("initdb", packages)
	if err != nil {
		return nil, err
	}
	binary, err := localserver.Find("postgres", packages)
	if err != nil {
		return nil, err
	}
	who, err := localserver.Unprivileged("postgres")
	if err != nil {
		return nil, err
	}
	d, err := newDir()
	if err != nil {
		return nil, err
	}
	data, err := d.ownDir("data", who)
	if err != nil {
		return nil, errors.Join(err, d.remove())
	}
	// --locale=C sorts texts by bytes, as the other engines are made to.
	init := localserver.Command(who, data, initdb, "--pgdata="+data, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C",
		"--no-sync", "--no-instructions")
	if err := runToEnd(ctx, init); err != nil {
		return nil, errors.Join(err, d.remove())
	}
	return launch(ctx, d, syscall.SIGQUIT, func(port string) *Server {
		url := localserver.PostgresURL(net.JoinHostPort("127.0.0.1", port))
		return &Server{
			URL: url,
			cmd: func() *exec.Cmd {
				return localserver.Command(who, data, binary, "-D", data, "-p", port,
					"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=400",
					// Nothing is flushed: data need not survive the machine, and tests commit
					// thousands of times.
					"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "autovacuum_naptime=1h",
					// Not UTC, so that code that lets the server choose the zone fails here.
					"-c", "timezone=Asia/Shanghai",
					"-c", "logging_collector=off", "-c", "log_min_messages=fatal")
			},
			ask: func(ctx context.Context) error { return localserver.AskPostgres(ctx, url) },
		}
	})
}

// MariaDB starts a MariaDB with the administrator root, who needs no password.
func MariaDB(ctx context.Context) (*Server, error) {
	const packages = "mariadb-server (apt) or mariadb (brew)"
	install, err := localserver.Find("mariadb-install-db", packages)
	if err != nil {
		return nil, err
	}
	binary, err := localserver.Find("mariadbd", packages)
	if err != nil {
		return nil, err
	}
	who, err := localserver.Unprivileged("mysql")
	if err != nil {
		return nil, err
	}
	d, err := newDir()
	if err != nil {
		return nil, err
	}
	data, err := d.ownDir("data", who)
	if err != nil {
		return nil, errors.Join(err, d.remove())
	}
	options := []string{"--no-defaults", "--datadir=" + data, "--innodb-log-file-size=32M", "--innodb-flush-method=nosync"}
	init := localserver.Command(who, data, install, append(options, "--auth-root-authentication-method=normal", "--skip-test-db")...)
	if err := runToEnd(ctx, init); err != nil {
		return nil, errors.Join(err, d.remove())
	}
	return launch(ctx, d, syscall.SIGKILL, func(port string) *Server {
		addr := net.JoinHostPort("127.0.0.1", port)
		return &Server{
			URL: "mysql://root@" + addr + "/mysql",
			cmd: func() *exec.Cmd {
				return localserver.Command(who, data, binary, append(options,
					"--port="+port, "--bind-address=127.0.0.1", "--socket="+filepath.Join(data, "s"), "--pid-file="+filepath.Join(data, "pid"),
					"--tmpdir="+data, "--skip-name-resolve", "--skip-log-bin", "--max-connections=400", "--performance-schema=off",
					"--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=128M", "--innodb-doublewrite=0",
					// Neither UTC, nor a mode or character set that suits us: what we do not set
					// ourselves on each connection has to show here, not on a customer's server.
					"--default-time-zone=+08:00", "--sql-mode=", "--character-set-server=latin1")...)
			},
			ask: func(ctx context.Context) error { return askMariaDB(ctx, addr) },
		}
	})
}

func askMariaDB(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	// NopLogger: the driver would print every refused connection of a server that is still
	// starting.
	cfg := mysql.NewConfig()
	cfg.User, cfg.Net, cfg.Addr, cfg.Logger = "root", "tcp", addr, &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	conn, err := connector.Connect(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

// runToEnd runs a command that prepares a data directory.
func runToEnd(ctx context.Context, cmd *exec.Cmd) error {
	p, err := start(cmd, syscall.SIGKILL)
	if err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.stop(syscall.SIGKILL, time.Minute)
		return ctx.Err()
	}
	if !cmd.ProcessState.Success() {
		return fmt.Errorf("%s: %s\n%s", cmd.Path, cmd.ProcessState, p.out)
	}
	return nil
}
