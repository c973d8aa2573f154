package contact

import (
	"context"
	"regexp"
	"sync"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/page"
	"exporthub/pkg/search"
)

// notReplied is the reply status of a record without one. It is a word and not a code, because the
// document has the field as free text.
const notReplied = "未回复"

// replyStatuses are the documented reply states. Records may hold any other text, so the filter
// accepts any text too.
var replyStatuses = dataset.Dictionary{
	Name: "reply_status",
	Entries: []dataset.Entry{
		{Value: "已回复", Label: "已回复"}, {Value: notReplied, Label: notReplied},
	},
}

// Contact is one record. Empty texts, account 0 and zero times are unset. It is comparable: an
// update is skipped when the record before and after is equal.
type Contact struct {
	ID              int64
	Name            string
	Position        string
	Contact         string // phone or WeChat, as it was collected
	ReplyStatus     string
	WechatExchanged bool
	AccountID       int64
	WorkerID        string
	Notes           string
	ContactedAt     time.Time
	CreatedAt       time.Time
	Version         int64 // starts at 1 and grows with each change
	// Key is what an import finds the record by, beside the account: the contact in one of the
	// many ways to write it. Empty is a record that is found by its unchanged contact, see
	// fillKeys. It is never shown.
	Key string
}

// key identifies the record to imports.
func (v Contact) key() key {
	if v.Key == "" {
		return key{account: v.AccountID, contact: v.Contact, exact: true}
	}
	return key{account: v.AccountID, contact: v.Key}
}

// scientific is how spreadsheets write a long number: digits of it are lost already. Of two such
// numbers nothing says whether they were one.
var scientific = regexp.MustCompile(`^\d(\.\d+)?E\+?\d+$`)

// checkContact refuses contacts that can't be somebody's.
func checkContact(contact string) error {
	if scientific.MatchString(admin.Key(contact)) {
		return errs.Invalidf("contact", "是科学计数法，号码的后几位已丢失:请在表格中把这一列设为文本格式后重新填写")
	}
	return nil
}

// text is the text of a record that the search index holds. Notes are not in it, since not everyone
// may read them.
func (v Contact) text() string { return search.Text(v.Name, v.Position, v.Contact) }

// Filter narrows the list and its export. Absent fields narrow nothing.
type Filter struct {
	Search          string         `json:"search,omitempty" column:"name,position,contact" maxLength:"100" doc:"搜索关键词:姓名、岗位、联系方式中的任意一段文字，不分大小写和全角半角"`
	ReplyStatus     string         `json:"reply_status,omitempty" column:"reply_status" maxLength:"32" doc:"回复状态" example:"已回复"`
	WechatExchanged *bool          `json:"wechat_exchanged,omitempty" column:"wechat_exchanged" doc:"是否交换微信"`
	StartDate       *httpapi.Bound `json:"start_date,omitempty" column:"created_at" doc:"创建时间从这一天 00:00:00 起"`
	EndDate         *httpapi.Bound `json:"end_date,omitempty" column:"created_at" doc:"创建时间到这一天 23:59:59 止"`
}

// Details are the fields of a record that a request may set, beside its name and its contact. An
// absent field keeps its value; null clears it.
type Details struct {
	Position        httpapi.Opt[string]        `json:"position" maxLength:"100" doc:"应聘岗位"`
	ReplyStatus     httpapi.Opt[string]        `json:"reply_status" maxLength:"32" doc:"回复状态，默认未回复" example:"已回复"`
	WechatExchanged httpapi.Opt[bool]          `json:"wechat_exchanged" doc:"是否交换微信"`
	AccountID       httpapi.Opt[int64]         `json:"account_id" minimum:"1" doc:"账号"`
	WorkerID        httpapi.Opt[string]        `json:"worker_id" maxLength:"100" doc:"Worker 标识"`
	Notes           httpapi.Opt[string]        `json:"notes" maxLength:"1000" doc:"备注信息"`
	ContactedAt     httpapi.Opt[httpapi.Bound] `json:"contacted_at" doc:"联系时间"`
}

// check refuses details that no record can hold, and notes from people who may not see them: they
// would overwrite what they can't read, and learn from the answer whether they guessed it.
func (d Details) check(zone *time.Location, view dataset.View) error {
	if d.Notes.Set && !view.Sees(notes) {
		return errs.Invalidf(notes, "没有查看备注的权限，不能填写或修改")
	}
	return checkTime("contacted_at", d.ContactedAt, zone)
}

// checkTime refuses times that lists and files can't show: they write a year with four digits, in
// zone. It also refuses Go's zero time, which means "unset" in a record.
func checkTime(field string, at httpapi.Opt[httpapi.Bound], zone *time.Location) error {
	b, said := at.Get()
	if !said || b.IsZero() {
		return nil
	}
	t := b.From(zone)
	if year := t.In(zone).Year(); year < 1 || year > 9999 || !t.After(time.Time{}) {
		return errs.Invalidf(field, "应在公元 1 年至 9999 年之间")
	}
	return nil
}

