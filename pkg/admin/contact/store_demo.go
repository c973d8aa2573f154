package contact

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
)

// Demo records are invented: phones of a block that is not assigned, names of common characters.
var (
	demoSurnames  = []rune("赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦许何")
	demoGiven     = []rune("子文明佳雨晨思宇欣然嘉怡浩轩梦琪天乐一诺")
	demoPositions = []string{"产品经理", "前端工程师", "后端工程师", "测试工程师", "数据分析师", "UI 设计师", "运维工程师", "销售经理", "行政专员", "HRBP"}
	demoNotes     = []string{"", "", "", "期望薪资可谈", "下周可以面试", "希望远程办公", "已发送职位说明"}
)

const (
	demoNewest   = "2026-11-01T18:20:00+08:00"
	demoEvery    = 211 * time.Second // between two records
	demoAccounts = 5
)

// seedDemo fills an empty table with size invented records. The generator has a fixed seed, so they
// are the same every time.
func seedDemo(ctx context.Context, db *database.DB, size int) error {
	newest, err := time.Parse(time.RFC3339, demoNewest)
	if err != nil {
		return fmt.Errorf("demo clock: %w", err)
	}
	return db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		there, err := database.One(ctx, tx, database.Scalar[int], "SELECT COUNT(*) FROM "+table)
		if err != nil || there > 0 {
			return err
		}
		random := rand.New(rand.NewPCG(2026, 3))
		for from := 0; from < size; from += importChunk {
			var some []Contact
			for i := from; i < min(from+importChunk, size); i++ {
				// Oldest first, so that ids and times rise together as they do in real use.
				some = append(some, demoContact(random, i, newest.Add(-time.Duration(size-1-i)*demoEvery).UTC()))
			}
			if err := addAll(ctx, tx, some); err != nil {
				return fmt.Errorf("demo contacts: %w", err)
			}
		}
		return nil
	})
}

// demoContact is the i-th demo record. Every seventh is reached by WeChat, two in five have
// replied.
func demoContact(random *rand.Rand, i int, at time.Time) Contact {
	pick := func(from []rune) rune { return from[random.IntN(len(from))] }
	name := []rune{pick(demoSurnames), pick(demoGiven)}
	if random.IntN(3) > 0 {
		name = append(name, pick(demoGiven))
	}
	account := int64(i%demoAccounts) + 1
	v := Contact{
		Name:        string(name),
		Position:    demoPositions[random.IntN(len(demoPositions))],
		Contact:     fmt.Sprintf("139%08d", i+1),
		ReplyStatus: notReplied,
		AccountID:   account,
		WorkerID:    fmt.Sprintf("worker-%03d", account),
		Notes:       demoNotes[random.IntN(len(demoNotes))],
		CreatedAt:   at,
		Version:     1,
	}
	if i%7 == 3 {
		v.Contact = fmt.Sprintf("wechat:demo%05d", i+1)
	}
	v.Key = admin.Key(v.Contact)
	if random.IntN(5) < 2 {
		v.ReplyStatus = "已回复"
		v.ContactedAt = at.Add(time.Duration(10+random.IntN(110)) * time.Minute)
		v.WechatExchanged = random.IntN(2) == 0
	}
	return v
}
