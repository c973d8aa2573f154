package message

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"exporthub/pkg/admin"
	"exporthub/pkg/admin/admintest"
	"exporthub/pkg/database"
)

func TestWhatMessagesSay(t *testing.T) {
	rows := int64(6)
	onEach(t, func(t *testing.T, d *desk) {
		for _, c := range []struct {
			event admin.Event
			data  any
			want  Message
		}{
			{admin.ExportEnded, admin.Export{UUID: "1", Status: "success", Title: "邀请记录", Filename: "a.xlsx", Count: &rows},
				Message{Plugin: "export", Type: "1", Head: "导出已完成", Title: "邀请记录", Content: "文件 a.xlsx 已生成，共 6 行，请在导出任务中下载"}},
			{admin.ExportEnded, admin.Export{UUID: "2", Status: "success", Title: "邀请记录", Filename: "a.xlsx"},
				Message{Plugin: "export", Type: "1", Head: "导出已完成", Title: "邀请记录", Content: "文件 a.xlsx 已生成，请在导出任务中下载"}},
			{admin.ExportEnded, admin.Export{UUID: "7", Status: "success", Title: "邀请记录", Filename: "a.xlsx", Count: &rows, Changed: "1 处文字超过单元格的长度上限，已截断"},
				Message{Plugin: "export", Type: "1", Head: "导出已完成", Title: "邀请记录", Content: "文件 a.xlsx 已生成，共 6 行，请在导出任务中下载。请注意:1 处文字超过单元格的长度上限，已截断"}},
			{admin.ExportEnded, admin.Export{UUID: "3", Status: "failure", Title: "邀请记录", Reason: "文件上传失败"},
				Message{Plugin: "export", Type: "1", Head: "导出失败", Title: "邀请记录", Content: "文件上传失败"}},
			{admin.ExportEnded, admin.Export{UUID: "4", Status: "cancelled", Title: "邀请记录"},
				Message{Plugin: "export", Type: "1", Head: "导出已取消", Title: "邀请记录", Content: "该导出任务已取消，没有生成文件"}},
			{admin.ImportEnded, admin.Import{Key: "1", Title: "联系记录", Created: 3, Updated: 2, Unchanged: 1, Failed: 4},
				Message{Plugin: "import", Type: "2", Head: "导入已完成", Title: "联系记录", Content: "新建 3 条，修改 2 条，未变 1 条，有误 4 行"}},
			{admin.ImportEnded, admin.Import{Key: "4", Title: "联系记录", Created: 12_345, Updated: 1_000, Unchanged: 999, Failed: 1},
				Message{Plugin: "import", Type: "2", Head: "导入已完成", Title: "联系记录", Content: "新建 12,345 条，修改 1,000 条，未变 999 条，有误 1 行"}},
			{admin.ImportEnded, admin.Import{Key: "3", Title: "联系记录", Failed: 4},
				Message{Plugin: "import", Type: "2", Head: "导入失败", Title: "联系记录", Content: "全部 4 行都有误，没有导入任何记录"}},
			{admin.ImportEnded, admin.Import{Key: "2", Title: "联系记录", Created: 200, Reason: "请求体没有收完"},
				Message{Plugin: "import", Type: "2", Head: "导入未完成", Title: "联系记录",
					Content: "请求体没有收完（已处理：新建 200 条，修改 0 条，未变 0 条，有误 0 行）"}},
			{admin.ApprovalAwaited, admin.Awaited{System: "invitation", Permission: "invitation.approve", ActorID: d.people[1],
				Waiting: []admin.Waiting{{ID: 5, Notice: admin.Notice{Head: "头", Title: "题", Content: "文", Project: "展"}}}},
				Message{Plugin: "invitation", Type: "3", Awaits: true, Head: "头", Title: "题", Content: "文", Project: "展",
					Sender: Sender{ID: d.people[1], Name: "李四", Nickname: "李四", Phone: "13800000002"}}},
			{admin.ApprovalDecided, admin.Decided{System: "invitation", Key: "6", ActorID: d.people[2],
				Notices: []admin.Notice{{To: d.people[0], Head: "头", Title: strings.Repeat("长", 300), Content: strings.Repeat("文", 2000)}}},
				Message{Plugin: "invitation", Type: "4", Head: "头", Title: strings.Repeat("长", 199) + "…", Content: strings.Repeat("文", 999) + "…",
					Sender: Sender{ID: d.people[2], Name: "wang", Phone: "13800000003", Disabled: true}}},
		} {
			switch e := c.data.(type) {
			case admin.Export:
				e.OwnerID = d.people[0]
				c.data = e
			case admin.Import:
				e.OwnerID = d.people[0]
				c.data = e
			}
			d.raise(c.event, c.data)
			d.raise(c.event, c.data) // raised again, it is the same message
			got := d.everything()[0]
			c.want.ID, c.want.Key, c.want.RecipientID, c.want.CreatedAt = got.ID, got.Key, d.people[0], got.CreatedAt
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.event, diff)
			}
		}
		if n := len(d.everything()); n != 11 {
			t.Errorf("%d messages of eleven events raised twice, the disabled approver's among them?", n)
		}
	})
}