// apply sets the fields of v that the details carry. Times without a zone are read in zone.
func (d Details) apply(v *Contact, zone *time.Location) {
	trimmed(&v.Position, d.Position)
	trimmed(&v.ReplyStatus, d.ReplyStatus)
	trimmed(&v.WorkerID, d.WorkerID)
	// A cleared status and a status that was never set are the same: filters need one word for it.
	if v.ReplyStatus == "" {
		v.ReplyStatus = notReplied
	}
	if d.Notes.Set {
		v.Notes = d.Notes.Value
	}
	if d.WechatExchanged.Set {
		v.WechatExchanged = d.WechatExchanged.Value
	}
	if d.AccountID.Set {
		v.AccountID = d.AccountID.Value
	}
	if d.ContactedAt.Set {
		v.ContactedAt = instant(d.ContactedAt.Value, zone)
	}
}

// trimmed sets text to the value of o, if it has one, cleaned of what can't be seen.
func trimmed(text *string, o httpapi.Opt[string]) {
	if o.Set {
		*text = admin.Clean(o.Value)
	}
}

// instant is a time in the precision of the database, microseconds. Without the rounding an import
// would see a difference to the stored record and update it every time.
func instant(b httpapi.Bound, zone *time.Location) time.Time {
	if b.IsZero() {
		return time.Time{}
	}
	return b.From(zone).UTC().Truncate(time.Microsecond)
}

// check refuses a record without a name or a contact. It runs on the merged record, since an
// update may carry only one of them.
func (v Contact) check() error {
	var fields []errs.Field
	if v.Name == "" {
		fields = append(fields, errs.Field{Name: "name", Reason: "不能为空"})
	}
	if v.Contact == "" {
		fields = append(fields, errs.Field{Name: "contact", Reason: "不能为空"})
	}
	if len(fields) > 0 {
		return &errs.Error{Kind: errs.Invalid, Fields: fields}
	}
	return nil
}

// service holds the use cases of this module. Its only state is how many imports each person has
// running in this process.
type service struct {
	admin.Deps

	mu      sync.Mutex
	running map[int64]int
}

// list returns a page of the matching records, newest first.
func (s *service) list(ctx context.Context, f Filter, r page.Request) (page.Result[Contact], error) {
	q := s.query(f, nil)
	result := page.Result[Contact]{Request: r}
	var err error
	// Without a search text an index serves the order directly. With one, package search finds ids
	// and total together, because both come from the same postings.
	if q.text.Empty() {
		result.Total, result.Estimated, err = admin.Total(ctx, s.DB, table, q.countUpTo)
		if err != nil {
			return result, err
		}
		err = s.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
			result.Items, err = q.page(ctx, tx, result.Window())
			return err
		})
		return result, err
	}
	err = s.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		found, err := index.Find(ctx, tx, q.text, q.where, r.Size, r.Offset())
		if err != nil {
			return err
		}
		result.Total, result.Estimated = found.Total, found.Estimated
		result.Items, err = byIDs(ctx, tx, found.IDs)
		return err
	})
	return result, err
}

// duplicate turns a violation of the unique key into a Conflict: one account has one record for one
// contact. Other errors pass unchanged.
func duplicate(err error) error {
	if !database.IsUnique(err) {
		return err
	}
	return &errs.Error{Kind: errs.Conflict, Code: "contact_exists", Message: "该账号已有此联系方式的记录", Cause: err}
}

// create stores a new record. Its creation time is rounded as instant does it.
func (s *service) create(ctx context.Context, v Contact) (Contact, error) {
	v.CreatedAt, v.Version = s.Now().UTC().Truncate(time.Microsecond), 1
	v.Key = admin.Key(v.Contact)
	if err := v.check(); err != nil {
		return v, err
	}
	err := s.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		v.ID, err = insert(ctx, tx, v)
		return err
	})
	return v, duplicate(err)
}

// unknown is the answer for an id without a record.
func unknown() error { return errs.New(errs.NotFound, "没有这条联系记录") }

// locked returns a record and locks it for a change. A version that is not nil must be the record's
// present one, else it is a Conflict.
func locked(ctx context.Context, tx *database.Tx, id int64, version *int64) (Contact, error) {
	v, err := byID(ctx, tx, id)
	switch {
	case database.IsNoRows(err):
		return v, unknown()
	case err != nil:
		return v, err
	case version != nil && *version != v.Version:
		return v, &errs.Error{Kind: errs.Conflict, Code: "contact_changed", Message: "该记录已被他人修改，请刷新后重试"}
	}
	return v, nil
}

// change applies fn to a record. Without a version the last write wins. No-op updates are not
// written and keep the version.
func (s *service) change(ctx context.Context, id int64, version *int64, fn func(v *Contact)) (Contact, error) {
	var changed Contact
	err := s.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		old, err := locked(ctx, tx, id, version)
		if err != nil {
			return err
		}
		changed = old
		fn(&changed)
		// A record without a key keeps none while its contact stays: another record has it.
		if changed.Contact != old.Contact {
			changed.Key = admin.Key(changed.Contact)
		}
		if err := changed.check(); err != nil || changed == old {
			return err
		}
		changed.Version++
		return update(ctx, tx, old, changed)
	})
	return changed, duplicate(err)
}

// remove deletes a record. There is no trash: the document has a plain DELETE.
func (s *service) remove(ctx context.Context, id int64, version *int64) error {
	return s.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		old, err := locked(ctx, tx, id, version)
		if err != nil {
			return err
		}
		return remove(ctx, tx, old)
	})
}
