package contact

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"exporthub/pkg/admin"
	"exporthub/pkg/admin/admintest"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/errs"
	"exporthub/pkg/page"
	"exporthub/pkg/search"
	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func onEach(t *testing.T, fn func(t *testing.T, s *service)) {
	t.Helper()
	dbtest.Each(t, []fs.FS{auth.Migrations, migrations}, func(t *testing.T, db *database.DB) {
		fn(t, &service{Deps: admin.Deps{DB: db, Events: &admintest.Events{}, Location: admintest.Shanghai, Now: time.Now}})
	})
}

func (s *service) records() admintest.List[Filter, Contact] {
	return admintest.List[Filter, Contact]{
		DB: s.DB, Dataset: s.dataset(), Page: s.list, ID: func(v Contact) int64 { return v.ID },
		After: func(ctx context.Context, tx *database.Tx, f Filter, last *Contact, limit int) ([]Contact, error) {
			return s.query(f, nil).after(ctx, tx, last, limit, nil)
		},
	}
}

// ids are the ids of records, in order.
func ids(all []Contact) []int64 { return new(service).records().IDs(all) }

func (s *service) all(t *testing.T, f Filter) page.Result[Contact] {
	t.Helper()
	return s.records().Rows(t, f)
}

// Every filter, alone and together, finds what going through all rows by hand finds, in the list
// and in the export.
func TestFiltersAgainstBruteForce(t *testing.T) {
	yes, no := true, false
	onEach(t, func(t *testing.T, s *service) {
		if err := seedDemo(t.Context(), s.DB, 1500); err != nil {
			t.Fatal(err)
		}
		list := s.records()
		everything := list.Rows(t, Filter{})
		if len(everything.Items) != 1500 || everything.Total != 1500 {
			t.Fatalf("%d of %d rows", len(everything.Items), everything.Total)
		}
		one := everything.Items[777]
		day := one.CreatedAt.In(admintest.Shanghai).Format(time.DateOnly)
		dayOf := func(v Contact) string { return v.CreatedAt.In(admintest.Shanghai).Format(time.DateOnly) }
		// The documented rule, on the fields as they are stored.
		holds := func(text string) func(Contact) bool {
			text = search.Fold(text)
			return func(v Contact) bool {
				return slices.ContainsFunc([]string{v.Name, v.Position, v.Contact}, func(field string) bool {
					return strings.Contains(search.Fold(field), text)
				})
			}
		}
		cases := map[string]admintest.Case[Filter, Contact]{
			"nothing":         {Filter: Filter{}, Keep: func(Contact) bool { return true }},
			"replied":         {Filter: Filter{ReplyStatus: "已回复"}, Keep: func(v Contact) bool { return v.ReplyStatus == "已回复" }},
			"another status":  {Filter: Filter{ReplyStatus: "已"}, Keep: func(Contact) bool { return false }},
			"exchanged":       {Filter: Filter{WechatExchanged: &yes}, Keep: func(v Contact) bool { return v.WechatExchanged }},
			"not exchanged":   {Filter: Filter{WechatExchanged: &no}, Keep: func(v Contact) bool { return !v.WechatExchanged }},
			"from a day":      {Filter: Filter{StartDate: admintest.Bound(t, day)}, Keep: func(v Contact) bool { return dayOf(v) >= day }},
			"until a day":     {Filter: Filter{EndDate: admintest.Bound(t, day)}, Keep: func(v Contact) bool { return dayOf(v) <= day }},
			"the whole day":   {Filter: Filter{StartDate: admintest.Bound(t, day), EndDate: admintest.Bound(t, day)}, Keep: func(v Contact) bool { return dayOf(v) == day }},
			"a range of none": {Filter: Filter{StartDate: admintest.Bound(t, "2030-01-01")}, Keep: func(Contact) bool { return false }},
			"several": {
				Filter: Filter{Search: "经理", ReplyStatus: "已回复", WechatExchanged: &yes, StartDate: admintest.Bound(t, "2026-10-30"), EndDate: admintest.Bound(t, day)},
				Keep: func(v Contact) bool {
					return holds("经理")(v) && v.ReplyStatus == "已回复" && v.WechatExchanged && dayOf(v) >= "2026-10-30" && dayOf(v) <= day
				},
			},
		}
		for _, text := range []string{
			one.Name, one.Name[:3], one.Contact, one.Contact[3:9], "3", "经理", "工程师", "ui 设计", "ＵＩ", "hrbp", "WECHAT:", "%", "_", "' OR '1'='1", "没有的", "  经理 ",
		} {
			cases["search "+text] = admintest.Case[Filter, Contact]{Filter: Filter{Search: text}, Keep: holds(strings.TrimSpace(text))}
		}
		list.BruteForce(t, everything.Items, cases)
	})
}

