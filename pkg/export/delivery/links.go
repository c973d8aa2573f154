package delivery

import (
	"cmp"
	"context"
	"encoding/hex"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/record"
	"exporthub/pkg/job"
	"exporthub/pkg/storage"
)

// Where files are fetched.
const (
	// FilePath is where stored files are fetched: a path is the key of the object behind a slash.
	FilePath = "/" + record.ObjectPrefix
	// WaitPath is where links that wait for their file are fetched; the file's name follows.
	WaitPath = "/media/exports/"
)

// People is what delivery needs to know of identities.
type People interface {
	// Person returns a person with today's role and permissions; one who may not sign in has none.
	Person(ctx context.Context, id int64) (*auth.Principal, error)
}

// Jobs is what delivery needs of the job engine.
type Jobs interface {
	// Wait returns the job once it has moved past a sequence number, or as it is when ctx ends.
	Wait(ctx context.Context, uuid string, sinceSeq uint64) (job.Job, error)
}

// Deps is what Links are made of. Everything without a stated default is required.
type Deps struct {
	DB       *database.DB
	Jobs     Jobs
	People   People
	Registry *dataset.Registry
	Store    storage.Store
	Signer   *storage.Signer

	PublicURL string        // what links begin with, without a slash at the end
	Retention time.Duration // how long a file can be fetched
	Now       func() time.Time
	Logger    *slog.Logger

	// Wait is how long Links.Wait waits; 0 is 25 s, less than proxies and pages give a request.
	Wait time.Duration
	// FileWait is how long a link waits for its file; 0 is 10 minutes.
	FileWait time.Duration
}

// Links makes and opens the links to files. It is safe for concurrent use.
type Links struct {
	deps      Deps
	jobs      *job.Store
	downloads *downloads

	draining context.Context // ends with Drain, which the contexts of requests do not
	drain    context.CancelFunc
}

// NewLinks returns Links. Call Drain before the process ends.
func NewLinks(d Deps) *Links {
	d.Wait = cmp.Or(d.Wait, 25*time.Second)
	d.FileWait = cmp.Or(d.FileWait, 10*time.Minute)
	l := &Links{
		deps: d,
		jobs: job.NewStore(d.DB),
	}
	l.draining, l.drain = context.WithCancel(context.Background())
	l.downloads = &downloads{
		db:       d.DB,
		now:      d.Now,
		log:      d.Logger,
		draining: l.draining,
	}
	return l
}

// File is a file that may be fetched.
type File struct {
	record.Row
	Owner *auth.Principal
	Size  *int64 // bytes, as they were written; nil where no file has been
	// SHA256 is of the whole file; empty where it is not known.
	SHA256 []byte
}

// FileURL is the link to a stored file. Its signature is all it needs until it expires.
func (l *Links) FileURL(key string, expires time.Time) string {
	path := "/" + key
	return l.deps.PublicURL + path + "?s=" + url.QueryEscape(l.deps.Signer.Sign(path, expires))
}

// Open checks a link from every side: signed, not expired, the file of its job, and the job's owner
// may still export that list and see those columns.
func (l *Links) Open(ctx context.Context, name, signature string) (File, error) {
	// First the signature, which costs no query: strangers who guess don't reach the database.
	if err := l.deps.Signer.Verify(FilePath+name, signature, l.deps.Now()); err != nil {
		return File{}, err
	}
	_, rest, _ := strings.Cut(name, "_")
	id, _, _ := strings.Cut(rest, ".")
	row, err := l.row(ctx, id)
	// An attempt that was overtaken signed a link too, to an object that is not the job's file.
	if database.IsNoRows(err) || err == nil && row.ObjectKey != record.ObjectPrefix+name {
		return File{}, errs.New(errs.NotFound, "文件不存在")
	}
	if err != nil {
		return File{}, err
	}
	return l.permit(ctx, row)
}

// row reads the row of an export.
func (l *Links) row(ctx context.Context, uuid string) (row record.Row, err error) {
	err = l.deps.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		row, err = record.ByID(ctx, tx, uuid)
		return err
	})
	return row, err
}

// permit finds out whose an export is and checks that they may still export that list and see what
// the file holds in the way it holds it: a column that was hidden from them or masked since ends
// their link.
func (l *Links) permit(ctx context.Context, row record.Row) (File, error) {
	f := File{Row: row}
	j, err := l.jobs.Get(ctx, row.UUID)
	if err != nil {
		return f, err
	}
	e, err := record.Read(j)
	if err != nil {
		return f, err
	}
	set, ok := l.deps.Registry.Get(row.Dataset)
	if !ok {
		return f, errs.New(errs.Gone, "该列表已不能导出")
	}
	owner, err := l.deps.People.Person(ctx, row.UserID)
	if err != nil {
		return f, err
	}
	if !owner.Can(set.Permission) {
		return f, errs.New(errs.Forbidden, "导出人已没有该列表的导出权限")
	}
	f.Owner = owner
	f.Size = e.Detail.FileSize
	if e.Detail.File != nil {
		// What an older release has written has none, and decodes to none.
		f.SHA256, _ = hex.DecodeString(e.Detail.File.SHA256)
		return f, set.CheckShown(e.Written(set), owner.Can)
	}
	// Without a file yet there is nothing to compare with; a worker settles the columns when it
	// writes them. What was asked for by name can be refused already.
	if _, err := set.Pick(e.Args.Columns, owner.Can); err != nil {
		return f, errs.New(errs.Forbidden, "导出人已没有查看其中某些列的权限")
	}
	return f, nil
}

// Record records a download in the audit, before its first byte is sent. While the database takes
// no writes the row waits in memory and the download goes on; it fails when too many wait.
func (l *Links) Record(ctx context.Context, f Fetch) error { return l.downloads.record(ctx, f) }
