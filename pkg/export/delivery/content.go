package delivery

import (
	"context"
	"fmt"
	"io"
	"time"

	"exporthub/pkg/errs"
	"exporthub/pkg/export/record"
	"exporthub/pkg/storage"
)

// Content is where the bytes of a file are: at a link of the store's, or here.
type Content struct {
	Link string // where to redirect to; when it is empty the rest is set

	Body     io.ReadSeekCloser // to be closed by the caller
	Modified time.Time
}

// Content opens a file. A file that was removed, or that is not as long as it was written, is Gone:
// the person has to export again.
func (l *Links) Content(ctx context.Context, f File) (Content, error) {
	link, err := l.deps.Store.Link(ctx, f.ObjectKey, storage.LinkOptions{
		Filename: f.Filename,
		TTL:      record.LinkTTL,
	})
	if err != nil {
		return Content{}, fmt.Errorf("link to %s: %w", f.ObjectKey, err)
	}
	if link != "" {
		return Content{Link: link}, nil
	}
	body, info, err := l.deps.Store.Open(ctx, f.ObjectKey)
	if errs.Is(err, errs.NotFound) {
		return Content{}, errs.Wrap(errs.Gone, "文件已被清理，请重新导出", err)
	}
	if err != nil {
		return Content{}, fmt.Errorf("open %s: %w", f.ObjectKey, err)
	}
	// A file cut short by a full or failing disk opens without an error, and half a workbook looks
	// like a download that went wrong.
	if f.Size != nil && info.Size != *f.Size {
		_ = body.Close() // only read
		l.deps.Logger.Error("stored file is not as it was written",
			"job", f.UUID, "key", f.ObjectKey, "size", info.Size, "want", *f.Size)
		return Content{}, errs.New(errs.Gone, "文件已损坏，请重新导出")
	}
	return Content{Body: body, Modified: info.Modified}, nil
}
