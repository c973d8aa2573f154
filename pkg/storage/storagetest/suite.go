package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
)

// Run runs the suite. open returns an empty store that no other test uses and that the test's cleanup closes.
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

// readerKeeps: a download is not torn by an object that replaces what it reads. A store may fail the read instead.
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

func missing(t *testing.T, s storage.Store) {
	absent(t, s, key)
	put(t, s, key, content(10, 1))
	for _, other := range []string{"export", "export/1763726400_a.xls", key + "x", key + "/x", "exports/" + key} {
		absent(t, s, other)
	}
	if err := s.Copy(t.Context(), "nothing", "b"); !errs.Is(err, errs.NotFound) {
		t.Errorf("copy of nothing: %v, want not found", err)
	}
	absent(t, s, "b")
}

func badKeys(t *testing.T, s storage.Store) {
	ctx := t.Context()
	put(t, s, key, content(10, 1))
	for _, bad := range []string{"", "/", "/a", "a/", "a//b", "../a", "a/../../b", ".", ".hidden", "a/.tmp-1", `a\b`, "a\x00b", "a\xff", strings.Repeat("a", 600)} {
		_, _, open := s.Open(ctx, bad)
		_, stat := s.Stat(ctx, bad)
		_, link := s.Link(ctx, bad, storage.LinkOptions{})
		for action, err := range map[string]error{
			"put":       s.Put(ctx, bad, bytes.NewReader(nil), 0, storage.PutOptions{}),
			"open":      open,
			"stat":      stat,
			"link":      link,
			"copy from": s.Copy(ctx, bad, "b"),
			"copy to":   s.Copy(ctx, key, bad),
			"delete":    s.Delete(ctx, bad),
		} {
			if !errs.Is(err, errs.Invalid) {
				t.Errorf("%s %.20q: %v, want invalid", action, bad, err)
			}
		}
	}
}

func badSizes(t *testing.T, s storage.Store) {
	old := content(10, 1)
	put(t, s, key, old)
	data := content(1000, 2)
	for _, size := range []int64{-1, 1001, 1 << 20} {
		if err := s.Put(t.Context(), key, bytes.NewReader(data), size, storage.PutOptions{}); err == nil {
			t.Errorf("1000 bytes were stored as %d", size)
		}
		holds(t, s, key, old)
	}
	if err := s.Put(t.Context(), key, bytes.NewReader(data), 600, storage.PutOptions{}); err != nil {
		t.Fatalf("the first part of a source: %v", err)
	}
	holds(t, s, key, data[:600])
}

// source reads data and calls before ahead of each read.
type source struct {
	*bytes.Reader
	before func(offset int64) error
}

func (s source) ReadAt(p []byte, offset int64) (int, error) {
	if err := s.before(offset); err != nil {
		return 0, err
	}
	return s.Reader.ReadAt(p, offset)
}

func failingSource(t *testing.T, s storage.Store) {
	old, broken := content(10, 1), errors.New("disk read error")
	put(t, s, key, old)
	src := source{bytes.NewReader(content(9<<20, 2)), func(offset int64) error {
		if offset > 5<<20 {
			return broken
		}
		return nil
	}}
	for _, k := range []string{key, "new/object"} {
		if err := s.Put(t.Context(), k, src, src.Size(), storage.PutOptions{}); !errors.Is(err, broken) {
			t.Errorf("put %s: %v, want the source's error", k, err)
		}
	}
	holds(t, s, key, old)
	absent(t, s, "new/object")
	onlyKeys(t, s, key)
}

// onlyKeys fails the test unless the store lists exactly these keys.
func onlyKeys(t *testing.T, s storage.Store, want ...string) {
	t.Helper()
	infos, _, err := s.List(t.Context(), "", "", 100)
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	var got []string
	for _, info := range infos {
		got = append(got, info.Key)
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the store lists %q, want %q", got, want)
	}
}

func cancelled(t *testing.T, s storage.Store) {
	put(t, s, key, content(10, 1))
	reason := errors.New("the job was cancelled")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	_, _, open := s.Open(ctx, key)
	_, stat := s.Stat(ctx, key)
	_, _, list := s.List(ctx, "", "", 10)
	for action, err := range map[string]error{
		"put":    s.Put(ctx, "new", bytes.NewReader(nil), 0, storage.PutOptions{}),
		"open":   open,
		"stat":   stat,
		"list":   list,
		"copy":   s.Copy(ctx, key, "new"),
		"delete": s.Delete(ctx, key),
		"check":  s.Check(ctx),
	} {
		if err == nil {
			t.Errorf("%s ran with a cancelled context", action)
		}
	}
	absent(t, s, "new")
	holds(t, s, key, content(10, 1))
}

