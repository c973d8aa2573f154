package message

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
)

// pluginExport is where messages about exports come from; those of systems bear the system's name.
const pluginExport = "export"

// reactions are the events that messages tell of.
func (s *service) reactions() map[admin.Event]admin.Reaction {
	return map[admin.Event]admin.Reaction{
		admin.ExportEnded:     admin.React(s.exportEnded),
		admin.ApprovalAwaited: admin.React(s.approvalAwaited),
		admin.ApprovalClaimed: admin.React(s.approvalClaimed),
		admin.ApprovalDecided: admin.React(s.approvalDecided),
	}
}

// draft is a message to be written.
type draft struct {
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
		notice.Head, notice.Content = "导出已完成", "文件 "+e.Filename+" 已生成,请在导出任务中下载"
		if e.Count != nil {
			notice.Content = fmt.Sprintf("文件 %s 已生成,共 %d 行,请在导出任务中下载", e.Filename, *e.Count)
		}
	case "cancelled":
		notice.Head, notice.Content = "导出已取消", "该导出任务已取消,没有生成文件"
	default:
		notice.Head, notice.Content = "导出失败", e.Reason
	}
	return s.write(ctx, tx, "export:"+e.UUID, []draft{{plugin: pluginExport, kind: ExportEnded, notice: notice}})
}

// approvalAwaited tells everybody who may decide. What waits again, because a decision could not be applied, is the same
// message that waits again.
func (s *service) approvalAwaited(ctx context.Context, tx *database.Tx, e admin.Awaited) error {
	key := awaitedKey(e.System, e.ID)
	if err := markAwaiting(ctx, tx, key); err != nil {
		return err
	}
	people, err := holders(ctx, tx, e.Permission)
	if err != nil {
		return err
	}
	drafts := make([]draft, len(people))
	for i, id := range people {
		drafts[i] = draft{senderID: e.ActorID, plugin: e.System, kind: ApprovalAwaited, awaits: true, notice: e.Notice}
		drafts[i].notice.To = id
	}
	return s.write(ctx, tx, key, drafts)
}

// approvalClaimed clears what waited: one decides for all.
func (s *service) approvalClaimed(ctx context.Context, tx *database.Tx, e admin.Claimed) error {
	keys := make([]string, len(e.IDs))
	for i, id := range e.IDs {
		keys[i] = awaitedKey(e.System, id)
	}
	return markHandledFor(ctx, tx, keys, s.Now())
}

func (s *service) approvalDecided(ctx context.Context, tx *database.Tx, e admin.Decided) error {
	drafts := make([]draft, len(e.Notices))
	for i, n := range e.Notices {
		drafts[i] = draft{senderID: e.ActorID, plugin: e.System, kind: ApprovalDecided, notice: n}
	}
	return s.write(ctx, tx, e.System+":decided:"+e.Key, drafts)
}

// awaitedKey names the waiting of one thing.
func awaitedKey(system string, id int64) string {
	return system + ":awaited:" + strconv.FormatInt(id, 10)
}

// write stores the messages of one event for those who have none of it yet, and pushes them after the commit.
func (s *service) write(ctx context.Context, tx *database.Tx, key string, drafts []draft) error {
	told, err := recipientsOf(ctx, tx, key)
	if err != nil {
		return err
	}
	fresh := drafts[:0:0]
	var people []int64
	for _, d := range drafts {
		if to := d.notice.To; to > 0 && !slices.Contains(told, to) {
			told, people = append(told, to), append(people, to)
			fresh = append(fresh, d)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := insertMessages(ctx, tx, key, fresh, s.Now()); err != nil {
		return err
	}
	tx.AfterCommit(func(ctx context.Context) { s.push(ctx, key, people) })
	return nil
}

// cut shortens a text to what its column holds.
func cut(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}
