package retention

import (
	"context"
	"errors"
	"fmt"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
)

// How much one round covers.
const (
	uploadBatch = 100 // unfinished uploads, in one query
	uploadRound = 10  // batches; the next round continues after them
)

// uploadCursor names the row that says how far the walk over the unfinished uploads has come.
const uploadCursor = "uploads"

// abortUploads continues the walk over the uploads that stores have begun and not ended, and
// aborts those that nobody will end: of attempts that were overtaken, whose worker was killed, of
// jobs that ended.
func (c *Cleaner) abortUploads(ctx context.Context) (aborted int, err error) {
	var marker string
	err = c.deps.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		marker, err = cleanupPosition(ctx, tx, uploadCursor)
		return err
	})
	if err != nil {
		return 0, err
	}
	began := marker
	// The position is saved however the round ends, so that the next one continues after an upload
	// at which the store gave up.
	defer func() {
		if marker == began {
			return
		}
		err = errors.Join(err, c.deps.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
			return saveCleanupPosition(ctx, tx, uploadCursor, marker)
		}))
	}()
	var failed error
	for range uploadRound {
		uploads, err := c.uploadsAfter(ctx, marker)
		if err != nil {
			return aborted, errors.Join(failed, err)
		}
		for _, u := range uploads {
			marker = u.ID // also after one that can't be aborted, which must not delay the others
			done, err := c.abortUpload(ctx, u)
			if done {
				aborted++
			}
			if err == nil {
				continue
			}
			failed = err
			var refused *abortError
			if !errors.As(err, &refused) || refused.last {
				return aborted, failed
			}
		}
		if len(uploads) < uploadBatch {
			marker = ""
			break
		}
	}
	return aborted, failed
}

// abortError is a store's refusal to abort one upload.
type abortError struct {
	cause error
	last  bool // the store is away, so the other uploads can't be aborted now either
}

func (e *abortError) Error() string { return e.cause.Error() }
func (e *abortError) Unwrap() error { return e.cause }

// abortUpload ends one upload where nobody else will, and removes its row. It reports whether the
// store was made to abort it.
func (c *Cleaner) abortUpload(ctx context.Context, u candidate) (aborted bool, err error) {
	// An expired upload was dropped by the store, so only its row is left.
	if expired := !u.Expires.IsZero() && c.deps.Now().After(u.Expires); !expired {
		store, able := c.deps.Store.(storage.Aborter)
		if !able || !u.abandoned {
			return false, nil
		}
		if err := store.Abort(ctx, u.Unfinished); err != nil {
			return false, &abortError{
				cause: fmt.Errorf("abort the upload of %s: %w", u.Key, err),
				last:  errs.Is(err, errs.Unavailable) || ctx.Err() != nil,
			}
		}
		c.deps.Logger.Info("unfinished upload aborted", "key", u.Key)
		aborted = true
	}
	return aborted, c.deps.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		return deleteUpload(ctx, tx, u.ID)
	})
}

// candidate is an unfinished upload and whether nobody will continue it.
type candidate struct {
	unfinished
	abandoned bool
}

// uploadsAfter returns the next unfinished uploads.
func (c *Cleaner) uploadsAfter(ctx context.Context, marker string) (found []candidate, err error) {
	var uploads []unfinished
	var owners map[string]owner
	err = c.deps.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		if uploads, err = unfinishedUploads(ctx, tx, marker, uploadBatch); err != nil {
			return err
		}
		var uuids []string
		for _, u := range uploads {
			if _, uuid, _, err := storage.ParseObjectKey(u.Key); err == nil {
				uuids = append(uuids, uuid)
			}
		}
		// In the same snapshot: an attempt is in its row before it begins an upload.
		owners, err = ownersOf(ctx, tx, uuids)
		return err
	})
	for _, u := range uploads {
		found = append(found, candidate{
			unfinished: u,
			abandoned:  c.abandoned(u, owners),
		})
	}
	return found, err
}

// abandoned reports whether nobody will continue an upload.
func (c *Cleaner) abandoned(u unfinished, owners map[string]owner) bool {
	unix, uuid, _, err := storage.ParseObjectKey(u.Key)
	owner, known := owners[uuid]
	if err != nil || !known {
		// It may be another installation's, or a report file that a person is uploading.
		return c.deps.Now().Sub(u.begun) > unknownGraces*c.deps.Grace
	}
	return owner.state.Ended() || unix < owner.attemptUnix
}
