package retention

import (
	"context"
	"fmt"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/record"
	"exporthub/pkg/storage"
)

// How much one round of the clean-up covers. The bounds keep a round short, so that the end of the
// process need not wait for it.
const (
	expiredBatch = 200 // files whose retention is over, in one query
	expiredRound = 20  // batches
	orphanPage   = 500 // stored objects, in one list
	orphanRound  = 10  // pages; the next round continues after them
)

// removeExpired removes files whose retention is over. A redirect to the store that was given out
// just before may be good for a while longer.
func (c *Cleaner) removeExpired(ctx context.Context) (removed int, err error) {
	var last expiredFile
	var failed error
	for range expiredRound {
		var files []expiredFile
		before := c.deps.Now().Add(-min(c.deps.Grace, record.LinkTTL))
		err := c.deps.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
			files, err = expiredFiles(ctx, tx, before, last, expiredBatch)
			return err
		})
		if err != nil {
			return removed, err
		}
		for _, f := range files {
			last = f
			if err := c.removeFile(ctx, f); err != nil {
				failed = err // the others may go all the same; the next round tries again
				continue
			}
			removed++
		}
		if len(files) < expiredBatch || ctx.Err() != nil {
			break
		}
	}
	return removed, failed
}

// removeFile removes a file from the store and then marks its row. Aborted in between, the next
// round deletes an object that is not there, which is no error.
func (c *Cleaner) removeFile(ctx context.Context, f expiredFile) error {
	if err := c.deps.Store.Delete(ctx, f.key); err != nil {
		return fmt.Errorf("delete %s: %w", f.key, err)
	}
	return c.deps.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		return markRemoved(ctx, tx, f.uuid, c.deps.Now())
	})
}

// orphanCursor names the row that says how far the walk over the objects has come.
const orphanCursor = "orphans"

// removeOrphans continues the walk over all stored files and removes those that belong to no job:
// of attempts that were overtaken, of jobs that ended without a file, of jobs that are gone.
func (c *Cleaner) removeOrphans(ctx context.Context) (removed int, err error) {
	var marker string
	err = c.deps.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		marker, err = cleanupPosition(ctx, tx, orphanCursor)
		return err
	})
	if err != nil {
		return 0, err
	}
	for range orphanRound {
		objects, next, err := c.deps.Store.List(ctx, record.ObjectPrefix, marker, orphanPage)
		// The marker may be of another store, which was configured before this one. The walk
		// begins anew.
		if marker != "" && errs.Is(err, errs.Invalid) {
			marker = ""
			continue
		}
		if err != nil {
			return removed, fmt.Errorf("list objects after %q: %w", marker, err)
		}
		n, err := c.removeOrphansOf(ctx, objects)
		removed += n
		if err != nil {
			return removed, err
		}
		marker = next
		if err := c.deps.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
			return saveCleanupPosition(ctx, tx, orphanCursor, marker)
		}); err != nil {
			return removed, err
		}
		if marker == "" {
			break // the end of the list; the next round begins at its start
		}
	}
	return removed, nil
}

// removeOrphansOf removes the orphans among some objects.
func (c *Cleaner) removeOrphansOf(ctx context.Context, objects []storage.Info) (removed int, err error) {
	uuids := make([]string, 0, len(objects))
	for _, o := range objects {
		if _, uuid, _, err := storage.ParseObjectKey(o.Key); err == nil {
			uuids = append(uuids, uuid)
		}
	}
	// Asked after the list: what was stored before it has its row by now.
	owners, err := c.owners(ctx, uuids)
	if err != nil {
		return 0, err
	}
	for _, o := range objects {
		if !c.orphan(o, owners) {
			continue
		}
		if err := c.deps.Store.Delete(ctx, o.Key); err != nil {
			return removed, fmt.Errorf("delete %s: %w", o.Key, err)
		}
		c.deps.Logger.Info("orphan object removed", "key", o.Key)
		removed++
	}
	return removed, nil
}

// orphan reports whether an object is no job's file and never will be.
func (c *Cleaner) orphan(o storage.Info, owners map[string]owner) bool {
	unix, uuid, _, err := storage.ParseObjectKey(o.Key)
	if err != nil {
		return false // not of our making
	}
	owner, known := owners[uuid]
	switch {
	case !known:
		return older(o.Modified, unknownGraces*c.deps.Grace)
	case owner.state.Ended():
		return o.Key != owner.key
	}
	// The current attempt's object may be complete at any moment; those before it never count.
	return unix < owner.attemptUnix
}

// dropTimeout bounds the removal of the file of an export that ended without one.
const dropTimeout = 2 * time.Second

// DropFile removes what the last attempt of an export that ended without a file may have stored,
// once its end is committed. There may be something: the end can be requested while the upload is
// under way, and a worker can be lost right after it. What can't be removed now is left to Clean.
func (c *Cleaner) DropFile(ctx context.Context, tx *database.Tx, e record.Export) error {
	format, ok := c.deps.Formats.Get(e.Args.Format)
	// Before that progress no attempt has asked the store to keep an object.
	if !ok || e.Progress < record.ProgressWritten {
		return nil
	}
	unix, err := record.AttemptUnix(ctx, tx, e.UUID)
	if err != nil || unix == 0 {
		return err
	}
	key, err := storage.ObjectKey(unix, e.UUID, format.Extension)
	if err != nil {
		return err
	}
	tx.AfterCommit(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, dropTimeout)
		defer cancel()
		if err := c.deps.Store.Delete(ctx, key); err != nil {
			c.deps.Logger.Warn("the file of an export that ended without one was not removed", "job", e.UUID, "error", err)
		}
	})
	return nil
}
