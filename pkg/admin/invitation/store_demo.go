package invitation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"exporthub/pkg/database"
)

// Demo rows are invented: phones of a block that is not assigned, names made of common words.
var (
	demoCompanies   = []string{"星河电子", "北辰物联", "云帆科技", "恒信传感", "青禾智能", "联创射频", "天工自动化", "海石软件"}
	demoDepartments = []string{"市场部", "采购部", "研发部", "销售部", "总经办"}
	demoPositions   = []string{"经理", "工程师", "总监", "主管", "专员"}
	demoAreas       = []string{"北京市", "上海市", "广东省", "浙江省", "江苏省", "四川省", "湖北省"}
	demoCities      = []string{"上海", "深圳", "成都", "武汉", "苏州", "广州"}
)

const (
	demoExhibitions = 12
	demoBatch       = 200 // rows of one INSERT: below every engine's limit of placeholders
	// demoNewest is fixed, so that screenshots and golden files do not change with the day.
	demoNewest = "2026-11-01T09:46:19.913+08:00"
)

// seedDemo fills empty tables with invented exhibitions, users and size invitations. The generator
// has a fixed seed, so the rows are the same every time.
func seedDemo(ctx context.Context, db *database.DB, size int) error {
	newest, err := time.Parse(time.RFC3339, demoNewest)
	if err != nil {
		return fmt.Errorf("demo clock: %w", err)
	}
	return db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		there, err := database.One(ctx, tx, database.Scalar[int], "SELECT COUNT(*) FROM exhibitions")
		if err != nil || there > 0 {
			return err
		}
		// Half as many users as invitations: each is then invited once or twice.
		d := demo{tx: tx, random: rand.New(rand.NewPCG(2026, 11)), newest: newest}
		users := size/2 + 2
		exhibition, err := d.exhibitions(ctx)
		if err != nil {
			return err
		}
		user, err := d.users(ctx, users)
		if err != nil {
			return err
		}
		return d.invitations(ctx, size, users, exhibition, user)
	})
}

// demo writes the demo rows in one transaction.
type demo struct {
	tx     *database.Tx
	random *rand.Rand
	newest time.Time
}

func (d *demo) pick(from []string) string { return from[d.random.IntN(len(from))] }

// exhibitions adds the exhibitions and returns the first one's id.
func (d *demo) exhibitions(ctx context.Context) (first int64, err error) {
	return d.insert(ctx, "exhibitions", "name, created_at", demoExhibitions, func(i int) []any {
		name := fmt.Sprintf("%d年%s物联网展", 2020+i/2, demoCities[i%len(demoCities)])
		return []any{name, database.Micros(d.newest.AddDate(0, -i, 0))}
	})
}

// users adds n visitors and returns the first one's id.
func (d *demo) users(ctx context.Context, n int) (first int64, err error) {
	return d.insert(ctx, "exhibition_users", "phone, company_name, department, position, area, person_id, created_at", n,
		func(i int) []any {
			var person any
			if i < 3 { // the demo's three people visit exhibitions too
				person = i + 1
			}
			return []any{
				fmt.Sprintf("138%08d", i+1), null(d.pick(demoCompanies)), null(d.pick(demoDepartments)),
				null(d.pick(demoPositions)), null(d.pick(demoAreas)), person, database.Micros(d.newest),
			}
		})
}

// invitations adds n invitations. No two have the same exhibition, user and inviter, which a
// unique index forbids.
func (d *demo) invitations(ctx context.Context, n, users int, firstExhibition, firstUser int64) error {
	states := []Status{Applying, Applying, Approved, Approved, Rejected}
	_, err := d.insert(ctx, "invitations",
		"exhibition_id, user_id, recommend_user_id, approve_status, approve_description, created_at", n,
		func(i int) []any {
			status := states[d.random.IntN(len(states))]
			why := ""
			switch status {
			case Approved:
				why = "资料齐全"
			case Rejected:
				why = "信息不完整，请补充"
			}
			// Each user is invited once or twice, to exhibitions seven places apart.
			exhibition := firstExhibition + int64((i%users*5+i/users*7)%demoExhibitions)
			user := firstUser + int64(i%users)
			recommender := firstUser + int64((i*7+i/users)%min(users, 500))
			// Oldest first, so that ids and times rise together as they do in real use.
			at := d.newest.Add(-time.Duration(n-1-i) * 97 * time.Second)
			return []any{exhibition, user, recommender, string(status), null(why), database.Micros(at)}
		})
	return err
}

// insert adds n rows to an empty table in batches and returns the first one's id; the others'
// follow it without gaps.
func (d *demo) insert(ctx context.Context, table, columns string, n int, values func(i int) []any) (first int64, err error) {
	for from := 0; from < n; from += demoBatch {
		var rows []string
		var args []any
		for i := from; i < min(from+demoBatch, n); i++ {
			row := values(i)
			rows = append(rows, database.In(len(row)))
			args = append(args, row...)
		}
		text := "INSERT INTO " + table + " (" + columns + ") VALUES " + strings.Join(rows, ",")
		if _, err := d.tx.Exec(ctx, text, args...); err != nil {
			return 0, fmt.Errorf("demo rows of %s: %w", table, err)
		}
	}
	first, err = database.One(ctx, d.tx, database.Scalar[int64], "SELECT COALESCE(MIN(id), 0) FROM "+table)
	if err != nil {
		return 0, fmt.Errorf("demo rows of %s: %w", table, err)
	}
	return first, nil
}
