package export

import (
	"context"
	"net/url"
	"strings"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
)

// filePath is where files are fetched: it is the object's key with a slash before it.
const filePath = "/export/"

// fileURL is the link to a stored file: good by itself until it expires.
func (s *Service) fileURL(key string, expires time.Time) string {
	path := "/" + key
	return s.o.PublicURL + path + "?s=" + url.QueryEscape(s.o.Signer.Sign(path, expires))
}

// download is a file somebody may fetch.
type download struct {
	exportRow
	owner *auth.Principal
	size  *int64 // bytes, as they were written; nil where no file has been
}

// openLink checks a link from every side: signed, not expired, its job's own file, and the job's owner may still export
// that list and see those columns.
func (s *Service) openLink(ctx context.Context, name, signature string) (download, error) {
	if err := s.o.Signer.Verify(filePath+name, signature, s.o.Now()); err != nil {
		return download{}, err
	}
	_, rest, _ := strings.Cut(name, "_")
	id, _, _ := strings.Cut(rest, ".")
	var d download
	err := s.o.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		d.exportRow, err = exportByID(ctx, tx, id)
		return err
	})
	if database.IsNoRows(err) || err == nil && d.ObjectKey != filePath[1:]+name {
		return d, errs.New(errs.NotFound, "文件不存在")
	}
	if err != nil {
		return d, err
	}
	return d, s.permit(ctx, &d)
}

// permit finds whose an export is, and holds that they may still export that list and see what it holds as it holds it: a
// column that was hidden from them since, or masked, ends their link.
func (s *Service) permit(ctx context.Context, d *download) error {
	j, err := s.store.Get(ctx, d.UUID)
	if err != nil {
		return err
	}
	e, err := readJob(j)
	if err != nil {
		return err
	}
	set, ok := s.o.Registry.Get(d.Dataset)
	if !ok {
		return errs.New(errs.Gone, "该列表已不能导出")
	}
	owner, err := s.o.People.Person(ctx, d.UserID)
	if err != nil {
		return err
	}
	if !owner.Can(set.Permission) {
		return errs.New(errs.Forbidden, "导出人已没有该列表的导出权限")
	}
	d.owner, d.size = owner, e.detail.FileSize
	if e.detail.File == nil { // the columns are settled when a worker writes them
		if _, err := set.Pick(e.payload.Columns, owner.Can); err != nil {
			return errs.New(errs.Forbidden, "导出人已没有查看其中某些列的权限")
		}
		return nil
	}
	return set.CheckShown(e.written(set), owner.Can)
}

// written returns the columns of the export's file as it holds them. A file that does not say was written by a version
// in which nothing was hidden: it is taken to hold what was asked for, unmasked.
func (e exportJob) written(set dataset.Dataset) []dataset.Column {
	var columns []dataset.Column
	for _, c := range e.detail.File.Columns {
		columns = append(columns, dataset.Column{Key: c.Key, Masked: c.Masked})
	}
	if columns == nil {
		for _, key := range e.payload.Columns {
			columns = append(columns, dataset.Column{Key: key})
		}
	}
	if columns == nil {
		columns = set.Columns
	}
	return columns
}

// audit records that a file was fetched.
func (s *Service) audit(ctx context.Context, d download, address string) error {
	return s.o.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		return auth.WriteAudit(ctx, tx, auth.AuditEntry{
			At: s.o.Now(), ActorID: d.UserID, Action: "export.download", Subject: d.UUID, Detail: d.Filename, Address: address,
		})
	})
}
