package storagetest

import (
	"bytes"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
)

// Run runs the suite. open returns an empty store that no other test uses and that the test's
// cleanup closes.
func Run(t *testing.T, open func(t *testing.T) storage.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, storage.Store)
	}{
		{"PutAndRead", putAndRead},
		{"EmptyObject", emptyObject},
		{"BigObject", bigObject},
		{"Replace", replace},
		{"Ranges", ranges},
		{"AReaderKeepsWhatItOpened", readerKeeps},
		{"Missing", missing},
		{"BadKeys", badKeys},
		{"BadSizes", badSizes},
		{"FailingSource", failingSource},
		{"Cancelled", cancelled},
		{"CancelledMidway", cancelledMidway},
		{"ConcurrentPuts", concurrentPuts},
		{"Copy", copies},
		{"DeleteTwice", deleteTwice},
		{"List", list},
		{"ListPages", listPages},
		{"BadLists", badLists},
		{"Progress", progress},
		{"Link", link},
		{"Check", check},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

const key = "export/1763726400_a.xlsx"

// content is size bytes that no two seeds share.
func content(size int, seed byte) []byte {
	b := make([]byte, size)
	source := rand.NewChaCha8([32]byte{seed})
	_, _ = source.Read(b)
	return b
}

func put(t *testing.T, s storage.Store, key string, data []byte) {
	t.Helper()
	o := storage.PutOptions{ContentType: "application/octet-stream"}
	if err := s.Put(t.Context(), key, bytes.NewReader(data), int64(len(data)), o); err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
}

func get(t *testing.T, s storage.Store, key string) []byte {
	t.Helper()
	r, info, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatalf("open %s: %v", key, err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	if info.Key != key || info.Size != int64(len(data)) {
		t.Errorf("open %s tells of %+v, read %d bytes", key, info, len(data))
	}
	return data
}

// absent fails the test unless there is no object of that key.
func absent(t *testing.T, s storage.Store, key string) {
	t.Helper()
	if _, err := s.Stat(t.Context(), key); !errs.Is(err, errs.NotFound) {
		t.Errorf("stat %s: %v, want not found", key, err)
	}
	if r, _, err := s.Open(t.Context(), key); !errs.Is(err, errs.NotFound) {
		t.Errorf("open %s: %v, want not found", key, err)
		if err == nil {
			r.Close()
		}
	}
}

func holds(t *testing.T, s storage.Store, key string, want []byte) {
	t.Helper()
	if got := get(t, s, key); !bytes.Equal(got, want) {
		t.Errorf("%s holds %d other bytes, want %d", key, len(got), len(want))
	}
}

func putAndRead(t *testing.T, s storage.Store) {
	for i, key := range []string{"a", key, "报告/2026 年/终稿 +%?#&.pdf", strings.Repeat("x", 200)} {
		want := content(1000+i, byte(i))
		before := time.Now().Add(-time.Minute)
		put(t, s, key, want)
		holds(t, s, key, want)
		info, err := s.Stat(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if info.Key != key || info.Size != int64(len(want)) {
			t.Errorf("stat %+v, want %s of %d bytes", info, key, len(want))
		}
		if info.Modified.Location() != time.UTC || info.Modified.Before(before) || info.Modified.After(time.Now().Add(time.Minute)) {
			t.Errorf("modified %v, want now in UTC", info.Modified)
		}
	}
}

func emptyObject(t *testing.T, s storage.Store) {
	put(t, s, key, nil)
	holds(t, s, key, nil)
}

func bigObject(t *testing.T, s storage.Store) {
	want := content(20<<20+7, 1)
	put(t, s, key, want)
	holds(t, s, key, want)
}

func replace(t *testing.T, s storage.Store) {
	for i, size := range []int{5000, 10, 0, 70000} {
		want := content(size, byte(i))
		put(t, s, key, want)
		holds(t, s, key, want)
	}
}

func ranges(t *testing.T, s storage.Store) {
	want := content(300_000, 1)
	put(t, s, key, want)
	r, _, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, c := range []struct {
		offset int64
		whence int
		at     int64
	}{
		{0, io.SeekEnd, 300_000}, {100, io.SeekStart, 100}, {-50, io.SeekEnd, 299_950}, {-1000, io.SeekCurrent, 299_000}, {0, io.SeekStart, 0},
	} {
		at, err := r.Seek(c.offset, c.whence)
		if err != nil || at != c.at {
			t.Fatalf("seek(%d, %d) = %d, %v, want %d", c.offset, c.whence, at, err, c.at)
		}
		part := make([]byte, min(50, len(want)-int(at)))
		if _, err := io.ReadFull(r, part); err != nil || !bytes.Equal(part, want[at:at+int64(len(part))]) {
			t.Errorf("other bytes at %d (%v)", at, err)
		}
	}
	if _, err := r.Seek(-1, io.SeekStart); err == nil {
		t.Error("a seek before the beginning worked")
	}
	if _, err := r.Seek(10, io.SeekEnd); err == nil {
		if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("a read behind the end: %d, %v", n, err)
		}
	}
}

// readerKeeps: a download is not torn by an object that replaces what it reads. A store may fail
// the read instead.
func readerKeeps(t *testing.T, s storage.Store) {
	before, after := content(400_000, 1), content(400_000, 2)
	put(t, s, key, before)
	r, _, err := s.Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, 1000)
	if _, err := io.ReadFull(r, got); err != nil {
		t.Fatal(err)
	}
	put(t, s, key, after)
	rest, err := io.ReadAll(r)
	if err == nil && !bytes.Equal(append(got, rest...), before) {
		t.Error("a reader got a mix of two objects")
	}
	holds(t, s, key, after)
}

func copies(t *testing.T, s storage.Store) {
	want := content(300_000, 1)
	put(t, s, key, want)
	put(t, s, "to/replaced", content(5, 2))
	for _, to := range []string{"to/new", "to/replaced", key} {
		if err := s.Copy(t.Context(), key, to); err != nil {
			t.Fatalf("copy to %s: %v", to, err)
		}
		holds(t, s, to, want)
	}
	put(t, s, key, content(5, 3))
	if err := s.Delete(t.Context(), "to/new"); err != nil {
		t.Fatal(err)
	}
	holds(t, s, "to/replaced", want)
	holds(t, s, key, content(5, 3))
}

func deleteTwice(t *testing.T, s storage.Store) {
	put(t, s, key, content(10, 1))
	put(t, s, key+"x", content(10, 2))
	for range 2 {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatalf("delete: %v", err)
		}
		absent(t, s, key)
	}
	if err := s.Delete(t.Context(), "export"); err != nil {
		t.Errorf("delete of what is only a beginning of keys: %v", err)
	}
	holds(t, s, key+"x", content(10, 2))
	put(t, s, key, content(10, 3))
	holds(t, s, key, content(10, 3))
}

func progress(t *testing.T, s storage.Store) {
	for _, size := range []int{0, 1, 300_000, 9 << 20} {
		var mu sync.Mutex
		var told []int64
		o := storage.PutOptions{Progress: func(sent int64) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, sent)
		}}
		if err := s.Put(t.Context(), key, bytes.NewReader(content(size, 1)), int64(size), o); err != nil {
			t.Fatal(err)
		}
		if len(told) == 0 || told[len(told)-1] != int64(size) {
			t.Errorf("%d bytes: progress %v does not end at the size", size, told)
		}
		for i := 1; i < len(told); i++ {
			if told[i] < told[i-1] || told[i] > int64(size) {
				t.Errorf("%d bytes: progress %v goes back or past the size", size, told)
				break
			}
		}
	}
}

func link(t *testing.T, s storage.Store) {
	put(t, s, key, content(10, 1))
	url, err := s.Link(t.Context(), key, storage.LinkOptions{Filename: `邀请 "1".xlsx`, TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if url != "" && !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
		t.Errorf("link %q is neither empty nor a URL", url)
	}
}

func check(t *testing.T, s storage.Store) {
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	onlyKeys(t, s)
}
