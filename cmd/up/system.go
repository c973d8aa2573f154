package main

import (
	"context"
	"errors"
	"exporthub/pkg/localserver"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// programGrace is how long an api or worker may take to end: above DRAIN_TIMEOUT and what an api
// waits for its answers.
const programGrace = 40 * time.Second

// runSystem starts everything, says where it is, and returns when ctx has ended and so has
// everything.
func runSystem(ctx context.Context, s settings, environ []string, out io.Writer) (err error) {
	if err := os.MkdirAll(s.Data, 0o755); err != nil {
		return err
	}
	// Before anything else: two supervisors on one data directory would both start PostgreSQL in
	// it.
	lock, err := claim(s)
	if err != nil {
		return err
	}
	defer lock.Close()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))

	// The address is taken before the data is started, so that a port in use fails within a moment.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Addr)
	if err != nil {
		return fmt.Errorf("listen for people: %w", err)
	}
	defer listener.Close()
	s.Addr = listener.Addr().String()

	starts := make(chan start)
	starter := make(chan struct{})
	go func() { defer close(starter); startAll(starts) }()
	defer func() { close(starts); <-starter }()
	data := newLayer(s, log, starts)
	programs := newLayer(s, log, starts)
	// Deferred calls run in reverse: the programs end first, while their data is still there.
	defer data.close()
	defer programs.close()

	variables, err := startData(ctx, s, data, environ)
	if err != nil {
		return err
	}
	first, err := prepare(ctx, s, variables, log)
	if err != nil {
		return err
	}
	apis, err := startPrograms(ctx, s, programs, variables)
	if err != nil {
		return err
	}
	greet(out, s, apis, variables, first)
	// The starting process stops reading here, and nothing more is printed.
	fmt.Fprintln(out, readyLine)
	err = serveProxy(ctx, listener, newProxy(apis, log))
	log.Info("stopping")
	return err
}

// startData starts Redis, PostgreSQL and, where files go to Qiniu, a fake Qiniu. It returns the
// programs' variables.
func startData(ctx context.Context, s settings, l *layer, environ []string) (map[string]string, error) {
	// Ports are new at each start and passed on by URL, so a port that another program took
	// meanwhile is never in the way.
	taken := map[string]bool{}
	redisAt, err := localserver.FreeAddress(taken)
	if err != nil {
		return nil, err
	}
	postgresAt, err := localserver.FreeAddress(taken)
	if err != nil {
		return nil, err
	}
	secret, err := keptSecret(filepath.Join(s.Data, "secret"))
	if err != nil {
		return nil, err
	}
	variables := passedOn(environ)
	for name, value := range map[string]string{
		"DATABASE_URL": localserver.PostgresURL(postgresAt), "REDIS_URL": "redis://" + redisAt + "/0", "AUTH_SECRET": secret,
		"PUBLIC_URL": "http://" + s.Addr, "TRUSTED_PROXIES": "127.0.0.1",
		"STORAGE_DIR": filepath.Join(s.Data, "files"), "SPOOL_DIR": filepath.Join(s.Data, "spool"),
	} {
		variables[name] = value
	}
	if variables["APP_ENV"] == "" {
		variables["APP_ENV"] = "development"
	}
	fake := variables["STORAGE"] == "qiniu" && variables["QINIU_ACCESS_KEY"] == ""
	if !fake { // its variables are known once it runs
		if _, err := load(variables); err != nil {
			return nil, err
		}
	}
	cache, err := redis(s, redisAt)
	if err != nil {
		return nil, err
	}
	database, err := postgres(ctx, s, postgresAt)
	if err != nil {
		return nil, err
	}
	if err := l.run(ctx, cache, database); err != nil {
		return nil, err
	}
	if fake {
		err = startFakeQiniu(ctx, s, l, variables)
	}
	return variables, err
}

// announcedVariable matches how the fake prints what makes the programs use it.
var announcedVariable = regexp.MustCompile(`\b(QINIU_[A-Z_]+)=(\S+)`)

