package qiniu

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/qiniu/go-sdk/v7/storagev2/apis"

	"exporthub/pkg/errs"
)

// upload is an unfinished upload in parts. It belongs to one call at a time: the one that holds its
// key. Only parts and lost are shared among that call's goroutines, under mu.
type upload struct {
	key, id  string
	expires  int64 // seconds since 1970, as Kodo said
	partSize int64
	touched  time.Time

	mu        sync.Mutex
	parts     map[int64]sentPart
	lost      bool // Kodo has dropped it, or a part of it
	completed bool
	noted     bool // the ledger has it
}

// sentPart is a part that has arrived: what it was made of here, and Kodo's name for it, which the
// completion has to repeat.
type sentPart struct {
	digest
	etag string
}

func (u *upload) add(n int64, p sentPart) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts[n] = p
}

// count is how many parts an object of that size has.
func (u *upload) count(size int64) int64 { return (size + u.partSize - 1) / u.partSize }

// extent is where part n lies in the object. The last part is shorter.
func (u *upload) extent(n, size int64) (offset, length int64) {
	offset = (n - 1) * u.partSize
	return offset, min(u.partSize, size-offset)
}

// missing lists the parts that have not arrived, counted from 1.
func (u *upload) missing(size int64) (all []int64) {
	for n := int64(1); n <= u.count(size); n++ {
		if _, sent := u.parts[n]; !sent {
			all = append(all, n)
		}
	}
	return all
}

// uploads are the unfinished uploads that a later Put may go on with, by key, and those that are to
// be aborted and could not be.
type uploads struct {
	mu     sync.Mutex
	paused map[string]*upload
	stray  []*upload
	busy   map[string]chan struct{} // closed when the Put of a key that is under way has ended
}

// maxUploads is how many of each are remembered. The oldest are dropped from memory, and left to
// the ledger's readers.
const maxUploads = 256

func newUploads() *uploads {
	return &uploads{paused: map[string]*upload{}, busy: map[string]chan struct{}{}}
}

// lock waits for the other Puts of a key: otherwise each would find another's object where it looks
// for its own. (Puts of other processes are not waited for; one that finds another object says so,
// and can be tried again.)
func (us *uploads) lock(ctx context.Context, key string) (unlock func(), err error) {
	for {
		us.mu.Lock()
		other, taken := us.busy[key]
		if !taken {
			mine := make(chan struct{})
			us.busy[key] = mine
			us.mu.Unlock()
			return func() {
				us.mu.Lock()
				defer us.mu.Unlock()
				delete(us.busy, key)
				close(mine)
			}, nil
		}
		us.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ended(ctx)
		}
	}
}

// take returns a key's paused upload, or nil; it is the caller's then.
func (us *uploads) take(key string) *upload {
	us.mu.Lock()
	defer us.mu.Unlock()
	u := us.paused[key]
	delete(us.paused, key)
	return u
}

// pause keeps an upload for later. It returns the one that has to go for it, if any: an older one
// of the same key, or the oldest of too many. The caller aborts it, outside the lock.
func (us *uploads) pause(u *upload) (out *upload) {
	us.mu.Lock()
	defer us.mu.Unlock()
	out = us.paused[u.key]
	us.paused[u.key] = u
	// Full: the one that was touched longest ago has the least chance of being resumed.
	if out == nil && len(us.paused) > maxUploads {
		for _, other := range us.paused {
			if other != u && (out == nil || other.touched.Before(out.touched)) {
				out = other
			}
		}
		delete(us.paused, out.key)
	}
	return out
}

// strays keeps an upload that is to be aborted until the next Sweep. When there are too many the
// oldest is dropped: Kodo removes it after days, and the ledger still has it.
func (us *uploads) strays(u *upload) {
	us.mu.Lock()
	defer us.mu.Unlock()
	if us.stray = append(us.stray, u); len(us.stray) > maxUploads {
		us.stray = us.stray[1:]
	}
}

// since takes out the strays, and the paused uploads that were not touched since a time. They are
// the caller's then, so that two sweeps at once abort each upload once.
func (us *uploads) since(before time.Time) []*upload {
	us.mu.Lock()
	defer us.mu.Unlock()
	all := us.stray
	us.stray = nil
	for key, u := range us.paused {
		if !u.touched.After(before) {
			all = append(all, u)
			delete(us.paused, key)
		}
	}
	return all
}