// A decision that is taken clears what waits for everybody; one that is given back lets it wait
// again.
func TestWaitingIsForAll(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		awaited := awaitedInvitations(7)
		d.write(func(ctx context.Context, tx *database.Tx) error { // the disabled one may come back
			_, err := tx.Exec(ctx, "UPDATE people SET status = 1 WHERE id = ?", d.people[2])
			return err
		})
		waiting := func() (n int) {
			for _, m := range d.everything() {
				if m.Awaits {
					n++
				}
			}
			return n
		}
		d.raise(admin.ApprovalAwaited, awaited)
		d.raise(admin.ApprovalAwaited, awaitedInvitations(77))
		if n := waiting(); n != 4 {
			t.Fatalf("%d wait, want two things for two people", n)
		}
		d.raise(admin.ApprovalClaimed, admin.Claimed{System: "invitation", IDs: []int64{7}, ActorID: d.people[0]})
		if n := waiting(); n != 2 {
			t.Errorf("%d wait after one was decided, want the other's two", n)
		}
		d.raise(admin.ApprovalAwaited, awaited)
		if n, all := waiting(), len(d.everything()); n != 4 || all != 4 {
			t.Errorf("%d of %d wait after it was given back", n, all)
		}
	})
}

// People whose counts change without a new message get the counts: those for whom somebody else
// has decided, those for whom something waits again, and a person's other pages when one of them
// reads. Nothing is pushed when nothing changed.
func TestCountsArePushed(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		d.write(func(ctx context.Context, tx *database.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE people SET status = 1 WHERE id = ?", d.people[2])
			return err
		})
		type counts struct {
			Message                  *row
			UnreadMum, WaitHandleNum int
		}
		seen := map[int64]int{}
		// news are what has come for the i-th person since the last look.
		news := func(i int) (all []counts) {
			id := d.people[i]
			sent := d.wire.On(admin.PersonChannel(channelPrefix, id))
			for _, text := range sent[seen[id]:] {
				var c counts
				if err := json.Unmarshal([]byte(text), &c); err != nil {
					t.Fatal(err)
				}
				all = append(all, c)
			}
			seen[id] = len(sent)
			return all
		}
		// pushed checks that the approvers got these counts and no message, once, and the one who
		// is none nothing.
		pushed := func(what string, unread, waiting int, people ...int) {
			t.Helper()
			for i := range d.people {
				var want []counts
				if slices.Contains(people, i) {
					want = []counts{{nil, unread, waiting}}
				}
				if diff := cmp.Diff(want, news(i)); diff != "" {
					t.Errorf("%s, person %d (-want +got):\n%s", what, i, diff)
				}
			}
		}
		d.raise(admin.ApprovalAwaited, awaitedInvitations(1, 2, 3))
		for _, i := range []int{0, 2} {
			if got := news(i); len(got) != 3 || got[0].Message == nil || got[2].UnreadMum != 3 || got[2].WaitHandleNum != 3 {
				t.Errorf("three new messages are pushed to %d as %+v", i, got)
			}
		}
		claimed := admin.Claimed{System: "invitation", IDs: []int64{1, 3}, ActorID: d.people[0]}
		d.raise(admin.ApprovalClaimed, claimed)
		pushed("one decides", 3, 1, 0, 2)
		d.raise(admin.ApprovalClaimed, claimed)
		pushed("again", 0, 0)
		d.raise(admin.ApprovalAwaited, awaitedInvitations(1, 2, 3))
		pushed("given back", 3, 3, 0, 2)
		d.raise(admin.ApprovalAwaited, awaitedInvitations(1, 2, 3))
		pushed("it waits already", 0, 0)

		mine := d.everything()[0] // the newest; the last person's
		for range 2 {
			if _, _, err := d.change(d.as(2), mine.ID, markRead); err != nil {
				t.Fatal(err)
			}
		}
		pushed("read once and again", 2, 3, 2)
		for range 2 {
			if _, _, err := d.change(d.as(2), mine.ID, markHandled); err != nil {
				t.Fatal(err)
			}
		}
		pushed("handled", 2, 2, 2)
		for range 2 {
			if _, _, err := d.readAll(d.as(2)); err != nil {
				t.Fatal(err)
			}
		}
		pushed("all read", 0, 2, 2)
		if _, _, err := d.change(d.as(1), mine.ID, markRead); err == nil {
			t.Error("another's message was read")
		}
		pushed("another's message", 0, 0)
	})
}

