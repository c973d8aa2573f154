package message

import (
	"context"
	"io/fs"
	"log/slog"
	"testing"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/admin/admintest"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// desk is the system with three people.
type desk struct {
	*service
	t      testing.TB
	wire   *admintest.Events // where pushes arrive
	people []int64           // administrator, staff, a disabled administrator
}

func onEach(t *testing.T, fn func(t *testing.T, d *desk)) {
	t.Helper()
	dbtest.Each(t, []fs.FS{auth.Migrations, migrations}, func(t *testing.T, db *database.DB) {
		d := &desk{t: t, wire: &admintest.Events{}}
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		d.service = &service{Deps: admin.Deps{
			DB: db, Events: d.wire, PublicURL: "https://example.com", Location: admintest.Shanghai, Logger: slog.New(slog.DiscardHandler),
			Now: func() time.Time { at = at.Add(time.Second); return at },
		}}
		for i, person := range []struct {
			account, name, nickname, phone string
			role, status                   int
		}{
			{"zhang", "张三", "小张", "13800000001", 1, 1}, {"li", "", "李四", "13800000002", 2, 1}, {"wang", "", "", "13800000003", 1, 0},
		} {
			d.people = append(d.people, 0)
			d.write(func(ctx context.Context, tx *database.Tx) (err error) {
				d.people[i], err = tx.Insert(ctx, `INSERT INTO people (account, name, nickname, phone, role, status, created_at, updated_at)
					VALUES (?, ?, ?, ?, ?, ?, 0, 0)`, person.account, person.name, person.nickname, person.phone, person.role, person.status)
				return err
			})
		}
		d.write(func(ctx context.Context, tx *database.Tx) error {
			_, err := tx.Exec(ctx, "INSERT INTO role_permissions (role, permission) VALUES (1, 'invitation.approve')")
			return err
		})
		fn(t, d)
	})
}

func (d *desk) write(fn func(ctx context.Context, tx *database.Tx) error) {
	d.t.Helper()
	if err := d.DB.Write(d.t.Context(), fn); err != nil {
		d.t.Fatal(err)
	}
}

// raise runs the reaction to an event in a transaction of its own.
func (d *desk) raise(event admin.Event, data any) {
	d.t.Helper()
	d.write(func(ctx context.Context, tx *database.Tx) error { return d.reactions()[event](ctx, tx, data) })
}

// awaitedInvitations are invitations that wait for a decision.
func awaitedInvitations(ids ...int64) admin.Awaited {
	e := admin.Awaited{System: "invitation", Permission: "invitation.approve"}
	for _, id := range ids {
		e.Waiting = append(e.Waiting, admin.Waiting{ID: id})
	}
	return e
}

// as is a request of the i-th person.
func (d *desk) as(i int) context.Context {
	return auth.With(d.t.Context(), &auth.Principal{UserID: d.people[i]})
}

// everything is every message there is, newest first.
func (d *desk) everything() (all []Message) {
	d.t.Helper()
	err := d.DB.Read(d.t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
		all, err = database.All(ctx, tx, scan, rowsOf+"1 = 1 ORDER BY m.id DESC")
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return all
}
