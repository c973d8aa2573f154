package invitation

import (
	"context"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
)

// DatasetName names the dataset of invitations. Export rows and quotas store it.
const DatasetName = "invitation"

// The columns whose middle is masked, in the list and in files, for viewers without
// invitation.read_phone.
const (
	userPhone          = "user_phone"
	recommendUserPhone = "recommend_user_phone"
)

// phoneMask is 138****0001. Without the permission phones can't be filtered by either: the number
// of rows would tell the digits.
var phoneMask = dataset.Mask{Permission: permissionPhone, Head: 3, Tail: 4}

// view is what the caller of ctx may see of the columns. The list and the file use the same one.
func (s *service) view(ctx context.Context) dataset.View { return s.dataset().View(auth.From(ctx).Can) }

// estimate is about how many invitations match. Only a filter that matches most of the table takes
// too long to count, since every narrower one has an index. The newest id is close to the size of
// such a result.
func estimate(ctx context.Context, tx *database.Tx, _ dataset.Query[Filter]) (int64, error) {
	return database.One(ctx, tx, database.Scalar[int64], "SELECT COALESCE(MAX(id), 0) FROM invitations")
}

// dataset is the list of invitations as a file. The columns are those of the document, in its
// order, followed by what else the list shows: those are Extra, so that a file that names no
// columns stays the documented one.
func (s *service) dataset() dataset.Dataset {
	type field = dataset.Field[Invitation]
	column := func(key, title string, t dataset.Type) dataset.Column {
		return dataset.Column{Key: key, Title: title, Type: t}
	}
	extra := func(key, title string, t dataset.Type) dataset.Column {
		c := column(key, title, t)
		c.Extra = true
		return c
	}
	status := column("approve_status", "审批状态", dataset.Code)
	status.Labels = statuses.Labels()
	// A decision has the texts of the states; only its time differs.
	decision := extra("decision", "审批决定", dataset.Code)
	decision.Labels = statuses.Labels()
	phone := func(key, title string) dataset.Column {
		c := column(key, title, dataset.Text)
		c.Mask = phoneMask
		return c
	}
	return dataset.Define(dataset.Spec[Filter, Invitation]{
		Name:       DatasetName,
		Service:    "Exports::Invitation",
		Title:      "邀请记录",
		Permission: permissionExport,
		Fields: []field{
			{Column: column("id", "ID", dataset.Int), Value: func(v *Invitation) dataset.Value { return dataset.Number(v.ID) }},
			{Column: column("created_at", "注册时间", dataset.DateTime), Value: func(v *Invitation) dataset.Value { return dataset.Instant(v.CreatedAt) }},
			{Column: status, Value: func(v *Invitation) dataset.Value { return dataset.String(string(v.Status)) }},
			{Column: column("approve_description", "审批原因", dataset.Text), Value: func(v *Invitation) dataset.Value { return text(v.ApproveDescription) }},
			{Column: phone(userPhone, "被邀请人手机号"), Value: func(v *Invitation) dataset.Value { return text(v.User.Phone) }},
			{Column: column("company_name", "公司名称", dataset.Text), Value: func(v *Invitation) dataset.Value { return text(v.User.CompanyName) }},
			{Column: column("department", "部门", dataset.Text), Value: func(v *Invitation) dataset.Value { return text(v.User.Department) }},
			{Column: column("position", "职位", dataset.Text), Value: func(v *Invitation) dataset.Value { return text(v.User.Position) }},
			{Column: column("area", "地区", dataset.Text), Value: func(v *Invitation) dataset.Value { return text(v.User.Area) }},
			{Column: phone(recommendUserPhone, "邀请人手机号"), Value: func(v *Invitation) dataset.Value { return text(v.RecommendUser.Phone) }},
			{Column: column("exhibition_id", "展会ID", dataset.Int), Value: func(v *Invitation) dataset.Value { return dataset.Number(v.Exhibition.ID) }},
			{Column: column("exhibition_name", "展会名称", dataset.Text), Value: func(v *Invitation) dataset.Value { return text(v.Exhibition.Name) }},
			{Column: extra("user_id", "被邀请人ID", dataset.Int), Value: func(v *Invitation) dataset.Value { return dataset.Number(v.User.ID) }},
			{Column: extra("recommend_user_id", "邀请人ID", dataset.Int), Value: func(v *Invitation) dataset.Value { return dataset.Number(v.RecommendUser.ID) }},
			{Column: decision, Value: func(v *Invitation) dataset.Value { return text(string(v.Decision)) }},
			{Column: extra("decided_by_id", "审批人ID", dataset.Int), Value: func(v *Invitation) dataset.Value { return id(v.DecidedBy.ID) }},
			{Column: extra("decided_by", "审批人", dataset.Text), Value: func(v *Invitation) dataset.Value { return text(v.DecidedBy.Name) }},
			{Column: extra("decided_at", "审批时间", dataset.DateTime), Value: func(v *Invitation) dataset.Value { return dataset.Instant(v.DecidedAt) }},
		},
		Count: func(ctx context.Context, tx *database.Tx, q dataset.Query[Filter]) (int64, error) {
			n, err := count(ctx, tx, s.query(q.Filter, q.IDs), 0)
			return int64(n), err
		},
		Estimate: estimate,
		Page: func(ctx context.Context, tx *database.Tx, q dataset.Query[Filter], last *Invitation, limit int, into []Invitation) ([]Invitation, error) {
			return after(ctx, tx, s.query(q.Filter, q.IDs), last, limit, into)
		},
	})
}

// exhibitionDataset names the dataset of exhibitions.
const exhibitionDataset = "exhibition"

// exhibitions is the list of exhibitions as a file. It has no Estimate: there are some dozens of
// rows, and counting them is always fast.
func exhibitions() dataset.Dataset {
	type field = dataset.Field[Exhibition]
	return dataset.Define(dataset.Spec[ExhibitionFilter, Exhibition]{
		Name:       exhibitionDataset,
		Service:    "Exports::Exhibition",
		Title:      "展会",
		Permission: permissionExport,
		Fields: []field{
			{Column: dataset.Column{Key: "id", Title: "ID", Type: dataset.Int}, Value: func(e *Exhibition) dataset.Value { return dataset.Number(e.ID) }},
			{Column: dataset.Column{Key: "name", Title: "展会名称", Type: dataset.Text}, Value: func(e *Exhibition) dataset.Value { return text(e.Name) }},
		},
		Count: func(ctx context.Context, tx *database.Tx, q dataset.Query[ExhibitionFilter]) (int64, error) {
			n, err := newExhibitionQuery(q.Filter, q.IDs).count(ctx, tx)
			return int64(n), err
		},
		Page: func(ctx context.Context, tx *database.Tx, q dataset.Query[ExhibitionFilter], last *Exhibition, limit int, into []Exhibition) ([]Exhibition, error) {
			found, err := newExhibitionQuery(q.Filter, q.IDs).after(ctx, tx, last, limit)
			return append(into, found...), err
		},
	})
}

// text is a cell that is empty when the text is unset. An empty string would be written as a cell
// of text, which spreadsheets count as filled.
func text(s string) dataset.Value { return dataset.Value{Str: s, Null: s == ""} }

// id is a cell that is empty where there is nothing with an id.
func id(n int64) dataset.Value { return dataset.Value{Num: n, Null: n == 0} }
