package contact

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
	"exporthub/pkg/httpapi"
)

const (
	// importChunk is how many lines one transaction takes: below every engine's limit of
	// placeholders.
	importChunk = 200
	// importErrors is how many bad lines are told; the others are counted.
	importErrors = 100
	// importTries is how often a chunk is tried while other imports add the same records.
	importTries = 5
)

// importLine is one line of an import: the key, and what it says of the record.
type importLine struct {
	Name    httpapi.Opt[string] `json:"name" maxLength:"100" doc:"联系人姓名;新记录必填"`
	Contact string              `json:"contact" required:"true" minLength:"1" maxLength:"100" doc:"电话或微信"`
	Details
	CreatedAt httpapi.Opt[httpapi.Bound] `json:"created_at" doc:"创建时间，只用于新记录;默认现在"`

	number int // in the body, from 1
}

// key is what an import finds records by.
type key struct {
	account int64
	contact string
}

func (l importLine) key() key { return key{l.AccountID.Value, strings.TrimSpace(l.Contact)} }

// importReport is what became of an import. Every line that is not blank is counted once.
type importReport struct {
	Total     int         `json:"total" doc:"行数，不含空行"`
	Created   int         `json:"created" doc:"新建"`
	Updated   int         `json:"updated" doc:"修改"`
	Unchanged int         `json:"unchanged" doc:"已有且内容相同"`
	Failed    int         `json:"failed" doc:"有误，没有导入"`
	Errors    []lineError `json:"errors" doc:"有误的行，最多列出 100 个问题"`
}

// lineError is one thing wrong with one line.
type lineError struct {
	Line   int    `json:"line" doc:"行号，从 1 开始"`
	Field  string `json:"field" doc:"字段;整行有误时为空"`
	Reason string `json:"reason" doc:"原因"`
}

// told keeps what is wrong with the first lines, in their order: some of it is found only when a
// line's chunk is stored.
func told(errors ...lineError) []lineError {
	slices.SortStableFunc(errors, func(a, b lineError) int { return cmp.Compare(a.Line, b.Line) })
	return errors[:min(len(errors), importErrors)]
}

// fail records a line that is not taken.
func (r *importReport) fail(line int, err error) {
	r.Failed++
	add := func(field, reason string) { r.Errors = told(append(r.Errors, lineError{line, field, reason})...) }
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

// errRaced says that somebody else added one of the records in the meantime.
var errRaced = errors.New("contact: a record was added by another import")

// importer is one import: what it has taken so far, and the lines of the chunk that is being
// collected.
type importer struct {
	s       *service
	key     string // names the import
	ownerID int64
	lines   []importLine
	after   time.Time // when the last chunk's newest record was created
	report  importReport
}

func newImporter(s *service, ownerID int64) *importer {
	return &importer{s: s, key: rand.Text(), ownerID: ownerID, report: importReport{Errors: []lineError{}}}
}

// take adds a good line, and stores the chunk before it when that is full.
func (im *importer) take(ctx context.Context, line importLine) error {
	if len(im.lines) == importChunk {
		if err := im.store(ctx, nil); err != nil {
			return err
		}
	}
	im.lines = append(im.lines, line)
	return nil
}

// finish stores what is left and, in the same transaction, tells that the import has ended, if
// there was anything in it.
func (im *importer) finish(ctx context.Context) error {
	if im.report.Total == 0 {
		return nil
	}
	return im.store(ctx, func(ctx context.Context, tx *database.Tx, report importReport) error {
		return im.ended(ctx, tx, report, "")
	})
}

// tellWithin is how long a broken off import tries to tell its owner so.
const tellWithin = 3 * time.Second

// brokeOff tells the owner of an import that it was cut short, and what of it is in. Whoever
// sent it may be gone already.
func (im *importer) brokeOff(ctx context.Context, cause error) {
	reason := "导入中断，请重新提交"
	if e := errs.As(cause); e != nil && e.Message != "" {
		reason = e.Message
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellWithin)
	defer cancel()
	err := im.s.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		return im.ended(ctx, tx, im.report, reason)
	})
	if err != nil {
		cmp.Or(im.s.Logger, slog.Default()).WarnContext(ctx, "a broken off import is told to nobody", "owner", im.ownerID, "error", err)
	}
}

