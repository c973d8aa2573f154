package contact

import (
	"context"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
)

// DatasetName names the dataset of contact records. Export rows and quotas store it.
const DatasetName = "contact"

// listTitle is the Chinese name of the list, for files and messages.
const listTitle = "联系记录"

// header is the documented header style (003): white on blue. All headers are bold.
var header = dataset.HeaderStyle{Fill: "4472C4", Font: "FFFFFF"}

// notes is the column that needs contact.read_notes. It is not in the search index, so that a
// search reveals nothing about hidden notes.
const notes = "notes"

// view is what the caller of ctx may see of the columns. The list and the file use the same one.
func (s *service) view(ctx context.Context) dataset.View { return s.dataset().View(auth.From(ctx).Can) }

// dataset is the list of records as a file. The columns are the ten of the document, in its order,
// followed by what else the list shows. account_id is among the latter, and part of an import's
// key: a file without it would be imported as other records.
func (s *service) dataset() dataset.Dataset {
	type field = dataset.Field[Contact]
	column := func(key, title string, t dataset.Type) dataset.Column {
		return dataset.Column{Key: key, Title: title, Type: t}
	}
	extra := func(key, title string, t dataset.Type) dataset.Column {
		c := column(key, title, t)
		c.Extra = true
		return c
	}
	remarks := column(notes, "备注", dataset.Text)
	remarks.Permission = permissionNotes
	return dataset.Define(dataset.Spec[Filter, Contact]{
		Name:       DatasetName,
		Service:    "Exports::Contact",
		Title:      listTitle,
		Permission: permissionExport,
		Header:     header,
		NoInfo:     true, // the documented workbook has this one sheet, and readers take the first
		Fields: []field{
			{Column: column("id", "ID", dataset.Int), Value: func(v *Contact) dataset.Value { return dataset.Number(v.ID) }},
			{Column: column("name", "姓名", dataset.Text), Value: func(v *Contact) dataset.Value { return dataset.String(v.Name) }},
			{Column: column("position", "岗位", dataset.Text), Value: func(v *Contact) dataset.Value { return text(v.Position) }},
			{Column: column("contact", "联系方式", dataset.Text), Value: func(v *Contact) dataset.Value { return dataset.String(v.Contact) }},
			{Column: column("reply_status", "回复状态", dataset.Text), Value: func(v *Contact) dataset.Value { return dataset.String(v.ReplyStatus) }},
			{Column: column("wechat_exchanged", "是否交换微信", dataset.Bool), Value: func(v *Contact) dataset.Value { return dataset.Truth(v.WechatExchanged) }},
			{Column: column("worker_id", "Worker ID", dataset.Text), Value: func(v *Contact) dataset.Value { return text(v.WorkerID) }},
			{Column: remarks, Value: func(v *Contact) dataset.Value { return text(v.Notes) }},
			{Column: column("contacted_at", "联系时间", dataset.DateTime), Value: func(v *Contact) dataset.Value { return dataset.Instant(v.ContactedAt) }},
			{Column: column("created_at", "创建时间", dataset.DateTime), Value: func(v *Contact) dataset.Value { return dataset.Instant(v.CreatedAt) }},
			{Column: extra("account_id", "账号", dataset.Int), Value: func(v *Contact) dataset.Value { return account(v.AccountID) }},
			{Column: extra("version", "版本", dataset.Int), Value: func(v *Contact) dataset.Value { return dataset.Number(v.Version) }},
		},
		Count: func(ctx context.Context, tx *database.Tx, q dataset.Query[Filter]) (int64, error) {
			n, err := s.query(q.Filter, q.IDs).count(ctx, tx)
			return int64(n), err
		},
		Page: func(ctx context.Context, tx *database.Tx, q dataset.Query[Filter], last *Contact, limit int, into []Contact) ([]Contact, error) {
			return s.query(q.Filter, q.IDs).after(ctx, tx, last, limit, into)
		},
	})
}

// text is a cell that is empty when the text is unset. An empty string would be a filled cell.
func text(s string) dataset.Value { return dataset.Value{Str: s, Null: s == ""} }

// account is a cell that is empty for a record without an account.
func account(id int64) dataset.Value { return dataset.Value{Num: id, Null: id == 0} }
