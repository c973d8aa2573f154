package invitation

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/admin/admintest"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/errs"
	"exporthub/pkg/page"
	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func onEach(t *testing.T, fn func(t *testing.T, s *service)) {
	t.Helper()
	dbtest.Each(t, []fs.FS{auth.Migrations, migrations}, func(t *testing.T, db *database.DB) {
		fn(t, &service{Deps: admin.Deps{DB: db, Events: &admintest.Events{}, Location: admintest.Shanghai, Now: time.Now}})
	})
}

func (s *service) records() admintest.List[Filter, Invitation] {
	return admintest.List[Filter, Invitation]{
		DB: s.DB, Dataset: s.dataset(), Page: s.list, ID: func(v Invitation) int64 { return v.ID },
		After: func(ctx context.Context, tx *database.Tx, f Filter, last *Invitation, limit int) ([]Invitation, error) {
			return after(ctx, tx, s.query(f, nil), last, limit, nil)
		},
	}
}

// Every filter, alone and together, finds what going through all rows by hand finds, in the list
// and in the export.
func TestFiltersAgainstBruteForce(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		if err := s.seedDemo(t.Context(), s.DB, 2500); err != nil {
			t.Fatal(err)
		}
		list := s.records()
		everything := list.Rows(t, Filter{})
		if len(everything.Items) != 2500 || everything.Total != 2500 {
			t.Fatalf("%d of %d rows", len(everything.Items), everything.Total)
		}
		one := everything.Items[1234]
		day := one.CreatedAt.In(admintest.Shanghai).Format(time.DateOnly)
		instant := one.CreatedAt.In(admintest.Shanghai).Format("2006-01-02T15:04:05.000-07:00")
		dayOf := func(v Invitation) string { return v.CreatedAt.In(admintest.Shanghai).Format(time.DateOnly) }
		list.BruteForce(t, everything.Items, map[string]admintest.Case[Filter, Invitation]{
			"nothing":         {Filter: Filter{}, Keep: func(Invitation) bool { return true }},
			"exhibition":      {Filter: Filter{ExhibitionID: &one.Exhibition.ID}, Keep: func(v Invitation) bool { return v.Exhibition == one.Exhibition }},
			"no exhibition":   {Filter: Filter{ExhibitionID: new(int64)}, Keep: func(Invitation) bool { return false }},
			"user":            {Filter: Filter{UserPhone: one.User.Phone}, Keep: func(v Invitation) bool { return v.User.Phone == one.User.Phone }},
			"part of phone":   {Filter: Filter{UserPhone: one.User.Phone[:8]}, Keep: func(Invitation) bool { return false }},
			"recommender":     {Filter: Filter{RecommendUserPhone: one.RecommendUser.Phone}, Keep: func(v Invitation) bool { return v.RecommendUser.ID == one.RecommendUser.ID }},
			"status":          {Filter: Filter{Status: Rejected}, Keep: func(v Invitation) bool { return v.Status == Rejected }},
			"from a day":      {Filter: Filter{CreatedFrom: admintest.Bound(t, day)}, Keep: func(v Invitation) bool { return dayOf(v) >= day }},
			"until a day":     {Filter: Filter{CreatedUntil: admintest.Bound(t, day)}, Keep: func(v Invitation) bool { return dayOf(v) <= day }},
			"the whole day":   {Filter: Filter{CreatedFrom: admintest.Bound(t, day), CreatedUntil: admintest.Bound(t, day)}, Keep: func(v Invitation) bool { return dayOf(v) == day }},
			"one instant":     {Filter: Filter{CreatedFrom: admintest.Bound(t, instant), CreatedUntil: admintest.Bound(t, instant)}, Keep: func(v Invitation) bool { return v.CreatedAt.Equal(one.CreatedAt) }},
			"a range of none": {Filter: Filter{CreatedFrom: admintest.Bound(t, "2030-01-01")}, Keep: func(Invitation) bool { return false }},
			"several": {
				Filter: Filter{ExhibitionID: &one.Exhibition.ID, Status: Approved, CreatedUntil: admintest.Bound(t, day)},
				Keep: func(v Invitation) bool {
					return v.Exhibition == one.Exhibition && v.Status == Approved && dayOf(v) <= day
				},
			},
			"an injection": {Filter: Filter{UserPhone: "' OR '1'='1"}, Keep: func(Invitation) bool { return false }},
		})
	})
}

