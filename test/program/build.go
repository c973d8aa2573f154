package program

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

// Repository returns the project's root: the folder above the test's that holds go.mod.
func Repository(t testing.TB) string {
	t.Helper()
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

// Build builds the programs that tests start and returns the folder they are in.
func Build(t testing.TB) string {
	t.Helper()
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// build runs once a process. Test packages run in parallel and all need the same two programs, so
// they share one folder: the first one links, the others find everything up to date. The lock keeps
// a package from starting a program that another one is just writing.
var build = sync.OnceValues(func() (string, error) {
	repository, err := root()
	if err != nil {
		return "", err
	}
	name := "test"
	args := []string{"build"}
	if raceEnabled {
		name = "test-race"
		args = append(args, "-race")
	}
	dir := filepath.Join(repository, "bin", name) // ignored by Git, and removed by make clean
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	cmd := exec.Command("go", append(args, "-o", dir, "exporthub/cmd/api", "exporthub/cmd/worker")...)
	cmd.Dir = repository
	// go build leaves a program alone that is up to date, so this is cheap for all but the first.
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return dir, nil
})
