package qiniu

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
	"exporthub/pkg/storage/qiniu/fake"
	"exporthub/pkg/testkit"
)

// book is a ledger in memory.
type book struct {
	mu      sync.Mutex
	entries map[string]storage.Unfinished
	begun   int
	refuse  error                    // what Begun answers
	keep    error                    // what Over answers
	write   func(storage.Unfinished) // called for each Begun
}

func (b *book) Begun(_ context.Context, u storage.Unfinished) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun++
	if b.write != nil {
		b.write(u)
	}
	if b.refuse != nil {
		return b.refuse
	}
	if b.entries == nil {
		b.entries = map[string]storage.Unfinished{}
	}
	b.entries[u.ID] = u
	return nil
}

func (b *book) Over(_ context.Context, u storage.Unfinished) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.keep != nil {
		return b.keep
	}
	delete(b.entries, u.ID)
	return nil
}

func (b *book) all() (all []storage.Unfinished) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range b.entries {
		all = append(all, u)
	}
	return all
}

// noted opens a store that writes into a book.
func noted(t *testing.T) (*fake.Running, *Store, *book) {
	t.Helper()
	k, b := kodo(t), &book{}
	o := options(k)
	o.Ledger = b
	return k, open(t, o), b
}

func TestUploadsAreWrittenDownWhileTheyLast(t *testing.T) {
	for name, c := range map[string]struct {
		fault *fake.Fault
		left  int // in the book, after Put
	}{
		"it works":              {nil, 0},
		"refused for good":      {&fake.Fault{Op: fake.OpPart, Part: 2, Kind: fake.Refuse, Status: 403}, 0},
		"to be resumed":         {&fake.Fault{Op: fake.OpPart, Part: 2, Kind: fake.Refuse, Status: 503}, 1},
		"the object is another": {&fake.Fault{Op: fake.OpComplete, Kind: fake.Lie}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			k, s, b := noted(t)
			b.write = func(u storage.Unfinished) {
				if len(sentParts(k)) != 0 {
					t.Error("something was sent before it was written down")
				}
				if u.Bucket != private || u.Key != key || time.Until(u.Expires) < time.Hour {
					t.Errorf("%+v was written down", u)
				}
			}
			if c.fault != nil {
				fail(t, k, *c.fault)
			}
			if err := put(t.Context(), s, content(3*block, 1)); (err == nil) != (c.fault == nil) {
				t.Fatal(err)
			}
			if got := b.all(); b.begun != 1 || len(got) != c.left || len(k.Uploads()) != c.left {
				t.Errorf("%d were begun, %d of %d unfinished ones are written down, want %d", b.begun, len(got), len(k.Uploads()), c.left)
			}
			k.Heal()
			b.write = nil
			if err := put(t.Context(), s, content(3*block, 1)); err != nil {
				t.Fatal(err)
			}
			if got := b.all(); len(got) != 0 {
				t.Errorf("%+v are left in the book", got)
			}
		})
	}
	t.Run("small", func(t *testing.T) {
		_, s, b := noted(t)
		if err := put(t.Context(), s, content(10, 1)); err != nil || b.begun != 0 {
			t.Errorf("%v, and %d uploads are written down, want none", err, b.begun)
		}
		if err := s.Check(t.Context()); err != nil || b.begun != 0 {
			t.Errorf("%v, and readiness writes %d down, want none", err, b.begun)
		}
	})
	t.Run("ahead", func(t *testing.T) {
		k, s, b := noted(t)
		data := content(4*block, 1)
		if err := ahead(t.Context(), s, data, len(data)); err != nil {
			t.Fatal(err)
		}
		if got := b.all(); len(got) != 1 || len(k.Uploads()) != 1 || got[0].ID != k.Uploads()[0].ID {
			t.Errorf("%+v are written down of %+v", got, k.Uploads())
		}
		if err := s.Delete(t.Context(), key); err != nil || len(b.all()) != 0 {
			t.Errorf("%v, and %d are left in the book", err, len(b.all()))
		}
	})
}