// startFakeQiniu starts the fake Qiniu and adds the variables it prints. Its directory is emptied
// first: it keeps the bytes there, and what they are in memory.
func startFakeQiniu(ctx context.Context, s settings, l *layer, variables map[string]string) error {
	address, err := localserver.FreeAddress(map[string]bool{})
	if err != nil {
		return err
	}
	dir := filepath.Join(s.Data, "qiniu")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	// Its address and keys are known once it has printed them, which its log shows.
	err = l.run(ctx, part{
		name: "qiniu", quit: syscall.SIGTERM, grace: 10 * time.Second,
		cmd: func() *exec.Cmd {
			return exec.Command(filepath.Join(s.Bin, "qiniu-fake"), "-addr", address, "-dir", dir)
		},
		ready: func(context.Context) error {
			text, err := os.ReadFile(filepath.Join(s.Data, "logs", "qiniu.log"))
			if err != nil {
				return err
			}
			for _, v := range announcedVariable.FindAllStringSubmatch(string(text), -1) {
				variables[v[1]] = v[2]
			}
			if variables["QINIU_RS_HOST"] == "" {
				return errors.New("it has not printed its variables")
			}
			return nil
		},
	})
	if err != nil {
		return fmt.Errorf("the fake Qiniu: %w", err)
	}
	return nil
}

// startPrograms starts the API replicas and the workers and returns the replicas' addresses.
func startPrograms(ctx context.Context, s settings, l *layer, variables map[string]string) ([]string, error) {
	taken := map[string]bool{}
	var apis []string
	var parts []part
	for i := range s.APIs {
		address, err := localserver.FreeAddress(taken)
		if err != nil {
			return nil, err
		}
		apis = append(apis, address)
		parts = append(parts, program(s, fmt.Sprintf("api-%d", i+1), "api", variables, "HTTP_ADDR="+address))
		parts[i].ready = func(ctx context.Context) error { return answers(ctx, "http://"+address+"/readyz") }
	}
	for i := range s.Workers {
		address, err := localserver.FreeAddress(taken)
		if err != nil {
			return nil, err
		}
		worker := program(s, fmt.Sprintf("worker-%d", i+1), "worker", variables, "METRICS_ADDR="+address)
		worker.ready = func(ctx context.Context) error { return answers(ctx, "http://"+address+"/readyz") }
		parts = append(parts, worker)
	}
	return apis, l.run(ctx, parts...)
}

// program is an api or a worker as a part, with variables of its own behind the shared ones.
func program(s settings, name, binary string, variables map[string]string, more ...string) part {
	return part{
		name: name, quit: syscall.SIGTERM, grace: programGrace,
		cmd: func() *exec.Cmd { return command(s, binary, variables, more...) },
	}
}

// command is one of our programs with these variables and nothing else of ours.
func command(s settings, binary string, variables map[string]string, more ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.Bin, binary))
	cmd.Dir = s.Data // where no .env is
	// Nothing else is inherited: a DATABASE_URL of another project would be used in place of ours.
	for _, name := range []string{"PATH", "HOME", "TMPDIR"} {
		if value := os.Getenv(name); value != "" {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	for name, value := range variables {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Env = append(cmd.Env, more...)
	return cmd
}

// answers returns nil once a URL answers 200. Two seconds are enough for a local program that
// works; one that hangs is asked again.
func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

// greet prints where everything is. The administrator's password is printed at the first start
// and kept nowhere.
func greet(out io.Writer, s settings, apis []string, variables map[string]string, password string) {
	fmt.Fprintf(out, "Exporthub is at http://%s\n\n", s.Addr)
	if password != "" {
		fmt.Fprintf(out, "Administrator: %s / %s\nThe password is printed this once.\n\n", adminAccount, password)
	} else {
		fmt.Fprintf(out, "Administrator: %s, with the password that the first start printed.\n\n", adminAccount)
	}
	files := variables["STORAGE_DIR"]
	if variables["STORAGE"] == "qiniu" {
		files = "Qiniu, " + variables["QINIU_PRIVATE_DOMAIN"]
	}
	for _, line := range [][2]string{
		{"api replicas", fmt.Sprint(apis)}, {"workers", fmt.Sprint(s.Workers)}, {"PostgreSQL", variables["DATABASE_URL"]},
		{"Redis", variables["REDIS_URL"]}, {"files", files}, {"logs", filepath.Join(s.Data, "logs")},
	} {
		fmt.Fprintf(out, "  %-13s %s\n", line[0], line[1])
	}
	fmt.Fprintln(out, "\nStop it with: make down")
}
