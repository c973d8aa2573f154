package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// Store keeps objects in a folder.
type Store struct {
	root *os.Root
	now  func() time.Time
	// create makes a new file for writing; tests put a full disk here.
	create func(name string) (file, error)
}

// file is what Put writes to.
type file interface {
	io.WriteCloser
	Sync() error
}

var _ storage.Store = (*Store)(nil)

// Open opens the store in dir, which is made if it is not there. Close it when no call is running
// any more.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("storage: make %s: %w", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("storage: open %s: %w", dir, err)
	}
	s := &Store{root: root, now: time.Now}
	s.create = func(name string) (file, error) {
		return root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	}
	return s, nil
}

// Close releases the folder. Calls that are running then fail.
func (s *Store) Close() error { return s.root.Close() }

// ready is what every call checks first.
func ready(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := storage.CheckKey(key); err != nil {
			return err
		}
	}
	return ended(ctx)
}

// ended returns why ctx has ended, or nil.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("storage: %w", context.Cause(ctx))
}

// Open reads an object.
func (s *Store) Open(ctx context.Context, key string) (io.ReadSeekCloser, storage.Info, error) {
	f, info, err := s.open(ctx, key)
	if err != nil {
		return nil, storage.Info{}, err
	}
	return f, info, nil
}

func (s *Store) open(ctx context.Context, key string) (*os.File, storage.Info, error) {
	// Asked first, since opening a pipe would wait for its other end.
	if _, err := s.Stat(ctx, key); err != nil {
		return nil, storage.Info{}, err
	}
	f, err := s.root.Open(key)
	if err != nil {
		return nil, storage.Info{}, classify("open", key, err)
	}
	// Of the open file, not of the name: a Put may have replaced the object since.
	stat, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, storage.Info{}, classify("open", key, err)
	}
	return f, infoOf(key, stat), nil
}

// Stat describes an object.
func (s *Store) Stat(ctx context.Context, key string) (storage.Info, error) {
	if err := ready(ctx, key); err != nil {
		return storage.Info{}, err
	}
	stat, err := s.root.Lstat(key)
	// What can't be an object isn't one: a folder, a symbolic link, a key below a file, and a name
	// longer than the file system takes. Callers ask for keys that others made up, and get
	// NotFound.
	if err == nil && !stat.Mode().IsRegular() || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG) {
		err = fs.ErrNotExist
	}
	if err != nil {
		return storage.Info{}, classify("stat", key, err)
	}
	return infoOf(key, stat), nil
}

// infoOf describes a file as an object. Times are UTC, since hosts that share a disk may not share
// a zone.
func infoOf(key string, stat fs.FileInfo) storage.Info {
	return storage.Info{Key: key, Size: stat.Size(), Modified: stat.ModTime().UTC()}
}

// Link returns "": files of this store are served through Open.
func (s *Store) Link(ctx context.Context, key string, _ storage.LinkOptions) (string, error) {
	return "", ready(ctx, key)
}

// Copy makes the object of from also available under to.
func (s *Store) Copy(ctx context.Context, from, to string) error {
	if err := ready(ctx, from, to); err != nil {
		return err
	}
	src, info, err := s.open(ctx, from)
	if err != nil {
		return err
	}
	defer src.Close()
	// Only after open: copying what is not there onto itself has to fail as on other stores.
	if from == to {
		return nil
	}
	return s.Put(ctx, to, src, info.Size, storage.PutOptions{})
}

// Delete removes an object.
func (s *Store) Delete(ctx context.Context, key string) error {
	_, err := s.Stat(ctx, key)
	if err == nil {
		// Empty folders stay. Removing them would race with a Put that has just made one.
		if err = s.root.Remove(key); err == nil {
			return s.syncDir(path.Dir(key))
		}
		err = classify("delete", key, err)
	}
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	return err
}

// syncDir makes what was renamed or removed in a folder last.
func (s *Store) syncDir(name string) error {
	dir, err := s.root.Open(name)
	if err != nil {
		return classify("sync", name, err)
	}
	defer dir.Close()
	// Some network file systems can't flush a folder; their renames last by themselves.
	if err := dir.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return classify("sync", name, err)
	}
	return nil
}

// leavesRoot is how os.Root refuses a symbolic link to elsewhere; the error itself is not exported.
const leavesRoot = "path escapes from parent"

// classify says what kind of failure an error of the file system is.
func classify(action, key string, err error) error {
	// The cause has the path and goes to logs; the message beside it is shown to people.
	cause := fmt.Errorf("storage: %s %s: %w", action, key, err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errs.Wrap(errs.NotFound, "文件不存在", cause)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return errs.Wrap(errs.Unavailable, "存储空间不足，请稍后再试或联系管理员", cause)
	// The file system's own limit, such as 4 GiB on FAT; no other try mends it.
	case errors.Is(err, syscall.EFBIG):
		return errs.Wrap(errs.TooLarge, "文件超过存储允许的大小", cause)
	// Forbidden and not Unavailable: an operator has to change rights or the mount first.
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS), strings.Contains(err.Error(), leavesRoot):
		return errs.Wrap(errs.Forbidden, "存储目录不可写，请联系管理员", cause)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, fs.ErrExist),
		errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ELOOP):
		e := errs.Invalidf("key", "文件键 %q 与已有的目录或文件冲突", key)
		e.Cause = cause
		return e
	}
	return errs.Wrap(errs.Unavailable, "存储暂时不可用，请稍后再试", cause)
}
