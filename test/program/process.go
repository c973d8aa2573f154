package program

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"exporthub/pkg/testkit"
)

// stopGrace is how long a program may take to end after SIGTERM: above what an api waits for its
// answers (28 s) and the default DRAIN_TIMEOUT of a worker.
const stopGrace = 35 * time.Second

// Output is a stream that can be read while it is written. It is safe for concurrent use.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

// String returns what was written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Process is a program of ours that runs as a process. Its methods are for the test's goroutine.
type Process struct {
	Cmd  *exec.Cmd
	Out  *Output // standard output: what is meant for people
	Logs *Output // standard error

	t    testing.TB
	done chan error // holds what Wait returned, once it has
}

// Spawn starts a program with just these variables. It is ended with the test.
func Spawn(t testing.TB, name string, environ []string, args ...string) *Process {
	t.Helper()
	return SpawnFrom(t, Build(t), name, environ, args...)
}

// SpawnFrom is Spawn for the programs of another release, by the folder that they are in.
func SpawnFrom(t testing.TB, dir, name string, environ []string, args ...string) *Process {
	t.Helper()
	p := &Process{
		Cmd:  exec.Command(filepath.Join(dir, name), args...),
		Out:  &Output{},
		Logs: &Output{},
		t:    t,
		done: make(chan error, 1),
	}
	p.Cmd.Env = environ     // and nothing else, so that a variable of this machine changes no test
	p.Cmd.Dir = t.TempDir() // where no .env is
	p.Cmd.Stdout = p.Out
	p.Cmd.Stderr = p.Logs
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.Cmd.Wait() }()
	t.Cleanup(func() {
		p.Signal(syscall.SIGCONT) // a stopped process does not see SIGTERM
		p.Signal(syscall.SIGTERM)
		select {
		case err := <-p.done:
			p.done <- err
		case <-time.After(stopGrace):
			// Killed, or the test program would wait for its output for ever.
			p.Signal(syscall.SIGKILL)
			<-p.done
			t.Errorf("%s did not end within %s of SIGTERM", name, stopGrace)
		}
		if t.Failed() {
			t.Logf("logs of %s:\n%s", name, p.Logs)
		}
	})
	return p
}

// Signal sends s; a process that has ended already gets none.
func (p *Process) Signal(s os.Signal) { _ = p.Cmd.Process.Signal(s) }

// Ended waits for the end and returns what Wait returned.
func (p *Process) Ended(within time.Duration) error {
	p.t.Helper()
	select {
	case err := <-p.done:
		p.done <- err // for the next one who asks
		return err
	case <-time.After(within):
		p.t.Fatalf("the process has not ended within %s", within)
		return nil
	}
}

// Gone reports whether the process has ended.
func (p *Process) Gone() bool {
	select {
	case err := <-p.done:
		p.done <- err
		return true
	default:
		return false
	}
}

// FreeAddress is a loopback address that was free a moment ago. Another process may take it before
// the program does; nothing prevents that, and the kernel hands the same port out again late.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Ready waits until the api p answers 200 to /readyz at url.
func Ready(t testing.TB, url string, p *Process) {
	t.Helper()
	testkit.Eventually(t, time.Minute, func() bool {
		if p.Gone() {
			t.Fatalf("the api ended: %v\n%s", p.Ended(time.Second), p.Logs)
		}
		res, err := http.Get(url + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	}, "the api to be ready")
}
