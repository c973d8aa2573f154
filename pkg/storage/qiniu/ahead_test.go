package qiniu

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
	"exporthub/pkg/storage/qiniu/fake"
	"exporthub/pkg/testkit"
)

// growing is a file of which only so much is there yet.
func growing(data []byte, written int) io.ReaderAt { return bytes.NewReader(data[:written]) }

func ahead(ctx context.Context, s *Store, data []byte, written int) error {
	return s.Ahead(ctx, key, growing(data, written), int64(written), storage.PutOptions{ContentType: "text/plain"})
}

func TestAheadSendsFullPartsAndPutTheRest(t *testing.T) {
	k := kodo(t)
	s := open(t, options(k))
	data := content(6*block+100, 1)
	for _, c := range []struct {
		written int
		parts   []int
	}{
		{100, nil}, {block, nil}, // may still become a small object
		{block + 1, []int{1}}, {2*block - 1, []int{1}},
		{2 * block, []int{1, 2}}, {5*block + 7, []int{1, 2, 3, 4, 5}},
		{3 * block, []int{1, 2, 3, 4, 5}}, // again, and less: nothing is sent twice
	} {
		if err := ahead(t.Context(), s, data, c.written); err != nil {
			t.Fatalf("%d bytes: %v", c.written, err)
		}
		if got := sentParts(k); !slices.Equal(got, c.parts) {
			t.Fatalf("with %d bytes written parts %v were sent, want %v", c.written, got, c.parts)
		}
	}
	if n := len(k.Objects(private)); n != 0 {
		t.Errorf("%d objects are there before Put", n)
	}
	k.ClearRequests()
	var reported []int64
	err := s.Put(t.Context(), key, bytes.NewReader(data), int64(len(data)), storage.PutOptions{
		ContentType: "text/plain", Progress: func(sent int64) { reported = append(reported, sent) },
	})
	if err != nil {
		t.Fatal(err)
	}
	holds(t, k, data)
	if got := sentParts(k); !slices.Equal(got, []int{6, 7}) || len(k.Requests(fake.OpInit)) != 0 {
		t.Errorf("Put sent %v in %d new uploads, want 6 and 7 in the one there was", got, len(k.Requests(fake.OpInit)))
	}
	if len(reported) == 0 || reported[len(reported)-1] != int64(len(data)) {
		t.Errorf("reported %v of %d bytes", reported, len(data))
	}
	noUploads(t, k)
}

func TestAheadOfNothingToSend(t *testing.T) {
	k := kodo(t)
	s := open(t, options(k))
	if err := s.Ahead(t.Context(), key, bytes.NewReader(nil), -1, storage.PutOptions{}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a negative size: %v", err)
	}
	if err := s.Ahead(t.Context(), "../x", bytes.NewReader(nil), 0, storage.PutOptions{}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a bad key: %v", err)
	}
	// What is too large for parts of the usual size begins anew in Put, so sending more of it is
	// for nothing.
	if err := s.Ahead(t.Context(), key, bytes.NewReader(nil), maxParts*block+1, storage.PutOptions{}); err != nil {
		t.Error(err)
	}
	if n := len(k.Requests()); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

// TestPutHealsWhatAheadCouldNot: whatever became of the parts sent ahead, the object is the source
// in the end.
func TestPutHealsWhatAheadCouldNot(t *testing.T) {
	data := content(5*block+9, 1)
	for name, c := range map[string]struct {
		fault fake.Fault
		kind  errs.Kind
	}{
		"begin is away":    {fake.Fault{Op: fake.OpInit, Kind: fake.Refuse, Status: 503}, errs.Unavailable},
		"a part is away":   {fake.Fault{Op: fake.OpPart, Part: 3, Kind: fake.Refuse, Status: 503}, errs.Unavailable},
		"a part breaks":    {fake.Fault{Op: fake.OpPart, Part: 2, Kind: fake.Drop}, errs.Unavailable},
		"a part is bad":    {fake.Fault{Op: fake.OpPart, Part: 2, Kind: fake.Refuse, Status: 403}, errs.Forbidden},
		"Kodo dropped it":  {fake.Fault{Op: fake.OpPart, Part: 2, Kind: fake.Refuse, Status: 612}, errs.Unavailable},
		"refused entirely": {fake.Fault{Op: fake.OpInit, Kind: fake.Refuse, Status: 401}, errs.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			k := kodo(t)
			s := open(t, options(k))
			fail(t, k, c.fault)
			if err := ahead(t.Context(), s, data, 4*block); !errs.Is(err, c.kind) {
				t.Fatalf("%v, want %v", err, c.kind)
			}
			k.Heal()
			arrived := map[int]bool{}
			if len(k.Uploads()) > 0 { // else those parts are gone
				for _, n := range sentParts(k) {
					arrived[n] = true
				}
			}
			k.ClearRequests()
			if err := put(t.Context(), s, data); err != nil {
				t.Fatal(err)
			}
			holds(t, k, data)
			for _, n := range sentParts(k) {
				if arrived[n] {
					t.Errorf("part %d was sent twice", n)
				}
			}
			noUploads(t, k)
		})
	}
}

