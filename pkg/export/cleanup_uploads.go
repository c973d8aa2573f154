package export

import (
	"context"
	"errors"
	"fmt"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
)

// What one round looks at.
const (
	uploadBatch = 100 // unfinished uploads, in one query
	uploadRound = 10  // batches; the next round goes on after them
)

// uploadCursor names how far the walk over the unfinished uploads has come.
const uploadCursor = "uploads"

// abortUploads goes on with the walk over the uploads that stores have begun and not ended, and aborts those that nobody
// will end: of attempts that were overtaken, whose worker was killed, of jobs that ended.
func (s *Service) abortUploads(ctx context.Context) (aborted int, err error) {
	store, able := s.o.Store.(storage.Aborter)
	var marker string
	err = s.o.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		marker, err = cleanupPosition(ctx, tx, uploadCursor)
		return err
	})
	if err != nil {
		return 0, err
	}
	began := marker
	defer func() {
		if marker != began {
			err = errors.Join(err, s.o.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
				return noteCleanupPosition(ctx, tx, uploadCursor, marker)
			}))
		}
	}()
	var failed error
	for range uploadRound {
		uploads, over, err := s.uploadsAfter(ctx, marker)
		if err != nil {
			return aborted, errors.Join(failed, err)
		}
		for _, u := range uploads {
			marker = u.ID // also after one that can't be aborted, which must not hold up the others
			expired := !u.Expires.IsZero() && s.o.Now().After(u.Expires)
			switch {
			case expired: // the store has dropped it
			case !able || !over(u):
				continue
			default:
				if err := store.Abort(ctx, u.Unfinished); err != nil {
					failed = fmt.Errorf("abort the upload of %s: %w", u.Key, err)
					if errs.Is(err, errs.Unavailable) || ctx.Err() != nil {
						return aborted, failed // nor could the others be
					}
					continue
				}
				s.o.Logger.Info("unfinished upload aborted", "key", u.Key)
				aborted++
			}
			if err := s.o.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
				return strikeUpload(ctx, tx, u.ID)
			}); err != nil {
				return aborted, err
			}
		}
		if len(uploads) < uploadBatch {
			marker = ""
			break
		}
	}
	return aborted, failed
}

// uploadsAfter returns the next unfinished uploads, and what tells whether nobody will go on with one.
func (s *Service) uploadsAfter(ctx context.Context, marker string) (uploads []unfinished, over func(unfinished) bool, err error) {
	var owners map[string]owner
	err = s.o.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		if uploads, err = unfinishedUploads(ctx, tx, marker, uploadBatch); err != nil {
			return err
		}
		var uuids []string
		for _, u := range uploads {
			if _, uuid, _, err := storage.ParseObjectKey(u.Key); err == nil {
				uuids = append(uuids, uuid)
			}
		}
		// An attempt is in its row before it begins an upload.
		owners, err = ownersOf(ctx, tx, uuids)
		return err
	})
	return uploads, func(u unfinished) bool {
		unix, uuid, _, err := storage.ParseObjectKey(u.Key)
		owner, known := owners[uuid]
		if err != nil || !known {
			return s.o.Now().Sub(u.begun) > unknownGraces*s.o.CleanupGrace
		}
		return owner.state.Ended() || unix < owner.attemptUnix
	}, err
}
