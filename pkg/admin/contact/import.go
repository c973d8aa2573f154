package contact

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/audit"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/httpapi"
)

const (
	// importChunk is how many lines one transaction stores. 200 rows of 13 columns stay below the
	// smallest limit of placeholders, SQLite's 32,766, and a failed chunk is cheap to repeat.
	importChunk = 200
	// importErrors is how many problems a report lists; further bad lines are only counted.
	importErrors = 100
	// importTries is how often a chunk is tried while other imports add the same records.
	importTries = 5
	// maxBadLines is how many bad lines end an import: a file with more is not what its sender
	// thinks it is, and each bad line costs the work of a good one.
	maxBadLines = 1000
	// importsAtOnce is how many imports one person may have running in one process.
	importsAtOnce = 4
)

// importLine is one line of an import: the key of a record, and the fields to set.
type importLine struct {
	Name    httpapi.Opt[string] `json:"name" maxLength:"100" doc:"联系人姓名;新记录必填"`
	Contact string              `json:"contact" required:"true" minLength:"1" maxLength:"100" doc:"电话或微信"`
	Details
	CreatedAt httpapi.Opt[httpapi.Bound] `json:"created_at" doc:"创建时间，只用于新记录;默认现在"`

	number int // in the body, from 1
}

// key identifies a record to an import.
type key struct {
	account int64
	contact string // the record's Key, or its contact when exact
	// exact is a record without a Key, found by its unchanged contact.
	exact bool
}

// key returns the record's key. A line without account_id belongs to account 0, which is none.
func (l importLine) key() key { return key{account: l.AccountID.Value, contact: admin.Key(l.Contact)} }

// exactKey is the key of the record that has the line's unchanged contact.
func (l importLine) exactKey() key {
	return key{account: l.AccountID.Value, contact: admin.Clean(l.Contact), exact: true}
}

// settle makes empty texts absent and only null clear, for all fields alike. Programs that collect
// records write "" for what they did not find, which says nothing about the record.
func (l *importLine) settle() {
	for _, o := range []*httpapi.Opt[string]{&l.Name, &l.Position, &l.ReplyStatus, &l.WorkerID, &l.Notes} {
		if o.Set && !o.Null && admin.Clean(o.Value) == "" {
			*o = httpapi.Opt[string]{}
		}
	}
}

// importReport is the result of an import. Every line that is not blank is counted once, so that
// total = created + updated + unchanged + failed.
type importReport struct {
	Total     int         `json:"total" doc:"行数，不含空行"`
	Created   int         `json:"created" doc:"新建"`
	Updated   int         `json:"updated" doc:"修改"`
	Unchanged int         `json:"unchanged" doc:"已有且内容相同"`
	Failed    int         `json:"failed" doc:"有误，没有导入"`
	Errors    []lineError `json:"errors" doc:"有误的行，最多列出 100 个问题"`
}

// lineError is one problem of one line. A line may have several.
type lineError struct {
	Line   int    `json:"line" doc:"行号，从 1 开始"`
	Field  string `json:"field" doc:"字段;整行有误时为空"`
	Reason string `json:"reason" doc:"原因"`
}

// firstErrors keeps the problems of the first lines, in the order of lines. Sorting is needed
// because some problems are found when a line is read, and others later, when its chunk is stored.
func firstErrors(errors ...lineError) []lineError {
	slices.SortStableFunc(errors, func(a, b lineError) int { return cmp.Compare(a.Line, b.Line) })
	return errors[:min(len(errors), importErrors)]
}

// fail counts a line that is not stored and records its problems.
func (r *importReport) fail(line int, err error) {
	r.Failed++
	add := func(field, reason string) {
		r.Errors = firstErrors(append(r.Errors, lineError{line, field, reason})...)
	}
	e := errs.As(err)
	if e == nil || len(e.Fields) == 0 {
		message := "无法读取"
		if e != nil && e.Message != "" {
			message = e.Message
		}
		add("", message)
		return
	}
	for _, f := range e.Fields {
		add(f.Name, f.Reason)
	}
}

// errRaced means that another import added one of the records between the lookup and the insert.
// Trying the chunk again finds it and updates it.
var errRaced = errors.New("contact: a record was added by another import")

// importer is one import. It is used by the one goroutine of its request.
type importer struct {
	s       *service
	key     string // identifies the import in its message
	ownerID int64
	view    dataset.View // what the person who sends it may see
	lines   []importLine // the chunk being collected, at most importChunk lines
	after   time.Time    // creation time of the newest record of the last chunk
	report  importReport // of the chunks stored so far, and of lines that could not be read
}

