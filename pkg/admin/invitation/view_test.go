package invitation

import (
	"context"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/page"
)

// The list shows each viewer the phones that the same viewer's file holds, row by row: whole, or
// with their middle hidden.
func TestListAndFileShowTheSamePhones(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		if err := s.seedDemo(t.Context(), s.DB, 60); err != nil {
			t.Fatal(err)
		}
		shown, err := s.list(t.Context(), Filter{}, page.Request{Number: 1, Size: 100})
		if err != nil || len(shown.Items) != 60 {
			t.Fatalf("%d rows, %v", len(shown.Items), err)
		}
		for name, c := range map[string]struct {
			can  func(string) bool
			hide func(string) string
		}{
			"whole":        {func(p string) bool { return p == permissionPhone }, func(phone string) string { return phone }},
			"hidden":       {func(p string) bool { return p == permissionExport }, func(phone string) string { return phone[:3] + "****" + phone[7:] }},
			"for a nobody": {nil, func(phone string) string { return phone[:3] + "****" + phone[7:] }},
		} {
			t.Run(name, func(t *testing.T) {
				set := s.dataset()
				var want, listed [][3]string
				for _, v := range shown.Items {
					want = append(want, [3]string{strconv.FormatInt(v.ID, 10), c.hide(v.User.Phone), c.hide(v.RecommendUser.Phone)})
					r := newRow(t.Context(), set.View(c.can), v)
					listed = append(listed, [3]string{strconv.FormatInt(r.ID, 10), r.User.Phone, r.RecommendUser.Phone})
				}
				if diff := cmp.Diff(want, listed); diff != "" {
					t.Errorf("the list (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(want, fileOf(t, s, c.can)); diff != "" {
					t.Errorf("the file (-want +got):\n%s", diff)
				}
			})
		}
	})
}

// fileOf is the ids and phones of a viewer's file.
func fileOf(t *testing.T, s *service, can func(string) bool) (rows [][3]string) {
	t.Helper()
	set := s.dataset()
	columns, err := set.Pick([]string{"id", userPhone, recommendUserPhone}, can)
	if err != nil {
		t.Fatal(err)
	}
	err = s.DB.Read(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		for values, err := range set.Rows(ctx, tx, dataset.Selection{}, columns) {
			if err != nil {
				return err
			}
			rows = append(rows, [3]string{strconv.FormatInt(values[0].Num, 10), values[1].Str, values[2].Str})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// Holders of the default roles see what the document shows.
func TestPhonesAreWholeByDefault(t *testing.T) {
	for _, p := range Module(admin.Deps{}).Permissions {
		if p.Name == permissionPhone && len(p.Defaults) == 3 {
			return
		}
	}
	t.Errorf("%s is not everybody's", permissionPhone)
}
