package contact

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/page"
)

const tag = listTitle

// routes are the documented two of 003 and ours: create, change, delete, import.
func (s *service) routes() []httpapi.Route {
	return []httpapi.Route{
		httpapi.Handle("GET", "/api/contacts", httpapi.CodeMsg, permissionRead, httpapi.Doc{
			Summary: "联系记录列表",
			Tag:     tag,
			Detail: "带 export_format 时不返回列表，而是把全部匹配的记录加入导出队列，返回任务的 uuid 和 channel。" +
				"没有 contact.read_notes 权限的人在列表中看不到备注，导出文件没有这一列。",
		}, s.handleList, httpapi.StartsWith("export_format")),
		httpapi.Handle("GET", "/api/contacts/export", httpapi.CodeMsg, permissionRead, httpapi.Doc{
			Summary: "导出联系记录为 Excel",
			Tag:     tag,
			Detail: "加入导出队列并等待完成(EXPORT_WAIT)。被接受的导出总是返回 200 和下载链接:届时还没有完成的，" +
				"链接会等到文件生成，total_records 是此刻匹配的记录数。已经失败的返回 500(可稍后重试的为 503)和原因。",
		}, s.handleExport, httpapi.Starting()),
		httpapi.Handle("POST", "/api/contacts", httpapi.CodeMsg, permissionWrite, httpapi.Doc{
			Summary: "新建联系记录",
			Tag:     tag,
			Detail:  "同一账号下同一联系方式只有一条记录，重复时返回 409。",
		}, s.handleCreate),
		httpapi.Handle("PUT", "/api/contacts/{id}", httpapi.CodeMsg, permissionWrite, httpapi.Doc{
			Summary: "修改联系记录",
			Tag:     tag,
			Detail:  "只修改请求中出现的字段，null 表示清空。看不到备注的人不能修改备注。带 version 或 If-Match 时，记录已被修改过则返回 409。",
		}, s.handleChange),
		httpapi.Handle("DELETE", "/api/contacts/{id}", httpapi.CodeMsg, permissionWrite, httpapi.Doc{
			Summary: "删除联系记录",
			Tag:     tag,
			Detail:  "带 If-Match 时，记录已被修改过则返回 409。",
		}, s.handleRemove),
		s.importRoute(),
	}
}

// listIn is the request of the list, which is also the request of its export.
type listIn struct {
	Filter
	httpapi.PageSizePaging
	httpapi.ExportParams
}

// row is a record in the documented shape; version is our addition.
type row struct {
	ID              int64   `json:"id"`
	Name            string  `json:"name" doc:"姓名"`
	Position        string  `json:"position" doc:"岗位"`
	Contact         string  `json:"contact" doc:"联系方式"`
	ReplyStatus     string  `json:"reply_status" doc:"回复状态"`
	WechatExchanged bool    `json:"wechat_exchanged" doc:"是否交换微信"`
	AccountID       *int64  `json:"account_id" doc:"账号"`
	WorkerID        *string `json:"worker_id" doc:"Worker 标识"`
	Notes           string  `json:"notes" doc:"备注信息;没有 contact.read_notes 权限的人看到的是空"`
	ContactedAt     *string `json:"contacted_at" doc:"联系时间"`
	CreatedAt       string  `json:"created_at" doc:"创建时间"`
	Version         int64   `json:"version" doc:"修改时带上，可避免覆盖他人的修改"`
}

// newRow renders a record for one viewer: columns that need a permission are empty without it.
func newRow(ctx context.Context, view dataset.View, v Contact) row {
	r := row{
		ID:              v.ID,
		Name:            v.Name,
		Position:        v.Position,
		Contact:         v.Contact,
		ReplyStatus:     v.ReplyStatus,
		WechatExchanged: v.WechatExchanged,
		Notes:           view.Text(notes, v.Notes),
		Version:         v.Version,
		ContactedAt:     httpapi.NullTime(ctx, httpapi.CodeMsg, v.ContactedAt),
		CreatedAt:       httpapi.FormatTime(ctx, httpapi.CodeMsg, v.CreatedAt),
	}
	if v.AccountID != 0 {
		r.AccountID = &v.AccountID
	}
	if v.WorkerID != "" {
		r.WorkerID = &v.WorkerID
	}
	return r
}

// handleList answers with a page of records, or with the ticket of an export.
func (s *service) handleList(ctx context.Context, in listIn) (httpapi.Reply[admin.ListOrTicket[httpapi.ResultsPage[row]]], error) {
	return admin.List(ctx, s.Exports, s.dataset(), &in.Filter, in.ExportParams, func() (httpapi.ResultsPage[row], error) {
		result, err := s.list(ctx, in.Filter, in.PageRequest())
		if err != nil {
			return httpapi.ResultsPage[row]{}, err
		}
		view := s.view(ctx)
		return httpapi.ResultsList(page.Map(result, func(v Contact) row { return newRow(ctx, view, v) })), nil
	})
}

// exportIn is the request of the documented export. It has no columns, ids or format: the old
// page knows none of them.
type exportIn struct {
	Filter
}

// exportOut is the documented answer, followed by our fields about the job.
type exportOut struct {
	DownloadURL  string `json:"download_url" doc:"文件下载链接(完整 URL)"`
	Filename     string `json:"filename" doc:"文件名"`
	TotalRecords int64  `json:"total_records" doc:"导出的记录数"`
	GeneratedAt  string `json:"generated_at" doc:"文件生成时间;还没有生成时是提交时间"`
	dataset.Ticket
}

// extension is the documented format of the file. The name without it is what the job stores.
const extension = ".xlsx"

