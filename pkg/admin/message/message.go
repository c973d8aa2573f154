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

// Type is the kind of event a message is about.
type Type string

// The types. Their codes are part of the documented API and stored.
const (
	ExportEnded     Type = "1"
	ImportEnded     Type = "2"
	ApprovalAwaited Type = "3"
	ApprovalDecided Type = "4"
)

// Labels of the codes of a message, for the page and for files.
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

// Message is one event for one person.
type Message struct {
	ID          int64
	Key         string // identifies the event; unique together with RecipientID
	RecipientID int64
	Sender      Sender
	Plugin      string // the module the event comes from
	Type        Type
	Read        bool
	Awaits      bool // it waits to be handled by its recipient or another person
	Head        string
	Title       string
	Content     string
	Project     string
	CreatedAt   time.Time
}

// Sender is the person who caused the event, read with the message: a renamed person is shown with
// the new name. Id 0 is the system.
type Sender struct {
	ID       int64
	Name     string
	Nickname string
	Phone    string
	Disabled bool
}

// Counts are the numbers on a page's badge.
type Counts struct {
	Unread int
	Awaits int
}

// Filter narrows the lists and their exports. Absent fields narrow nothing.
type Filter struct {
	NoticeType string `json:"notice_type,omitempty" column:"notice_type" maxLength:"8" doc:"消息类型:1 导出结束，2 导入结束，3 待审批，4 已审批"`
	Plugin     string `json:"plugin,omitempty" column:"plugin" maxLength:"40" doc:"消息插件标识:export、import、invitation"`
}

// list is one of the three lists: a part of a person's messages.
type list struct {
	path    string // last segment of its URL path
	dataset string // the dataset's name
	service string // the dataset's name in the manner of the document
	title   string
	where   string // constant SQL; an index over (recipient_id, status or handle_status) serves it
}

// lists are the documented three. A message that waits to be handled is also in one of the
// first two.
var lists = []list{
	{"unread", "message_unread", "Exports::UnreadMessage", "未读消息", "m.status = 0"},
	{"read", "message_read", "Exports::ReadMessage", "已读消息", "m.status = 1"},
	{"waitHandle", "message_wait_handle", "Exports::WaitHandleMessage", "待处理消息", "m.handle_status = 1"},
}

// service holds the use cases of this module. It has no state of its own.
type service struct {
	admin.Deps
}

// caller returns the id of the person whose messages are asked for.
func caller(ctx context.Context) (int64, error) {
	who := auth.From(ctx)
	if who == nil {
		return 0, errs.New(errs.Unauthenticated, "")
	}
	return who.UserID, nil
}

// list returns a page of the caller's messages, newest first, and the caller's counts. The counts
// ignore the filter: they are those of the badge.
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
		if result.Items, err = q.page(ctx, tx, result.Window()); err != nil {
			return err
		}
		c, err = countsOf(ctx, tx, me)
		return err
	})
	return result, c, err
}

// change is an action on one message of a person. It returns the number of changed rows.
type change func(ctx context.Context, tx *database.Tx, me, id int64, now time.Time) (int64, error)

// change applies an action to a message of the caller and returns the message and the counts after
// it. Repeating it changes nothing. Another person's message and an unknown one are both NotFound.
// The caller's other pages receive the new counts.
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
		// A repeated click publishes nothing: no count has changed.
		if changed > 0 {
			s.pushAfterCommit(tx, nil, []int64{me})
		}
		if m, err = messageOf(ctx, tx, me, id); err != nil {
			return err
		}
		c, err = countsOf(ctx, tx, me)
		return err
	})
	return m, c, err
}

// readAll marks every message of the caller as read. It returns how many were unread, and the
// counts after it. The caller's other pages receive the counts.
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
			s.pushAfterCommit(tx, nil, []int64{me})
		}
		c, err = countsOf(ctx, tx, me)
		return err
	})
	return changed, c, err
}

// log is the logger for pushes, which have no request to answer with an error.
func (s *service) log() *slog.Logger { return cmp.Or(s.Logger, slog.Default()) }
