package trail

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"testing"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/admin/admintest"
	"exporthub/pkg/audit"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/errs"
	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var start = time.Date(2026, 11, 30, 10, 0, 0, 0, time.UTC)

// onEach runs a test on every engine with twelve rows of two people and one stranger.
func onEach(t *testing.T, fn func(t *testing.T, s *service)) {
	t.Helper()
	dbtest.Each(t, []fs.FS{auth.Migrations}, func(t *testing.T, db *database.DB) {
		s := &service{Deps: admin.Deps{DB: db, Location: admintest.Shanghai, Now: time.Now}}
		err := db.Write(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO people (account, name, nickname, role, status, created_at, updated_at)
				VALUES ('zhang', '张三', '', 1, 1, 0, 0)`)
			if err != nil {
				return err
			}
			for i := range 12 {
				e := audit.Entry{
					At:      start.Add(time.Duration(i/2) * time.Hour), // two of each instant
					ActorID: int64(i % 3),
					Action:  []string{audit.Login, audit.ExportRequest}[i%2],
					Subject: fmt.Sprintf("s%d", i%4),
					Detail:  "手机=13800000001",
					Address: fmt.Sprintf("192.0.2.%d", i%5),
				}
				if err := audit.Record(ctx, tx, e); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		fn(t, s)
	})
}

func (s *service) request(t *testing.T, in listIn, permissions ...string) (pageOut, error) {
	t.Helper()
	who := (&auth.Principal{UserID: 1}).Holding(permissions...)
	if in.Limit == 0 {
		in.Limit = 50
	}
	out, err := s.handleList(auth.With(t.Context(), who), in)
	return out.Data.Page, err
}

// Pages hold each row once, newest first, and a file holds the same rows under each filter.
func TestListAndFileHoldTheSame(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		zero, one := int64(0), int64(1)
		for name, c := range map[string]struct {
			filter Filter
			want   int
		}{
			"all":          {Filter{}, 12},
			"a person":     {Filter{Actor: &one}, 4},
			"nobody known": {Filter{Actor: &zero}, 4},
			"an action":    {Filter{Action: audit.Login}, 6},
			"a subject":    {Filter{Subject: "s3"}, 3},
			"an address":   {Filter{Address: "192.0.2.4"}, 2},
			"from":         {Filter{From: admintest.Bound(t, "2026-11-30T14:00:00+00:00")}, 4},
			// 10:59:59 in UTC.
			"until":           {Filter{Until: admintest.Bound(t, "2026-11-30 18:59:59")}, 2},
			"a day":           {Filter{From: admintest.Bound(t, "2026-11-30"), Until: admintest.Bound(t, "2026-11-30")}, 12},
			"two at once":     {Filter{Actor: &one, Action: audit.Login}, 2},
			"nothing matches": {Filter{Subject: "%"}, 0},
		} {
			t.Run(name, func(t *testing.T) {
				var ids []int64
				in := listIn{Filter: c.filter, Limit: 5}
				for {
					page, err := s.request(t, in, permissionRead)
					if err != nil {
						t.Fatal(err)
					}
					for _, r := range page.Items {
						ids = append(ids, r.ID)
					}
					if page.Next == nil {
						break
					}
					in.Cursor = *page.Next
				}
				if len(ids) != c.want || !slices.IsSortedFunc(ids, func(a, b int64) int { return int(b - a) }) {
					t.Errorf("list %v, want %d rows, newest first", ids, c.want)
				}
				if file := s.file(t, c.filter); !slices.Equal(file, ids) {
					t.Errorf("file %v, list %v", file, ids)
				}
			})
		}
	})
}

// file reads the ids of an export, three rows a page.
func (s *service) file(t *testing.T, f Filter) (ids []int64) {
	t.Helper()
	err := s.DB.Read(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		var after cursor
		for {
			rows, err := newQuery(f, nil, s.Location).after(ctx, tx, after, 3, nil)
			if err != nil || len(rows) == 0 {
				return err
			}
			for _, r := range rows {
				ids = append(ids, r.ID)
			}
			after = cursorOf(rows[len(rows)-1])
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// Phones that people typed are masked as the invitations' list masks them; the rest is whole.
func TestPhonesInDetails(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		for name, c := range map[string]struct {
			permissions []string
			want        string
		}{
			"without the right": {[]string{permissionRead}, "手机=138****0001"},
			"with the right":    {[]string{permissionRead, "invitation.read_phone"}, "手机=13800000001"},
		} {
			page, err := s.request(t, listIn{Filter: Filter{Action: audit.ExportRequest}}, c.permissions...)
			if err != nil || len(page.Items) != 6 {
				t.Fatalf("%s: %d rows, %v", name, len(page.Items), err)
			}
			first := page.Items[0]
			if first.Detail != c.want || first.ActionName != "提交导出" {
				t.Errorf("%s: %+v", name, first)
			}
		}
		page, err := s.request(t, listIn{Filter: Filter{Action: audit.Login}}, permissionRead)
		if err != nil || page.Items[0].Detail != "手机=13800000001" {
			t.Errorf("a detail that nobody typed is masked: %+v, %v", page.Items, err)
		}
	})
}

func TestActorsHaveTheirNames(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		page, err := s.request(t, listIn{}, permissionRead)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Items {
			known := r.Actor != nil && *r.Actor == 1
			if known != (r.ActorName == "张三") || r.Actor != nil && *r.Actor == 0 {
				t.Errorf("%+v", r)
			}
		}
	})
}

func TestCursorsOfOthersAreRefused(t *testing.T) {
	s := &service{}
	for _, bad := range []string{"x", "eA", "MS4", "MS4w", "1.2", "MS4tMQ"} {
		_, err := s.request(t, listIn{Cursor: bad}, permissionRead)
		if e := errs.As(err); e == nil || e.Kind != errs.Invalid || len(e.Fields) != 1 || e.Fields[0].Name != "cursor" {
			t.Errorf("cursor %q: %v, want the field cursor named", bad, err)
		}
	}
	c := cursor{at: 1234567, id: 89}
	if again, err := parseCursor(*c.text()); err != nil || again != c {
		t.Errorf("%+v reads as %+v, %v", c, again, err)
	}
}

// Every action has a name, or the list and the file would show a code.
func TestEveryActionHasAName(t *testing.T) {
	labels := actions.Labels()
	for _, action := range []string{
		audit.Login, audit.LoginRefused, audit.LoginLocked, audit.PasswordChange, audit.PasswordReset, audit.PersonCreate,
		audit.PersonStatus, audit.RoleGrant, audit.RoleRevoke, audit.AccessRefused, audit.ExportRequest, audit.ExportEnd,
		audit.ExportDownload, audit.ImportEnd, audit.Approve, audit.Reject,
	} {
		if labels[action] == "" {
			t.Errorf("%s has no name", action)
		}
	}
}

// A cursor that is taken is one that was given, or reads the same rows as one.
func FuzzCursor(f *testing.F) {
	for _, seed := range []string{"", "MS4x", "MS4x\n", "MTIzLjQ1Ng", "LTEuMQ", "eA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCursor(text)
		switch {
		case err != nil && !errs.Is(err, errs.Invalid):
			t.Errorf("parseCursor(%q) failed with %v", text, err)
		case err != nil || text == "":
		case c.id < 1:
			t.Errorf("parseCursor(%q) = %+v", text, c)
		default:
			if again, err := parseCursor(*c.text()); err != nil || again != c {
				t.Errorf("%q is %+v, and written again %+v, %v", text, c, again, err)
			}
		}
	})
}
