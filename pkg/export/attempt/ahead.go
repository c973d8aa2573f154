package attempt

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
)

// How a store that can take a growing file is fed, in bytes.
const (
	// aheadStep is by how much the file has to grow before the store is called.
	aheadStep = 4 << 20
	// aheadWindow is the most that one call covers, so that the last call is short.
	aheadWindow = 4 * aheadStep
	// aheadGrace is how long a call may go on once the file is complete; Put sends the rest.
	aheadGrace = 2 * time.Second
)

// uploader is the spool file of an attempt as it is written: it counts what goes through it, and
// a goroutine uploads the finished parts when the store can take them
// (storage.IncrementalUploader). This is only a head start: Put compares and sends whatever the
// uploader did not.
type uploader struct {
	spool   *os.File
	written atomic.Int64
	digest  hash.Hash // SHA-256 of what was written; the writer's alone
	began   bool      // the store was called; may be read once stop has returned

	// grown holds one signal, for all growth since it was last received; nil without a goroutine.
	grown    chan struct{}
	complete chan struct{} // closed by stop
	stop     func(grace time.Duration)
}

// uploadAhead begins to upload what is written to the uploader. The caller has to stop it: with
// some grace for the call under way when the file is complete, with none when it never will be.
// Once stop has returned the goroutine has ended and no call of the store is under way, so the
// file may be closed. stop may be called again.
func (a *attempt) uploadAhead(ctx context.Context, spool *os.File, key string) *uploader {
	u := &uploader{
		spool:  spool,
		digest: sha256.New(),
		stop:   func(time.Duration) {},
	}
	store, able := a.deps.Store.(storage.IncrementalUploader)
	if !able {
		return u
	}
	u.grown = make(chan struct{}, 1)
	u.complete = make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		u.run(ctx, func(size int64) error {
			err := store.Ahead(ctx, key, spool, size, storage.PutOptions{ContentType: a.format.ContentType})
			if err != nil {
				// No more than a debug line: nothing is lost, and Put reports what is wrong with
				// the store.
				a.deps.Logger.Debug("a file could not be sent ahead", "job", a.job.UUID, "size", size, "error", err)
			}
			return err
		})
	})
	var once sync.Once
	u.stop = func(grace time.Duration) {
		once.Do(func() {
			close(u.complete)
			late := time.AfterFunc(grace, cancel)
			running.Wait()
			late.Stop()
			cancel()
		})
	}
	return u
}

// Write writes to the spool file. The file is only ever appended to, so a part that was uploaded
// stays valid.
func (u *uploader) Write(b []byte) (int, error) {
	n, err := u.spool.Write(b)
	u.digest.Write(b[:n]) // never fails
	u.written.Add(int64(n))
	if u.grown == nil {
		return n, err
	}
	// The writer must never wait for the network: a signal that was not taken yet covers this
	// growth too.
	select {
	case u.grown <- struct{}{}:
	default:
	}
	return n, err
}

// sum is the SHA-256 of the finished file, in hexadecimal digits.
func (u *uploader) sum() string { return hex.EncodeToString(u.digest.Sum(nil)) }

// run uploads what has been written, a window at a time, until the file is complete or uploading it
// ahead is of no use.
func (u *uploader) run(ctx context.Context, send func(size int64) error) {
	var sent int64
	next := int64(aheadStep) // how large the file has to be for the next call
	for {
		// Checked by itself first: of several ready cases a select picks any, and a complete file
		// must not wait for another window.
		select {
		case <-u.complete:
			return
		case <-ctx.Done():
			return
		default:
		}
		if written := u.written.Load(); written >= next {
			u.began = true
			size := min(written, sent+aheadWindow)
			err := send(size)
			if err == nil {
				sent = size
				next = size + aheadStep
				continue // the file may have grown during the call
			}
			if !errs.Is(err, errs.Unavailable) {
				return
			}
			// The store is away for now. It is asked again with more of the file.
			next = written + aheadStep
		}
		select {
		case <-u.grown:
		case <-u.complete:
			return
		case <-ctx.Done():
			return
		}
	}
}
