package message

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"exporthub/pkg/admin"
	"exporthub/pkg/auth"
	"exporthub/pkg/dataset"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/page"
)

const tag = "消息"

// Both bases lead to the same messages. Old pages put the business they belong to into the path
// (004), and get it back in business_id.
var bases = []string{"/admin/message", "/business/{business_id}/admin/message"}

// Values of the document's keys that belong to its surrounding platform. There is one organisation
// here, so they are constants.
const (
	uniacid         = 1
	defaultBusiness = 1
)

// routes are the three documented lists and our three changes, under both bases.
func (s *service) routes() []httpapi.Route {
	var routes []httpapi.Route
	for _, base := range bases {
		for _, l := range lists {
			routes = append(routes, httpapi.Handle("GET", base+"/"+l.path, httpapi.ResultMsg, permissionRead, httpapi.Doc{
				Summary: l.title + "列表",
				Tag:     tag,
				Detail:  "只有本人的消息。带 export_format 时不返回列表，而是把全部匹配的消息加入导出队列。",
			}, func(ctx context.Context, in listIn) (httpapi.Reply[admin.ListOrTicket[pageOut]], error) {
				return s.handleList(ctx, base, l, in)
			}, httpapi.StartsWith("export_format")))
		}
		routes = append(routes,
			httpapi.Handle("POST", base+"/{id}/read", httpapi.ResultMsg, permissionRead,
				httpapi.Doc{Summary: "标为已读", Tag: tag}, s.handleChange(markRead)),
			httpapi.Handle("POST", base+"/{id}/handle", httpapi.ResultMsg, permissionRead,
				httpapi.Doc{Summary: "标为已处理", Tag: tag}, s.handleChange(markHandled)),
			httpapi.Handle("POST", base+"/read-all", httpapi.ResultMsg, permissionRead,
				httpapi.Doc{Summary: "全部标为已读", Tag: tag}, s.handleReadAll),
		)
	}
	return routes
}

// listIn is the request of a list, which is also the request of its export.
type listIn struct {
	Filter
	httpapi.LaravelPaging
	httpapi.ExportParams
	BusinessID int64 `json:"business_id" minimum:"1" doc:"商户id:原样返回"`
}

// row is a message as the documented lists show it.
type row struct {
	ID           int64     `json:"id"`
	Uniacid      int       `json:"uniacid"`
	BusinessID   int64     `json:"business_id"`
	RecipientID  int64     `json:"recipient_id" doc:"接收人"`
	OperateID    int64     `json:"operate_id" doc:"操作人，0 为系统"`
	Plugin       string    `json:"plugin" doc:"插件类型"`
	NoticeType   Type      `json:"notice_type" doc:"消息类型"`
	HandleStatus int       `json:"handle_status" doc:"待处理状态:0已处理1待处理"`
	Status       int       `json:"status" doc:"状态:0未读1已读"`
	CreatedAt    string    `json:"created_at" doc:"创建时间"`
	MessageBody  bodyRow   `json:"message_body" doc:"消息内容体"`
	SendStaff    senderRow `json:"send_staff" doc:"消息发布者"`
}

// bodyRow is a message's text. Old pages show its fields in this order.
type bodyRow struct {
	Head        string `json:"head" doc:"通知头部标题"`
	Title       string `json:"title" doc:"通知名称"`
	Content     string `json:"content" doc:"通知内容"`
	ProjectName string `json:"project_name" doc:"项目名称"`
	NoticeTime  string `json:"notice_time" doc:"通知时间"`
}

// senderRow has every key of the document, because old pages read them without a check. Fields that
// this system does not record are empty.
type senderRow struct {
	ID             int64   `json:"id" doc:"员工ID"`
	Uniacid        int     `json:"uniacid"`
	BusinessID     int64   `json:"business_id"`
	UID            int64   `json:"uid"`
	UserID         string  `json:"user_id"`
	Name           string  `json:"name" doc:"员工名称"`
	Mobile         string  `json:"mobile"`
	Position       string  `json:"position"`
	Gender         int     `json:"gender"`
	Telephone      string  `json:"telephone"`
	Email          string  `json:"email"`
	Avatar         string  `json:"avatar" doc:"员工头像"`
	Alias          string  `json:"alias"`
	Status         int     `json:"status"`
	QRCode         string  `json:"qr_code"`
	Address        string  `json:"address"`
	OpenUserid     string  `json:"open_userid"`
	MainDepartment string  `json:"main_department"`
	UpdatedAt      *string `json:"updated_at"`
	CreatedAt      *string `json:"created_at"`
	DeletedAt      *string `json:"deleted_at"`
	RightType      int     `json:"right_type"`
	Disabled       int     `json:"disabled"`
	Userid         string  `json:"userid"`
	AvatarMediaid  string  `json:"avatar_mediaid"`
}

// systemName is the sender's name of messages that no person caused.
const systemName = "系统"

// name is the sender's name as lists and files show it.
func (s Sender) name() string {
	if s.ID == 0 {
		return systemName
	}
	return s.Name
}

