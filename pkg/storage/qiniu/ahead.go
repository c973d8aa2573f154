package qiniu

import (
	"context"
	"io"

	"exporthub/pkg/errs"
	"exporthub/pkg/storage"
)

// Ahead sends the full parts of an object that is still being written, those only that have not
// been sent. It does nothing yet for one that may still turn out to be sent as a form, and nothing
// any more for one that is too large for parts of the usual size. Whether the parts are the
// source's in the end is for Put to compare; here they are taken for that, since reading the file
// from its beginning each time would cost more than it saves.
func (s *Store) Ahead(ctx context.Context, key string, src io.ReaderAt, size int64, o storage.PutOptions) (err error) {
	if err := ready(ctx, key); err != nil {
		return err
	}
	if size < 0 {
		return errs.Newf(errs.Invalid, "文件大小 %d 无效", size)
	}
	// The last part may still grow; sent now, it would have to be sent again.
	full := size - size%s.o.PartSize
	if size <= s.o.Threshold || full == 0 || s.partSize(size) != s.o.PartSize {
		return nil
	}
	unlock, err := s.uploads.lock(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	u := s.takeUp(key, s.o.PartSize)
	if u == nil {
		if u, err = s.begin(ctx, key, s.o.PartSize); err != nil {
			return err
		}
	}
	// Cancelling Ahead keeps what was sent, unlike cancelling Put: the attempt calls Put next, and
	// cancels the Ahead under way so that Put does not wait for the key.
	defer func() {
		if err == nil || ctx.Err() != nil && !u.lost {
			s.pause(ctx, u)
		} else {
			s.leave(ctx, u, err)
		}
	}()
	// Without a callback: people follow the rows that are written, and a second percentage beside
	// it would go up and down.
	m := newMeter(full, nil, s.o.Now)
	return s.sendParts(ctx, u, object{key: key, src: src, size: full, contentType: o.ContentType, meter: m})
}
