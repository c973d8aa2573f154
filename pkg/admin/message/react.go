package message

import (
	"context"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
)

// The plugin codes of messages about exports and imports. Messages of other modules carry the
// module's name.
const (
	pluginExport = "export"
	pluginImport = "import"
)

// reactions are the events that write or clear messages.
func (s *service) reactions() map[admin.Event]admin.Reaction {
	return map[admin.Event]admin.Reaction{
		admin.ExportEnded:     admin.React(s.exportEnded),
		admin.ImportEnded:     admin.React(s.importEnded),
		admin.ApprovalAwaited: admin.React(s.approvalAwaited),
		admin.ApprovalClaimed: admin.React(s.approvalClaimed),
		admin.ApprovalDecided: admin.React(s.approvalDecided),
	}
}

// draft is a message before it is written.
type draft struct {
	key      string // identifies the event
	senderID int64
	plugin   string
	kind     Type
	awaits   bool
	at       time.Time // when the event happened; zero is now
	notice   admin.Notice
}

// exportEnded writes the message about an export, however it ended. A cancelled export has one too:
// an administrator may have cancelled it.
func (s *service) exportEnded(ctx context.Context, tx *database.Tx, e admin.Export) error {
	notice := admin.Notice{To: e.OwnerID, Title: e.Title}
	switch e.Status {
	case "success":
		notice.Head, notice.Content = "导出已完成", "文件 "+e.Filename+" 已生成，请在导出任务中下载"
		if e.Count != nil {
			notice.Content = fmt.Sprintf("文件 %s 已生成，共 %s 行，请在导出任务中下载", e.Filename, errs.Number(*e.Count))
		}
		if e.Changed != "" {
			notice.Content += "。请注意:" + e.Changed
		}
	case "cancelled":
		notice.Head, notice.Content = "导出已取消", "该导出任务已取消，没有生成文件"
	default:
		notice.Head, notice.Content = "导出失败", e.Reason
	}
	return s.write(ctx, tx, []draft{{key: "export:" + e.UUID, plugin: pluginExport, kind: ExportEnded, notice: notice}})
}

// importEnded writes the message about an import. Its counts are in every variant: of an aborted
// import, the person has to know what is stored already.
func (s *service) importEnded(ctx context.Context, tx *database.Tx, e admin.Import) error {
	rows := fmt.Sprintf("新建 %s 条，修改 %s 条，未变 %s 条，有误 %s 行",
		errs.Number(e.Created), errs.Number(e.Updated), errs.Number(e.Unchanged), errs.Number(e.Failed))
	notice := admin.Notice{To: e.OwnerID, Title: e.Title, Head: "导入已完成", Content: rows}
	switch {
	case e.Reason != "":
		notice.Head, notice.Content = "导入未完成", e.Reason+"（已处理："+rows+"）"
	case e.Failed > 0 && e.Created+e.Updated+e.Unchanged == 0:
		// Nothing of it is stored. "Completed" would be read as done.
		notice.Head = "导入失败"
		notice.Content = fmt.Sprintf("全部 %s 行都有误，没有导入任何记录", errs.Number(e.Failed))
	}
	return s.write(ctx, tx, []draft{{key: "import:" + e.Key, plugin: pluginImport, kind: ImportEnded, notice: notice}})
}

// approvalAwaited writes a message for every person who may decide. Something that waits again,
// because its decision could not be applied, gets no second message: the first one is marked as
// waiting again.
func (s *service) approvalAwaited(ctx context.Context, tx *database.Tx, e admin.Awaited) error {
	keys := make([]string, len(e.Waiting))
	for i, w := range e.Waiting {
		keys[i] = awaitedKey(e.System, w.ID)
	}
	again, err := markAwaiting(ctx, tx, keys)
	if err != nil {
		return err
	}
	people, err := holders(ctx, tx, e.Permission)
	if err != nil {
		return err
	}
	var drafts []draft
	for i, w := range e.Waiting {
		for _, id := range people {
			d := draft{key: keys[i], senderID: e.ActorID, plugin: e.System, kind: ApprovalAwaited, awaits: true, notice: w.Notice}
			d.at = w.Since
			d.notice.To = id
			drafts = append(drafts, d)
		}
	}
	return s.write(ctx, tx, drafts, again...)
}

// approvalClaimed clears the waiting messages of all people: one of them decides for all.
func (s *service) approvalClaimed(ctx context.Context, tx *database.Tx, e admin.Claimed) error {
	keys := make([]string, len(e.IDs))
	for i, id := range e.IDs {
		keys[i] = awaitedKey(e.System, id)
	}
	relieved, err := markHandledFor(ctx, tx, keys, s.Now())
	if err != nil {
		return err
	}
	s.pushAfterCommit(tx, nil, relieved)
	return nil
}

// approvalDecided writes a message for each person that the deciding module names.
func (s *service) approvalDecided(ctx context.Context, tx *database.Tx, e admin.Decided) error {
	drafts := make([]draft, len(e.Notices))
	for i, n := range e.Notices {
		drafts[i] = draft{key: e.System + ":decided:" + e.Key, senderID: e.ActorID, plugin: e.System, kind: ApprovalDecided, notice: n}
	}
	return s.write(ctx, tx, drafts)
}

// awaitedKey identifies the waiting of one thing. It holds no counter: a thing that waits again has
// the same key, and thereby the same message.
func awaitedKey(system string, id int64) string {
	return system + ":awaited:" + strconv.FormatInt(id, 10)
}

// write stores the messages that their recipients do not have yet, and pushes them after the
// commit. others are people whose counts changed without a new message.
func (s *service) write(ctx context.Context, tx *database.Tx, drafts []draft, others ...int64) error {
	// Asking first is not for safety, which is the unique index's part. It is because a violation
	// of the index would undo the whole transaction of the event on PostgreSQL.
	written, err := receiptsOf(ctx, tx, drafts)
	if err != nil {
		return err
	}
	fresh := map[receipt]bool{}
	var unwritten []draft
	for _, d := range drafts {
		r := receipt{d.key, d.notice.To}
		if r.personID > 0 && !written[r] && !fresh[r] {
			fresh[r] = true
			unwritten = append(unwritten, d)
		}
	}
	if err := insertMessages(ctx, tx, unwritten, s.Now()); err != nil {
		return err
	}
	s.pushAfterCommit(tx, fresh, others)
	return nil
}

// cut shortens a text to limit characters, the last of which is then an ellipsis. A text that is
// too long would fail the transaction of the event.
func cut(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}
