package attempt_test

import (
	"bytes"
	"context"
	"io"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/exporttest"
	"exporthub/pkg/export/record"
	"exporthub/pkg/job"
	"exporthub/pkg/storage"
)

// aheadStore takes files while they are being written.
type aheadStore struct {
	*exporttest.FaultyStore
	refuseAhead func(ctx context.Context, try int) error
	arrived     chan int64 // receives, if there is room, how much of a file is here

	mu       sync.Mutex
	tries    int
	parts    map[string][]byte
	head     int  // how much was here when Put began
	mismatch bool // Put's file does not begin with what was here
}

func newAheadStore(refuse func(ctx context.Context, try int) error) *aheadStore {
	return &aheadStore{refuseAhead: refuse, arrived: make(chan int64, 1), parts: map[string][]byte{}}
}

// over makes the store one over a hub's disk.
func (s *aheadStore) over(disk *exporttest.FaultyStore) storage.Store {
	s.FaultyStore = disk
	return s
}

func (s *aheadStore) Ahead(ctx context.Context, key string, src io.ReaderAt, size int64, _ storage.PutOptions) error {
	s.mu.Lock()
	s.tries++
	try, have := s.tries, int64(len(s.parts[key]))
	s.mu.Unlock()
	if s.refuseAhead != nil {
		if err := s.refuseAhead(ctx, try); err != nil {
			return err
		}
	}
	part := make([]byte, size-have)
	if _, err := src.ReadAt(part, have); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts[key] = append(s.parts[key], part...)
	select {
	case s.arrived <- size:
	default:
	}
	return nil
}

func (s *aheadStore) Put(ctx context.Context, key string, src io.ReaderAt, size int64, o storage.PutOptions) error {
	s.mu.Lock()
	part := s.parts[key]
	s.head = len(part)
	got := make([]byte, len(part))
	if _, err := src.ReadAt(got, 0); err != nil && len(part) > 0 || !bytes.Equal(got, part) {
		s.mismatch = true
	}
	s.mu.Unlock()
	if err := s.FaultyStore.Put(ctx, key, src, size, o); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.parts, key)
	return nil
}

func (s *aheadStore) Delete(ctx context.Context, key string) error {
	s.mu.Lock()
	delete(s.parts, key)
	s.mu.Unlock()
	return s.FaultyStore.Delete(ctx, key)
}

// seen returns what was noted, and fails the test if anything is left of an unfinished upload.
func (s *aheadStore) seen(t *testing.T) (tries, head int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.parts) > 0 {
		t.Error("an unfinished upload is left")
	}
	if s.mismatch {
		t.Error("what was sent ahead is not the file's beginning")
	}
	return s.tries, s.head
}

const (
	longRows = 2500 // of 4 KiB each: more than two steps of what is sent ahead
	holdAt   = 1600 // a row after the first step and before the last row
)

// longThings are things whose file is large; hold is called before row holdAt.
func longThings(hold func(ctx context.Context) error) *dataset.Dataset {
	set := exporttest.Things()
	rows := set.Rows
	set.Rows = func(ctx context.Context, tx *database.Tx, s dataset.Selection, columns []dataset.Column) iter.Seq2[[]dataset.Value, error] {
		return func(yield func([]dataset.Value, error) bool) {
			n := 0
			for values, err := range rows(ctx, tx, s, columns) {
				if n++; n == holdAt && err == nil {
					err = hold(ctx)
				}
				if err == nil {
					values[1].Str = strings.Repeat(values[1].Str+" ", 4096/len(values[1].Str))
				}
				if !yield(values, err) {
					return
				}
			}
		}
	}
	return &set
}

// awaited holds the rows back until some of the file has arrived.
func (s *aheadStore) awaited(ctx context.Context) error {
	select {
	case <-s.arrived:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// exportLong exports the long things with a store that follows, and returns how the job ended.
func exportLong(t *testing.T, store *aheadStore, hold func(h *hub, ctx context.Context, uuid string) error) (*hub, job.Job) {
	t.Helper()
	var h *hub
	queued := make(chan string, 1)
	set := longThings(func(ctx context.Context) error { return hold(h, ctx, <-queued) })
	h = newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true, Set: set, Wrap: store.over})
	h.Fill(longRows)
	ctx, _ := h.Person("owner", auth.Staff)
	ticket, err := h.Exports.Queue(ctx, dataset.Request{Dataset: "thing", Format: "csv-raw"})
	if err != nil {
		t.Fatal(err)
	}
	queued <- ticket.UUID
	j := h.Ended(ticket.UUID)
	h.Settled(ticket.UUID)
	h.Balanced()
	return h, j
}

