package qiniu

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"path"

	"github.com/qiniu/go-sdk/v7/storagev2/apis"
	"github.com/qiniu/go-sdk/v7/storagev2/http_client"
	"github.com/qiniu/go-sdk/v7/storagev2/uptoken"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
)

// Put stores an object. Simultaneous Puts of a key happen one after the other. It returns when Kodo
// has confirmed the object's size and hash; see the package's comment for what it keeps when it
// fails.
func (s *Store) Put(ctx context.Context, key string, src io.ReaderAt, size int64, o storage.PutOptions) error {
	if err := ready(ctx, key); err != nil {
		return err
	}
	if size < 0 {
		return errs.Newf(errs.Invalid, "文件大小 %d 无效", size)
	}
	unlock, err := s.uploads.lock(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	m := newMeter(size, o.Progress, s.o.Now)
	defer m.stop()
	// A form is one request instead of three and more, which counts for the many small files.
	put := s.putForm
	if size > s.o.Threshold {
		put = s.putParts
	}
	if err := put(ctx, object{key: key, src: src, size: size, contentType: o.ContentType, meter: m}); err != nil {
		return err
	}
	m.done()
	return nil
}

// object is what a Put stores: the arguments of Put, with the meter in place of the callback.
type object struct {
	key         string
	src         io.ReaderAt
	size        int64
	contentType string
	meter       *meter
}

// stored is how Kodo answers a finished upload. An empty Hash is possible: then only the object's
// own, asked for afterwards, is compared.
type stored struct {
	Key  string `json:"key"`
	Hash string `json:"hash"`
}

// putForm sends a small object in one request. It holds the object in memory, at most Threshold.
func (s *Store) putForm(ctx context.Context, obj object) error {
	// Read first, since the SDK ends a form as if it were complete when its file can't be read.
	data := make([]byte, obj.size)
	if n, err := obj.src.ReadAt(data, 0); int64(n) < obj.size {
		return readError(obj.key, short(err))
	}
	// Of the bytes in memory, which are the ones that are sent: the source may change meanwhile.
	d, err := digestOf(bytes.NewReader(data), 0, obj.size)
	if err != nil {
		return err
	}
	// Set, because Kodo would guess one from the content, and a guess decides whether a browser
	// shows or saves the file.
	contentType := obj.contentType
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	var got stored
	err = s.do(ctx, request{
		action:  "put",
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
			got = stored{}
			b := newBody(bytes.NewReader(data), 0, obj.size, obj.meter)
			_, err = s.api.PostObject(ctx, &apis.PostObjectRequest{
				ObjectName:   &obj.key,
				UploadToken:  token,
				Crc32:        int64(crc32.ChecksumIEEE(data)),
				ResponseBody: &got,
				File:         http_client.MultipartFormBinaryData{Data: b, Name: path.Base(obj.key), ContentType: contentType},
			}, o)
			_ = b.stop(err == nil) // memory does not fail
			return err
		},
	})
	if err != nil {
		return err
	}
	return s.confirm(ctx, obj, got, etag(d.blocks), true)
}

// short is the error of a read that gave too little.
func short(err error) error {
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// confirm asks for an object that was stored, and compares what Kodo says it has with what was
// sent. strict is whether the hash has to be one that etag makes; objects in parts of another size
// have one of another kind, and only their size is compared.
func (s *Store) confirm(ctx context.Context, obj object, got stored, hash string, strict bool) error {
	// Unavailable: the next try replaces what is there.
	wrong := func(what string) error {
		return errs.Wrap(errs.Unavailable, "存储返回的文件校验不一致，请稍后再试",
			fmt.Errorf("storage: qiniu: put %s:%s: %s", s.bucket, obj.key, what))
	}
	differs := func(other string) bool { return other != hash && (strict || ofBlocks(other)) }
	if got.Hash != "" && differs(got.Hash) {
		return wrong(fmt.Sprintf("the answer's hash is %.40q, the source's %s", got.Hash, hash))
	}
	info, now, err := s.stat(ctx, obj.key)
	switch {
	case missingKey(err):
		return wrong("the upload was answered with success, and the object is not there")
	case err != nil:
		return err
	case info.Size != obj.size:
		return wrong(fmt.Sprintf("%d bytes are stored, %d were sent", info.Size, obj.size))
	case differs(now):
		return wrong(fmt.Sprintf("the stored object's hash is %.40q, the source's %s", now, hash))
	}
	return nil
}

// missingKey reports whether an error says that an object is not there, its bucket being so.
func missingKey(err error) bool {
	e := errs.As(err)
	return e != nil && e.Kind == errs.NotFound && e.Code != codeBucket
}

// token is a permission to store exactly this key, good for one request.
func (s *Store) token(key string) (uptoken.Provider, error) { return s.tokenAt(s.bucket, key) }

func (s *Store) tokenAt(bucket, key string) (uptoken.Provider, error) {
	// Twice what the request may take, so that a clock that is a little off does no harm.
	deadline := s.o.Now().Add(2 * dataTimeoutsFor * s.o.RequestTimeout)
	policy, err := uptoken.NewPutPolicyWithKey(bucket, key, deadline)
	if err != nil {
		return nil, fmt.Errorf("storage: qiniu: upload token: %w", err)
	}
	return uptoken.NewSigner(policy, s.credentials), nil
}