// Rows of one instant are ordered by their id, so that no page loses or repeats one.
func TestPagesOfRowsWithOneTime(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
		s.Now = func() time.Time { return at }
		for i := range 25 {
			s.add(t, Contact{Name: "某某", Contact: fmt.Sprintf("137%08d", i)})
		}
		for _, f := range []Filter{{}, {Search: "某某"}} {
			s.records().Pages(t, f, 25)
		}
	})
}

func (s *service) add(t *testing.T, v Contact) Contact {
	t.Helper()
	Details{}.apply(&v, admintest.Shanghai)
	made, err := s.create(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestCreateChangeAndDelete(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		made := s.add(t, Contact{Name: "张三", Position: "产品经理", Contact: "13700000001", AccountID: 1, WorkerID: "worker-001", Notes: "备注"})
		if made.ReplyStatus != "未回复" || made.Version != 1 || made.ID == 0 {
			t.Errorf("made %+v", made)
		}
		if _, err := s.create(t.Context(), Contact{Name: "李四", Contact: "13700000001", AccountID: 1}); !errs.Is(err, errs.Conflict) || errs.CodeOf(err) != "contact_exists" {
			t.Errorf("the same contact of the same account: %v, want a conflict", err)
		}
		other := s.add(t, Contact{Name: "李四", Contact: "13700000001", AccountID: 2})
		if _, err := s.create(t.Context(), Contact{}); !errs.Is(err, errs.Invalid) {
			t.Errorf("a record of nothing: %v", err)
		}

		changed, err := s.change(t.Context(), made.ID, nil, func(v *Contact) { v.Name = "王五" })
		want := made
		want.Name, want.Version = "王五", 2
		if diff := cmp.Diff(want, changed); diff != "" || err != nil {
			t.Errorf("changed: %v (-want +got):\n%s", err, diff)
		}
		if got := s.all(t, Filter{Search: "王五"}); !slices.Equal(ids(got.Items), []int64{made.ID}) || got.Items[0] != want {
			t.Errorf("found by the new name: %+v", got.Items)
		}
		if got := s.all(t, Filter{Search: "张三"}); got.Total != 0 {
			t.Errorf("found by the old name: %+v", got.Items)
		}
		same, err := s.change(t.Context(), made.ID, nil, func(v *Contact) { v.Name = "王五" })
		if err != nil || same.Version != 2 {
			t.Errorf("a change of nothing: version %d, %v", same.Version, err)
		}
		stale := int64(1)
		if _, err := s.change(t.Context(), made.ID, &stale, func(v *Contact) { v.Name = "赵六" }); errs.CodeOf(err) != "contact_changed" {
			t.Errorf("a stale change: %v", err)
		}
		if err := s.remove(t.Context(), made.ID, &stale); errs.CodeOf(err) != "contact_changed" {
			t.Errorf("a stale deletion: %v", err)
		}
		if _, err := s.change(t.Context(), made.ID, nil, func(v *Contact) { v.AccountID = 2 }); errs.CodeOf(err) != "contact_exists" {
			t.Errorf("a change into another record's key: %v", err)
		}
		if _, err := s.change(t.Context(), made.ID, nil, func(v *Contact) { v.Name = "" }); !errs.Is(err, errs.Invalid) {
			t.Errorf("a change into nothing: %v", err)
		}
		fresh := int64(2)
		if err := s.remove(t.Context(), made.ID, &fresh); err != nil {
			t.Fatal(err)
		}
		if err := s.remove(t.Context(), made.ID, nil); !errs.Is(err, errs.NotFound) {
			t.Errorf("deleted twice: %v", err)
		}
		if _, err := s.change(t.Context(), made.ID, nil, func(*Contact) {}); !errs.Is(err, errs.NotFound) {
			t.Errorf("changed after its deletion: %v", err)
		}
		if got := s.all(t, Filter{Search: "137"}); !slices.Equal(ids(got.Items), []int64{other.ID}) {
			t.Errorf("what is left: %+v", got.Items)
		}
	})
}

func TestDemoIsTheSameEveryTimeAndOnlyOnce(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		for range 2 {
			if err := seedDemo(t.Context(), s.DB, 450); err != nil {
				t.Fatal(err)
			}
		}
		if all := s.all(t, Filter{}); all.Total != 450 {
			t.Errorf("%d rows, want 450", all.Total)
		}
		// What is added later takes ids of its own.
		s.add(t, Contact{Name: "新来的", Contact: "13700000009"})
		if got := s.all(t, Filter{Search: "新来的"}); got.Total != 1 {
			t.Errorf("added to the demo: %+v", got)
		}
	})
}
