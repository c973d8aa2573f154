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
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/page"
	"exporthub/pkg/search"
	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

var shanghai = time.FixedZone("UTC+8", 8*3600)

func onEach(t *testing.T, fn func(t *testing.T, s *service)) {
	t.Helper()
	dbtest.Each(t, []fs.FS{migrations}, func(t *testing.T, db *database.DB) {
		fn(t, &service{Deps: admin.Deps{DB: db, Events: &raised{}, Location: shanghai, Now: time.Now}})
	})
}

func bound(t testing.TB, text string) *httpapi.Bound {
	t.Helper()
	b, err := httpapi.ParseBound(text)
	if err != nil {
		t.Fatal(err)
	}
	return &b
}

func (s *service) all(t *testing.T, f Filter, size int) page.Result[Contact] {
	t.Helper()
	result, err := s.list(t.Context(), f, page.Request{Number: 1, Size: size})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// Every filter, alone and together, finds what going through all rows by hand finds, in the list and in the export.
func TestFiltersAgainstBruteForce(t *testing.T) {
	yes, no := true, false
	onEach(t, func(t *testing.T, s *service) {
		if err := seedDemo(t.Context(), s.DB, 1500); err != nil {
			t.Fatal(err)
		}
		everything := s.all(t, Filter{}, 5000)
		if len(everything.Items) != 1500 || everything.Total != 1500 {
			t.Fatalf("%d of %d rows", len(everything.Items), everything.Total)
		}
		one := everything.Items[777]
		day := one.CreatedAt.In(shanghai).Format(time.DateOnly)
		dayOf := func(v Contact) string { return v.CreatedAt.In(shanghai).Format(time.DateOnly) }
		// The documented rule, on the fields as they are stored.
		holds := func(text string) func(Contact) bool {
			text = search.Fold(text)
			return func(v Contact) bool {
				return slices.ContainsFunc([]string{v.Name, v.Position, v.Contact}, func(field string) bool {
					return strings.Contains(search.Fold(field), text)
				})
			}
		}
		cases := map[string]struct {
			filter Filter
			keep   func(Contact) bool
		}{
			"nothing":         {Filter{}, func(Contact) bool { return true }},
			"replied":         {Filter{ReplyStatus: "已回复"}, func(v Contact) bool { return v.ReplyStatus == "已回复" }},
			"another status":  {Filter{ReplyStatus: "已"}, func(Contact) bool { return false }},
			"exchanged":       {Filter{WechatExchanged: &yes}, func(v Contact) bool { return v.WechatExchanged }},
			"not exchanged":   {Filter{WechatExchanged: &no}, func(v Contact) bool { return !v.WechatExchanged }},
			"from a day":      {Filter{StartDate: bound(t, day)}, func(v Contact) bool { return dayOf(v) >= day }},
			"until a day":     {Filter{EndDate: bound(t, day)}, func(v Contact) bool { return dayOf(v) <= day }},
			"the whole day":   {Filter{StartDate: bound(t, day), EndDate: bound(t, day)}, func(v Contact) bool { return dayOf(v) == day }},
			"a range of none": {Filter{StartDate: bound(t, "2030-01-01")}, func(Contact) bool { return false }},
			"several": {
				Filter{Search: "经理", ReplyStatus: "已回复", WechatExchanged: &yes, StartDate: bound(t, "2026-10-30"), EndDate: bound(t, day)},
				func(v Contact) bool {
					return holds("经理")(v) && v.ReplyStatus == "已回复" && v.WechatExchanged && dayOf(v) >= "2026-10-30" && dayOf(v) <= day
				},
			},
		}
		for _, text := range []string{
			one.Name, one.Name[:3], one.Contact, one.Contact[3:9], "3", "经理", "工程师", "ui 设计", "ＵＩ", "hrbp", "WECHAT:", "%", "_", "' OR '1'='1", "没有的", "  经理 ",
		} {
			cases["search "+text] = struct {
				filter Filter
				keep   func(Contact) bool
			}{Filter{Search: text}, holds(strings.TrimSpace(text))}
		}
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				want := []int64{}
				for _, v := range everything.Items {
					if c.keep(v) {
						want = append(want, v.ID)
					}
				}
				result := s.all(t, c.filter, 5000)
				if diff := cmp.Diff(want, ids(result.Items)); diff != "" || result.Total != len(want) {
					t.Errorf("list: total %d (-want +got):\n%s", result.Total, diff)
				}
				if diff := cmp.Diff(want, exported(t, s, c.filter, nil)); diff != "" {
					t.Errorf("export (-want +got):\n%s", diff)
				}
			})
		}
		ticked := []int64{everything.Items[1200].ID, everything.Items[3].ID}
		if diff := cmp.Diff([]int64{ticked[1], ticked[0]}, exported(t, s, Filter{}, ticked)); diff != "" {
			t.Errorf("export of ticked rows (-want +got):\n%s", diff)
		}
	})
}

func ids(all []Contact) []int64 {
	found := make([]int64, len(all))
	for i, v := range all {
		found[i] = v.ID
	}
	return found
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
		for i := range 25 {
			s.add(t, Contact{Name: "某某", Contact: fmt.Sprintf("137%08d", i)})
		}
		for _, f := range []Filter{{}, {Search: "某某"}} {
			var paged, keyset []int64
			for n := range 3 {
				result, err := s.list(t.Context(), f, page.Request{Number: n + 1, Size: 10})
				if err != nil {
					t.Fatal(err)
				}
				paged = append(paged, ids(result.Items)...)
			}
			err := s.DB.Read(t.Context(), func(ctx context.Context, tx *database.Tx) error {
				var last *Contact
				for {
					rows, err := s.query(f, nil).after(ctx, tx, last, 7, nil)
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
			past, err := s.list(t.Context(), f, page.Request{Number: 99, Size: 10})
			if err != nil || len(past.Items) != 0 || past.Total != 25 {
				t.Errorf("past the end: %d rows of %d, %v", len(past.Items), past.Total, err)
			}
		}
	})
}

func (s *service) add(t *testing.T, v Contact) Contact {
	t.Helper()
	Details{}.apply(&v, shanghai)
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
		if got := s.all(t, Filter{Search: "王五"}, 10); !slices.Equal(ids(got.Items), []int64{made.ID}) || got.Items[0] != want {
			t.Errorf("found by the new name: %+v", got.Items)
		}
		if got := s.all(t, Filter{Search: "张三"}, 10); got.Total != 0 {
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
		if got := s.all(t, Filter{Search: "137"}, 10); !slices.Equal(ids(got.Items), []int64{other.ID}) {
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
		if all := s.all(t, Filter{}, 1000); all.Total != 450 {
			t.Errorf("%d rows, want 450", all.Total)
		}
		// What is added later takes ids of its own.
		s.add(t, Contact{Name: "新来的", Contact: "13700000009"})
		if got := s.all(t, Filter{Search: "新来的"}, 10); got.Total != 1 {
			t.Errorf("added to the demo: %+v", got)
		}
	})
}
