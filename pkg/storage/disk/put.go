package disk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
)

const (
	tmpPrefix     = ".tmp-"
	chunkBytes    = 256 << 10 // written between two checks of the context
	progressEvery = 100 * time.Millisecond
)

// Put stores an object. It holds chunkBytes of memory, however large the object is. Where the disk
// is full nothing of the object stays, and the error is Unavailable: space may be freed by the
// clean-up of old files.
func (s *Store) Put(ctx context.Context, key string, src io.ReaderAt, size int64, o storage.PutOptions) (err error) {
	if err := ready(ctx, key); err != nil {
		return err
	}
	if size < 0 {
		return errs.Newf(errs.Invalid, "文件大小 %d 无效", size)
	}
	dir := path.Dir(key)
	if err := s.makeDir(dir); err != nil {
		return err
	}
	tmp := path.Join(dir, tmpPrefix+rand.Text())
	defer func() {
		if err != nil {
			_ = s.root.Remove(tmp) // gone already after the rename
		}
	}()
	if err := s.fill(ctx, tmp, key, src, size, o.Progress); err != nil {
		return err
	}
	// The last chance to cancel: once renamed, the object is there and Put has to report success.
	if err := ended(ctx); err != nil {
		return err
	}
	if err := s.root.Rename(tmp, key); err != nil {
		return classify("put", key, err)
	}
	return s.syncDir(dir)
}

// makeDir makes a folder and the ones above it, so that they last.
func (s *Store) makeDir(dir string) error {
	if stat, err := s.root.Stat(dir); err == nil && stat.IsDir() {
		return nil
	}
	if err := s.root.MkdirAll(dir, dirMode); err != nil {
		return classify("put", dir, err)
	}
	// A new folder's name lasts when the folder above it is flushed, so all of them are.
	for dir != "." {
		dir = path.Dir(dir)
		if err := s.syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// fill writes the whole of src to a new file and flushes it to the disk.
func (s *Store) fill(ctx context.Context, name, key string, src io.ReaderAt, size int64, progress func(int64)) error {
	f, err := s.create(name)
	if err != nil {
		return classify("put", key, err)
	}
	err = s.copyAll(ctx, f, key, src, size, progress)
	if err == nil {
		if err = f.Sync(); err != nil {
			err = classify("put", key, err)
		}
	}
	// Network file systems may report a full disk only here.
	if e := f.Close(); err == nil && e != nil {
		err = classify("put", key, e)
	}
	if err == nil && progress != nil {
		progress(size)
	}
	return err
}

func (s *Store) copyAll(ctx context.Context, f io.Writer, key string, src io.ReaderAt, size int64, progress func(int64)) error {
	buf := make([]byte, min(size, chunkBytes))
	reported := s.now()
	for sent := int64(0); sent < size; {
		if err := ended(ctx); err != nil {
			return err
		}
		part := buf[:min(size-sent, chunkBytes)]
		// A full read may come with io.EOF.
		if n, err := src.ReadAt(part, sent); n < len(part) {
			return fmt.Errorf("storage: put %s: read %d of %d bytes: %w", key, sent+int64(n), size, short(err))
		}
		if n, err := f.Write(part); err != nil || n < len(part) {
			return classify("put", key, or(err, io.ErrShortWrite))
		}
		sent += int64(len(part))
		if now := s.now(); progress != nil && sent < size && now.Sub(reported) >= progressEvery {
			reported = now
			progress(sent)
		}
	}
	return nil
}

// short is the error of a read that gave too little.
func short(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func or(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// Check reports whether the store can take objects now: it writes, flushes and removes a small
// file.
func (s *Store) Check(ctx context.Context) error {
	if err := ended(ctx); err != nil {
		return err
	}
	// Under the prefix of unfinished files, so that a check that is killed is swept like them and
	// never listed. Random, since several processes may check a shared disk at once.
	name := tmpPrefix + "check-" + rand.Text()
	defer s.root.Remove(name)
	return s.fill(ctx, name, name, strings.NewReader("ok"), 2, nil)
}

// Sweep removes what Puts that crashed have left and that has not been written to for longer than
// olderThan. It returns how many files it removed, and goes on after those it can't remove.
func (s *Store) Sweep(ctx context.Context, olderThan time.Duration) (removed int, err error) {
	// A Put that is running writes all the time, so its file is never older than olderThan.
	before := s.now().Add(-olderThan)
	// One folder without rights must not keep all others from being swept.
	var failed error
	err = fs.WalkDir(s.root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err := ended(ctx); err != nil {
			return err
		}
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				failed = errors.Join(failed, classify("sweep", name, err))
			}
			return nil
		}
		if !d.Type().IsRegular() || !strings.HasPrefix(d.Name(), tmpPrefix) {
			return nil
		}
		// A file that is gone by now was finished, or swept by another process.
		stat, err := d.Info()
		if err != nil || !stat.ModTime().Before(before) {
			return nil
		}
		switch err := s.root.Remove(name); {
		case err == nil:
			removed++
		case !errors.Is(err, fs.ErrNotExist):
			failed = errors.Join(failed, classify("sweep", name, err))
		}
		return nil
	})
	return removed, or(err, failed)
}
