package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
)

// missing: what is only the beginning of a key, or a key and more, is not there; stores on file
// systems would find folders.
func missing(t *testing.T, s storage.Store) {
	// In an empty store, whose folders are not made yet, and in one that has the neighbour.
	absent(t, s, key)
	put(t, s, key, content(10, 1))
	for _, other := range []string{"export", "export/1763726400_a.xls", key + "x", key + "/x", "exports/" + key} {
		absent(t, s, other)
	}
	// A copy of nothing must not leave an empty object.
	if err := s.Copy(t.Context(), "nothing", "b"); !errs.Is(err, errs.NotFound) {
		t.Errorf("copy of nothing: %v, want not found", err)
	}
	absent(t, s, "b")
}

// badKeys: every method refuses them by itself. A store is also called with keys from outside, such
// as those of uploads.
func badKeys(t *testing.T, s storage.Store) {
	ctx := t.Context()
	// With an object in place, so that "a" below it is a path through a file.
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

// badSizes: a size that the source does not have fails and leaves the old object; a smaller one
// takes the first bytes, which is how the file that is still written is sent ahead.
func badSizes(t *testing.T, s storage.Store) {
	// Too small, too large by one, and far too large.
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

// source reads data and calls before ahead of each read: a source that fails, or ends the context,
// at a certain byte.
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

// failingSource: the spool's disk fails in the middle. Its error is returned as it is, since
// another try of the upload can't mend it, and nothing half stored is found.
func failingSource(t *testing.T, s storage.Store) {
	old, broken := content(10, 1), errors.New("disk read error")
	put(t, s, key, old)
	src := source{bytes.NewReader(content(9<<20, 2)), func(offset int64) error {
		// Behind the first part, so that something has been sent by then.
		if offset > 5<<20 {
			return broken
		}
		return nil
	}}
	// Over an object that is there, and where there is none.
	for _, k := range []string{key, "new/object"} {
		if err := s.Put(t.Context(), k, src, src.Size(), storage.PutOptions{}); !errors.Is(err, broken) {
			t.Errorf("put %s: %v, want the source's error", k, err)
		}
	}
	holds(t, s, key, old)
	absent(t, s, "new/object")
	onlyKeys(t, s, key)
}

// onlyKeys fails the test unless the store lists exactly these keys: nothing half written may be
// seen.
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

// cancelled: no method does anything with a context that has ended, however quick it would have
// been.
func cancelled(t *testing.T, s storage.Store) {
	put(t, s, key, content(10, 1))
	reason := errors.New("the job was cancelled")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	// Methods with more results than an error cannot stand in the table below.
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
	// Nothing was written and nothing deleted.
	absent(t, s, "new")
	holds(t, s, key, content(10, 1))
}

// cancelledMidway: a job that is cancelled while its file is sent leaves the old object, and the
// error gives the reason, by which the engine tells a cancellation from a shutdown.
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
		cancel(nil) // frees the context; the first cause stays
		if !errors.Is(err, reason) && !errors.Is(err, context.Canceled) {
			t.Errorf("put %s: %v, want the reason of the cancellation", k, err)
		}
	}
	holds(t, s, key, old)
	absent(t, s, "new/object")
	onlyKeys(t, s, key)
}

// concurrentPuts: two attempts of one job may overlap for a moment when a lease is lost. One object
// wins whole, and no reader sees a mix.
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
	// One is there from the beginning, so that every reader finds something.
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
			// A read may fail when its object is replaced meanwhile; see readerKeeps.
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