func cancelledMidway(t *testing.T, s storage.Store) {
	old, reason := content(10, 1), errors.New("the job was cancelled")
	put(t, s, key, old)
	for _, k := range []string{key, "new/object"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		src := source{bytes.NewReader(content(9<<20, 2)), func(offset int64) error {
			if offset > 5<<20 {
				cancel(reason)
			}
			return nil
		}}
		err := s.Put(ctx, k, src, src.Size(), storage.PutOptions{})
		cancel(nil)
		if !errors.Is(err, reason) && !errors.Is(err, context.Canceled) {
			t.Errorf("put %s: %v, want the reason of the cancellation", k, err)
		}
	}
	holds(t, s, key, old)
	absent(t, s, "new/object")
	onlyKeys(t, s, key)
}

func concurrentPuts(t *testing.T, s storage.Store) {
	const writers = 8
	var all [writers][]byte
	for i := range all {
		all[i] = content(600_000+i*1000, byte(i))
	}
	isOne := func(data []byte) bool {
		for _, one := range all {
			if bytes.Equal(data, one) {
				return true
			}
		}
		return false
	}
	put(t, s, key, all[0])
	var group sync.WaitGroup
	for _, data := range all {
		group.Go(func() {
			if err := s.Put(t.Context(), key, bytes.NewReader(data), int64(len(data)), storage.PutOptions{}); err != nil {
				t.Errorf("put: %v", err)
			}
			r, _, err := s.Open(t.Context(), key)
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			defer r.Close()
			if got, err := io.ReadAll(r); err == nil && !isOne(got) {
				t.Errorf("a reader got %d bytes that nobody put", len(got))
			}
		})
	}
	group.Wait()
	if !isOne(get(t, s, key)) {
		t.Error("the object is none of those put")
	}
	onlyKeys(t, s, key)
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

// keys stand in key order, which is not the order of folders: "a-b" stands before "a/b". None is a folder of another,
// which a disk can't hold.
var keys = []string{"a-b", "a/b", "a/b-c", "a/b0", "a/c/d", "a0", "b/a/x", "b/b", "字/字"}

func fill(t *testing.T, s storage.Store) {
	t.Helper()
	for i := range keys {
		key := keys[len(keys)-1-i]
		put(t, s, key, []byte(key))
	}
}

// withPrefix returns the keys that fill stores under a prefix.
func withPrefix(prefix string) (want []string) {
	for _, key := range keys {
		if strings.HasPrefix(key, prefix) {
			want = append(want, key)
		}
	}
	return want
}

func list(t *testing.T, s storage.Store) {
	onlyKeys(t, s)
	fill(t, s)
	for _, prefix := range []string{"", "a", "a/", "a/b", "a/c", "a/c/d", "a/c/d/", "a/c/dd", "b/", "b", "字", "z"} {
		want := withPrefix(prefix)
		infos, next, err := s.List(t.Context(), prefix, "", 100)
		if err != nil || next != "" {
			t.Fatalf("list %q: next %q, %v", prefix, next, err)
		}
		var got []string
		for _, info := range infos {
			got = append(got, info.Key)
			if info.Size != int64(len(info.Key)) || info.Modified.IsZero() {
				t.Errorf("list %q: %+v", prefix, info)
			}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("list %q: %q, want %q", prefix, got, want)
		}
	}
}

func listPages(t *testing.T, s storage.Store) {
	fill(t, s)
	for _, prefix := range []string{"", "a", "a/", "z"} {
		want := withPrefix(prefix)
		for limit := 1; limit <= len(keys)+1; limit++ {
			var got []string
			marker := ""
			for calls := 0; ; calls++ {
				infos, next, err := s.List(t.Context(), prefix, marker, limit)
				if err != nil || len(infos) > limit || calls > len(keys) {
					t.Fatalf("call %d of list %q by %d: %d objects, %v", calls, prefix, limit, len(infos), err)
				}
				for _, info := range infos {
					got = append(got, info.Key)
				}
				if marker = next; next == "" {
					break
				}
			}
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("list %q by %d: %q, want %q", prefix, limit, got, want)
			}
		}
	}
}

func badLists(t *testing.T, s storage.Store) {
	for name, c := range map[string]struct {
		prefix string
		limit  int
	}{"prefix outside": {"../", 10}, "absolute prefix": {"/", 10}, "no limit": {"", 0}, "negative limit": {"", -1}} {
		if _, _, err := s.List(t.Context(), c.prefix, "", c.limit); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
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
