package server

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	dirPrefix = "exporthub-testkit-"
	lockName  = "owner"
)

// dir is a temporary directory whose owner holds a lock on a file in it.
type dir struct {
	path string
	lock *os.File
}

// newDir makes a directory, first removing those whose owners were killed.
func newDir() (*dir, error) {
	sweep()
	path, err := os.MkdirTemp("", dirPrefix)
	if err != nil {
		return nil, fmt.Errorf("make a server's directory: %w", err)
	}
	// Locked under another name first: a sweeper that saw it unlocked would take its owner for
	// dead.
	lock, err := lockFile(filepath.Join(path, "owner.new"), syscall.LOCK_EX)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	if err := os.Rename(lock.Name(), filepath.Join(path, lockName)); err != nil {
		return nil, errors.Join(err, lock.Close(), os.RemoveAll(path))
	}
	// Another user may have to pass through on the way to its own directory below.
	if err := os.Chmod(path, 0o711); err != nil {
		return nil, errors.Join(err, lock.Close(), os.RemoveAll(path))
	}
	return &dir{path, lock}, nil
}

func lockFile(path string, how int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// remove deletes the directory; it is called after the server in it has ended.
func (d *dir) remove() error {
	return errors.Join(os.RemoveAll(d.path), d.lock.Close())
}

// sweep removes directories of killed owners: those whose lock is free. It is a courtesy, so errors
// are left to the next sweep. A directory so young that its owner has not locked it yet has no lock
// file, and is left alone.
func sweep() {
	// Servers of killed runs are dead already on Linux, where they die with their starter. Only
	// their files are left.
	old, err := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*"))
	if err != nil {
		return
	}
	for _, path := range old {
		if _, err := os.Stat(filepath.Join(path, lockName)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		lock, err := lockFile(filepath.Join(path, lockName), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil {
			// Held: its owner lives.
			continue
		}
		_ = os.RemoveAll(path)
		_ = lock.Close()
	}
}

// ownDir makes a directory below d that belongs to the credential's user.
func (d *dir) ownDir(name string, who *syscall.Credential) (string, error) {
	path := filepath.Join(d.path, name)
	if err := os.Mkdir(path, 0o700); err != nil {
		return "", err
	}
	if who == nil {
		return path, nil
	}
	return path, os.Chown(path, int(who.Uid), int(who.Gid))
}
