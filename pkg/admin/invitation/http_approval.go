package invitation

import (
	"context"
	"fmt"

	"exporthub/pkg/admin"
	"exporthub/pkg/auth"
	"exporthub/pkg/errs"
	"exporthub/pkg/httpapi"
)

// decidingPaths are the last segments of the addresses that decide, with what they decide.
var decidingPaths = []struct {
	path, title string
	status      Status
}{
	{"approve", "审批通过", Approved},
	{"reject", "审批否决", Rejected},
}

// approvalRoutes are the four routes that decide: approve and reject, for one and for several.
func (s *service) approvalRoutes() []httpapi.Route {
	var routes []httpapi.Route
	for _, d := range decidingPaths {
		routes = append(routes,
			httpapi.Handle("PUT", "/api/admin/invitations/{id}/"+d.path, httpapi.CodeRemark, permissionApprove, httpapi.Doc{
				Summary: d.title,
				Tag:     tag,
				Detail:  "返回的邀请仍是 applying:决定由任务执行，完成后推送到 /approval/<用户 id>。已审批的返回 code -1。",
			}, func(ctx context.Context, in decideIn) (row, error) { return s.handleDecide(ctx, d.status, in) }),
			httpapi.Handle("PUT", "/api/admin/invitations/"+d.path, httpapi.CodeRemark, permissionApprove, httpapi.Doc{
				Summary: "批量" + d.title,
				Tag:     tag,
				Detail:  "作为一个任务执行，进度推送到 /approval/<用户 id>;not_claimed 是已审批或不存在的邀请。",
			}, func(ctx context.Context, in decideAllIn) (httpapi.Reply[decideAllOut], error) {
				return s.handleDecideAll(ctx, d.status, in)
			}),
		)
	}
	return routes
}

type decideIn struct {
	ID                 int64  `json:"id" required:"true" minimum:"1" doc:"邀请"`
	ApproveDescription string `json:"approve_description,omitempty" maxLength:"500" doc:"通过或否决的原因"`
}

// handleDecide claims one decision. It answers before the decision is applied, as the document
// shows it.
func (s *service) handleDecide(ctx context.Context, status Status, in decideIn) (row, error) {
	v, err := s.decide(ctx, in.ID, decision{Status: status, Reason: in.ApproveDescription})
	if err != nil {
		return row{}, err
	}
	return newRow(ctx, s.view(ctx), v), nil
}

// decideAllIn is a bulk decision. 1,000 is one page at its largest: what a person can tick.
type decideAllIn struct {
	IDs                []int64 `json:"ids" required:"true" minItems:"1" maxItems:"1000" doc:"邀请，最多 1,000 条"`
	ApproveDescription string  `json:"approve_description,omitempty" maxLength:"500" doc:"通过或否决的原因"`
}

// decideAllOut is an accepted bulk decision.
type decideAllOut struct {
	UUID       *string `json:"uuid" doc:"任务;全部都不能审批时为 null"`
	Channel    string  `json:"channel" doc:"频道:订阅后收到进度"`
	Total      int     `json:"total" doc:"由任务审批的数量"`
	NotClaimed []int64 `json:"not_claimed" doc:"已审批或不存在的邀请"`
}

// What a bulk decision is answered with.
const (
	queuedText  = "审批任务已经加入队列，请耐心等待"
	nothingText = "所选邀请均已审批或不存在"
)

// handleDecideAll claims a bulk decision. When nothing is left to decide it is still a success,
// since that is a normal outcome of two people working on one list.
func (s *service) handleDecideAll(ctx context.Context, status Status, in decideAllIn) (httpapi.Reply[decideAllOut], error) {
	var reply httpapi.Reply[decideAllOut]
	for i, id := range in.IDs {
		if id < 1 {
			return reply, errs.Invalidf(fmt.Sprintf("ids[%d]", i), "不能小于 1")
		}
	}
	b, err := s.decideAll(ctx, in.IDs, decision{Status: status, Reason: in.ApproveDescription})
	if err != nil {
		return reply, err
	}
	reply.Msg = queuedText
	reply.Data = decideAllOut{
		UUID:       orNull(b.UUID),
		Channel:    admin.PersonChannel(approvalPrefix, auth.From(ctx).UserID),
		Total:      len(b.Claimed),
		NotClaimed: b.NotClaimed,
	}
	if b.UUID == "" {
		reply.Msg = nothingText
	}
	return reply, nil
}
