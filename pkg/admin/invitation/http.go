package invitation

import (
	"context"
	"regexp"

	"exporthub/pkg/admin"
	"exporthub/pkg/auth"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/page"
)

const tag = "邀请"

// routes are the documented ones of 000 and ours: create, the list of exhibitions, bulk
// decisions.
func (s *service) routes() []httpapi.Route {
	return append([]httpapi.Route{
		httpapi.Handle("GET", "/api/admin/invitations", httpapi.CodeRemark, permissionRead, httpapi.Doc{
			Summary: "邀请记录列表",
			Tag:     tag,
			Detail: "带 export_format 时不返回列表，而是把全部匹配的记录加入导出队列，返回任务的 uuid 和 channel。" +
				"没有 invitation.read_phone 权限的人在列表和导出文件中看到的手机号中间都是 ****，也不能按手机号筛选。",
		}, s.handleList, httpapi.StartsWith("export_format")),
		httpapi.Handle("POST", "/api/admin/invitations", httpapi.CodeRemark, permissionWrite, httpapi.Doc{
			Summary: "新建邀请",
			Tag:     tag,
			Detail:  "按手机号查找用户;没有的用户会新建，已有的用户保持原有资料。",
		}, s.handleCreate),
		httpapi.Handle("GET", "/api/admin/exhibitions", httpapi.CodeRemark, permissionRead, httpapi.Doc{
			Summary: "展会列表",
			Tag:     tag,
			Detail:  "供邀请列表的筛选使用。带 export_format 时不返回列表，而是加入导出队列。",
		}, s.handleExhibitions, httpapi.StartsWith("export_format")),
	}, s.approvalRoutes()...)
}

// listIn is the request of the list, which is also the request of its export.
type listIn struct {
	Filter
	httpapi.PerPagePaging
	httpapi.ExportParams
}

// row is an invitation in the documented shape, followed by our own fields about the decision. All
// keys are always there, null when unset, because old pages read them without a check.
type row struct {
	ID                 int64         `json:"id"`
	CreatedAt          string        `json:"created_at" doc:"注册时间"`
	ApproveStatus      Status        `json:"approve_status" doc:"审批状态"`
	ApproveDescription *string       `json:"approve_description" doc:"审批原因"`
	User               userRow       `json:"user" doc:"被邀请人"`
	RecommendUser      recommendRow  `json:"recommend_user" doc:"邀请人"`
	Exhibition         exhibitionRow `json:"exhibition" doc:"展会"`
	Decision           *string       `json:"decision" doc:"已做出的决定:approved、rejected;执行完成前 approve_status 仍是 applying"`
	DecidedBy          *deciderRow   `json:"decided_by" doc:"审批人"`
	DecidedAt          *string       `json:"decided_at" doc:"审批时间"`
}

type deciderRow struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// userRow is the invited user. Only its phone is never null.
type userRow struct {
	ID          int64   `json:"id"`
	Phone       string  `json:"phone"`
	CompanyName *string `json:"company_name" doc:"公司名称"`
	Department  *string `json:"department" doc:"部门"`
	Position    *string `json:"position" doc:"职位"`
	Area        *string `json:"area" doc:"地区"`
}

// recommendRow is the inviter. The document shows only these two fields of one.
type recommendRow struct {
	ID    int64  `json:"id"`
	Phone string `json:"phone"`
}

type exhibitionRow struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

// newRow renders an invitation for one viewer: masked columns are masked here.
func newRow(ctx context.Context, view dataset.View, v Invitation) row {
	r := row{
		ID:                 v.ID,
		CreatedAt:          httpapi.FormatTime(ctx, httpapi.CodeRemark, v.CreatedAt),
		ApproveStatus:      v.Status,
		ApproveDescription: orNull(v.ApproveDescription),
		User: userRow{
			ID:          v.User.ID,
			Phone:       view.Text(userPhone, v.User.Phone),
			CompanyName: orNull(v.User.CompanyName),
			Department:  orNull(v.User.Department),
			Position:    orNull(v.User.Position),
			Area:        orNull(v.User.Area),
		},
		RecommendUser: recommendRow{ID: v.RecommendUser.ID, Phone: view.Text(recommendUserPhone, v.RecommendUser.Phone)},
		Exhibition:    exhibitionRow{ID: v.Exhibition.ID, Name: v.Exhibition.Name},
		Decision:      orNull(string(v.Decision)),
		DecidedAt:     httpapi.NullTime(ctx, httpapi.CodeRemark, v.DecidedAt),
	}
	if v.DecidedBy.ID != 0 {
		r.DecidedBy = &deciderRow{ID: v.DecidedBy.ID, Name: v.DecidedBy.Name}
	}
	return r
}

