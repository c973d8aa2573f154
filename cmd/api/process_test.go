package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"exporthub/pkg/testkit"
)

// programs builds both commands once and returns the directory they are in.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "exporthub-programs-")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-o", dir, "exporthub/cmd/api", "exporthub/cmd/worker")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return dir, nil
})

// process is a program of ours that runs by itself.
type process struct {
	t    testing.TB
	cmd  *exec.Cmd
	logs *output
	done chan error
}

// spawn starts a program with just these variables.
func spawn(t testing.TB, name string, environ []string, args ...string) *process {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(filepath.Join(dir, name), args...), logs: &output{}, done: make(chan error, 1)}
	p.cmd.Env = environ
	p.cmd.Dir = t.TempDir()
	p.cmd.Stdout, p.cmd.Stderr = p.logs, p.logs
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() {
		p.signal(syscall.SIGCONT)
		p.signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(35 * time.Second):
			p.signal(syscall.SIGKILL)
			<-p.done
			t.Errorf("%s did not end within 35 s of SIGTERM", name)
		}
		if t.Failed() {
			t.Logf("logs of %s:\n%s", name, p.logs)
		}
	})
	return p
}

// signal sends s; a process that has ended already gets none.
func (p *process) signal(s os.Signal) { _ = p.cmd.Process.Signal(s) }

// ended waits for the end and returns what Wait said.
func (p *process) ended(within time.Duration) error {
	p.t.Helper()
	select {
	case err := <-p.done:
		p.done <- err
		return err
	case <-time.After(within):
		p.t.Fatalf("the process has not ended within %s", within)
		return nil
	}
}

// gone tells whether the process has ended.
func (p *process) gone() bool {
	select {
	case err := <-p.done:
		p.done <- err
		return true
	default:
		return false
	}
}

// freeAddress is a loopback address nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// ready waits until an api answers.
func ready(t testing.TB, url string, p *process) {
	t.Helper()
	testkit.Eventually(t, time.Minute, func() bool {
		select {
		case err := <-p.done:
			p.done <- err
			t.Fatalf("the api ended: %v\n%s", err, p.logs)
		default:
		}
		res, err := http.Get(url + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	}, "the api to be ready")
}

// follower is a stock Faye client in a process of its own.
type follower struct {
	t     testing.TB
	cmd   *exec.Cmd
	lines chan line
	errs  *output
}

type line struct {
	Event      json.RawMessage
	Subscribed string
	Refused    int
	Message    string
}

// progress is what a follower reads of an event.
type progress struct {
	Status   string  `json:"status"`
	FileURL  *string `json:"file_url"`
	Progress int     `json:"progress"`
	Service  string  `json:"service"`
	UUID     string  `json:"uuid"`
	Count    *int64  `json:"count"`
	FileSize *int64  `json:"file_size"`
	Attempt  int     `json:"attempt"`
	Replayed bool    `json:"replayed"`
}

// follow starts a stock client on a channel.
func follow(t testing.TB, url, channel, transport string, token ...string) *follower {
	t.Helper()
	args := append([]string{filepath.Join("testdata", "follow.mjs"), url + "/faye", channel, transport}, token...)
	f := &follower{t: t, cmd: exec.Command("node", args...), lines: make(chan line, 1000), errs: &output{}}
	f.cmd.Stderr = f.errs
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatalf("start node (is it installed, and has make web been run?): %v", err)
	}
	go func() {
		defer close(f.lines)
		scan := bufio.NewScanner(out)
		for scan.Scan() {
			var l line
			if json.Unmarshal(scan.Bytes(), &l) == nil {
				f.lines <- l
			}
		}
	}()
	t.Cleanup(func() {
		_ = f.cmd.Process.Kill() // it ends by itself after a job's end; this is for tests that fail before
		_ = f.cmd.Wait()
	})
	return f
}

// next returns the next line, or fails.
func (f *follower) next(within time.Duration) line {
	f.t.Helper()
	select {
	case l, ok := <-f.lines:
		if !ok {
			f.t.Fatalf("the client ended: %s", f.errs)
		}
		return l
	case <-time.After(within):
		f.t.Fatalf("nothing for %s; the client says: %s", within, f.errs)
		return line{}
	}
}

// subscribed waits until the subscription stands.
func (f *follower) subscribed() {
	f.t.Helper()
	if l := f.next(30 * time.Second); l.Subscribed == "" {
		f.t.Fatalf("the subscription was answered with %+v", l)
	}
}

// until reads events up to the one that stop accepts, which is the last returned.
func (f *follower) until(within time.Duration, stop func(progress) bool) []progress {
	f.t.Helper()
	var all []progress
	for {
		l := f.next(within)
		if l.Event == nil {
			continue
		}
		var p progress
		if err := json.Unmarshal(l.Event, &p); err != nil {
			f.t.Fatal(err)
		}
		all = append(all, p)
		if stop(p) {
			return all
		}
	}
}

func over(p progress) bool {
	return p.Status == "success" || p.Status == "failure" || p.Status == "cancelled"
}

// stages are the statuses in order, each once as long as it lasts.
func stages(events []progress) string {
	var names []string
	for _, e := range events {
		if len(names) == 0 || names[len(names)-1] != e.Status {
			names = append(names, e.Status)
		}
	}
	return strings.Join(names, " ")
}

// taken is an address somebody listens on for as long as the test runs.
func taken(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}
