package trail

import (
	"context"
	"regexp"

	"exporthub/pkg/audit"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
)

// DatasetName names the dataset of the audit. Export rows and quotas store it.
const DatasetName = "audit"

const listTitle = "审计记录"

// detail is the column that mentions what other lists hide.
const detail = "detail"

// actions are what the actions are called.
var actions = dataset.Dictionary{
	Name: "audit_action",
	Entries: []dataset.Entry{
		{Value: audit.Login, Label: "登录"},
		{Value: audit.LoginRefused, Label: "登录被拒绝"},
		{Value: audit.LoginLocked, Label: "登录被锁定"},
		{Value: audit.PasswordChange, Label: "修改密码"},
		{Value: audit.PasswordReset, Label: "重置密码"},
		{Value: audit.PersonCreate, Label: "新建人员"},
		{Value: audit.PersonStatus, Label: "修改人员状态"},
		{Value: audit.RoleGrant, Label: "授予权限"},
		{Value: audit.RoleRevoke, Label: "收回权限"},
		{Value: audit.AccessRefused, Label: "没有权限被拒绝"},
		{Value: audit.ExportRequest, Label: "提交导出"},
		{Value: audit.ExportEnd, Label: "导出结束"},
		{Value: audit.ExportDownload, Label: "下载文件"},
		{Value: audit.ImportEnd, Label: "导入"},
		{Value: audit.Approve, Label: "审批通过"},
		{Value: audit.Reject, Label: "审批否决"},
	},
}

// phoneMask hides phones as the invitations' list does. Other long numbers match too: hiding one
// too many is the safe side.
var phoneMask = dataset.Mask{
	Permission: "invitation.read_phone",
	Head:       3,
	Tail:       4,
	Of:         regexp.MustCompile(`\+?[0-9][0-9-]{4,30}`),
}

// mayHoldPhones reports whether people wrote the detail: filters, file names and reasons. Elsewhere
// the mask would hide counts.
func (r *Row) mayHoldPhones() bool {
	switch r.Action {
	case audit.ExportRequest, audit.ExportEnd, audit.ExportDownload, audit.ImportEnd, audit.Approve, audit.Reject:
		return true
	}
	return false
}

func (s *service) dataset() dataset.Dataset {
	type field = dataset.Field[Row]
	column := func(key, title string, t dataset.Type) dataset.Column {
		return dataset.Column{Key: key, Title: title, Type: t}
	}
	action := column("action", "操作", dataset.Code)
	action.Labels = actions.Labels()
	details := column(detail, "详情", dataset.Text)
	details.Mask = phoneMask
	return dataset.Define(dataset.Spec[Filter, Row]{
		Name:       DatasetName,
		Service:    "Exports::Audit",
		Title:      listTitle,
		Permission: permissionRead,
		Fields: []field{
			{Column: column("id", "ID", dataset.Int), Value: func(r *Row) dataset.Value { return dataset.Number(r.ID) }},
			{Column: column("at", "时间", dataset.DateTime), Value: func(r *Row) dataset.Value { return dataset.Instant(r.At) }},
			{Column: column("actor", "人员ID", dataset.Int), Value: func(r *Row) dataset.Value { return dataset.Value{Num: r.ActorID, Null: r.ActorID == 0} }},
			{Column: column("actor_name", "人员", dataset.Text), Value: func(r *Row) dataset.Value { return text(r.ActorName) }},
			{Column: action, Value: func(r *Row) dataset.Value { return dataset.String(r.Action) }},
			{Column: column("subject", "对象", dataset.Text), Value: func(r *Row) dataset.Value { return text(r.Subject) }},
			{Column: column("address", "地址", dataset.Text), Value: func(r *Row) dataset.Value { return text(r.Address) }},
			{
				Column: details,
				Value:  func(r *Row) dataset.Value { return text(r.Detail) },
				Masks:  (*Row).mayHoldPhones,
			},
			{Column: column("times", "次数", dataset.Int), Value: func(r *Row) dataset.Value { return dataset.Number(r.Times) }},
		},
		Count: func(ctx context.Context, tx *database.Tx, q dataset.Query[Filter]) (int64, error) {
			return newQuery(q.Filter, q.IDs, s.Location).count(ctx, tx)
		},
		Page: func(ctx context.Context, tx *database.Tx, q dataset.Query[Filter], last *Row, limit int, into []Row) ([]Row, error) {
			var after cursor
			if last != nil {
				after = cursorOf(*last)
			}
			return newQuery(q.Filter, q.IDs, s.Location).after(ctx, tx, after, limit, into)
		},
	})
}

// text is a cell that is empty when the text is unset. An empty string would be a filled cell.
func text(s string) dataset.Value { return dataset.Value{Str: s, Null: s == ""} }
