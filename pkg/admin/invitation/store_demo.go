package invitation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/huandu/go-sqlbuilder"

	"exporthub/pkg/admin"
	"exporthub/pkg/auth"
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
	// demoUndecided is how many of the newest invitations may still wait for a decision. Older ones
	// are all decided, as in an office that keeps up: each that waits is a message to every
	// approver.
	demoUndecided = 1000
	// demoEvery is the time between two invitations.
	demoEvery = 97 * time.Second
	// demoNewest is fixed, so that screenshots and golden files do not change with the day.
	demoNewest = "2026-11-01T09:46:19.913+08:00"
)

// seedDemo fills empty tables with invented exhibitions, users and size invitations. The generator
// has a fixed seed, so the rows are the same every time. Invitations that wait for a decision are
// raised as such, in the same transaction: the approvers' messages agree with the list.
func (s *service) seedDemo(ctx context.Context, db *database.DB, size int) error {
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
		// An installation without staff has invitations that nobody decided; so has its list.
		d.decider, err = database.One(ctx, tx, database.Scalar[int64],
			"SELECT COALESCE(MIN(id), 0) FROM people WHERE role = ?", int(auth.Administrator))
		if err != nil {
			return fmt.Errorf("demo decider: %w", err)
		}
		if err := d.invitations(ctx, size, users, exhibition, user); err != nil {
			return err
		}
		return s.demoAwaits(ctx, tx)
	})
}

// demoAwaits raises the demo's undecided invitations, oldest first.
func (s *service) demoAwaits(ctx context.Context, tx *database.Tx) error {
	undecided := query{where: func(b *sqlbuilder.SelectBuilder) {
		b.Where(b.Equal("i.approve_status", string(Applying)))
	}}
	found, err := scan(ctx, tx, undecided.rows(), nil)
	if err != nil || len(found) == 0 {
		return err
	}
	var waiting []admin.Waiting
	for _, v := range slices.Backward(found) {
		w := v.waiting()
		w.Since = v.CreatedAt
		waiting = append(waiting, w)
	}
	return s.Events.Raise(ctx, tx, admin.ApprovalAwaited, admin.Awaited{
		System:     systemName,
		Permission: permissionApprove,
		Waiting:    waiting,
	})
}

// demo writes the demo rows in one transaction.
type demo struct {
	tx     *database.Tx
	random *rand.Rand
	newest time.Time
	// decider is the person who decided the decided invitations; 0 is none.
	decider int64
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
		"exhibition_id, user_id, recommend_user_id, approve_status, approve_description, created_at, "+
			"decision, decided_by, decided_at", n,
		func(i int) []any {
			status := states[d.random.IntN(len(states))]
			if status == Applying && i < n-demoUndecided {
				status = Approved
			}
			// Oldest first, so that ids and times rise together as they do in real use.
			at := d.newest.Add(-time.Duration(n-1-i) * demoEvery)
			why := ""
			switch status {
			case Approved:
				why = "资料齐全"
			case Rejected:
				why = "信息不完整，请补充"
			}
			var decision, decidedBy, decidedAt any
			if status != Applying && d.decider != 0 {
				decision = string(status)
				decidedBy = d.decider
				decidedAt = database.Micros(at.Add(demoEvery * time.Duration(1+i%40)))
			}
			// Each user is invited once or twice, to exhibitions seven places apart.
			exhibition := firstExhibition + int64((i%users*5+i/users*7)%demoExhibitions)
			user := firstUser + int64(i%users)
			recommender := firstUser + int64((i*7+i/users)%min(users, 500))
			return []any{
				exhibition, user, recommender, string(status), null(why), database.Micros(at),
				decision, decidedBy, decidedAt,
			}
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
