package qiniu

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage/qiniu/fake"
	"exporthub/pkg/testkit"
)

func TestResumeSendsOnlyTheMissingParts(t *testing.T) {
	k := kodo(t)
	s := open(t, options(k))
	data := content(6*block+100, 1)
	fail(t, k, fake.Fault{Op: fake.OpPart, Part: 4, Kind: fake.Refuse, Status: 503})
	if err := put(t.Context(), s, data); !errs.Is(err, errs.Unavailable) {
		t.Fatalf("%v, want unavailable", err)
	}
	arrived := sentParts(k)
	if len(arrived) < 3 || slices.Contains(arrived, 4) {
		t.Fatalf("parts %v have arrived", arrived)
	}
	k.Heal()
	k.ClearRequests()
	if err := put(t.Context(), s, data); err != nil {
		t.Fatal(err)
	}
	holds(t, k, data)
	var want []int
	for n := 1; n <= 7; n++ {
		if !slices.Contains(arrived, n) {
			want = append(want, n)
		}
	}
	if got := sentParts(k); !slices.Equal(got, want) || len(k.Requests(fake.OpInit)) != 0 {
		t.Errorf("sent %v, want %v, with %d new uploads", got, want, len(k.Requests(fake.OpInit)))
	}
	noUploads(t, k)
}

