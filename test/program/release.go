package program

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Release builds the programs of an earlier release from its commit and returns the folder they are
// in. They stay there for the next run. It needs the history of the repository, as a clone has it.
func Release(t testing.TB, commit string) string {
	t.Helper()
	dir, err := release(commit)
	if err != nil {
		t.Fatalf("build release %s: %v\n(a shallow clone lacks its commit: git fetch --unshallow)", commit, err)
	}
	return dir
}

func release(commit string) (string, error) {
	repository, err := root()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(repository, "bin", "release-"+commit)
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
	if _, err := os.Stat(filepath.Join(dir, "worker")); err == nil {
		return dir, nil
	}
	source, err := os.MkdirTemp("", "release-"+commit+"-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(source)
	// The archive has files of the commit only: neither a page that was built nor another
	// checkout's changes get into the programs.
	script := fmt.Sprintf("git archive %s | tar -x -C %q", commit, source)
	archive := exec.Command("sh", "-c", "set -e; "+script)
	archive.Dir = repository
	if out, err := archive.CombinedOutput(); err != nil {
		return "", fmt.Errorf("read its files: %w\n%s", err, out)
	}
	// worker is linked last, so that its file says that the folder is complete.
	for _, name := range []string{"api", "worker"} {
		build := exec.Command("go", "build", "-o", dir, "exporthub/cmd/"+name)
		build.Dir = source
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return dir, nil
}
