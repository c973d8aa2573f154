package retention

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"exporthub/pkg/export/record"
	"exporthub/pkg/job"
)

// spoolBatch is how many spool files are read from the folder and looked up in one query.
const spoolBatch = 500

// sweepTimeout bounds what a store does to clean up after itself.
const sweepTimeout = time.Minute

// sweeper is a store that can remove what aborted uploads have left in it: temporary files, parts.
type sweeper interface {
	Sweep(ctx context.Context, olderThan time.Duration) (removed int, err error)
}

// sweepStore has the store remove what aborted uploads left in it.
func (c *Cleaner) sweepStore(ctx context.Context) (int, error) {
	store, ok := c.deps.Store.(sweeper)
	if !ok {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	return store.Sweep(ctx, c.deps.Grace)
}

// CleanSpool removes the files that attempts which died have left in this machine's spool folder.
func (c *Cleaner) CleanSpool(ctx context.Context) (removed int, err error) {
	dir, err := os.Open(c.deps.SpoolDir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil // no export has run here yet
	}
	if err != nil {
		return 0, fmt.Errorf("clean up the spool: %w", err)
	}
	defer dir.Close()
	for ctx.Err() == nil {
		files, err := dir.ReadDir(spoolBatch)
		if errors.Is(err, io.EOF) {
			return removed, nil
		}
		if err != nil {
			return removed, fmt.Errorf("clean up the spool: %w", err)
		}
		n, err := c.cleanSpoolFiles(ctx, files)
		removed += n
		if err != nil {
			return removed, fmt.Errorf("clean up the spool: %w", err)
		}
	}
	return removed, ctx.Err()
}

// spooled is a file in the spool folder, by what its name says.
type spooled struct {
	name    string
	uuid    string
	attempt int
}

// cleanSpoolFiles removes those of some files that no attempt needs any more.
func (c *Cleaner) cleanSpoolFiles(ctx context.Context, files []fs.DirEntry) (removed int, err error) {
	var found []spooled
	var uuids []string
	for _, f := range files {
		uuid, attempt, ours := record.ParseSpoolName(f.Name())
		if !ours || !f.Type().IsRegular() {
			continue
		}
		uuids = append(uuids, uuid)
		found = append(found, spooled{
			name:    f.Name(),
			uuid:    uuid,
			attempt: attempt,
		})
	}
	// Asked after the folder was read: an attempt is in its row before it makes a file.
	owners, err := c.owners(ctx, uuids)
	if err != nil {
		return 0, err
	}
	for _, f := range found {
		path := filepath.Join(c.deps.SpoolDir, f.name)
		owner, known := owners[f.uuid]
		if known && owner.state == job.StateRunning && owner.attempt == f.attempt {
			continue
		}
		if !known {
			stat, err := os.Stat(path)
			if err != nil || !older(stat.ModTime(), unknownGraces*c.deps.Grace) {
				continue
			}
		}
		// A worker that was thought dead may still write to the file. It then writes to nothing
		// that counts, and its attempt is no longer the current one. Another process may have
		// been faster.
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