// Of an event that is raised again, only those without its message get one, and the others once
// more if theirs waits again.
func TestANewApproverGetsWhatWaits(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		d.raise(admin.ApprovalAwaited, awaitedInvitations(1, 2))
		d.raise(admin.ApprovalClaimed, admin.Claimed{System: "invitation", IDs: []int64{2}})
		d.write(func(ctx context.Context, tx *database.Tx) error {
			_, err := tx.Exec(ctx, "UPDATE people SET status = 1 WHERE id = ?", d.people[2])
			return err
		})
		before := len(d.wire.On(admin.PersonChannel(channelPrefix, d.people[0])))
		d.raise(admin.ApprovalAwaited, awaitedInvitations(1, 2))
		if n := len(d.everything()); n != 4 {
			t.Errorf("%d messages, want two for two people", n)
		}
		old := d.wire.On(admin.PersonChannel(channelPrefix, d.people[0]))[before:]
		if want := []string{`{"message":null,"unreadMum":2,"waitHandleNum":2}`}; !slices.Equal(old, want) {
			t.Errorf("who knew got %v, want %v", old, want)
		}
		fresh := d.wire.On(admin.PersonChannel(channelPrefix, d.people[2]))
		if len(fresh) != 2 || strings.Contains(fresh[0]+fresh[1], `"message":null`) {
			t.Errorf("who is new got %v", fresh)
		}
	})
}

func TestPushes(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		channel := admin.PersonChannel(channelPrefix, d.people[0])
		d.raise(admin.ApprovalAwaited, awaitedInvitations(1))
		for range 2 {
			d.raise(admin.ExportEnded, admin.Export{UUID: "1", OwnerID: d.people[0], Status: "cancelled"})
		}
		sent := d.wire.On(channel)
		if len(sent) != 2 {
			t.Fatalf("pushed %v, want each message once", sent)
		}
		var last struct {
			Message                  row
			UnreadMum, WaitHandleNum int
		}
		if err := json.Unmarshal([]byte(sent[1]), &last); err != nil {
			t.Fatal(err)
		}
		want := newRow(t.Context(), view(nil), d.everything()[0], 1)
		want.CreatedAt = d.everything()[0].CreatedAt.In(admintest.Shanghai).Format("2006-01-02 15:04:05")
		want.MessageBody.NoticeTime = want.CreatedAt
		if diff := cmp.Diff(want, last.Message); diff != "" || last.UnreadMum != 2 || last.WaitHandleNum != 1 {
			t.Errorf("pushed %s (-want +got):\n%s", sent[1], diff)
		}

		// What is rolled back is not pushed.
		undone := errors.New("undone")
		err := d.DB.Write(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			return errors.Join(d.exportEnded(ctx, tx, admin.Export{UUID: "2", OwnerID: d.people[0], Status: "success"}), undone)
		})
		if !errors.Is(err, undone) || len(d.wire.On(channel)) != 2 || len(d.everything()) != 2 {
			t.Errorf("%v; %d pushes, %d messages", err, len(d.wire.On(channel)), len(d.everything()))
		}

		// A bus that is away costs one try, and no message.
		d.wire.GoAway(errors.New("the bus is away"))
		tries := d.wire.Tries()
		d.raise(admin.ApprovalDecided, admin.Decided{System: "invitation", Key: "3", Notices: []admin.Notice{{To: d.people[0]}, {To: d.people[1]}}})
		if n := len(d.everything()); n != 4 || d.wire.Tries() != tries+1 {
			t.Errorf("%d messages after %d tries", n, d.wire.Tries()-tries)
		}
	})
}

func TestAReactionRefusesOtherData(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		for event, react := range d.reactions() {
			err := d.DB.Write(t.Context(), func(ctx context.Context, tx *database.Tx) error { return react(ctx, tx, "text") })
			if err == nil || len(d.everything()) != 0 {
				t.Errorf("%s took a text: %v", event, err)
			}
		}
	})
}