// newRow renders a message in the documented shape for pages of a business, as the view shows it.
func newRow(ctx context.Context, v dataset.View, m Message, business int64) row {
	m = m.seenIn(v)
	at := httpapi.FormatTime(ctx, httpapi.ResultMsg, m.CreatedAt)
	return row{
		ID:           m.ID,
		Uniacid:      uniacid,
		BusinessID:   business,
		RecipientID:  m.RecipientID,
		OperateID:    m.Sender.ID,
		Plugin:       m.Plugin,
		NoticeType:   m.Type,
		HandleStatus: number(m.Awaits),
		Status:       number(m.Read),
		CreatedAt:    at,
		MessageBody:  bodyRow{Head: m.Head, Title: m.Title, Content: m.Content, ProjectName: m.Project, NoticeTime: at},
		SendStaff: senderRow{
			ID:         m.Sender.ID,
			Uniacid:    uniacid,
			BusinessID: business,
			UID:        m.Sender.ID,
			Name:       m.Sender.name(),
			Mobile:     m.Sender.Phone,
			Alias:      m.Sender.Nickname,
			Disabled:   number(m.Sender.Disabled),
		},
	}
}

// number is a boolean as the document has it.
func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// pageOut is a page of a list followed by the counts. The key unreadMum is the document's spelling.
type pageOut struct {
	httpapi.LaravelPage[row]
	UnreadMum     int `json:"unreadMum" doc:"消息未读数量"`
	WaitHandleNum int `json:"waitHandleNum" doc:"消息待处理数量"`
}

// handleList answers with a page of a list, or with the ticket of an export.
func (s *service) handleList(ctx context.Context, base string, l list, in listIn) (httpapi.Reply[admin.ListOrTicket[pageOut]], error) {
	return admin.List(ctx, s.Exports, l.export(), &in.Filter, in.ExportParams, func() (pageOut, error) {
		result, counts, err := s.list(ctx, l, in.Filter, in.PageRequest())
		if err != nil {
			return pageOut{}, err
		}
		// The paginator's links keep the base that was asked for, so that old pages stay on theirs.
		business := max(in.BusinessID, defaultBusiness)
		path := s.PublicURL + strings.ReplaceAll(base, "{business_id}", strconv.FormatInt(business, 10)) + "/" + l.path
		seen := view(auth.From(ctx).Can)
		rows := page.Map(result, func(m Message) row { return newRow(ctx, seen, m, business) })
		return pageOut{
			LaravelPage:   httpapi.LaravelList(rows, path, in.query()),
			UnreadMum:     counts.Unread,
			WaitHandleNum: counts.Awaits,
		}, nil
	})
}

// query is the query string of the links to the list's other pages.
func (f Filter) query() url.Values {
	q := url.Values{}
	if f.NoticeType != "" {
		q.Set("notice_type", f.NoticeType)
	}
	if f.Plugin != "" {
		q.Set("plugin", f.Plugin)
	}
	return q
}

// oneIn names a message.
type oneIn struct {
	ID         int64 `json:"id" required:"true" minimum:"1" doc:"消息"`
	BusinessID int64 `json:"business_id" minimum:"1" doc:"商户id:原样返回"`
}

// changedOut is the answer to a change: the message after it, with its recipient's counts.
type changedOut struct {
	Message       row `json:"message"`
	UnreadMum     int `json:"unreadMum" doc:"消息未读数量"`
	WaitHandleNum int `json:"waitHandleNum" doc:"消息待处理数量"`
}

// newChangedOut renders the answer to a change.
func newChangedOut(ctx context.Context, m Message, c Counts, business int64) changedOut {
	return changedOut{
		Message:       newRow(ctx, view(auth.From(ctx).Can), m, business),
		UnreadMum:     c.Unread,
		WaitHandleNum: c.Awaits,
	}
}

// doneText answers a successful change.
const doneText = "操作成功"

// handleChange makes the handler of one action. The actions differ only in their statement.
func (s *service) handleChange(do change) func(ctx context.Context, in oneIn) (httpapi.Reply[changedOut], error) {
	return func(ctx context.Context, in oneIn) (httpapi.Reply[changedOut], error) {
		m, c, err := s.change(ctx, in.ID, do)
		if err != nil {
			return httpapi.Reply[changedOut]{}, err
		}
		return httpapi.Reply[changedOut]{Msg: doneText, Data: newChangedOut(ctx, m, c, max(in.BusinessID, defaultBusiness))}, nil
	}
}

// allIn is the request to mark everything as read. The id of the business has no effect: one
// person has one set of messages.
type allIn struct {
	BusinessID int64 `json:"business_id" minimum:"1" doc:"商户id"`
}

// allOut is the answer to it.
type allOut struct {
	Changed       int64 `json:"changed" doc:"这次标为已读的数量"`
	UnreadMum     int   `json:"unreadMum" doc:"消息未读数量"`
	WaitHandleNum int   `json:"waitHandleNum" doc:"消息待处理数量"`
}

// handleReadAll marks all messages of the caller as read.
func (s *service) handleReadAll(ctx context.Context, _ allIn) (httpapi.Reply[allOut], error) {
	n, c, err := s.readAll(ctx)
	if err != nil {
		return httpapi.Reply[allOut]{}, err
	}
	return httpapi.Reply[allOut]{Msg: doneText, Data: allOut{Changed: n, UnreadMum: c.Unread, WaitHandleNum: c.Awaits}}, nil
}
