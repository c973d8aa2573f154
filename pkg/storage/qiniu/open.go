package qiniu

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	sdk "github.com/qiniu/go-sdk/v7/client"
	"github.com/qiniu/go-sdk/v7/storagev2/apis"
	"github.com/qiniu/go-sdk/v7/storagev2/uptoken"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
)

const (
	linkTTL  = 5 * time.Minute
	tokenTTL = 10 * time.Minute
)

// escape spells text for a URL, path or query, with a blank as %20, which every reader of either
// takes for one; a plus is a blank in a query only.
func escape(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

func escapeKey(key string) string { return strings.ReplaceAll(escape(key), "%2F", "/") }

// Link returns a signed URL at which Kodo serves the object. It does not ask whether there is one.
func (s *Store) Link(ctx context.Context, key string, o storage.LinkOptions) (string, error) {
	if err := ready(ctx, key); err != nil {
		return "", err
	}
	if o.TTL == 0 {
		o.TTL = linkTTL
	}
	return s.link(key, o), nil
}

func (s *Store) link(key string, o storage.LinkOptions) string {
	link, mark := s.private+"/"+escapeKey(key), "?"
	if o.Filename != "" {
		link += "?attname=" + escape(o.Filename)
		mark = "&"
	}
	// The order matters: what is signed is the text up to the token, which has to come last.
	link += fmt.Sprintf("%se=%d", mark, s.o.Now().Add(o.TTL).Unix())
	return link + "&token=" + s.credentials.Sign([]byte(link))
}

// PublicURL is where anyone can fetch an object of the public bucket.
func (s *Store) PublicURL(key string) (string, error) {
	if err := storage.CheckKey(key); err != nil {
		return "", err
	}
	return s.public + "/" + escapeKey(key), nil
}

// UploadToken returns a permission to upload new objects under a prefix.
func (s *Store) UploadToken(ctx context.Context, o storage.TokenOptions) (storage.Token, error) {
	if err := errors.Join(storage.CheckPrefix(o.Prefix), ended(ctx)); err != nil {
		return storage.Token{}, err
	}
	if o.Prefix == "" || o.MaxSize < 0 || o.TTL < 0 {
		return storage.Token{}, errs.New(errs.Invalid, "上传凭证必须限定前缀，大小和时长不能为负数")
	}
	if o.TTL == 0 {
		o.TTL = tokenTTL
	}
	bucket := s.bucket
	if o.Public {
		bucket = s.o.Bucket
	}
	// A token counts in whole seconds; what we return must not be later than what it says.
	expires := s.o.Now().Add(o.TTL).Truncate(time.Second).UTC()
	policy, err := uptoken.NewPutPolicyWithKeyPrefix(bucket, o.Prefix, expires)
	if err != nil {
		return storage.Token{}, fmt.Errorf("storage: qiniu: upload token: %w", err)
	}
	// Without it a holder could replace the files of others under the same prefix.
	policy.SetInsertOnly(1)
	if o.MaxSize > 0 {
		policy.SetFsizeLimit(o.MaxSize)
	}
	text, err := uptoken.NewSigner(policy, s.credentials).GetUpToken(ctx)
	if err != nil {
		return storage.Token{}, fmt.Errorf("storage: qiniu: upload token: %w", err)
	}
	// The host that worked last for us. A browser has one address and can't try the others.
	host, _ := s.up.pick()
	return storage.Token{Token: text, URL: host, Prefix: o.Prefix, Expires: expires}, nil
}

// Open reads an object over signed links; ctx is that of the reads too. A broken connection is
// resumed where it broke. Reads fail when the object is replaced meanwhile.
func (s *Store) Open(ctx context.Context, key string) (io.ReadSeekCloser, storage.Info, error) {
	if err := ready(ctx, key); err != nil {
		return nil, storage.Info{}, err
	}
	info, hash, err := s.stat(ctx, key)
	if err != nil {
		return nil, storage.Info{}, err
	}
	return &reader{s: s, ctx: ctx, key: key, hash: hash, size: info.Size}, info, nil
}

// reader reads one object. It is not safe for concurrent use.
type reader struct {
	s         *Store
	ctx       context.Context
	key, hash string
	size, at  int64
	stream    io.ReadCloser // stands at at, or is nil
	broken    int           // how often the stream broke without bringing anything
}

func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("storage: seek before the beginning")
	}
	// The next read asks for the rest from here. A stream begins with the first read, so the seeks
	// by which http.ServeContent learns the size cost no request.
	if offset != r.at {
		_ = r.Close()
		r.at = offset
	}
	return offset, nil
}

