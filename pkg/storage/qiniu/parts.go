package qiniu

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"

	"github.com/qiniu/go-sdk/v7/storagev2/apis"
	"github.com/qiniu/go-sdk/v7/storagev2/apis/resumable_upload_v2_complete_multipart_upload"

	"exporthub/pkg/errs"
)

// putParts sends a large object in parts, those only that an earlier try has not brought over.
func (s *Store) putParts(ctx context.Context, obj object) (err error) {
	partSize := s.partSize(obj.size)
	u, err := s.resume(obj, partSize)
	if err != nil {
		return err
	}
	if u == nil {
		if u, err = s.begin(ctx, obj.key, partSize); err != nil {
			return err
		}
	}
	defer func() { s.leave(ctx, u, err) }()
	if err := s.sendParts(ctx, u, obj); err != nil {
		return err
	}
	return s.complete(ctx, u, obj)
}

// partSize is the size of an object's parts: the configured one, or for an object that would have
// more than maxParts, the least multiple of 4 MiB that needs no more.
func (s *Store) partSize(size int64) int64 {
	least := (size + maxParts - 1) / maxParts
	return max(s.o.PartSize, (least+block-1)/block*block)
}

// initiate begins an upload at Kodo. Nothing is remembered of it yet; see begin.
func (s *Store) initiate(ctx context.Context, key string, partSize int64) (*upload, error) {
	var got *apis.ResumableUploadV2InitiateMultipartUploadResponse
	err := s.do(ctx, request{
		action: "begin upload",
		bucket: s.bucket,
		key:    key,
		hosts:  s.up,
		call: func(ctx context.Context, o *apis.Options) error {
			token, err := s.token(key)
			if err != nil {
				return err
			}
			got, err = s.api.ResumableUploadV2InitiateMultipartUpload(ctx, &apis.ResumableUploadV2InitiateMultipartUploadRequest{
				BucketName: s.bucket,
				ObjectName: &key,
				UpToken:    token,
			}, o)
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	return &upload{
		key:      key,
		id:       got.UploadId,
		expires:  got.ExpiredAt,
		partSize: partSize,
		touched:  s.o.Now(),
		parts:    map[int64]sentPart{},
	}, nil
}

// sendParts sends what is missing, several parts at a time. After a failure no other part is begun.
// Its goroutines have ended when it returns.
func (s *Store) sendParts(ctx context.Context, u *upload, obj object) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Before the goroutines start: they add to the parts that missing reads without the lock.
	missing := u.missing(obj.size)
	var group sync.WaitGroup
	var mu sync.Mutex
	var failed error
	next := func() (int64, bool) {
		mu.Lock()
		defer mu.Unlock()
		if failed != nil || len(missing) == 0 {
			return 0, false
		}
		n := missing[0]
		missing = missing[1:]
		return n, true
	}
	for range min(s.o.Concurrency, len(missing)) {
		group.Go(func() {
			for n, ok := next(); ok; n, ok = next() {
				if err := s.sendPart(ctx, u, n, obj); err != nil {
					mu.Lock()
					if failed == nil {
						failed = err
					}
					mu.Unlock()
					// Parts under way are ended when no other try can help. Otherwise they may
					// finish: the next try does not send them again.
					if !errs.Is(err, errs.Unavailable) {
						cancel(err)
					}
					return
				}
			}
		})
	}
	group.Wait()
	return failed
}

// sendPart sends part n, counted from 1. The part is read twice, for its sums and for the request;
// see digestOf.
func (s *Store) sendPart(ctx context.Context, u *upload, n int64, obj object) error {
	if err := ended(ctx); err != nil {
		return err
	}
	offset, length := u.extent(n, obj.size)
	d, err := digestOf(obj.src, offset, length)
	if err != nil {
		return readError(obj.key, err)
	}
	// Kodo compares it and refuses a part that was damaged on its way.
	sum := hex.EncodeToString(d.md5[:])
	var got *apis.ResumableUploadV2UploadPartResponse
	err = s.do(ctx, request{
		action:  fmt.Sprintf("send part %d of", n),
		bucket:  s.bucket,
		key:     obj.key,
		hosts:   s.up,
		mends:   mendableData,
		timeout: dataTimeoutsFor * s.o.RequestTimeout,
		call: func(ctx context.Context, o *apis.Options) error {
			token, err := s.token(obj.key)
			if err != nil {
				return err
			}
			b := newBody(obj.src, offset, length, obj.meter)
			got, err = s.api.ResumableUploadV2UploadPart(ctx, &apis.ResumableUploadV2UploadPartRequest{
				BucketName: s.bucket,
				ObjectName: &obj.key,
				UploadId:   u.id,
				PartNumber: n,
				Md5:        sum,
				UpToken:    token,
				Body:       b,
			}, o)
			if err == nil && (!strings.EqualFold(got.Md5, sum) || got.Etag == "") {
				err = fmt.Errorf("the answer's MD5 is %.40q, the part's %s", got.Md5, sum)
			}
			// The source's own error first: the transport has wrapped it as one of the network.
			if broken := b.stop(err == nil); broken != nil {
				return errPermanent{readError(obj.key, broken)}
			}
			return err
		},
	})
	if err != nil {
		return u.gone(err)
	}
	u.add(n, sentPart{digest: d, etag: got.Etag})
	return nil
}

// complete makes the parts an object. It decides by what is stored, and not by the answer alone: an
// answer may be lost, and a success may be a lie of something in between.
func (s *Store) complete(ctx context.Context, u *upload, obj object) error {
	// All parts have arrived here; a source that shrank since is refused by its size in confirm.
	parts, blocks := u.whole(obj.size)
	var got stored
	var code int
	err := s.do(ctx, request{
		action:  "complete",
		bucket:  s.bucket,
		key:     obj.key,
		hosts:   s.up,
		timeout: dataTimeoutsFor * s.o.RequestTimeout,
		call: func(ctx context.Context, o *apis.Options) error {
			token, err := s.token(obj.key)
			if err != nil {
				return err
			}
			got = stored{}
			_, err = s.api.ResumableUploadV2CompleteMultipartUpload(ctx, &apis.ResumableUploadV2CompleteMultipartUploadRequest{
				BucketName:   s.bucket,
				ObjectName:   &obj.key,
				UploadId:     u.id,
				UpToken:      token,
				Parts:        parts,
				FileName:     path.Base(obj.key),
				MimeType:     obj.contentType,
				ResponseBody: &got,
			}, o)
			code = codeOf(err)
			return err
		},
	})
	if ctx.Err() != nil {
		return ended(ctx)
	}
	damaged := code == http.StatusBadRequest // a part that Kodo took, and does not have
	if err != nil && !damaged && !missingKey(err) && !errs.Is(err, errs.Unavailable) {
		return err
	}
	// An answer may be lost when the work is done: then a second try is answered that there is no
	// such upload, and only the object shows what happened.
	confirmed := s.confirm(ctx, obj, got, etag(blocks), u.partSize == block)
	if confirmed == nil || err == nil {
		u.completed = true
		return confirmed
	}
	if damaged {
		u.lost = true
		return errs.Wrap(errs.Unavailable, messageUnavailable, err)
	}
	return u.gone(err)
}

// whole lists every part of an upload of that size, and the hashes of their blocks.
func (u *upload) whole(size int64) ([]resumable_upload_v2_complete_multipart_upload.PartInfo, [][sha1.Size]byte) {
	var parts []resumable_upload_v2_complete_multipart_upload.PartInfo
	var blocks [][sha1.Size]byte
	for n := int64(1); n <= u.count(size); n++ {
		p := u.parts[n]
		parts = append(parts, resumable_upload_v2_complete_multipart_upload.PartInfo{PartNumber: n, Etag: p.etag})
		blocks = append(blocks, p.blocks...)
	}
	return parts, blocks
}

// gone turns an error that ends an upload at Kodo into Unavailable: another try begins anew.
func (u *upload) gone(err error) error {
	if !missingKey(err) {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.lost = true
	return errs.Wrap(errs.Unavailable, messageUnavailable, err)
}
