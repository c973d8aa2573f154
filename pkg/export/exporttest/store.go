package exporttest

import (
	"context"
	"io"
	"sync"
	"time"

	"exporthub/pkg/storage"
	"exporthub/pkg/storage/disk"
)

// FaultyStore is a disk that can be made to refuse or to hold up what is stored. Set its functions
// before anything is stored, or with SetRefuse.
type FaultyStore struct {
	storage.Store
	// Refuse is called with the number of the try, from 1; an error is the answer of that try.
	Refuse func(try int) error
	// Hold is called before anything else, with the upload's own context.
	Hold func(ctx context.Context)

	mu    sync.Mutex
	tries int
}

// Put stores an object, or fails as Refuse says.
func (s *FaultyStore) Put(ctx context.Context, key string, src io.ReaderAt, size int64, o storage.PutOptions) error {
	s.mu.Lock()
	s.tries++
	refuse := s.Refuse
	hold := s.Hold
	try := s.tries
	s.mu.Unlock()
	// Outside the lock: both may block until the test lets them go on.
	if hold != nil {
		hold(ctx)
	}
	if refuse != nil {
		if err := refuse(try); err != nil {
			return err
		}
	}
	return s.Store.Put(ctx, key, src, size, o)
}

// SetRefuse sets Refuse while exports are under way.
func (s *FaultyStore) SetRefuse(refuse func(try int) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Refuse = refuse
}

// Sweep is the disk's: embedding the interface hides what the disk can do besides.
func (s *FaultyStore) Sweep(ctx context.Context, olderThan time.Duration) (int, error) {
	return s.Store.(*disk.Store).Sweep(ctx, olderThan)
}
