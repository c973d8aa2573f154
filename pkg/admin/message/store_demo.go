package message

import (
	"context"
	"fmt"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
)

const (
	demoMessages = 240
	demoPeople   = 3
	// demoNewest is a day before the demo's newest invitations, whose messages are written later:
	// lists are ordered by id, and the times in them should fall with it.
	demoNewest = "2026-10-31T05:46:19.913+08:00"
)

// seedDemo gives the first people of an installation some messages, the same every time. It ignores
// size: a person with a hundred thousand messages shows nothing more.
func seedDemo(ctx context.Context, db *database.DB, _ int) error {
	newest, err := time.Parse(time.RFC3339, demoNewest)
	if err != nil {
		return fmt.Errorf("demo clock: %w", err)
	}
	return db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		there, err := database.One(ctx, tx, database.Scalar[int], "SELECT COUNT(*) FROM messages")
		if err != nil || there > 0 {
			return err
		}
		people, err := database.All(ctx, tx, database.Scalar[int64], "SELECT id FROM people ORDER BY id LIMIT ?", demoPeople)
		if err != nil || len(people) == 0 {
			return err
		}
		for i := range demoMessages {
			d := demoDraft(i, people)
			at := newest.Add(-time.Duration(demoMessages-1-i) * 37 * time.Minute)
			d.key = fmt.Sprintf("demo:%d", i)
			if err := insertMessages(ctx, tx, []draft{d}, at); err != nil {
				return err
			}
		}
		// All but the newest third have been read, so that both lists have rows.
		_, err = tx.Exec(ctx, "UPDATE messages SET status = 1, read_at = created_at WHERE event_key LIKE 'demo:%' AND created_at < ?",
			database.Micros(newest.Add(-demoMessages/3*37*time.Minute)))
		return err
	})
}

// demoDraft is the i-th message. People take turns, and so do the kinds of messages.
func demoDraft(i int, people []int64) draft {
	to := people[i%len(people)]
	subject := fmt.Sprintf("139%08d", 1000+i)
	switch i / len(people) % 3 {
	case 0:
		return draft{
			plugin: pluginExport,
			kind:   ExportEnded,
			notice: admin.Notice{
				To:      to,
				Head:    "导出已完成",
				Title:   "邀请记录",
				Content: fmt.Sprintf("文件已生成，共 %d 行，请在导出任务中下载", 100+i),
			},
		}
	case 1:
		return draft{
			plugin: pluginExport,
			kind:   ExportEnded,
			notice: admin.Notice{
				To:      to,
				Head:    "导出失败",
				Title:   "邀请记录",
				Content: "文件上传失败，请稍后重新导出",
			},
		}
	}
	return draft{
		senderID: people[0],
		plugin:   "invitation",
		kind:     ApprovalDecided,
		notice: admin.Notice{
			To:      to,
			Head:    "邀请已通过",
			Title:   subject,
			Content: "资料齐全",
			Project: "2026年上海物联网展",
		},
	}
}