// Close ends the reading. A read after it begins anew where the reader stood.
func (r *reader) Close() error {
	if r.stream == nil {
		return nil
	}
	stream := r.stream
	r.stream = nil
	return stream.Close()
}

func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if r.at >= r.size {
			return 0, io.EOF
		}
		if err := ended(r.ctx); err != nil {
			return 0, err
		}
		if r.stream == nil {
			if err := r.fetch(); err != nil {
				return 0, err
			}
		}
		n, err := r.stream.Read(p[:min(int64(len(p)), r.size-r.at)])
		r.at += int64(n)
		// A link that breaks again and again and still brings something is gone on with for ever.
		if n > 0 {
			r.broken = 0
		}
		if err != nil {
			_ = r.Close()
		}
		// The error, if any, is met again by the next Read, which asks for the rest.
		if n > 0 {
			return n, nil
		}
		if err == nil {
			continue
		}
		if r.broken++; r.broken > r.s.o.Tries {
			return 0, r.s.classify(request{action: "read", bucket: r.s.bucket, key: r.key, mends: mendable}, short(err))
		}
	}
}

// fetch begins a stream where the reader stands. Each time it signs a new link, so that a download
// that takes hours does not fail when the first one expires.
func (r *reader) fetch() error {
	return r.s.do(r.ctx, request{
		action:  "read",
		bucket:  r.s.bucket,
		key:     r.key,
		hosts:   &hosts{all: []string{r.s.private}},
		timeout: readTimeout,
		call: func(ctx context.Context, _ *apis.Options) error {
			req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, r.s.link(r.key, storage.LinkOptions{TTL: linkTTL}), nil)
			if err != nil {
				return err
			}
			// The beginning is asked for without a range: a cache in front of the bucket that
			// ignores ranges can still serve whole objects.
			if r.at > 0 {
				req.Header.Set("Range", fmt.Sprintf("bytes=%d-", r.at))
			}
			res, err := r.s.http.Do(req)
			if err != nil {
				return err
			}
			if err := r.accept(res); err != nil {
				res.Body.Close()
				return err
			}
			r.stream = res.Body
			return nil
		},
	})
}

// readTimeout is in fact none: a stream lives as long as it moves, which movingConn watches.
const readTimeout = 24 * time.Hour

// accept checks that an answer is the rest of the object that was opened. Bytes of another object,
// or from another place, would be a broken file that looks whole.
func (r *reader) accept(res *http.Response) error {
	if res.StatusCode/100 != 2 {
		return sdk.ResponseError(res)
	}
	if tag := strings.Trim(strings.TrimPrefix(res.Header.Get("ETag"), "W/"), `"`); tag != "" && tag != r.hash {
		return errPermanent{errs.Wrap(errs.Unavailable, "文件已被替换，请重新下载",
			fmt.Errorf("storage: qiniu: read %s:%s: the object has changed from %s to %.40q", r.s.bucket, r.key, r.hash, tag))}
	}
	if r.at > 0 && (res.StatusCode != http.StatusPartialContent ||
		!strings.HasPrefix(res.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", r.at))) {
		return errPermanent{errs.Wrap(errs.Unavailable, messageUnavailable,
			fmt.Errorf("storage: qiniu: read %s:%s: asked for the bytes from %d, got status %d and range %q", r.s.bucket, r.key, r.at,
				res.StatusCode, res.Header.Get("Content-Range")))}
	}
	return nil
}