// TestPutComparesWhatWasSentAhead: a source that is not what it was is never put together from
// parts of both.
func TestPutComparesWhatWasSentAhead(t *testing.T) {
	first := content(4*block, 1)
	for name, second := range map[string][]byte{
		"another": content(4*block, 2), "changed in one place": append(content(block, 9), first[block:]...),
		"shorter": first[:2*block+5], "longer": content(6*block, 1), "a small one": content(10, 1),
	} {
		t.Run(name, func(t *testing.T) {
			k := kodo(t)
			s := open(t, options(k))
			if err := ahead(t.Context(), s, first, len(first)); err != nil {
				t.Fatal(err)
			}
			if err := put(t.Context(), s, second); err != nil {
				t.Fatal(err)
			}
			holds(t, k, second)
			if _, err := s.Sweep(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			noUploads(t, k)
		})
	}
}

// TestAheadThatIsCancelled: the parts that arrived are there for Put, and Delete leaves nothing of
// them.
func TestAheadThatIsCancelled(t *testing.T) {
	data := content(5*block, 1)
	reason := errors.New("the file is complete")
	for name, after := range map[string]func(t *testing.T, k *fake.Running, s *Store){
		"then put": func(t *testing.T, k *fake.Running, s *Store) {
			k.ClearRequests()
			if err := put(t.Context(), s, data); err != nil {
				t.Fatal(err)
			}
			holds(t, k, data)
			if got := sentParts(k); len(got) != 3 {
				t.Errorf("Put sent %v, want the three that had not arrived", got)
			}
			noUploads(t, k)
		},
		"then a put that is cancelled": func(t *testing.T, k *fake.Running, s *Store) {
			ctx, cancel := context.WithCancel(t.Context())
			fail(t, k, fake.Fault{Op: fake.OpComplete, Kind: fake.Stall})
			done := make(chan error, 1)
			go func() { done <- put(ctx, s, data) }()
			testkit.Eventually(t, 10*time.Second, func() bool { return k.Stalled() > 1 }, "the end to stand still")
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			nothing(t, k)
		},
		"then deleted": func(t *testing.T, k *fake.Running, s *Store) {
			if err := s.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			nothing(t, k)
		},
		"then nobody comes back": func(t *testing.T, k *fake.Running, s *Store) {
			if n, err := s.Sweep(t.Context(), 0); n != 1 || err != nil {
				t.Errorf("swept %d, %v", n, err)
			}
			nothing(t, k)
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := kodo(t)
			o := options(k)
			o.Concurrency = 1
			s := open(t, o)
			fail(t, k, fake.Fault{Op: fake.OpPart, Part: 3, Kind: fake.Stall})
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan error, 1)
			go func() { done <- ahead(ctx, s, data, len(data)) }()
			testkit.Eventually(t, 10*time.Second, func() bool { return k.Stalled() > 0 }, "a part to stand still")
			cancel(reason)
			if err := <-done; !errors.Is(err, reason) {
				t.Fatalf("%v, want the reason", err)
			}
			if n := len(k.Uploads()); n != 1 {
				t.Fatalf("%d uploads wait for Put, want 1", n)
			}
			k.Heal()
			after(t, k, s)
		})
	}
}

// TestAheadOfAnUploadAboutToExpire: it would be gone before the object is complete.
func TestAheadOfAnUploadAboutToExpire(t *testing.T) {
	k, s, clock := timed(t)
	data := content(3*block, 1)
	if err := ahead(t.Context(), s, data, 2*block); err != nil {
		t.Fatal(err)
	}
	clock.Advance(30 * 24 * time.Hour)
	k.ClearRequests()
	if err := ahead(t.Context(), s, data, 3*block); err != nil {
		t.Fatal(err)
	}
	if got := sentParts(k); !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("sent %v, want all in a new upload", got)
	}
	if _, err := s.Sweep(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	nothing(t, k)
}