// TestAFileIsSentWhileItIsWritten: parts arrive before the last row is written, and before_upload
// comes after it.
func TestAFileIsSentWhileItIsWritten(t *testing.T) {
	store := newAheadStore(nil)
	h, j := exportLong(t, store, func(h *hub, ctx context.Context, uuid string) error {
		if err := store.awaited(ctx); err != nil {
			return err
		}
		for _, e := range h.Published(uuid) {
			if e.Status == record.StatusBeforeUpload || e.FileSize != nil {
				t.Errorf("published %+v while rows were still to come", e)
			}
		}
		return nil
	})
	if j.State != job.StateSuccess {
		t.Fatalf("ended %s: %+v", j.State, j.Failure)
	}
	if _, head := store.seen(t); head < 4<<20 {
		t.Errorf("%d bytes had been sent when the file was complete", head)
	}
	events := h.Published(j.UUID)
	last := events[len(events)-1]
	file := h.Fetch(*last.FileURL, 200)
	if n := bytes.Count(file, []byte("\r\n")); n != longRows+1 {
		t.Errorf("%d lines, want %d", n, longRows+1)
	}
	for _, e := range events {
		if e.Status == record.StatusBeforeUpload && (e.FileSize == nil || *e.FileSize != int64(len(file)) || *e.Count != longRows) {
			t.Errorf("before_upload published %+v of %d bytes", e, len(file))
		}
	}
}

// TestWhatCannotBeSentAheadIsLeftToPut, which knows nothing of it.
func TestWhatCannotBeSentAheadIsLeftToPut(t *testing.T) {
	for name, c := range map[string]struct {
		refuse     func(ctx context.Context, try int) error
		tries      int // at most
		headAtMost int
	}{
		"away":   {func(context.Context, int) error { return errs.New(errs.Unavailable, "x") }, 3, 0},
		"closed": {func(context.Context, int) error { return errs.New(errs.Forbidden, "x") }, 1, 0},
		"away once": {func(_ context.Context, try int) error {
			if try == 1 {
				return errs.New(errs.Unavailable, "x")
			}
			return nil
		}, 3, 12 << 20},
		// Until the attempt gives the call up.
		"stands still": {func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() }, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			called := make(chan struct{}, 8)
			store := newAheadStore(func(ctx context.Context, try int) error {
				called <- struct{}{}
				return c.refuse(ctx, try)
			})
			_, j := exportLong(t, store, func(_ *hub, ctx context.Context, _ string) error {
				select {
				case <-called:
				case <-ctx.Done():
				}
				return nil
			})
			if j.State != job.StateSuccess || j.Attempt != 1 {
				t.Fatalf("ended %s in attempt %d: %+v", j.State, j.Attempt, j.Failure)
			}
			if tries, head := store.seen(t); tries > c.tries || head > c.headAtMost {
				t.Errorf("called %d times with %d bytes sent, want at most %d and %d", tries, head, c.tries, c.headAtMost)
			}
		})
	}
}

// TestNothingSentAheadIsLeft of an attempt that comes to nothing, whatever ended it.
func TestNothingSentAheadIsLeft(t *testing.T) {
	for name, c := range map[string]struct {
		refuse func(ctx context.Context, try int) error // of the second call on
		hold   func(h *hub, ctx context.Context, uuid string) error
		state  job.State
	}{
		"a row that can't be read": {nil, func(*hub, context.Context, string) error {
			return errs.New(errs.Invalid, "x")
		}, job.StateFailure},
		"a dataset that panics": {nil, func(*hub, context.Context, string) error { panic("a bug") }, job.StateFailure},
		"cancelled": {nil, func(h *hub, ctx context.Context, uuid string) error {
			h.Exec("UPDATE jobs SET cancel_requested = TRUE WHERE uuid = ?", uuid)
			<-ctx.Done()
			return context.Cause(ctx)
		}, job.StateCancelled},
		"cancelled once it is complete": {nil, func(h *hub, ctx context.Context, uuid string) error {
			h.Store.SetRefuse(func(int) error {
				h.Exec("UPDATE jobs SET cancel_requested = TRUE WHERE uuid = ?", uuid)
				<-ctx.Done()
				return ctx.Err()
			})
			return nil
		}, job.StateCancelled},
		"cancelled while the store stands still": {func(ctx context.Context, _ int) error { <-ctx.Done(); return ctx.Err() },
			func(h *hub, ctx context.Context, uuid string) error {
				h.Exec("UPDATE jobs SET cancel_requested = TRUE WHERE uuid = ?", uuid)
				return nil
			}, job.StateCancelled},
		"an upload that fails": {nil, func(h *hub, _ context.Context, _ string) error {
			h.Store.SetRefuse(func(int) error { return errs.New(errs.Unavailable, "x") })
			return nil
		}, job.StateFailure},
	} {
		t.Run(name, func(t *testing.T) {
			store := newAheadStore(func(ctx context.Context, try int) error {
				if try == 1 || c.refuse == nil {
					return nil
				}
				return c.refuse(ctx, try)
			})
			began := time.Now()
			h, j := exportLong(t, store, func(h *hub, ctx context.Context, uuid string) error {
				if err := store.awaited(ctx); err != nil {
					return err
				}
				began = time.Now()
				return c.hold(h, ctx, uuid)
			})
			if j.State != c.state {
				t.Errorf("ended %s: %+v, want %s", j.State, j.Failure, c.state)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it ended after %v", took)
			}
			store.seen(t)
			h.Stored(0)
		})
	}
}
