package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The first line of the supervisor's output that is not for people. What comes before it is.
const (
	readyLine = "exporthub-up-ready"
	pidFile   = "pid"
	downLimit = 90 * time.Second // above what every part may take, one layer after the other
)

// startInBackground starts this program again as the supervisor, in a session of its own, and
// returns when the system is ready or could not be started.
func startInBackground(ctx context.Context, s settings, args []string, out io.Writer) error {
	// Asked here for a clear message only. The supervisor itself takes the lock, so two starts at
	// once still give one system.
	if pid, err := runningPID(s); err != nil || pid != 0 {
		if err == nil {
			err = fmt.Errorf("it runs already, as process %d; stop it with: make down", pid)
		}
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	logs, err := openLog(s, "up")
	if err != nil {
		return err
	}
	defer logs.Close()
	cmd := exec.Command(self, append([]string{"-supervise"}, args...)...)
	cmd.Stderr = logs
	// In a session of its own, a Ctrl-C at this terminal does not reach it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	printed, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	// A person who gives up waiting ends the half-started system too.
	stopped := context.AfterFunc(ctx, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer stopped()
	for lines := bufio.NewScanner(printed); lines.Scan(); {
		if lines.Text() == readyLine {
			return nil
		}
		fmt.Fprintln(out, lines.Text())
	}
	// The output ended without the line, so the supervisor has ended or is about to.
	err = cmd.Wait()
	return fmt.Errorf("it did not start (%w); the logs in %s say why:\n%s", err, filepath.Join(s.Data, "logs"), tailOf(logs.Name()))
}

// tailOf returns the end of a file, for error messages: the last lines say why a part ended, and a
// whole log would bury them. Its own error takes the place of the text.
func tailOf(path string) string {
	const most = 2000
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-most):]))
}

// stopRunning ends the supervisor by SIGTERM and returns when everything it ran has ended.
func stopRunning(ctx context.Context, s settings, out io.Writer) error {
	pid, err := runningPID(s)
	if err != nil {
		return err
	}
	if pid == 0 {
		fmt.Fprintln(out, "nothing runs")
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	ctx, cancel := context.WithTimeout(ctx, downLimit)
	defer cancel()
	// The supervisor is no child of this process, so it is polled and not waited for.
	err = poll(ctx, func(context.Context) error {
		still, err := runningPID(s)
		if err == nil && still != 0 {
			err = fmt.Errorf("process %d has not ended", still)
		}
		return err
	})
	if err == nil {
		fmt.Fprintln(out, "stopped; the data stays in", s.Data)
	}
	return err
}

// runningPID returns the supervisor's process id, 0 when none runs. The file is locked by the one
// it names for as long as that lives, so an old number is never taken for a process.
func runningPID(s settings) (int, error) {
	file, err := os.OpenFile(filepath.Join(s.Data, pidFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer file.Close()
	// A shared lock that is granted means that no supervisor has the exclusive one. The kernel
	// drops a lock with its process, however that ended, so a stale file is never believed.
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
	if err == nil {
		return 0, nil
	}
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		return 0, err
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("%s is locked and holds no process id", file.Name())
	}
	return pid, nil
}

// claim makes this process the one supervisor of the data directory until the file is closed.
func claim(s settings) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(s.Data, pidFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("%s belongs to another process: %w", s.Data, err)
	}
	// Emptied after the lock is held: before, it may be another supervisor's number.
	if err := file.Truncate(0); err != nil {
		_ = file.Close()
		return nil, err
	}
	if _, err := fmt.Fprintln(file, os.Getpid()); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// openLog opens a part's log, empty: the log of a part that is started again begins anew, so that
// it never grows without bound. It is readable by its owner only, since the API logs addresses.
func openLog(s settings, name string) (*os.File, error) {
	dir := filepath.Join(s.Data, "logs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
}

// poll asks until there is no error or ctx ends, and returns the last error.
func poll(ctx context.Context, ask func(context.Context) error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", err, ctx.Err())
		case <-tick.C:
		}
	}
}
