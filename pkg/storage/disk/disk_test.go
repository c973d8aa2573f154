package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
	"exporthub/pkg/storage/storagetest"
)

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store { return open(t, t.TempDir()) })
}

func put(t testing.TB, s *Store, key, data string) {
	t.Helper()
	if err := s.Put(t.Context(), key, strings.NewReader(data), int64(len(data)), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

// files returns every file below dir.
func files(t testing.TB, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, name)
			names = append(names, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "files")
	s := open(t, dir)
	put(t, s, "export/b/c.xlsx", "x")
	for name, want := range map[string]fs.FileMode{".": 0o700, "export": 0o700, "export/b": 0o700, "export/b/c.xlsx": 0o600} {
		stat, err := os.Stat(filepath.Join(dir, name))
		if err != nil || stat.Mode().Perm() != want {
			t.Errorf("%s: mode %v (%v), want %v", name, stat.Mode().Perm(), err, want)
		}
	}
}

func TestOpenRefusesWhatIsNoFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if s, err := Open(dir); err == nil || s != nil {
			t.Errorf("Open(%s) worked", dir)
		}
	}
}

func TestLinkIsEmpty(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a", "x")
	if url, err := s.Link(t.Context(), "a", storage.LinkOptions{}); url != "" || err != nil {
		t.Errorf("Link = %q, %v", url, err)
	}
}

// TestSymbolicLinksLeadNowhere plants links as someone with access to the folder could.
func TestSymbolicLinksLeadNowhere(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"file": secret, "dir": outside, "up": "../" + filepath.Base(outside), "self": "real"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir)
	put(t, s, "real", "x")
	for _, key := range []string{"file", "self", "dir", "dir/secret", "up/secret"} {
		if r, _, err := s.Open(t.Context(), key); err == nil {
			r.Close()
			t.Errorf("%s was opened", key)
		}
		if _, err := s.Stat(t.Context(), key); !errs.Is(err, errs.NotFound) && !errs.Is(err, errs.Forbidden) {
			t.Errorf("stat %s: %v", key, err)
		}
		_ = s.Delete(t.Context(), key)
	}
	for _, key := range []string{"dir/new", "up/new", "dir/deep/new"} {
		err := s.Put(t.Context(), key, strings.NewReader("x"), 1, storage.PutOptions{})
		if !errs.Is(err, errs.Forbidden) && !errs.Is(err, errs.Invalid) {
			t.Errorf("put %s: %v, want forbidden or invalid", key, err)
		}
	}
	// A link in the place of an object is replaced, not written through.
	put(t, s, "file", "new")
	if got := files(t, outside); len(got) != 1 {
		t.Errorf("outside there is %q", got)
	}
	if data, err := os.ReadFile(secret); string(data) != "secret" {
		t.Errorf("the file outside holds %q (%v)", data, err)
	}
	infos, _, err := s.List(t.Context(), "", "", 100)
	if err != nil || len(infos) != 2 || infos[0].Key != "file" || infos[1].Key != "real" {
		t.Errorf("list %+v, %v", infos, err)
	}
}

func TestKeysInEachOthersWay(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "a", "x")
	put(t, s, "b/c", "x")
	for _, key := range []string{"a/b", "b"} {
		if err := s.Put(t.Context(), key, strings.NewReader("y"), 1, storage.PutOptions{}); !errs.Is(err, errs.Invalid) {
			t.Errorf("put %s: %v, want invalid", key, err)
		}
	}
	if got := fmt.Sprint(files(t, dir)); got != "[a b/c]" {
		t.Errorf("the folder holds %s", got)
	}
}

func TestOnlyRegularFilesAreObjects(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Open(t.Context(), "pipe"); !errs.Is(err, errs.NotFound) {
		t.Errorf("open: %v", err)
	}
	if infos, _, err := s.List(t.Context(), "", "", 10); err != nil || len(infos) != 0 {
		t.Errorf("list: %v, %v", infos, err)
	}
}

// full is a file on a disk with room for so many bytes.
type full struct {
	file
	room int
	err  error
}

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		n, _ := f.file.Write(p[:len(p)/2])
		return n, &fs.PathError{Op: "write", Path: "x", Err: f.err}
	}
	return f.file.Write(p)
}

func (f *full) Sync() error {
	if f.room == 0 {
		return &fs.PathError{Op: "sync", Path: "x", Err: f.err}
	}
	return f.file.Sync()
}