// newImporter starts an import of a person. Its key is random, as nothing in a body identifies
// it: the same file may be sent twice on purpose.
func newImporter(s *service, ownerID int64, view dataset.View) *importer {
	return &importer{
		s:       s,
		key:     rand.Text(),
		ownerID: ownerID,
		view:    view,
		report:  importReport{Errors: []lineError{}},
	}
}

// take adds a readable line to the chunk, and stores the chunk before when it is full. A full chunk
// waits for the next line because finish must have the last chunk for its own transaction.
func (im *importer) take(ctx context.Context, line importLine) error {
	if len(im.lines) == importChunk {
		if err := im.store(ctx, nil); err != nil {
			return err
		}
	}
	im.lines = append(im.lines, line)
	return nil
}

// finish stores the last chunk and, in the same transaction, raises ImportEnded. An import without
// any lines raises nothing.
func (im *importer) finish(ctx context.Context) error {
	if im.report.Total == 0 {
		return nil
	}
	return im.store(ctx, func(ctx context.Context, tx *database.Tx, report importReport) error {
		return im.ended(ctx, tx, report, "")
	})
}

// notifyTimeout bounds the transaction that writes the message about an aborted import. The request
// may be gone by then, so its context can't bound it.
const notifyTimeout = 3 * time.Second

// abort raises ImportEnded for an import that was cut short, so that its owner learns what of it is
// stored. The client may have gone, and the message is then the only report.
func (im *importer) abort(ctx context.Context, cause error) {
	reason := "导入中断，请重新提交"
	if e := errs.As(cause); e != nil && e.Message != "" {
		reason = e.Message
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), notifyTimeout)
	defer cancel()
	err := im.s.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		return im.ended(ctx, tx, im.report, reason)
	})
	if err != nil {
		cmp.Or(im.s.Logger, slog.Default()).WarnContext(ctx, "no message about an aborted import", "owner", im.ownerID, "error", err)
	}
}

// ended records the import in the audit and raises ImportEnded with the counts of r. reason is
// empty unless the import was aborted.
func (im *importer) ended(ctx context.Context, tx *database.Tx, r importReport, reason string) error {
	detail := fmt.Sprintf("%s: 新建 %d，修改 %d，未变 %d，有误 %d", listTitle, r.Created, r.Updated, r.Unchanged, r.Failed)
	if reason != "" {
		detail += "; 中断: " + reason
	}
	err := audit.Record(ctx, tx, audit.Entry{
		At:      im.s.Now(),
		ActorID: im.ownerID,
		Action:  audit.ImportEnd,
		Subject: im.key,
		Detail:  detail,
	})
	if err != nil {
		return err
	}
	return im.s.Events.Raise(ctx, tx, admin.ImportEnded, admin.Import{
		Key:       im.key,
		OwnerID:   im.ownerID,
		Title:     listTitle,
		Reason:    reason,
		Created:   r.Created,
		Updated:   r.Updated,
		Unchanged: r.Unchanged,
		Failed:    r.Failed,
	})
}

// store stores the collected lines in one transaction. with, if any, runs in the same transaction
// and gets the report that includes them.
func (im *importer) store(ctx context.Context, with func(ctx context.Context, tx *database.Tx, report importReport) error) error {
	for try := 1; ; try++ {
		// Each chunk's records are created later than those of the chunk before, even when the
		// clock has not moved or went back: the list's order is the order of lines.
		var report importReport
		now := im.s.Now().UTC().Truncate(time.Microsecond)
		if !now.After(im.after) {
			now = im.after.Add(time.Microsecond)
		}
		err := im.s.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
			c := chunk{now: now, zone: im.s.Location, lines: im.lines, place: map[key]int{}}
			if err := c.run(ctx, tx); err != nil {
				return err
			}
			report = im.report.plus(c.report)
			if with == nil {
				return nil
			}
			return with(ctx, tx, report)
		})
		// A unique violation from outside addAll means the same race.
		if (errors.Is(err, errRaced) || database.IsUnique(err)) && try < importTries {
			continue
		}
		if err != nil {
			return err
		}
		im.after = now.Add(time.Duration(len(im.lines)) * time.Microsecond)
		im.report, im.lines = report, im.lines[:0]
		return nil
	}
}

// plus is the report with the one of another chunk added. The errors are copied: a chunk may be
// tried several times on top of the same report.
func (r importReport) plus(part importReport) importReport {
	r.Created += part.Created
	r.Updated += part.Updated
	r.Unchanged += part.Unchanged
	r.Failed += part.Failed
	r.Errors = firstErrors(append(slices.Clip(r.Errors), part.Errors...)...)
	return r
}