// Rows of one instant are ordered by their id, so that no page loses or repeats one.
func TestPagesOfRowsWithOneTime(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
		s.Now = func() time.Time { return at }
		e := s.exhibition(t)
		for i := range 25 {
			if _, err := s.create(t.Context(), creation{
				ExhibitionID: e, User: User{Phone: fmt.Sprintf("137%08d", i)}, RecommendPhone: "13800000001",
			}); err != nil {
				t.Fatal(err)
			}
		}
		s.records().Pages(t, Filter{}, 25)
	})
}

func (s *service) exhibition(t *testing.T) int64 {
	t.Helper()
	var id int64
	err := s.DB.Write(t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
		id, err = tx.Insert(ctx, "INSERT INTO exhibitions (name, created_at) VALUES (?, ?)", "测试展", 1)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestCreate(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		e := s.exhibition(t)
		made, err := s.create(t.Context(), creation{
			ExhibitionID: e, User: User{Phone: "13700000001", CompanyName: "星河电子"}, RecommendPhone: "13700000002",
		})
		if err != nil {
			t.Fatal(err)
		}
		if made.Status != Applying || made.User.CompanyName != "星河电子" || made.RecommendUser.ID == made.User.ID {
			t.Errorf("made %+v", made)
		}
		_, err = s.create(t.Context(), creation{ExhibitionID: e, User: User{Phone: "13700000001"}, RecommendPhone: "13700000002"})
		if !errs.Is(err, errs.Conflict) || errs.CodeOf(err) != "invitation_exists" {
			t.Errorf("the same once more: %v, want a conflict", err)
		}
		again, err := s.create(t.Context(), creation{
			ExhibitionID: e, User: User{Phone: "13700000001", CompanyName: "另一家"}, RecommendPhone: "13700000003",
		})
		if err != nil || again.User.ID != made.User.ID || again.User.CompanyName != "星河电子" {
			t.Errorf("a known user: %+v, %v; want what is recorded", again.User, err)
		}
		_, err = s.create(t.Context(), creation{ExhibitionID: e + 1, User: User{Phone: "13700000004"}, RecommendPhone: "13700000005"})
		if f := errs.As(err); f == nil || f.Kind != errs.Invalid || f.Fields[0].Name != "exhibition_id" {
			t.Errorf("an unknown exhibition: %v", err)
		}
	})
}

func TestDemoIsTheSameEveryTimeAndOnlyOnce(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		for range 2 {
			if err := s.seedDemo(t.Context(), s.DB, 600); err != nil {
				t.Fatal(err)
			}
		}
		all, err := s.list(t.Context(), Filter{}, page.Request{Number: 1, Size: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if all.Total != 600 {
			t.Errorf("%d rows, want 600", all.Total)
		}
		// What is added later takes ids of its own.
		if _, err := s.create(t.Context(), creation{
			ExhibitionID: all.Items[0].Exhibition.ID, User: User{Phone: "13999999999"}, RecommendPhone: "13999999998",
		}); err != nil {
			t.Errorf("add to the demo: %v", err)
		}
	})
}

