package qiniu

import (
	"context"
	"fmt"
	"time"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
)

// begin begins an upload and writes it down before anything is sent in it: if this process is
// killed, another can abort what it leaves. (One that dies between Kodo's answer and the ledger's
// leaves an upload that holds nothing.)
func (s *Store) begin(ctx context.Context, key string, partSize int64) (*upload, error) {
	u, err := s.initiate(ctx, key, partSize)
	if err != nil || s.o.Ledger == nil {
		return u, err
	}
	if err := s.o.Ledger.Begun(ctx, s.unfinished(u)); err != nil {
		u.noted = true // the ledger may have it all the same: its answer was lost
		s.abort(ctx, u)
		// A cancelled job is not a broken ledger.
		if ctx.Err() != nil {
			return nil, ended(ctx)
		}
		return nil, errs.Wrap(errs.Unavailable, messageUnavailable, fmt.Errorf("storage: qiniu: write down the upload of %s: %w", key, err))
	}
	u.noted = true
	return u, nil
}

// unfinished is an upload as the ledger and other processes know it. Expires is Kodo's own date,
// after which it drops the parts by itself.
func (s *Store) unfinished(u *upload) storage.Unfinished {
	found := storage.Unfinished{ID: u.id, Bucket: s.bucket, Key: u.key}
	if u.expires > 0 {
		found.Expires = time.Unix(u.expires, 0).UTC()
	}
	return found
}

// over strikes out an upload that has ended at Kodo. One that can't be struck out now is struck out
// by the clean-up, whose Abort finds it ended.
func (s *Store) over(ctx context.Context, u *upload) {
	if !u.noted {
		return
	}
	// Also when the job is cancelled or the worker shuts down: otherwise the clean-up of every such
	// job would ask Kodo once more.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	if err := s.o.Ledger.Over(ctx, s.unfinished(u)); err != nil {
		s.o.Logger.Warn("an upload that is over could not be struck out yet", "key", u.key, "error", err)
		return
	}
	u.noted = false
}

// Abort ends an upload of any process, within 5 s. It may have been begun in another bucket, before
// the settings were changed.
func (s *Store) Abort(ctx context.Context, u storage.Unfinished) error {
	if err := ready(ctx, u.Key); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, abortTimeout)
	defer cancel()
	err := s.abortAt(ctx, u.Bucket, u.Key, u.ID)
	if e := errs.As(err); e != nil && e.Code == codeBucket && u.Bucket != s.bucket {
		return nil // with the bucket went what was in it
	}
	return err
}