// orNull turns an unset text into null, as the document's examples do.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// handleList answers with a page of invitations, or with the ticket of an export.
func (s *service) handleList(ctx context.Context, in listIn) (httpapi.Reply[admin.ListOrTicket[httpapi.ModelsPage[row]]], error) {
	return admin.List(ctx, s.Exports, s.dataset(), &in.Filter, in.ExportParams, func() (httpapi.ModelsPage[row], error) {
		result, err := s.list(ctx, in.Filter, in.PageRequest())
		if err != nil {
			return httpapi.ModelsPage[row]{}, err
		}
		view := s.view(ctx)
		return httpapi.ModelsList(page.Map(result, func(v Invitation) row { return newRow(ctx, view, v) })), nil
	})
}

// phone is checked loosely, since exhibitions have guests from abroad.
var phone = regexp.MustCompile(`^\+?[0-9][0-9-]{4,30}$`)

// phoneIn returns a phone of a request in the form in which phones are stored: of two people who
// differ by what can't be seen, or by the width of digits, there would be one too many.
func phoneIn(field, text string) (string, error) {
	key := admin.Key(text)
	if !phone.MatchString(key) {
		return "", errs.Invalidf(field, "应为电话号码")
	}
	return key, nil
}

// createIn is a new invitation.
type createIn struct {
	ExhibitionID   int64  `json:"exhibition_id" required:"true" minimum:"1" doc:"展会id"`
	UserPhone      string `json:"user_phone" required:"true" maxLength:"64" doc:"被邀请人手机号"`
	RecommendPhone string `json:"recommend_user_phone" required:"true" maxLength:"64" doc:"邀请人手机号"`
	CompanyName    string `json:"company_name,omitempty" maxLength:"200" doc:"公司名称"`
	Department     string `json:"department,omitempty" maxLength:"200" doc:"部门"`
	Position       string `json:"position,omitempty" maxLength:"200" doc:"职位"`
	Area           string `json:"area,omitempty" maxLength:"200" doc:"地区"`
}

// handleCreate stores an invitation and answers with it as the caller may see it.
func (s *service) handleCreate(ctx context.Context, in createIn) (row, error) {
	// The answer holds what is recorded of a phone's owner, and a conflict says who has invited
	// whom: with both, a person without the right could find any phone.
	if !auth.From(ctx).Can(permissionPhone) {
		return row{}, errs.New(errs.Forbidden, "没有查看完整手机号的权限，不能新建邀请")
	}
	user, err := phoneIn(userPhone, in.UserPhone)
	if err != nil {
		return row{}, err
	}
	recommender, err := phoneIn(recommendUserPhone, in.RecommendPhone)
	if err != nil {
		return row{}, err
	}
	v, err := s.create(ctx, creation{
		ExhibitionID:   in.ExhibitionID,
		RecommendPhone: recommender,
		User: User{
			Phone:       user,
			CompanyName: in.CompanyName,
			Department:  in.Department,
			Position:    in.Position,
			Area:        in.Area,
		},
	})
	if err != nil {
		return row{}, err
	}
	return newRow(ctx, s.view(ctx), v), nil
}

// exhibitionsIn is the request of the list of exhibitions, which the page's filter uses too.
type exhibitionsIn struct {
	ExhibitionFilter
	httpapi.PerPagePaging
	httpapi.ExportParams
}

// handleExhibitions answers with a page of exhibitions, or with the ticket of an export.
func (s *service) handleExhibitions(ctx context.Context, in exhibitionsIn) (httpapi.Reply[admin.ListOrTicket[httpapi.ModelsPage[exhibitionRow]]], error) {
	return admin.List(ctx, s.Exports, exhibitions(), &in.ExhibitionFilter, in.ExportParams, func() (httpapi.ModelsPage[exhibitionRow], error) {
		result, err := s.listExhibitions(ctx, in.ExhibitionFilter, in.PageRequest())
		if err != nil {
			return httpapi.ModelsPage[exhibitionRow]{}, err
		}
		return httpapi.ModelsList(page.Map(result, func(e Exhibition) exhibitionRow { return exhibitionRow(e) })), nil
	})
}