func (im *importer) ended(ctx context.Context, tx *database.Tx, r importReport, reason string) error {
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

// store takes the collected lines in one transaction, with what belongs to it. A line is applied
// to the record of its key, or makes one.
func (im *importer) store(ctx context.Context, with func(ctx context.Context, tx *database.Tx, report importReport) error) error {
	for try := 1; ; try++ {
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

// plus is the report with that of another chunk.
func (r importReport) plus(part importReport) importReport {
	r.Created += part.Created
	r.Updated += part.Updated
	r.Unchanged += part.Unchanged
	r.Failed += part.Failed
	r.Errors = told(append(slices.Clip(r.Errors), part.Errors...)...)
	return r
}

// chunk is the work of one transaction.
type chunk struct {
	// when its first line's record is created; each line's is a microsecond after the one before
	now    time.Time
	zone   *time.Location
	lines  []importLine
	place  map[key]int // which of the lines made a new record
	report importReport
}

// keys are those of the lines, each once, in one order for everybody: two imports of the same
// records then wait for each other instead of deadlocking.
func (c *chunk) keys() []key {
	keys := make([]key, len(c.lines))
	for i, l := range c.lines {
		keys[i] = l.key()
	}
	slices.SortFunc(keys, compareKeys)
	return slices.Compact(keys)
}

func (c *chunk) run(ctx context.Context, tx *database.Tx) error {
	if len(c.lines) == 0 {
		return nil
	}
	stored, err := byKeys(ctx, tx, c.keys())
	if err != nil {
		return err
	}
	now := make(map[key]Contact, len(stored))
	for k, v := range stored {
		now[k] = v
	}
	for i, l := range c.lines {
		if err := c.apply(i, l, now); err != nil {
			c.report.fail(l.number, err)
		}
	}
	var fresh []Contact
	for _, k := range c.keys() {
		v, wanted := now[k]
		old, there := stored[k]
		switch {
		case !wanted || there && v == old:
		case !there:
			fresh = append(fresh, v)
		default:
			v.Version = old.Version + 1
			if err := update(ctx, tx, old, v); err != nil {
				return err
			}
		}
	}
	c.order(tx, fresh)
	return addAll(ctx, tx, fresh)
}

// order puts new records in the order of their lines where the list would show it: ids decide
// between records that say they were created at the same time. Two imports that deadlock for
// this are both made in the end, one of them later. Otherwise records are added in the order of
// their keys.
func (c *chunk) order(tx *database.Tx, fresh []Contact) {
	times := make(map[time.Time]bool, len(fresh))
	for _, v := range fresh {
		times[v.CreatedAt] = true
	}
	if tx.Dialect() != database.SQLite && len(times) == len(fresh) {
		return
	}
	place := func(v Contact) int { return c.place[key{v.AccountID, v.Contact}] }
	slices.SortFunc(fresh, func(a, b Contact) int { return cmp.Compare(place(a), place(b)) })
}

// apply lays the i-th line over the record of its key as it stands after the lines before.
func (c *chunk) apply(i int, l importLine, now map[key]Contact) error {
	v, there := now[l.key()]
	if !there {
		at := c.now.Add(time.Duration(i) * time.Microsecond)
		v = Contact{Contact: l.key().contact, AccountID: l.key().account, CreatedAt: at, Version: 1}
		if at, ok := l.CreatedAt.Get(); ok && !at.IsZero() {
			v.CreatedAt = instant(at, c.zone)
		}
	}
	old := v
	trimmed(&v.Name, l.Name)
	l.Details.apply(&v, c.zone)
	v.AccountID = l.key().account // absent is none here: it is a part of the key
	if err := v.check(); err != nil {
		return err
	}
	now[l.key()] = v
	switch {
	case !there:
		c.place[l.key()] = i
		c.report.Created++
	case v != old:
		c.report.Updated++
	default:
		c.report.Unchanged++
	}
	return nil
}