// TestResumeOfAnotherSource: a key may come back with another content.
func TestResumeOfAnotherSource(t *testing.T) {
	for name, second := range map[string][]byte{
		"changed": append(content(block, 9), content(4*block, 1)[block:]...), "shorter": content(4*block, 1)[:2*block+5],
		"longer": content(6*block, 1), "a small one": content(10, 1),
	} {
		t.Run(name, func(t *testing.T) {
			k := kodo(t)
			s := open(t, options(k))
			fail(t, k, fake.Fault{Op: fake.OpComplete, Kind: fake.Refuse, Status: 503})
			if err := put(t.Context(), s, content(4*block, 1)); !errs.Is(err, errs.Unavailable) {
				t.Fatal(err)
			}
			k.Heal()
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

func TestAnUploadThatKodoDroppedBeginsAnew(t *testing.T) {
	k := kodo(t)
	s := open(t, options(k))
	data := content(3*block, 1)
	fail(t, k, fake.Fault{Op: fake.OpPart, Part: 3, Kind: fake.Refuse, Status: 503, Times: 3},
		fake.Fault{Op: fake.OpPart, Part: 3, Kind: fake.Refuse, Status: 612, Times: 1})
	for try, want := range []bool{false, false, true} {
		if err := put(t.Context(), s, data); (err == nil) != want || err != nil && !errs.Is(err, errs.Unavailable) {
			t.Fatalf("try %d: %v", try+1, err)
		}
	}
	holds(t, k, data)
	noUploads(t, k)
	if n := len(k.Requests(fake.OpInit)); n != 2 {
		t.Errorf("%d uploads were begun, want 2", n)
	}
}

func TestNothingIsLeftUnfinished(t *testing.T) {
	data := content(5*block, 1)
	for name, c := range map[string]struct {
		fault fake.Fault
		after func(ctx context.Context, s *Store) error
	}{
		"refused for good":   {fake.Fault{Op: fake.OpPart, Part: 3, Kind: fake.Refuse, Status: 403}, nil},
		"refused at the end": {fake.Fault{Op: fake.OpComplete, Kind: fake.Refuse, Status: 401}, nil},
		"deleted after it gave up": {fake.Fault{Op: fake.OpPart, Part: 3, Kind: fake.Refuse, Status: 503},
			func(ctx context.Context, s *Store) error { return s.Delete(ctx, key) }},
		"swept": {fake.Fault{Op: fake.OpPart, Part: 3, Kind: fake.Refuse, Status: 503},
			func(ctx context.Context, s *Store) error { _, err := s.Sweep(ctx, 0); return err }},
		"closed": {fake.Fault{Op: fake.OpPart, Part: 3, Kind: fake.Refuse, Status: 503},
			func(_ context.Context, s *Store) error { return s.Close() }},
	} {
		t.Run(name, func(t *testing.T) {
			k := kodo(t)
			s := open(t, options(k))
			fail(t, k, c.fault)
			if err := put(t.Context(), s, data); err == nil {
				t.Fatal("it worked")
			}
			if c.after != nil {
				if len(k.Uploads()) != 1 {
					t.Errorf("%d uploads wait to be resumed, want 1", len(k.Uploads()))
				}
				if err := c.after(t.Context(), s); err != nil {
					t.Fatal(err)
				}
			}
			nothing(t, k)
		})
	}
}

func TestCancellationLeavesNothing(t *testing.T) {
	for _, op := range []fake.Op{fake.OpForm, fake.OpInit, fake.OpPart, fake.OpComplete, fake.OpStat} {
		t.Run(string(op), func(t *testing.T) {
			t.Parallel()
			k := kodo(t)
			s := open(t, options(k))
			size := 6 * block
			if op == fake.OpForm {
				size = 1000
			}
			fault := fake.Fault{Op: op, Kind: fake.Stall}
			if op == fake.OpPart {
				fault.After = 2
			}
			fail(t, k, fault)
			reason := errors.New("the job was cancelled")
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan error, 1)
			go func() { done <- put(ctx, s, content(size, 1)) }()
			testkit.Eventually(t, 10*time.Second, func() bool { return k.Stalled() > 0 }, "a request to stand still")
			cancelled := time.Now()
			cancel(reason)
			if err := <-done; !errors.Is(err, reason) {
				t.Errorf("%v, want the reason", err)
			}
			if took := time.Since(cancelled); took > 2*time.Second {
				t.Errorf("it ended %v after it was cancelled", took)
			}
			noUploads(t, k)
			if op != fake.OpStat && len(k.Objects(private)) != 0 {
				t.Error("an object is left")
			}
		})
	}
}

func TestAnAbortThatFailsIsMadeUpFor(t *testing.T) {
	k := kodo(t)
	s := open(t, options(k))
	fail(t, k, fake.Fault{Op: fake.OpPart, Part: 2, Kind: fake.Refuse, Status: 403},
		fake.Fault{Op: fake.OpAbort, Kind: fake.Refuse, Status: 503})
	if err := put(t.Context(), s, content(3*block, 1)); !errs.Is(err, errs.Forbidden) {
		t.Fatal(err)
	}
	if n, err := s.Sweep(t.Context(), time.Hour); n != 0 || !errs.Is(err, errs.Unavailable) || len(k.Uploads()) != 1 {
		t.Errorf("swept %d of %d, %v", n, len(k.Uploads()), err)
	}
	k.Heal()
	if n, err := s.Sweep(t.Context(), time.Hour); n != 1 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	noUploads(t, k)
}

func TestSweepSparesWhatMayComeBack(t *testing.T) {
	k, s, clock := timed(t)
	fail(t, k, fake.Fault{Op: fake.OpComplete, Kind: fake.Refuse, Status: 503, Times: 3})
	data := content(2*block, 1)
	if err := put(t.Context(), s, data); !errs.Is(err, errs.Unavailable) {
		t.Fatal(err)
	}
	clock.Advance(30 * time.Minute)
	if n, err := s.Sweep(t.Context(), time.Hour); n != 0 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	clock.Advance(31 * time.Minute)
	if n, err := s.Sweep(t.Context(), time.Hour); n != 1 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	noUploads(t, k)
}

func TestRememberedUploadsAreBounded(t *testing.T) {
	us := newUploads()
	out := 0
	for i := range maxUploads + 10 {
		if old := us.pause(&upload{key: fmt.Sprint(i), touched: time.Unix(int64(i), 0)}); old != nil {
			if old.key != fmt.Sprint(out) {
				t.Errorf("%s has to go, want the oldest, %d", old.key, out)
			}
			out++
		}
		us.strays(&upload{})
	}
	if out != 10 || len(us.paused) != maxUploads || len(us.stray) != maxUploads {
		t.Errorf("%d went, %d and %d are kept", out, len(us.paused), len(us.stray))
	}
}
