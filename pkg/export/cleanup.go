package export

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/errs"
	"exporthub/pkg/job"
	"exporthub/pkg/storage"
)

// What one round of the clean-up looks at.
const (
	expiredBatch = 200 // files whose retention is over, in one query
	expiredRound = 20  // batches
	orphanPage   = 500 // stored objects, in one list
	orphanRound  = 10  // pages; the next round goes on after them
	sweepTimeout = time.Minute
	spoolBatch   = 500 // spool files, in one query
)

// unknownGraces is how many times CleanupGrace something must be old before it goes though no job is known: rows may have
// been lost, or it may be another installation's.
const unknownGraces = 24

// statusExpired is shown in the place of success once the file's retention is over. The job stays what it was.
const statusExpired job.State = "expired"

// sweeper is a store that can remove what uploads that were broken off have left in it: temporary files, parts.
type sweeper interface {
	Sweep(ctx context.Context, olderThan time.Duration) (removed int, err error)
}

// Clean does one bounded round of the clean-up: files whose retention is over, objects that are no job's file, and uploads
// that nobody will finish. It may be broken off anywhere: rows say which files are gone, and the walks over the objects and
// the uploads go on where they stopped. One process at a time should run it.
func (s *Service) Clean(ctx context.Context) error {
	var problems []error
	for _, step := range []struct {
		name string
		do   func(context.Context) (int, error)
	}{
		{"expired files", s.removeExpired}, {"orphan objects", s.removeOrphans}, {"unfinished uploads", s.abortUploads},
	} {
		removed, err := step.do(ctx)
		if removed > 0 {
			s.o.Logger.Info("cleaned up", "what", step.name, "removed", removed)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("clean up %s: %w", step.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(problems...)
}

// removeExpired removes files whose retention is over. A link that was given out before may be good for a while longer.
func (s *Service) removeExpired(ctx context.Context) (removed int, err error) {
	var last expiredFile
	var failed error
	for range expiredRound {
		var files []expiredFile
		before := s.o.Now().Add(-min(s.o.CleanupGrace, linkTTL))
		err := s.o.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
			files, err = expiredFiles(ctx, tx, before, last, expiredBatch)
			return err
		})
		if err != nil {
			return removed, err
		}
		for _, f := range files {
			last = f
			if err := s.removeFile(ctx, f); err != nil {
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

func (s *Service) removeFile(ctx context.Context, f expiredFile) error {
	if err := s.o.Store.Delete(ctx, f.key); err != nil {
		return fmt.Errorf("delete %s: %w", f.key, err)
	}
	return s.o.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		return noteRemoved(ctx, tx, f.uuid, s.o.Now())
	})
}

// orphanCursor names how far the walk over the objects has come.
const orphanCursor = "orphans"

// removeOrphans goes on with the walk over all stored files and removes those that are nobody's: of attempts that were
// overtaken, of jobs that ended without a file, of jobs that are gone.
func (s *Service) removeOrphans(ctx context.Context) (removed int, err error) {
	var marker string
	err = s.o.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		marker, err = cleanupPosition(ctx, tx, orphanCursor)
		return err
	})
	if err != nil {
		return 0, err
	}
	for range orphanRound {
		objects, next, err := s.o.Store.List(ctx, filePath[1:], marker, orphanPage)
		if marker != "" && errs.Is(err, errs.Invalid) {
			marker = "" // another store's, which was in this one's place: the walk begins anew
			continue
		}
		if err != nil {
			return removed, fmt.Errorf("list objects after %q: %w", marker, err)
		}
		n, err := s.removeOrphansOf(ctx, objects)
		removed += n
		if err != nil {
			return removed, err
		}
		marker = next
		if err := s.o.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
			return noteCleanupPosition(ctx, tx, orphanCursor, marker)
		}); err != nil {
			return removed, err
		}
		if marker == "" {
			break
		}
	}
	return removed, nil
}

func (s *Service) removeOrphansOf(ctx context.Context, objects []storage.Info) (removed int, err error) {
	uuids := make([]string, 0, len(objects))
	for _, o := range objects {
		if _, uuid, _, err := storage.ParseObjectKey(o.Key); err == nil {
			uuids = append(uuids, uuid)
		}
	}
	owners, err := s.owners(ctx, uuids) // asked after the list: what was stored before it has its row by now
	if err != nil {
		return 0, err
	}
	for _, o := range objects {
		if !s.orphan(o, owners) {
			continue
		}
		if err := s.o.Store.Delete(ctx, o.Key); err != nil {
			return removed, fmt.Errorf("delete %s: %w", o.Key, err)
		}
		s.o.Logger.Info("orphan object removed", "key", o.Key)
		removed++
	}
	return removed, nil
}

