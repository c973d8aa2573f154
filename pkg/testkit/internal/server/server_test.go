package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// starterEnv makes this test program one that starts servers and waits to be killed.
const starterEnv = "TESTKIT_TEST_STARTER"

func TestMain(m *testing.M) {
	if os.Getenv(starterEnv) != "" {
		starter()
		return
	}
	goleak.VerifyTestMain(m)
}

// starter starts one server of each kind, prints their addresses, and never ends by itself.
func starter() {
	ctx := context.Background()
	for _, start := range []func(context.Context) (*Server, error){
		func(ctx context.Context) (*Server, error) { return Redis(ctx) }, Postgres, MariaDB,
	} {
		s, err := start(ctx)
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println(s.Addr, s.dir.path)
	}
	fmt.Println("ready")
	select {}
}

func TestServersDieWithTheirKilledStarter(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), starterEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var addrs, dirs []string
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "ready" {
		addr, dir, ok := strings.Cut(lines.Text(), " ")
		if !ok || strings.HasPrefix(addr, "error") {
			t.Fatal(lines.Text())
		}
		addrs, dirs = append(addrs, addr), append(dirs, dir)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait() // killed
	if len(addrs) != 3 {
		t.Fatalf("three servers were to start, got %q", addrs)
	}
	deadline := time.Now().Add(20 * time.Second)
	for _, addr := range addrs {
		for conn, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED); conn, err = net.Dial("tcp", addr) {
			if err == nil {
				conn.Close()
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s still answers, %v", addr, err)
			}
		}
	}
	// The next start sweeps what the killed one left; a live owner's directory stays.
	mine, err := newDir()
	if err != nil {
		t.Fatal(err)
	}
	sweep()
	for _, dir := range dirs {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was not swept: %v", dir, err)
		}
	}
	if _, err := os.Stat(mine.path); err != nil {
		t.Errorf("the directory of a live owner was swept: %v", err)
	}
	if err := mine.remove(); err != nil {
		t.Error(err)
	}
}

func TestServerStopsAndCleansUp(t *testing.T) {
	for name, start := range map[string]func(context.Context) (*Server, error){
		"redis":    func(ctx context.Context) (*Server, error) { return Redis(ctx) },
		"postgres": Postgres,
		"mariadb":  MariaDB,
	} {
		t.Run(name, func(t *testing.T) {
			s, err := start(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			host, _, err := net.SplitHostPort(s.Addr)
			if err != nil || host != "127.0.0.1" {
				t.Errorf("listens on %s, %v, want 127.0.0.1 alone", s.Addr, err)
			}
			dir := s.dir.path
			for range 2 {
				if err := s.Stop(); err != nil {
					t.Error(err)
				}
			}
			if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("its directory is still there: %v", err)
			}
			if conn, err := net.Dial("tcp", s.Addr); err == nil {
				conn.Close()
				t.Error("it still answers")
			}
		})
	}
}

func TestStartFailureTellsTheReasonAndLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s, err := Redis(t.Context(), "--no-such-option", "x")
	if err == nil {
		t.Fatal("started", s.Stop())
	}
	if !strings.Contains(err.Error(), "no-such-option") {
		t.Errorf("the server's own words are missing: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := Redis(ctx); err == nil {
		t.Error("started for a caller who had gone", s.Stop())
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	var out tail
	for i := range 3000 {
		fmt.Fprintf(&out, "line %d\n", i)
	}
	got := out.String()
	if len(got) > tailSize || !strings.HasSuffix(got, "line 2999") {
		t.Errorf("kept %d bytes ending in %q", len(got), got[len(got)-20:])
	}
}
