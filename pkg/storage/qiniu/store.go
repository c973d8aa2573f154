package qiniu

import (
	"context"
	"time"

	"github.com/qiniu/go-sdk/v7/storagev2/apis"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
)

// Store keeps objects in a private bucket of Kodo. Its methods make requests with the tries and
// timeouts of Options, and report a failure with the kinds that storage.Store documents.
type Store struct {
	*client
	bucket  string // the private one
	private string // its domain, as a URL without a slash at the end
	public  string // the public bucket's
	uploads *uploads
}

var (
	_ storage.Store               = (*Store)(nil)
	_ storage.Direct              = (*Store)(nil)
	_ storage.IncrementalUploader = (*Store)(nil)
	_ storage.Aborter             = (*Store)(nil)
)

// New returns a Store. It connects to nothing yet; Check shows whether the options work. Close it
// when no call is running any more.
func New(o Options) (*Store, error) {
	o.setDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	private, err := base("PrivateDomain", o.PrivateDomain)
	if err != nil {
		return nil, err
	}
	public, err := base("Domain", o.Domain)
	if err != nil {
		return nil, err
	}
	c, err := newClient(o)
	if err != nil {
		return nil, err
	}
	return &Store{
		client:  c,
		bucket:  o.PrivateBucket,
		private: private.String(),
		public:  public.String(),
		uploads: newUploads(),
	}, nil
}

// Close aborts the uploads that no Put has resumed, within 5 s, and closes idle connections. What
// can't be aborted in time is left to the ledger's readers.
func (s *Store) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), abortTimeout)
	defer cancel()
	_, err := s.Sweep(ctx, 0)
	s.http.CloseIdleConnections()
	return err
}

// ready is what every call checks first: the keys, and that the caller has not given up.
func ready(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := storage.CheckKey(key); err != nil {
			return err
		}
	}
	return ended(ctx)
}

// Stat describes an object.
func (s *Store) Stat(ctx context.Context, key string) (storage.Info, error) {
	if err := ready(ctx, key); err != nil {
		return storage.Info{}, err
	}
	info, _, err := s.stat(ctx, key)
	return info, err
}

// stat also returns the object's hash, by which Open and Put recognise what they mean.
func (s *Store) stat(ctx context.Context, key string) (storage.Info, string, error) {
	var got *apis.StatObjectResponse
	err := s.do(ctx, request{
		action: "stat",
		bucket: s.bucket,
		key:    key,
		hosts:  s.rs,
		call: func(ctx context.Context, o *apis.Options) (err error) {
			got, err = s.api.StatObject(ctx, &apis.StatObjectRequest{Entry: s.bucket + ":" + key}, o)
			return err
		},
	})
	if err != nil {
		return storage.Info{}, "", err
	}
	return storage.Info{Key: key, Size: got.Size, Modified: modified(got.PutTime)}, got.Hash, nil
}

// modified is Kodo's time, in units of 100 ns since 1970, as a time in UTC.
func modified(putTime int64) time.Time { return time.Unix(0, putTime*100).UTC() }

// Copy makes the object of from also available under to.
func (s *Store) Copy(ctx context.Context, from, to string) error {
	if err := ready(ctx, from, to); err != nil {
		return err
	}
	// Kodo refuses a copy onto itself, which other stores take.
	if from == to {
		_, _, err := s.stat(ctx, from)
		return err
	}
	return s.copy(ctx, s.bucket, from, to)
}

// CopyToPrivate copies an object of the public bucket into the private one. Kodo does it without
// the bytes passing through us, however large the object is.
func (s *Store) CopyToPrivate(ctx context.Context, from, to string) error {
	if err := ready(ctx, from, to); err != nil {
		return err
	}
	return s.copy(ctx, s.o.Bucket, from, to)
}

func (s *Store) copy(ctx context.Context, bucket, from, to string) error {
	return s.do(ctx, request{
		action: "copy",
		bucket: bucket,
		key:    from,
		hosts:  s.rs,
		call: func(ctx context.Context, o *apis.Options) error {
			_, err := s.api.CopyObject(ctx, &apis.CopyObjectRequest{
				SrcEntry:  bucket + ":" + from,
				DestEntry: s.bucket + ":" + to,
				IsForce:   true,
			}, o)
			return err
		},
	})
}

// Delete removes an object, and gives up an upload of it that was not finished.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := ready(ctx, key); err != nil {
		return err
	}
	// First the upload: in the other order it could still become the object that was deleted.
	if u := s.uploads.take(key); u != nil {
		s.abort(ctx, u)
	}
	return s.do(ctx, request{
		action: "delete",
		bucket: s.bucket,
		key:    key,
		hosts:  s.rs,
		call: func(ctx context.Context, o *apis.Options) error {
			_, err := s.api.DeleteObject(ctx, &apis.DeleteObjectRequest{Entry: s.bucket + ":" + key}, o)
			// Deleted before, or by a try of ours whose answer was lost.
			if codeOf(err) == codeNoSuchKey {
				return nil
			}
			return err
		},
	})
}

// maxList is how many objects one List returns at most.
const maxList = 1000

// List returns objects in key order. The marker is Kodo's own: only one that List returned is good.
// A limit over 1,000 is 1,000. Objects that others put into the bucket under keys that are none of
// ours are passed over, so that a page may have fewer objects than the limit and still not be the
// last.
func (s *Store) List(ctx context.Context, prefix, marker string, limit int) ([]storage.Info, string, error) {
	if err := storage.CheckPrefix(prefix); err != nil {
		return nil, "", err
	}
	if limit <= 0 {
		return nil, "", errs.Newf(errs.Invalid, "每页数量 %d 无效", limit)
	}
	if err := ended(ctx); err != nil {
		return nil, "", err
	}
	var got *apis.GetObjectsResponse
	err := s.do(ctx, request{
		action: "list",
		bucket: s.bucket,
		key:    prefix,
		hosts:  s.rsf,
		call: func(ctx context.Context, o *apis.Options) (err error) {
			got, err = s.api.GetObjects(ctx, &apis.GetObjectsRequest{
				Bucket: s.bucket,
				Prefix: prefix,
				Marker: marker,
				Limit:  int64(min(limit, maxList)),
			}, o)
			return err
		},
	})
	if err != nil {
		return nil, "", err
	}
	var found []storage.Info
	for _, item := range got.Items {
		if storage.CheckKey(item.Key) == nil {
			found = append(found, storage.Info{Key: item.Key, Size: item.Size, Modified: modified(item.PutTime)})
		}
	}
	return found, got.Marker, nil
}

// checkKey is the object that Check asks about. It never exists.
const checkKey = "exporthub-check"

// Check reports whether the store can take objects now: it begins and aborts an upload, and asks
// for an object.
func (s *Store) Check(ctx context.Context) error {
	if err := ended(ctx); err != nil {
		return err
	}
	// Not begin: the ledger is for uploads that hold something, and checks are frequent.
	u, err := s.initiate(ctx, checkKey, 0)
	if err != nil {
		return err
	}
	s.abort(ctx, u)
	if _, _, err := s.stat(ctx, checkKey); err != nil && !missingKey(err) {
		return err
	}
	return nil
}
