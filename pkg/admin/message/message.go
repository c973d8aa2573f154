package message

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/page"
)

// Type is what sort of event a message tells of.
type Type string

// The types. Their texts are part of the documented API.
const (
	ExportEnded     Type = "1"
	ImportEnded     Type = "2"
	ApprovalAwaited Type = "3"
	ApprovalDecided Type = "4"
)

// What people read for the codes of a message, on the page and in files.
var (
	types = dataset.Dictionary{
		Name: "notice_type",
		Entries: []dataset.Entry{
			{Value: string(ExportEnded), Label: "导出结束"},
			{Value: string(ImportEnded), Label: "导入结束"},
			{Value: string(ApprovalAwaited), Label: "待审批"},
			{Value: string(ApprovalDecided), Label: "已审批"},
		},
	}
	plugins = dataset.Dictionary{
		Name: "message_plugin",
		Entries: []dataset.Entry{
			{Value: pluginExport, Label: "导出"},
			{Value: pluginImport, Label: "导入"},
			{Value: "invitation", Label: "邀请"},
		},
	}
	readStates = dataset.Dictionary{
		Name: "message_status",
		Entries: []dataset.Entry{
			{Value: "0", Label: "未读"},
			{Value: "1", Label: "已读"},
		},
	}
	handleStates = dataset.Dictionary{
		Name: "message_handle_status",
		Entries: []dataset.Entry{
			{Value: "0", Label: "已处理"},
			{Value: "1", Label: "待处理"},
		},
	}
)

// Message is an event told to a person.
type Message struct {
	ID          int64
	Key         string // names the event
	RecipientID int64
	Sender      Sender
	Plugin      string // the system it comes from
	Type        Type
	Read        bool
	Awaits      bool // somebody has to do something about it
	Head        string
	Title       string
	Content     string
	Project     string
	CreatedAt   time.Time
}

// Sender is who made the event happen. Id 0 is the system.
type Sender struct {
	ID       int64
	Name     string
	Nickname string
	Phone    string
	Disabled bool
}

// Counts are the numbers a page shows on its badge.
type Counts struct {
	Unread int
	Awaits int
}

// Filter is what the lists and their exports are narrowed by. Absent fields narrow nothing.
type Filter struct {
	NoticeType string `json:"notice_type,omitempty" maxLength:"8" doc:"消息类型:1 导出结束，2 导入结束，3 待审批，4 已审批"`
	Plugin     string `json:"plugin,omitempty" maxLength:"40" doc:"消息插件标识:export、import、invitation"`
}

// list is one of the three lists: a part of a person's messages.
type list struct {
	path    string // last segment of its address
	dataset string
	service string
	title   string
	where   string // constant SQL
}

var lists = []list{
	{"unread", "message_unread", "Exports::UnreadMessage", "未读消息", "m.status = 0"},
	{"read", "message_read", "Exports::ReadMessage", "已读消息", "m.status = 1"},
	{"waitHandle", "message_wait_handle", "Exports::WaitHandleMessage", "待处理消息", "m.handle_status = 1"},
}

// service is the system's use cases.
type service struct {
	admin.Deps
}

// caller returns whose messages are asked for.
func caller(ctx context.Context) (int64, error) {
	who := auth.From(ctx)
	if who == nil {
		return 0, errs.New(errs.Unauthenticated, "")
	}
	return who.UserID, nil
}

// list returns a page of the caller's messages, newest first, and all their counts.
func (s *service) list(ctx context.Context, l list, f Filter, r page.Request) (result page.Result[Message], c Counts, err error) {
	result.Request = r
	me, err := caller(ctx)
	if err != nil {
		return result, c, err
	}
	q := newQuery(l, me, f, nil)
	result.Total, result.Estimated, err = admin.Total(ctx, s.DB, "messages",
		func(ctx context.Context, tx *database.Tx, limit int) (int, error) { return q.count(ctx, tx, limit) })
	if err != nil {
		return result, c, err
	}
	err = s.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		if result.Items, err = q.page(ctx, tx, r); err != nil {
			return err
		}
		c, err = countsOf(ctx, tx, me)
		return err
	})
	return result, c, err
}

// change is what a person does with one message. It returns how many messages it changed.
type change func(ctx context.Context, tx *database.Tx, me, id int64, now time.Time) (int64, error)

// change changes a message of the caller and returns it and the counts as they are then. Doing
// it again changes nothing. Another's message and an unknown one are the same NotFound. The
// caller's other pages are told the counts.
func (s *service) change(ctx context.Context, id int64, do change) (m Message, c Counts, err error) {
	me, err := caller(ctx)
	if err != nil {
		return m, c, err
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		changed, err := do(ctx, tx, me, id, s.Now())
		if err != nil {
			return err
		}
		if changed > 0 {
			s.tell(tx, nil, []int64{me})
		}
		if m, err = messageOf(ctx, tx, me, id); err != nil {
			return err
		}
		c, err = countsOf(ctx, tx, me)
		return err
	})
	return m, c, err
}

// readAll marks every message of the caller as read and returns how many were not, and the
// counts. The caller's other pages are told the counts.
func (s *service) readAll(ctx context.Context) (changed int64, c Counts, err error) {
	me, err := caller(ctx)
	if err != nil {
		return 0, c, err
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		if changed, err = markAllRead(ctx, tx, me, s.Now()); err != nil {
			return err
		}
		if changed > 0 {
			s.tell(tx, nil, []int64{me})
		}
		c, err = countsOf(ctx, tx, me)
		return err
	})
	return changed, c, err
}

func (s *service) log() *slog.Logger { return cmp.Or(s.Logger, slog.Default()) }
