package trail

import (
	"context"

	"exporthub/pkg/admin"
	"exporthub/pkg/auth"
	"exporthub/pkg/httpapi"
)

// Filter is what the list and its export are narrowed by.
type Filter struct {
	Actor   *int64         `json:"actor,omitempty" column:"actor,actor_name" minimum:"0" doc:"人员ID;0 为未知的人"`
	Action  string         `json:"action,omitempty" column:"action" maxLength:"64" doc:"操作" example:"login.refused"`
	Subject string         `json:"subject,omitempty" column:"subject" maxLength:"128" doc:"对象，如任务的 uuid、person:5、role:2"`
	Address string         `json:"address,omitempty" column:"address" maxLength:"64" doc:"地址" example:"192.0.2.7"`
	From    *httpapi.Bound `json:"from,omitempty" column:"at" doc:"时间从此起"`
	Until   *httpapi.Bound `json:"until,omitempty" column:"at" doc:"时间到此止;只有日期时包含整天"`
}

type listIn struct {
	Filter
	httpapi.ExportParams
	Cursor string `json:"cursor" maxLength:"200" doc:"上一页答案中的 next"`
	Limit  int    `json:"limit" minimum:"1" maximum:"1000" default:"50" doc:"每页的数量，最多 1000"`
}

// row is an entry as the list shows it.
type row struct {
	ID         int64  `json:"id"`
	At         string `json:"at" doc:"时间;按分钟计数的为该分钟"`
	Actor      *int64 `json:"actor" doc:"人员ID;未知为 null"`
	ActorName  string `json:"actor_name" doc:"人员现在的名称"`
	Action     string `json:"action" doc:"操作"`
	ActionName string `json:"action_name" doc:"操作的名称"`
	Subject    string `json:"subject" doc:"对象"`
	Address    string `json:"address" doc:"地址;按网络计数的为网络"`
	Detail     string `json:"detail" doc:"详情;没有 invitation.read_phone 权限的人看到的号码被遮盖"`
	Times      int64  `json:"times" doc:"该分钟内的次数"`
}

// pageOut is a page of the list.
type pageOut struct {
	Items []row   `json:"items" doc:"新的在前"`
	Next  *string `json:"next" doc:"下一页的 cursor;没有下一页为 null"`
}

func (s *service) routes() []httpapi.Route {
	return []httpapi.Route{
		httpapi.Handle("GET", "/api/admin/audit", httpapi.CodeMsg, permissionRead, httpapi.Doc{
			Summary: listTitle,
			Tag:     "管理",
			Detail: "谁在何时从何处做了什么，新的在前。被拒绝的请求按人员、地址(IPv6 为 /64)、对象和分钟计数，times 为次数。" +
				"带 export_format 时不返回列表，而是把全部匹配的记录加入导出队列。",
		}, s.handleList, httpapi.StartsWith("export_format")),
	}
}

func (s *service) handleList(ctx context.Context, in listIn) (httpapi.Reply[admin.ListOrTicket[pageOut]], error) {
	return admin.List(ctx, s.Exports, s.dataset(), &in.Filter, in.ExportParams, func() (pageOut, error) {
		after, err := parseCursor(in.Cursor)
		if err != nil {
			return pageOut{}, err
		}
		rows, next, err := s.page(ctx, in.Filter, after, in.Limit)
		if err != nil {
			return pageOut{}, err
		}
		view := s.dataset().View(auth.From(ctx).Can)
		out := pageOut{Items: make([]row, len(rows)), Next: next.text()}
		for i, r := range rows {
			if r.mayHoldPhones() {
				r.Detail = view.Text(detail, r.Detail)
			}
			out.Items[i] = newRow(ctx, r)
		}
		return out, nil
	})
}

func newRow(ctx context.Context, r Row) row {
	out := row{
		ID:         r.ID,
		At:         httpapi.FormatTime(ctx, httpapi.CodeMsg, r.At),
		ActorName:  r.ActorName,
		Action:     r.Action,
		ActionName: actions.Labels()[r.Action],
		Subject:    r.Subject,
		Address:    r.Address,
		Detail:     r.Detail,
		Times:      r.Times,
	}
	if r.ActorID != 0 {
		out.Actor = &r.ActorID
	}
	return out
}