// TestNothingIsSentThatIsNotWrittenDown: without the ledger large objects wait, small ones go on.
func TestNothingIsSentThatIsNotWrittenDown(t *testing.T) {
	k, s, b := noted(t)
	b.refuse = errors.New("the database is away")
	if err := put(t.Context(), s, content(3*block, 1)); !errs.Is(err, errs.Unavailable) || !errors.Is(err, b.refuse) {
		t.Errorf("%v, want unavailable", err)
	}
	nothing(t, k)
	if got := sentParts(k); len(got) != 0 {
		t.Errorf("the parts %v were sent", got)
	}
	if err := put(t.Context(), s, content(10, 1)); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	reason := context.Canceled
	b.write = func(storage.Unfinished) { cancel() }
	if err := put(ctx, s, content(3*block, 1)); !errors.Is(err, reason) {
		t.Errorf("cancelled meanwhile: %v", err)
	}
	noUploads(t, k)
}

func TestAnEntryThatCantBeStruckOutFailsNothing(t *testing.T) {
	k, s, b := noted(t)
	b.keep = errors.New("the database is away")
	data := content(3*block, 1)
	if err := put(t.Context(), s, data); err != nil {
		t.Fatal(err)
	}
	holds(t, k, data)
	left := b.all()
	if len(left) != 1 {
		t.Fatalf("%d in the book, want 1", len(left))
	}
	if err := s.Abort(t.Context(), left[0]); err != nil { // the clean-up finds it over
		t.Error(err)
	}
	holds(t, k, data)
}

// TestAnotherProcessAbortsWhatAKilledOneLeft: the store that began the upload is gone; all that is
// left is the book.
func TestAnotherProcessAbortsWhatAKilledOneLeft(t *testing.T) {
	k, killed, b := noted(t)
	fail(t, k, fake.Fault{Op: fake.OpPart, Part: 2, Kind: fake.Stall})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- put(ctx, killed, content(3*block, 1)) }()
	testkit.Eventually(t, 10*time.Second, func() bool { return k.Stalled() > 0 && len(sentParts(k)) > 0 }, "a part to stand still")
	left := b.all()
	if len(left) != 1 || len(k.Uploads()) != 1 {
		t.Fatalf("%d in the book, %d at Kodo, want 1", len(left), len(k.Uploads()))
	}

	other := open(t, options(k))
	fail(t, k, fake.Fault{Op: fake.OpAbort, Kind: fake.Refuse, Status: 503, Times: 3})
	if err := other.Abort(t.Context(), left[0]); !errs.Is(err, errs.Unavailable) {
		t.Errorf("refused: %v, want unavailable", err)
	}
	for range 2 { // the second finds it gone
		if err := other.Abort(t.Context(), left[0]); err != nil {
			t.Error(err)
		}
		noUploads(t, k)
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("the put of the first store worked")
	}
}

func TestAbortsThatCantBe(t *testing.T) {
	k, s, _ := noted(t)
	if err := s.Abort(t.Context(), storage.Unfinished{ID: "x", Bucket: private, Key: "../x"}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a bad key: %v", err)
	}
	for _, bucket := range []string{private, public} { // of either it is unknown
		if err := s.Abort(t.Context(), storage.Unfinished{ID: "x", Bucket: bucket, Key: key}); err != nil {
			t.Errorf("%s: %v", bucket, err)
		}
	}
	fail(t, k, fake.Fault{Op: fake.OpAbort, Kind: fake.Refuse, Status: 631})
	if err := s.Abort(t.Context(), storage.Unfinished{ID: "x", Bucket: "gone", Key: key}); err != nil {
		t.Errorf("in a bucket that is no more: %v", err)
	}
	if err := s.Abort(t.Context(), storage.Unfinished{ID: "x", Bucket: private, Key: key}); !errs.Is(err, errs.NotFound) {
		t.Errorf("without the bucket that is configured: %v", err)
	}
	k.Heal()
	fail(t, k, fake.Fault{Op: fake.OpAbort, Kind: fake.Refuse, Status: 401})
	if err := s.Abort(t.Context(), storage.Unfinished{ID: "x", Bucket: private, Key: key}); !errs.Is(err, errs.Forbidden) {
		t.Errorf("refused for good: %v", err)
	}
}
