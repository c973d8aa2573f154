package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"exporthub/pkg/testkit"
)

// programEnv makes this test program the command itself.
const programEnv = "TESTKIT_TEST_SERVICES"

func TestMain(m *testing.M) {
	if os.Getenv(programEnv) != "" {
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func TestRunStartsServersAndPassesTheCodeThrough(t *testing.T) {
	for _, env := range []string{testkit.RedisEnv, testkit.PostgresEnv, testkit.MariaDBEnv} {
		t.Setenv(env, "") // those of an outer run are not what is tested
	}
	var out, errs bytes.Buffer
	code := run([]string{"--", "sh", "-c", "cat; env; echo oops >&2; exit 7"}, strings.NewReader("input\n"), &out, &errs)
	if code != 7 || errs.String() != "oops\n" || !strings.HasPrefix(out.String(), "input\n") {
		t.Errorf("code %d, want 7; errors %q; output %.40q", code, &errs, &out)
	}
	for env, scheme := range map[string]string{testkit.RedisEnv: "redis", testkit.PostgresEnv: "postgres", testkit.MariaDBEnv: "mysql"} {
		_, value, found := strings.Cut(out.String(), "\n"+env+"="+scheme)
		value, _, _ = strings.Cut(value, "\n")
		u, err := url.Parse(scheme + value)
		if !found || err != nil || u.Hostname() != "127.0.0.1" {
			t.Errorf("%s is not a loopback URL of scheme %s in the command's environment", env, scheme)
			continue
		}
		if conn, err := net.Dial("tcp", u.Host); err == nil {
			conn.Close()
			t.Errorf("%s still runs", env)
		}
	}
}

func TestRunKeepsServersThereAre(t *testing.T) {
	for _, env := range []string{testkit.RedisEnv, testkit.PostgresEnv, testkit.MariaDBEnv} {
		t.Setenv(env, "kept://"+env)
	}
	var out, errs bytes.Buffer
	if code := run([]string{"env"}, nil, &out, &errs); code != 0 || errs.Len() > 0 {
		t.Errorf("code %d, errors %q", code, &errs)
	}
	if n := strings.Count(out.String(), "=kept://TESTKIT_"); n != 3 {
		t.Errorf("%d of 3 URLs were kept", n)
	}
}

func TestRunTellsMistakes(t *testing.T) {
	for _, env := range []string{testkit.RedisEnv, testkit.PostgresEnv, testkit.MariaDBEnv} {
		t.Setenv(env, "kept://"+env)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no command":      {[]string{"--"}, exitUsage, "usage"},
		"no such command": {[]string{"no-such-command"}, exitFailure, "no-such-command"},
		"killed":          {[]string{"sh", "-c", "kill -9 $$"}, 128 + 9, ""},
	} {
		var out, errs bytes.Buffer
		if code := run(c.args, nil, &out, &errs); code != c.code || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%s: code %d, errors %q, want %d and %q", name, code, &errs, c.code, c.want)
		}
	}
}

func TestSignalsReachTheCommandAndItsChildren(t *testing.T) {
	// The shell waits for its child before it looks at signals: it ends in time only if the signal
	// reaches both.
	cmd := exec.Command(os.Args[0], "sh", "-c", "trap 'echo stopping; exit 3' TERM; sh -c 'echo started; exec sleep 60'; exit 4")
	cmd.Env = append(os.Environ(), programEnv+"=1",
		testkit.RedisEnv+"=kept://", testkit.PostgresEnv+"=kept://", testkit.MariaDBEnv+"=kept://")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	if line, err := r.ReadString('\n'); err != nil || line != "started\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(r)
	if err != nil || string(rest) != "stopping\n" {
		t.Errorf("after the signal: %q, %v", rest, err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 3 {
		t.Errorf("ended with %v, want the command's code 3", err)
	}
}