// handleExport queues an export and waits for it, since the old page expects a finished file in
// the answer.
func (s *service) handleExport(ctx context.Context, in exportIn) (exportOut, error) {
	now := s.Now()
	name := "contacts_export_" + now.In(s.Location).Format("20060102_150405") + "_" + fourBytes()
	ticket, err := s.Exports.Queue(ctx, dataset.Request{
		Dataset:    DatasetName,
		Format:     "xlsx",
		Filter:     &in.Filter,
		Filename:   name,
		Repeatable: true, // clients of the old page's kind send it again without an id
	})
	if err != nil {
		return exportOut{}, err
	}
	name = cmp.Or(ticket.Filename, name) // that of the first request, where this one repeats it
	// From here on the answer is a link, unless the export is known to have failed. Whatever
	// keeps this request from waiting for the export does not keep the link from doing so.
	outcome, err := s.Exports.Wait(ctx, ticket.UUID)
	if err != nil {
		outcome = dataset.Outcome{}
	}
	// An export that is known to have failed is not announced as a success.
	if outcome.Err != nil {
		return exportOut{}, outcome.Err
	}
	if !outcome.Ended {
		// The page shows the number as that of the file. Counting may fail; the link is good then
		// all the same.
		if n, err := s.count(ctx, in.Filter); err == nil {
			outcome.Count = n
		}
	}
	if !outcome.FinishedAt.IsZero() {
		now = outcome.FinishedAt
	}
	return exportOut{
		DownloadURL:  s.Exports.WaitLink(ticket.UUID, name+extension),
		Filename:     name + extension,
		TotalRecords: outcome.Count,
		GeneratedAt:  now.In(s.Location).Format(time.DateTime),
		Ticket:       ticket,
	}, nil
}

// count counts what the filter matches now.
func (s *service) count(ctx context.Context, f Filter) (n int64, err error) {
	err = s.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		counted, err := s.query(f, nil).count(ctx, tx)
		n = int64(counted)
		return err
	})
	return n, err
}

// fourBytes is the random part of a file's name. It separates the files of one second.
func fourBytes() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// createIn is a new record. Name and contact are required here and optional in changeIn, so
// they are not in Details.
type createIn struct {
	Name    string `json:"name" required:"true" minLength:"1" maxLength:"100" doc:"联系人姓名"`
	Contact string `json:"contact" required:"true" minLength:"1" maxLength:"100" doc:"电话或微信" example:"13800000001"`
	Details
}

// handleCreate stores a record and answers with it as the caller may see it.
func (s *service) handleCreate(ctx context.Context, in createIn) (row, error) {
	if err := cmp.Or(in.check(s.Location, s.view(ctx)), checkContact(in.Contact)); err != nil {
		return row{}, err
	}
	v := Contact{Name: admin.Clean(in.Name), Contact: admin.Clean(in.Contact)}
	in.apply(&v, s.Location)
	v, err := s.create(ctx, v)
	if err != nil {
		return row{}, err
	}
	return newRow(ctx, s.view(ctx), v), nil
}

// Seen is the version of a record that the caller has read. Without one the last write wins, as old
// clients expect.
type Seen struct {
	IfMatch string `json:"-" header:"If-Match" maxLength:"40" doc:"见过的 version"`
}

// version returns the version that the record must have, nil for any. The header wins over other,
// the field of the body. Weak tags and * are accepted because proxies and clients produce them.
func (s Seen) version(other httpapi.Opt[int64]) (*int64, error) {
	text := strings.Trim(strings.TrimPrefix(strings.TrimSpace(s.IfMatch), "W/"), `"`)
	if text == "" || text == "*" {
		return other.Ptr(), nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, errs.Invalidf("If-Match", "应为记录的 version")
	}
	return &n, nil
}

// changeIn is a change of a record: the fields it carries, and the version the caller has read.
type changeIn struct {
	ID      int64               `json:"id" minimum:"1"`
	Name    httpapi.Opt[string] `json:"name" maxLength:"100" doc:"联系人姓名"`
	Contact httpapi.Opt[string] `json:"contact" maxLength:"100" doc:"电话或微信"`
	Version httpapi.Opt[int64]  `json:"version" doc:"见过的 version;不带则直接覆盖"`
	Details
	Seen
}

// handleChange changes a record and answers with its new state.
func (s *service) handleChange(ctx context.Context, in changeIn) (row, error) {
	version, err := in.version(in.Version)
	if err != nil {
		return row{}, err
	}
	if err := cmp.Or(in.check(s.Location, s.view(ctx)), checkContact(in.Contact.Value)); err != nil {
		return row{}, err
	}
	v, err := s.change(ctx, in.ID, version, func(v *Contact) {
		trimmed(&v.Name, in.Name)
		trimmed(&v.Contact, in.Contact)
		in.apply(v, s.Location)
	})
	if err != nil {
		return row{}, err
	}
	return newRow(ctx, s.view(ctx), v), nil
}

// removeIn names the record to delete. A DELETE has no body, so the version comes in If-Match.
type removeIn struct {
	ID int64 `json:"id" minimum:"1"`
	Seen
}

// removed is the answer to a deletion. The envelope has no form without data.
type removed struct {
	ID int64 `json:"id" doc:"已删除的记录"`
}

// handleRemove deletes a record.
func (s *service) handleRemove(ctx context.Context, in removeIn) (removed, error) {
	version, err := in.version(httpapi.Opt[int64]{})
	if err != nil {
		return removed{}, err
	}
	return removed{in.ID}, s.remove(ctx, in.ID, version)
}
