package invitation

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"exporthub/pkg/admin"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/page"
	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var shanghai = time.FixedZone("UTC+8", 8*3600)

func onEach(t *testing.T, fn func(t *testing.T, s *service)) {
	t.Helper()
	dbtest.Each(t, []fs.FS{auth.Migrations, migrations}, func(t *testing.T, db *database.DB) {
		fn(t, &service{Deps: admin.Deps{DB: db, Events: &happenings{}, Location: shanghai, Now: time.Now}})
	})
}

func bound(t *testing.T, text string) *httpapi.Bound {
	t.Helper()
	b, err := httpapi.ParseBound(text)
	if err != nil {
		t.Fatal(err)
	}
	return &b
}

// Every filter, alone and together, finds what going through all rows by hand finds, in the list and in the export.
func TestFiltersAgainstBruteForce(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		if err := seedDemo(t.Context(), s.DB, 2500); err != nil {
			t.Fatal(err)
		}
		everything, err := s.list(t.Context(), Filter{}, page.Request{Number: 1, Size: 5000})
		if err != nil {
			t.Fatal(err)
		}
		if len(everything.Items) != 2500 || everything.Total != 2500 {
			t.Fatalf("%d of %d rows", len(everything.Items), everything.Total)
		}
		one := everything.Items[1234]
		day := one.CreatedAt.In(shanghai).Format(time.DateOnly)
		instant := one.CreatedAt.In(shanghai).Format("2006-01-02T15:04:05.000-07:00")
		dayOf := func(v Invitation) string { return v.CreatedAt.In(shanghai).Format(time.DateOnly) }
		for name, c := range map[string]struct {
			filter Filter
			keep   func(Invitation) bool
		}{
			"nothing":         {Filter{}, func(Invitation) bool { return true }},
			"exhibition":      {Filter{ExhibitionID: &one.Exhibition.ID}, func(v Invitation) bool { return v.Exhibition == one.Exhibition }},
			"no exhibition":   {Filter{ExhibitionID: new(int64)}, func(Invitation) bool { return false }},
			"user":            {Filter{UserPhone: one.User.Phone}, func(v Invitation) bool { return v.User.Phone == one.User.Phone }},
			"part of phone":   {Filter{UserPhone: one.User.Phone[:8]}, func(Invitation) bool { return false }},
			"recommender":     {Filter{RecommendUserPhone: one.RecommendUser.Phone}, func(v Invitation) bool { return v.RecommendUser.ID == one.RecommendUser.ID }},
			"status":          {Filter{Status: Rejected}, func(v Invitation) bool { return v.Status == Rejected }},
			"from a day":      {Filter{CreatedFrom: bound(t, day)}, func(v Invitation) bool { return dayOf(v) >= day }},
			"until a day":     {Filter{CreatedUntil: bound(t, day)}, func(v Invitation) bool { return dayOf(v) <= day }},
			"the whole day":   {Filter{CreatedFrom: bound(t, day), CreatedUntil: bound(t, day)}, func(v Invitation) bool { return dayOf(v) == day }},
			"one instant":     {Filter{CreatedFrom: bound(t, instant), CreatedUntil: bound(t, instant)}, func(v Invitation) bool { return v.CreatedAt.Equal(one.CreatedAt) }},
			"a range of none": {Filter{CreatedFrom: bound(t, "2030-01-01")}, func(Invitation) bool { return false }},
			"several": {
				Filter{ExhibitionID: &one.Exhibition.ID, Status: Approved, CreatedUntil: bound(t, day)},
				func(v Invitation) bool {
					return v.Exhibition == one.Exhibition && v.Status == Approved && dayOf(v) <= day
				},
			},
			"an injection": {Filter{UserPhone: "' OR '1'='1"}, func(Invitation) bool { return false }},
		} {
			t.Run(name, func(t *testing.T) {
				want := []int64{}
				for _, v := range everything.Items {
					if c.keep(v) {
						want = append(want, v.ID)
					}
				}
				result, err := s.list(t.Context(), c.filter, page.Request{Number: 1, Size: 5000})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, ids(result.Items)); diff != "" || result.Total != len(want) {
					t.Errorf("list: total %d (-want +got):\n%s", result.Total, diff)
				}
				if diff := cmp.Diff(want, exported(t, s, c.filter, nil)); diff != "" {
					t.Errorf("export (-want +got):\n%s", diff)
				}
			})
		}
		ticked := []int64{everything.Items[2000].ID, everything.Items[3].ID}
		if diff := cmp.Diff([]int64{ticked[1], ticked[0]}, exported(t, s, Filter{}, ticked)); diff != "" {
			t.Errorf("export of ticked rows (-want +got):\n%s", diff)
		}
	})
}

// exported runs the dataset as the engine does and returns the ids in the file's order.
func exported(t *testing.T, s *service, f Filter, ticked []int64) []int64 {
	t.Helper()
	set := s.dataset()
	found := []int64{}
	err := s.DB.Read(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		sel := dataset.Selection{Filter: &f, IDs: ticked}
		n, err := set.Count(ctx, tx, sel)
		if err != nil {
			return err
		}
		if about, err := set.Estimate(ctx, tx, sel); err != nil || about < n {
			t.Errorf("estimated %d (%v) of %d rows", about, err, n)
		}
		for row, err := range set.Rows(ctx, tx, sel, set.Columns) {
			if err != nil {
				return err
			}
			found = append(found, row[0].Num)
		}
		if n != int64(len(found)) {
			t.Errorf("counted %d, streamed %d", n, len(found))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Rows of one instant are told apart by their id, so that no page loses or repeats one.
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
		var paged []int64
		for n := range 3 {
			result, err := s.list(t.Context(), Filter{}, page.Request{Number: n + 1, Size: 10})
			if err != nil {
				t.Fatal(err)
			}
			paged = append(paged, ids(result.Items)...)
		}
		var keyset []int64
		err := s.DB.Read(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			var last *Invitation
			for {
				rows, err := after(ctx, tx, s.query(Filter{}, nil), last, 7, nil)
				if err != nil || len(rows) == 0 {
					return err
				}
				keyset = append(keyset, ids(rows)...)
				last = &rows[len(rows)-1]
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(paged, keyset) || len(keyset) != 25 || !slices.IsSortedFunc(keyset, func(a, b int64) int { return int(b - a) }) {
			t.Errorf("pages %v\nkeyset %v", paged, keyset)
		}
		past, err := s.list(t.Context(), Filter{}, page.Request{Number: 99, Size: 10})
		if err != nil || len(past.Items) != 0 || past.Total != 25 {
			t.Errorf("past the end: %d rows of %d, %v", len(past.Items), past.Total, err)
		}
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
			if err := seedDemo(t.Context(), s.DB, 600); err != nil {
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

func TestExhibitionsAreFoundByPartOfTheirName(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		if err := seedDemo(t.Context(), s.DB, 10); err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string]int{"": demoExhibitions, "深圳": 2, "%": 0, "_": 0, "!": 0, "没有": 0} {
			result, err := s.listExhibitions(t.Context(), text, page.Request{Number: 1, Size: 50})
			if err != nil {
				t.Fatal(err)
			}
			if result.Total != want || len(result.Items) != want {
				t.Errorf("%q finds %d (%d shown), want %d", text, result.Total, len(result.Items), want)
			}
		}
	})
}
