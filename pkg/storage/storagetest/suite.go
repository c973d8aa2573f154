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
// cleanup closes. Each case gets a store of its own, so that cases may run alone. What a case is
// about stands at its function.
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

// key is the object that most cases are about. It is below a folder, which disks have to make.
const key = "export/1763726400_a.xlsx"

// content is size bytes that no two seeds share. They are random, since a store that compresses or
// repeats blocks must not look right by chance.
func content(size int, seed byte) []byte {
	b := make([]byte, size)
	source := rand.NewChaCha8([32]byte{seed})
	_, _ = source.Read(b)
	return b
}

// put stores data and fails the test if it can't. Most tests begin with it.
func put(t *testing.T, s storage.Store, key string, data []byte) {
	t.Helper()
	o := storage.PutOptions{ContentType: "application/octet-stream"}
	if err := s.Put(t.Context(), key, bytes.NewReader(data), int64(len(data)), o); err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
}

// get reads a whole object and compares its description with its bytes.
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

// absent fails the test unless there is no object of that key. Both ways are asked: a store may
// find in one what it does not in the other, a folder for instance.
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

// holds fails the test unless the object is want, byte for byte.
func holds(t *testing.T, s storage.Store, key string, want []byte) {
	t.Helper()
	if got := get(t, s, key); !bytes.Equal(got, want) {
		t.Errorf("%s holds %d other bytes, want %d", key, len(got), len(want))
	}
}

// putAndRead: keys with blanks, percent signs, question marks and Chinese reach the store
// unchanged, however the adapter spells them in paths and URLs.
func putAndRead(t *testing.T, s storage.Store) {
	for i, key := range []string{"a", key, "报告/2026 年/终稿 +%?#&.pdf", strings.Repeat("x", 200)} {
		// Of different sizes, so that objects that were mixed up show.
		want := content(1000+i, byte(i))
		// A minute of grace: a network store has a clock of another machine.
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

// emptyObject: an export without rows is still a file; some stores refuse a part of no bytes.
func emptyObject(t *testing.T, s storage.Store) {
	put(t, s, key, nil)
	holds(t, s, key, nil)
}

// bigObject: more than one part in every adapter, and not a whole number of them.
func bigObject(t *testing.T, s storage.Store) {
	want := content(20<<20+7, 1)
	put(t, s, key, want)
	holds(t, s, key, want)
}

// replace: also by a shorter object, and by none, since a store that overwrites in place would keep
// a rest.
func replace(t *testing.T, s storage.Store) {
	// Shorter, empty, longer: in place, each would leave something of the one before.
	for i, size := range []int{5000, 10, 0, 70000} {
		want := content(size, byte(i))
		put(t, s, key, want)
		holds(t, s, key, want)
	}
}

// ranges: the reader of a download seeks as http.ServeContent does, to the end for the size and
// then to wherever the range begins.
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
		// Near the end less is there to read.
		part := make([]byte, min(50, len(want)-int(at)))
		if _, err := io.ReadFull(r, part); err != nil || !bytes.Equal(part, want[at:at+int64(len(part))]) {
			t.Errorf("other bytes at %d (%v)", at, err)
		}
	}
	if _, err := r.Seek(-1, io.SeekStart); err == nil {
		t.Error("a seek before the beginning worked")
	}
	// A seek behind the end may work, as on files, or fail; read must not invent bytes.
	if _, err := r.Seek(10, io.SeekEnd); err == nil {
		if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("a read behind the end: %d, %v", n, err)
		}
	}
}

// readerKeeps: a download is not torn by an object that replaces what it reads. Disks go on with
// the old file, since it is open; a store that reads over the network may fail the read instead.
func readerKeeps(t *testing.T, s storage.Store) {
	// Of one size: a mix of both would pass any check of lengths.
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
	// Only the first bytes have been read; buffers of the reader hold less than the rest.
	put(t, s, key, after)
	rest, err := io.ReadAll(r)
	if err == nil && !bytes.Equal(append(got, rest...), before) {
		t.Error("a reader got a mix of two objects")
	}
	holds(t, s, key, after)
}

// copies: a copy is an object of its own, also when the original is replaced or another copy
// deleted.
func copies(t *testing.T, s storage.Store) {
	want := content(300_000, 1)
	// To a new key, over another object, and onto itself.
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

// deleteTwice: an object that is gone is no error, since a clean-up that was killed runs again; and
// a folder is no object, whose deletion would take others along.
func deleteTwice(t *testing.T, s storage.Store) {
	put(t, s, key, content(10, 1))
	put(t, s, key+"x", content(10, 2))
	for range 2 {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatalf("delete: %v", err)
		}
		absent(t, s, key)
	}
	// A folder on disk, nothing at all in a bucket.
	if err := s.Delete(t.Context(), "export"); err != nil {
		t.Errorf("delete of what is only a beginning of keys: %v", err)
	}
	holds(t, s, key+"x", content(10, 2))
	put(t, s, key, content(10, 3))
	holds(t, s, key, content(10, 3))
}

// progress: reports never go back, never pass the size, and end with it, also for an object of no
// bytes: a page shows them as a percentage.
func progress(t *testing.T, s storage.Store) {
	// As a form and in parts, where the adapter knows the two.
	for _, size := range []int{0, 1, 300_000, 9 << 20} {
		// A store may report from several goroutines, one at a time.
		var mu sync.Mutex
		var reported []int64
		o := storage.PutOptions{Progress: func(sent int64) {
			mu.Lock()
			defer mu.Unlock()
			reported = append(reported, sent)
		}}
		if err := s.Put(t.Context(), key, bytes.NewReader(content(size, 1)), int64(size), o); err != nil {
			t.Fatal(err)
		}
		if len(reported) == 0 || reported[len(reported)-1] != int64(size) {
			t.Errorf("%d bytes: progress %v does not end at the size", size, reported)
		}
		for i := 1; i < len(reported); i++ {
			if reported[i] < reported[i-1] || reported[i] > int64(size) {
				t.Errorf("%d bytes: progress %v goes back or past the size", size, reported)
				break
			}
		}
	}
}

// link: a store that serves files itself gives a URL, others nothing. Whether the URL works is
// tested by the adapter, which knows how.
func link(t *testing.T, s storage.Store) {
	put(t, s, key, content(10, 1))
	// Quotes, a blank and Chinese: the name has to survive a query and a header.
	url, err := s.Link(t.Context(), key, storage.LinkOptions{Filename: `邀请 "1".xlsx`, TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if url != "" && !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
		t.Errorf("link %q is neither empty nor a URL", url)
	}
}

// check: it leaves nothing behind that a list shows.
func check(t *testing.T, s storage.Store) {
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
	onlyKeys(t, s)
}