// One phone is found, and invited, whichever way it is written. Nothing that can't be seen makes a
// second person of it.
func TestOnePhoneInManyWritings(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		if err := s.seedDemo(t.Context(), s.DB, 10); err != nil {
			t.Fatal(err)
		}
		who := auth.With(t.Context(), auth.Principal{UserID: 1}.Holding(permissionRead, permissionWrite, permissionPhone))
		writings := []string{"13812340001", " 13812340001 ", "１３８１２３４０００１", "138\u200b1234\u202d0001", "\ufeff13812340001\u202c"}
		users := map[int64]bool{}
		for i, writing := range writings {
			made, err := s.handleCreate(who, createIn{
				ExhibitionID:   int64(i + 1),
				UserPhone:      writing,
				RecommendPhone: strings.ReplaceAll(writing, "0001", "0002"),
			})
			if err != nil || made.User.Phone != writings[0] {
				t.Fatalf("%q is invited as %q, %v", writing, made.User.Phone, err)
			}
			users[made.User.ID] = true
		}
		if len(users) != 1 {
			t.Errorf("one phone is %d people", len(users))
		}
		for _, writing := range writings {
			for name, f := range map[string]Filter{
				"user_phone":           {UserPhone: writing},
				"recommend_user_phone": {RecommendUserPhone: strings.ReplaceAll(strings.ReplaceAll(writing, "０００１", "０００２"), "0001", "0002")},
			} {
				found, err := s.list(t.Context(), f, page.Request{Number: 1, Size: 50})
				if err != nil || found.Total != len(writings) && name == "user_phone" || found.Total == 0 {
					t.Errorf("%s=%q finds %d, %v", name, writing, found.Total, err)
				}
			}
		}
		// Nothing that can be seen is no filter that is absent.
		if found, err := s.list(t.Context(), Filter{UserPhone: "\u200b"}, page.Request{Number: 1, Size: 50}); err != nil || found.Total != 0 {
			t.Errorf("an invisible phone finds %d, %v", found.Total, err)
		}
		for _, bad := range []string{"1380", "phone", "138\u200b", "1.38E10", "+", "138 1234 0001x"} {
			_, err := s.handleCreate(who, createIn{ExhibitionID: 1, UserPhone: bad, RecommendPhone: writings[0]})
			if e := errs.As(err); e == nil || e.Kind != errs.Invalid || e.Fields[0].Name != userPhone {
				t.Errorf("%q: %v", bad, err)
			}
		}
	})
}

func TestExhibitionsAreFoundByPartOfTheirName(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		if err := s.seedDemo(t.Context(), s.DB, 10); err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string]int{"": demoExhibitions, "深圳": 2, "%": 0, "_": 0, "!": 0, "没有": 0} {
			result, err := s.listExhibitions(t.Context(), ExhibitionFilter{Name: text}, page.Request{Number: 1, Size: 50})
			if err != nil {
				t.Fatal(err)
			}
			if result.Total != want || len(result.Items) != want {
				t.Errorf("%q finds %d (%d shown), want %d", text, result.Total, len(result.Items), want)
			}
		}
	})
}

// The exhibitions and their export hold what going through all of them by hand finds.
func TestExhibitionsAgainstBruteForce(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		if err := s.seedDemo(t.Context(), s.DB, 10); err != nil {
			t.Fatal(err)
		}
		list := admintest.List[ExhibitionFilter, Exhibition]{
			DB: s.DB, Dataset: exhibitions(), Page: s.listExhibitions, ID: func(e Exhibition) int64 { return e.ID },
			After: func(ctx context.Context, tx *database.Tx, f ExhibitionFilter, last *Exhibition, limit int) ([]Exhibition, error) {
				return newExhibitionQuery(f, nil).after(ctx, tx, last, limit)
			},
		}
		cases := map[string]admintest.Case[ExhibitionFilter, Exhibition]{}
		for _, text := range []string{"", "深圳", "2026", "%", "_", "!", "没有", "' OR '1'='1"} {
			cases["named "+text] = admintest.Case[ExhibitionFilter, Exhibition]{
				Filter: ExhibitionFilter{Name: text}, Keep: func(e Exhibition) bool { return strings.Contains(e.Name, text) },
			}
		}
		all := list.Rows(t, ExhibitionFilter{}).Items
		if len(all) != demoExhibitions {
			t.Fatalf("%d exhibitions, want %d", len(all), demoExhibitions)
		}
		list.BruteForce(t, all, cases)
		list.Pages(t, ExhibitionFilter{}, len(all))
	})
}