func TestAFullDiskLeavesNothing(t *testing.T) {
	for _, c := range []struct {
		err  error
		want errs.Kind
	}{
		{syscall.ENOSPC, errs.Unavailable}, {syscall.EDQUOT, errs.Unavailable}, {syscall.EIO, errs.Unavailable},
		{syscall.EFBIG, errs.TooLarge}, {syscall.EROFS, errs.Forbidden},
	} {
		for _, room := range []int{0, 1 << 20, 2 << 20} { // at once, midway, when flushed
			dir := t.TempDir()
			s := open(t, dir)
			put(t, s, "a", "old")
			create := s.create
			s.create = func(name string) (file, error) {
				f, err := create(name)
				return &full{f, room, c.err}, err
			}
			err := s.Put(t.Context(), "a", bytes.NewReader(make([]byte, 2<<20)), 2<<20, storage.PutOptions{})
			if !errs.Is(err, c.want) || !errors.Is(err, c.err) {
				t.Errorf("%v with room for %d: %v, want %v", c.err, room, err, c.want)
			}
			if data, _ := os.ReadFile(filepath.Join(dir, "a")); string(data) != "old" || len(files(t, dir)) != 1 {
				t.Errorf("%v with room for %d: the object holds %d bytes, files %q", c.err, room, len(data), files(t, dir))
			}
		}
	}
}

func TestAFullDiskSaysSo(t *testing.T) {
	e := errs.As(classify("put", "a", &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}))
	if e == nil || !strings.Contains(e.Message, "空间不足") || !strings.Contains(e.Cause.Error(), "no space left") {
		t.Errorf("error %v", e)
	}
}

func TestCheckSeesAFolderThatCantBeWritten(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	s.create = func(string) (file, error) {
		return nil, &fs.PathError{Op: "open", Path: "x", Err: syscall.EROFS}
	}
	if err := s.Check(t.Context()); !errs.Is(err, errs.Forbidden) {
		t.Errorf("read-only: %v, want forbidden", err)
	}
	gone := filepath.Join(t.TempDir(), "gone")
	s = open(t, gone)
	if err := os.RemoveAll(gone); err != nil {
		t.Fatal(err)
	}
	if err := s.Check(t.Context()); err == nil {
		t.Error("a folder that was removed passes")
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("check left %q", got)
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	now := time.Now()
	s.now = func() time.Time { return now }
	put(t, s, "export/a", "x")
	for name, age := range map[string]time.Duration{
		".tmp-old": 2 * time.Hour, "export/.tmp-old": 2 * time.Hour, "export/.tmp-new": time.Minute, "export/a": 48 * time.Hour,
		"export/tmp-old": 48 * time.Hour,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, ".tmp-folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{2, 0} {
		if n, err := s.Sweep(t.Context(), time.Hour); n != want || err != nil {
			t.Errorf("sweep = %d, %v, want %d", n, err, want)
		}
	}
	if got := fmt.Sprint(files(t, dir)); got != "[export/.tmp-new export/a export/tmp-old]" {
		t.Errorf("left: %s", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Sweep(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestLeftoversAreNoObjects: what a crash leaves beside the objects can't be seen through the
// store.
func TestLeftoversAreNoObjects(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "export/a", "x")
	if err := os.WriteFile(filepath.Join(dir, "export/.tmp-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if infos, _, err := s.List(t.Context(), "export/", "", 10); err != nil || len(infos) != 1 {
		t.Errorf("list %v, %v", infos, err)
	}
}

func TestProgressIsThrottled(t *testing.T) {
	s := open(t, t.TempDir())
	clock := time.Now()
	s.now = func() time.Time { clock = clock.Add(40 * time.Millisecond); return clock }
	var reported []int64
	o := storage.PutOptions{Progress: func(n int64) { reported = append(reported, n) }}
	const chunks = 10
	if err := s.Put(t.Context(), "a", bytes.NewReader(make([]byte, chunks*chunkBytes)), chunks*chunkBytes, o); err != nil {
		t.Fatal(err)
	}
	want := []int64{3 * chunkBytes, 6 * chunkBytes, 9 * chunkBytes, 10 * chunkBytes}
	if fmt.Sprint(reported) != fmt.Sprint(want) {
		t.Errorf("progress %v, want %v", reported, want)
	}
}

func TestListIsBounded(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for i := range maxList + 1 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%04d", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	infos, next, err := s.List(t.Context(), "", "", 1<<30)
	if err != nil || len(infos) != maxList || next != "f0999" {
		t.Errorf("%d objects, next %q, %v", len(infos), next, err)
	}
	if _, _, err := s.List(t.Context(), "", "../x", 10); !errs.Is(err, errs.Invalid) {
		t.Errorf("a marker that is no key: %v", err)
	}
}

func TestOpenGivesAReaderOnly(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a", "x")
	r, _, err := s.Open(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if w, ok := r.(io.Writer); ok {
		if _, err := w.Write([]byte("y")); err == nil {
			t.Error("an object can be written through its reader")
		}
	}
}
