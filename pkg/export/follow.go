package export

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
)

// How a store that can take a growing file is fed.
const (
	aheadStep   = 4 << 20         // it is called no sooner than the file has grown by so much
	aheadWindow = 4 * aheadStep   // and for no more than this at once, so that little is waited for in the end
	aheadGrace  = 2 * time.Second // how long a call may go on once the file is complete; the rest is Put's
)

// follower is the spool file of an attempt as it is written: what goes through it is counted, and sent ahead by a goroutine
// of its own when the store can do that. Nothing depends on it: whatever it could not send, Put sends.
type follower struct {
	spool   *os.File
	written atomic.Int64
	began   bool // the store was called; good once stop has returned

	grown    chan struct{} // holds one signal, which stands for all growth since it was last taken
	complete chan struct{} // closed by stop
	stop     func(grace time.Duration)
}

// follow begins to send ahead what is written to the follower. The caller has to stop it: with some grace for the call under
// way when the file is complete, with none when it will never be. No call is under way after that.
func (a *attempt) follow(ctx context.Context, spool *os.File, key string) *follower {
	f := &follower{spool: spool, stop: func(time.Duration) {}}
	store, able := a.s.o.Store.(storage.IncrementalUploader)
	if !able {
		return f
	}
	f.grown, f.complete = make(chan struct{}, 1), make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		f.run(ctx, func(size int64) error {
			err := store.Ahead(ctx, key, spool, size, storage.PutOptions{ContentType: a.format.ContentType})
			if err != nil {
				a.s.o.Logger.Debug("a file could not be sent ahead", "job", a.job.UUID, "size", size, "error", err)
			}
			return err
		})
	})
	var once sync.Once
	f.stop = func(grace time.Duration) {
		once.Do(func() {
			close(f.complete)
			late := time.AfterFunc(grace, cancel)
			running.Wait()
			late.Stop()
			cancel()
		})
	}
	return f
}

// Write writes to the spool file, which is only ever appended to: what stands there is what will be stored.
func (f *follower) Write(b []byte) (int, error) {
	n, err := f.spool.Write(b)
	f.written.Add(int64(n))
	if f.grown != nil {
		select {
		case f.grown <- struct{}{}:
		default: // it has not looked since the last time
		}
	}
	return n, err
}

// run sends what has been written, a window at a time, until the file is complete or sending it ahead is of no use.
func (f *follower) run(ctx context.Context, send func(size int64) error) {
	var sent int64
	next := int64(aheadStep) // how large the file has to be for the next call
	for {
		select {
		case <-f.complete:
			return
		case <-ctx.Done():
			return
		default: // before any more growth
		}
		if written := f.written.Load(); written >= next {
			f.began = true
			size := min(written, sent+aheadWindow)
			err := send(size)
			if err == nil {
				sent, next = size, size+aheadStep
				continue // there may be more by now
			}
			if !errs.Is(err, errs.Unavailable) {
				return
			}
			next = written + aheadStep // the store is away for now
		}
		select {
		case <-f.grown:
		case <-f.complete:
			return
		case <-ctx.Done():
			return
		}
	}
}