// takeUp returns the upload that an earlier call left of the key, if it may be gone on with, or
// nil.
func (s *Store) takeUp(key string, partSize int64) *upload {
	u := s.uploads.take(key)
	if u == nil {
		return nil
	}
	// An upload about to expire would be gone before it is complete.
	// Parts of another size would be in the wrong places.
	if u.partSize != partSize || u.expires > 0 && s.o.Now().Add(dataTimeoutsFor*s.o.RequestTimeout).Unix() >= u.expires {
		s.uploads.strays(u)
		return nil
	}
	return u
}

// resume returns the upload that an earlier call left of the key, with the parts in it that are the
// source's, or nil. Each part is compared by its MD5: a later attempt writes its file anew, and
// rows may have changed.
func (s *Store) resume(obj object, partSize int64) (*upload, error) {
	u := s.takeUp(obj.key, partSize)
	if u == nil {
		return nil, nil
	}
	last := u.count(obj.size)
	for n, p := range u.parts {
		if n > last {
			delete(u.parts, n) // parts that are not named at the end are dropped by Kodo
			continue
		}
		offset, length := u.extent(n, obj.size)
		d, err := digestOf(obj.src, offset, length)
		if err != nil {
			s.uploads.strays(u)
			return nil, readError(obj.key, err)
		}
		if d.md5 != p.md5 {
			delete(u.parts, n) // sent again, it replaces the old one
			continue
		}
		obj.meter.add(length)
	}
	return u, nil
}

// leave keeps or aborts the upload of a Put that has ended with err: it keeps what another try
// would go on with, and nothing when no other try comes (a cancelled job, a refusal, a source that
// failed).
func (s *Store) leave(ctx context.Context, u *upload, err error) {
	switch {
	case u.completed:
		s.over(ctx, u)
	case err != nil && ctx.Err() == nil && !u.lost && errs.Is(err, errs.Unavailable):
		s.pause(ctx, u)
	default:
		s.abort(ctx, u)
	}
}

// pause keeps an upload for a later call.
func (s *Store) pause(ctx context.Context, u *upload) {
	u.touched = s.o.Now()
	if out := s.uploads.pause(u); out != nil {
		s.abort(ctx, out)
	}
}

// abortTimeout bounds an abort, which also has to happen when the caller is gone.
const abortTimeout = 5 * time.Second

// abort ends an upload at Kodo. One that can't be ended now is kept for Sweep.
func (s *Store) abort(ctx context.Context, u *upload) {
	if err := s.tryAbort(ctx, u); err != nil {
		s.o.Logger.Warn("an unfinished upload could not be aborted yet", "key", u.key, "error", err)
		s.uploads.strays(u)
	}
}

// tryAbort ends an upload at Kodo and strikes it out of the ledger, within abortTimeout.
func (s *Store) tryAbort(ctx context.Context, u *upload) error {
	// Often called because ctx has ended.
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	if err := s.abortAt(bound, s.bucket, u.key, u.id); err != nil {
		return err
	}
	s.over(ctx, u)
	return nil
}

// abortAt ends any upload by its names, also one of another process. One that is over is no error.
func (s *Store) abortAt(ctx context.Context, bucket, key, id string) error {
	return s.do(ctx, request{
		action: "abort",
		bucket: bucket,
		key:    key,
		hosts:  s.up,
		call: func(ctx context.Context, o *apis.Options) error {
			token, err := s.tokenAt(bucket, key)
			if err != nil {
				return err
			}
			_, err = s.api.ResumableUploadV2AbortMultipartUpload(ctx, &apis.ResumableUploadV2AbortMultipartUploadRequest{
				BucketName: bucket,
				ObjectName: &key,
				UploadId:   id,
				UpToken:    token,
			}, o)
			if code := codeOf(err); code == codeNoSuchKey || code == 404 {
				return nil // it has ended already
			}
			return err
		},
	})
}

// Sweep aborts the uploads that could not be aborted before, and those that no Put has resumed
// within olderThan. It returns how many it aborted, and goes on after those it can't.
func (s *Store) Sweep(ctx context.Context, olderThan time.Duration) (removed int, err error) {
	all := s.uploads.since(s.o.Now().Add(-olderThan))
	for i, u := range all {
		if err := ended(ctx); err != nil {
			// They were taken out of the lists above and would be lost.
			for _, rest := range all[i:] {
				s.uploads.strays(rest)
			}
			return removed, err
		}
		if e := s.tryAbort(ctx, u); e != nil {
			s.uploads.strays(u)
			err = fmt.Errorf("abort the upload of %s: %w", u.key, e)
			continue
		}
		removed++
	}
	return removed, err
}