// owners returns whose the files of these exports are now.
func (s *Service) owners(ctx context.Context, uuids []string) (found map[string]owner, err error) {
	err = s.o.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		found, err = ownersOf(ctx, tx, uuids)
		return err
	})
	return found, err
}

// orphan reports whether an object is, and will be, nobody's file.
func (s *Service) orphan(o storage.Info, owners map[string]owner) bool {
	unix, uuid, _, err := storage.ParseObjectKey(o.Key)
	if err != nil {
		return false // not ours to judge
	}
	owner, known := owners[uuid]
	switch {
	case !known:
		return s.older(o.Modified, unknownGraces*s.o.CleanupGrace)
	case owner.state.Ended():
		return o.Key != owner.key
	}
	return unix < owner.attemptUnix // an attempt that was overtaken; the present one's is its own
}

func (s *Service) older(t time.Time, age time.Duration) bool { return time.Since(t) > age }

// sweepStore has the store remove what broken-off uploads left in it.
func (s *Service) sweepStore(ctx context.Context) (int, error) {
	store, ok := s.o.Store.(sweeper)
	if !ok {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	return store.Sweep(ctx, s.o.CleanupGrace)
}

// spoolName is what createSpool calls its files.
var spoolName = regexp.MustCompile(`^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})-([0-9]{1,9})-[^/]*\.part$`)

// CleanLocal removes what is left of this process's work and on its machine: spool files, and uploads that were broken off.
// A store may know of an unfinished upload only in the process that began it. Every process that runs exports calls it for
// itself; several that share a folder may do so at the same time.
func (s *Service) CleanLocal(ctx context.Context) (removed int, err error) {
	spooled, spoolErr := s.CleanSpool(ctx)
	swept, sweepErr := s.sweepStore(ctx)
	return spooled + swept, errors.Join(spoolErr, sweepErr)
}

// CleanSpool removes the files that attempts which died have left in this machine's spool folder.
func (s *Service) CleanSpool(ctx context.Context) (removed int, err error) {
	dir, err := os.Open(s.o.SpoolDir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
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
		n, err := s.cleanSpoolFiles(ctx, files)
		removed += n
		if err != nil {
			return removed, fmt.Errorf("clean up the spool: %w", err)
		}
	}
	return removed, ctx.Err()
}

func (s *Service) cleanSpoolFiles(ctx context.Context, files []fs.DirEntry) (removed int, err error) {
	type spooled struct {
		name    string
		uuid    string
		attempt int
	}
	var found []spooled
	var uuids []string
	for _, f := range files {
		m := spoolName.FindStringSubmatch(f.Name())
		if m == nil || !f.Type().IsRegular() {
			continue
		}
		attempt, err := strconv.Atoi(m[2])
		if err != nil {
			continue
		}
		found, uuids = append(found, spooled{f.Name(), m[1], attempt}), append(uuids, m[1])
	}
	owners, err := s.owners(ctx, uuids) // asked after the folder was read: an attempt is in its row before it makes a file
	if err != nil {
		return 0, err
	}
	for _, f := range found {
		path := filepath.Join(s.o.SpoolDir, f.name)
		owner, known := owners[f.uuid]
		if known && owner.state.Active() && owner.attempt == f.attempt {
			continue
		}
		if !known {
			stat, err := os.Stat(path)
			if err != nil || !s.older(stat.ModTime(), unknownGraces*s.o.CleanupGrace) {
				continue
			}
		}
		// Whoever still writes to it, a worker that was thought dead, writes to nothing that counts.
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

// forget removes the export's row with its old job; while the file is there both are needed.
func (s *Service) forget(ctx context.Context, tx *database.Tx, j job.Job) (bool, error) {
	r, err := exportByID(ctx, tx, j.UUID)
	if database.IsNoRows(err) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return forgetExport(ctx, tx, r, s.day(s.o.Now().Add(-24*time.Hour)))
}
