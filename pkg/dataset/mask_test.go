package dataset

import (
	"regexp"
	"strings"
	"testing"
)

func TestHide(t *testing.T) {
	phone := Mask{Permission: "phone", Head: 3, Tail: 4}
	for _, c := range []struct {
		mask     Mask
		in, want string
	}{
		{phone, "13800000001", "138****0001"},
		{phone, "+86 13800000001", "+86****0001"},
		{phone, "12345678", "123****5678"},
		{phone, "1234567", "****"},
		{phone, "1", "****"},
		{phone, "", ""},
		{Mask{Permission: "name", Head: 1}, "张三丰", "张****"},
		{Mask{Permission: "name", Tail: 1}, "张三丰", "****丰"},
		{Mask{Permission: "name"}, "张三丰", "****"},
		{phone, "a\xff\xfeb5678", "a\xff\xfe****5678"},
		{Mask{}, "13800000001", "13800000001"},
		{Mask{Permission: "phone", Head: 3, Tail: 4, Of: regexp.MustCompile(`[0-9]{5,}`)}, "于 2026 年邀请 13800000001、123456", "于 2026 年邀请 138****0001、****"},
	} {
		if got := c.mask.Hide(c.in); got != c.want {
			t.Errorf("%+v hides %q as %q, want %q", c.mask, c.in, got, c.want)
		}
	}
}

// TestAMaskIsLiftedByItsPermission, in what files hold and in what a list shows.
func TestAMaskIsLiftedByItsPermission(t *testing.T) {
	spec := (&table{total: 1}).spec()
	spec.Fields[1].Mask = Mask{Permission: "invitation.name", Head: 1}
	d := Define(spec)
	for name, c := range map[string]struct {
		can  func(string) bool
		want string
	}{
		"nobody":    {nil, "n****"},
		"others":    {func(p string) bool { return p == "invitation.export" }, "n****"},
		"permitted": {func(p string) bool { return p == "invitation.name" }, "n1"},
	} {
		t.Run(name, func(t *testing.T) {
			columns, err := d.Pick([]string{"name"}, c.can)
			if err != nil {
				t.Fatal(err)
			}
			for values, err := range d.Rows(t.Context(), nil, Selection{}, columns) {
				if err != nil || values[0].Str != c.want {
					t.Errorf("the file holds %q, %v, want %q", values[0].Str, err, c.want)
				}
			}
			if got := d.Visible(c.can)[1].Shown("n1"); got != c.want {
				t.Errorf("the list shows %q, want %q", got, c.want)
			}
		})
	}
	if d.Columns[1].Masked {
		t.Error("a viewer's mask got into the declaration")
	}
}

// A column may hold masked texts in some rows only.
func TestAMaskMayBeForSomeRows(t *testing.T) {
	spec := (&table{total: 2}).spec()
	spec.Fields[1].Mask = Mask{Permission: "invitation.name", Head: 1}
	spec.Fields[1].Masks = func(r *row) bool { return r.ID == 2 }
	d := Define(spec)
	columns, err := d.Pick([]string{"name"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for values, err := range d.Rows(t.Context(), nil, Selection{}, columns) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, values[0].Str)
	}
	if strings.Join(got, " ") != "n1 n****" {
		t.Errorf("the file holds %q", got)
	}
}

func TestBadMasksAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		mask   Mask
		column int // 0 is a number
		want   string
	}{
		"of a number":   {Mask{Permission: "p", Head: 1}, 0, "hides text"},
		"for everybody": {Mask{Head: 1}, 1, "needs the permission"},
		"head":          {Mask{Permission: "p", Head: -1}, 1, "can't show"},
		"tail":          {Mask{Permission: "p", Tail: -1}, 1, "can't show"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := (&table{}).spec()
			spec.Fields[c.column].Mask = c.mask
			if _, err := NewRegistry(Define(spec)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error = %v, want one that says %q", err, c.want)
			}
		})
	}
}
