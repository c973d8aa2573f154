package message

import (
	"context"
	"fmt"
	"strconv"
	"unicode/utf8"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
)

// Where messages about exports and imports come from; those of systems bear the system's name.
const (
	pluginExport = "export"
	pluginImport = "import"
)

// reactions are the events that messages tell of.
func (s *service) reactions() map[admin.Event]admin.Reaction {
	return map[admin.Event]admin.Reaction{
		admin.ExportEnded:     admin.React(s.exportEnded),
		admin.ImportEnded:     admin.React(s.importEnded),
		admin.ApprovalAwaited: admin.React(s.approvalAwaited),
		admin.ApprovalClaimed: admin.React(s.approvalClaimed),
		admin.ApprovalDecided: admin.React(s.approvalDecided),
	}
}

// draft is a message to be written.
type draft struct {
	key      string // names the event
	senderID int64
	plugin   string
	kind     Type
	awaits   bool
	notice   admin.Notice
}

func (s *service) exportEnded(ctx context.Context, tx *database.Tx, e admin.Export) error {
	notice := admin.Notice{To: e.OwnerID, Title: e.Title}
	switch e.Status {
	case "success":
		notice.Head, notice.Content = "导出已完成", "文件 "+e.Filename+" 已生成，请在导出任务中下载"
		if e.Count != nil {
			notice.Content = fmt.Sprintf("文件 %s 已生成，共 %d 行，请在导出任务中下载", e.Filename, *e.Count)
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

func (s *service) importEnded(ctx context.Context, tx *database.Tx, e admin.Import) error {
	rows := fmt.Sprintf("新建 %d 条，修改 %d 条，未变 %d 条，有误 %d 行", e.Created, e.Updated, e.Unchanged, e.Failed)
	notice := admin.Notice{To: e.OwnerID, Title: e.Title, Head: "导入已完成", Content: rows}
	if e.Reason != "" {
		notice.Head, notice.Content = "导入未完成", e.Reason+"（已处理："+rows+"）"
	}
	return s.write(ctx, tx, []draft{{key: "import:" + e.Key, plugin: pluginImport, kind: ImportEnded, notice: notice}})
}

// approvalAwaited tells everybody who may decide. What waits again, because a decision could not
// be applied, is the same message that waits again.
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
			d.notice.To = id
			drafts = append(drafts, d)
		}
	}
	return s.write(ctx, tx, drafts, again...)
}

// approvalClaimed clears what waited: one decides for all.
func (s *service) approvalClaimed(ctx context.Context, tx *database.Tx, e admin.Claimed) error {
	keys := make([]string, len(e.IDs))
	for i, id := range e.IDs {
		keys[i] = awaitedKey(e.System, id)
	}
	relieved, err := markHandledFor(ctx, tx, keys, s.Now())
	if err != nil {
		return err
	}
	s.tell(tx, nil, relieved)
	return nil
}

func (s *service) approvalDecided(ctx context.Context, tx *database.Tx, e admin.Decided) error {
	drafts := make([]draft, len(e.Notices))
	for i, n := range e.Notices {
		drafts[i] = draft{key: e.System + ":decided:" + e.Key, senderID: e.ActorID, plugin: e.System, kind: ApprovalDecided, notice: n}
	}
	return s.write(ctx, tx, drafts)
}

// awaitedKey names the waiting of one thing.
func awaitedKey(system string, id int64) string {
	return system + ":awaited:" + strconv.FormatInt(id, 10)
}

// write stores the messages of events for those who have none of them yet, and tells them after
// the commit, and others whose counts have changed beside.
func (s *service) write(ctx context.Context, tx *database.Tx, drafts []draft, others ...int64) error {
	told, err := receiptsOf(ctx, tx, drafts)
	if err != nil {
		return err
	}
	fresh := map[receipt]bool{}
	var unwritten []draft
	for _, d := range drafts {
		r := receipt{d.key, d.notice.To}
		if r.personID > 0 && !told[r] && !fresh[r] {
			fresh[r] = true
			unwritten = append(unwritten, d)
		}
	}
	if err := insertMessages(ctx, tx, unwritten, s.Now()); err != nil {
		return err
	}
	s.tell(tx, fresh, others)
	return nil
}

// cut shortens a text to what its column holds.
func cut(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}
