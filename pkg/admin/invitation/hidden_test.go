package invitation

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"exporthub/pkg/admin/message"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/httpapi"
)

// wholePhone is a phone with none of its digits hidden.
var wholePhone = regexp.MustCompile(`1[0-9]{10}`)

// Who may not see whole phones gets none, by no way: rows, answers, messages, pushes, events,
// files. The right makes them whole in all of these, so that the test sees where one is.
func TestPhonesAreHiddenWhereverTheyLeave(t *testing.T) {
	for _, right := range []bool{false, true} {
		t.Run(fmt.Sprint("right ", right), func(t *testing.T) {
			inOffice(t, func(t *testing.T, o *office) {
				rights := []string{permissionRead, permissionExport, permissionApprove}
				if right {
					rights = append(rights, permissionPhone)
					o.exec("INSERT INTO role_permissions (role, permission) VALUES (1, ?), (2, ?)", permissionPhone, permissionPhone)
				}
				ids := o.invite(7, "13800000031", o.inviter)
				told := o.everythingThatLeaves(t, rights, ids)
				for what, text := range told {
					if found := wholePhone.FindString(text); (found != "") != right {
						t.Errorf("%s: %s", what, text)
					}
				}
			})
		})
	}
}

// everythingThatLeaves is what a decider with these rights, and the linked inviter, receive of
// invitations.
func (o *office) everythingThatLeaves(t *testing.T, rights []string, ids []int64) map[string]string {
	t.Helper()
	told := map[string]string{}
	keep := func(what string, value any, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		told[what] = string(text)
	}
	admin1 := auth.With(t.Context(), auth.Principal{UserID: o.admin}.Holding(rights...))
	// The harness names exhibitions after phones, which are nobody's here.
	o.exec("UPDATE exhibitions SET name = '展'")
	files := message.Module(o.Deps).Datasets
	for _, set := range files {
		if set.Name != "message_read" { // nothing is read
			told["the file "+set.Name] = o.file(t, set, auth.From(admin1))
		}
	}
	list, err := o.handleList(admin1, listIn{})
	keep("the list", list.Data.Page, err)
	one, err := o.handleDecide(admin1, Approved, decideIn{ID: ids[0], ApproveDescription: "好"})
	keep("a decision's answer", one, err)
	_, err = o.handleDecideAll(admin1, Rejected, decideAllIn{IDs: ids[1:]})
	if err != nil {
		t.Fatal(err)
	}
	o.work(o.queue.engine, 1)
	for _, person := range []int64{o.admin, o.inviter} {
		pushed := o.happens.On(fmt.Sprintf("/message/%d", person))
		if len(pushed) == 0 {
			t.Fatalf("nothing was pushed to %d", person)
		}
		// One in which only counts changed holds no phone for anybody.
		told[fmt.Sprint("pushes to ", person)] = strings.Join(pushed, "\n")
	}
	told["the file of decisions"] = o.file(t, files[0], auth.From(admin1))
	told["the file of invitations"] = o.file(t, o.dataset(), auth.From(admin1))
	return told
}

// file is a dataset's file for a person, as text.
func (o *office) file(t *testing.T, set dataset.Dataset, who *auth.Principal) string {
	t.Helper()
	columns, err := set.PickFor(dataset.Format{Whole: true}, nil, who.Can)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	err = o.DB.Read(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		text.Reset()
		sel := dataset.Selection{Viewer: dataset.Viewer{UserID: who.UserID, Can: who.Can}}
		for row, err := range set.Rows(ctx, tx, sel, columns) {
			if err != nil {
				return err
			}
			for i, c := range columns {
				fmt.Fprintf(&text, "%s=%s ", c.Key, row[i].Str)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// Filters by a hidden column are refused, for a list and for a file, matching or not; other filters
// are not. So is what would answer with the owner of a phone.
func TestHiddenColumnsCantBeFiltered(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		if err := s.seedDemo(t.Context(), s.DB, 20); err != nil {
			t.Fatal(err)
		}
		blind := auth.Principal{UserID: 1}.Holding(permissionRead, permissionExport, permissionWrite)
		sees := auth.Principal{UserID: 1}.Holding(permissionRead, permissionPhone)
		set := s.dataset()
		hidden := 0
		for _, c := range set.Columns {
			if !c.For(nil).Masked && c.Permission == "" {
				continue
			}
			hidden++
			for _, phone := range []string{"13800000001", "13999999999"} {
				var f Filter
				if err := httpapi.DecodeValues(map[string]any{c.Key: phone}, &f); err != nil {
					t.Fatal(err)
				}
				_, err := s.handleList(auth.With(t.Context(), blind), listIn{Filter: f})
				if e := errs.As(err); e == nil || e.Kind != errs.Invalid || len(e.Fields) != 1 || e.Fields[0].Name != c.Key {
					t.Errorf("list by %s=%s: %v", c.Key, phone, err)
				}
				if err := set.CheckFilter(&f, blind.Can); !errs.Is(err, errs.Invalid) {
					t.Errorf("file by %s=%s: %v", c.Key, phone, err)
				}
				if _, err := s.handleList(auth.With(t.Context(), sees), listIn{Filter: f}); err != nil {
					t.Errorf("with the right: %v", err)
				}
			}
		}
		if hidden != 2 {
			t.Errorf("%d hidden columns", hidden)
		}
		if _, err := s.handleList(auth.With(t.Context(), blind), listIn{Filter: Filter{Status: Applying}}); err != nil {
			t.Errorf("by the state: %v", err)
		}
		create := createIn{ExhibitionID: 1, UserPhone: "13800000001", RecommendPhone: "13800000002"}
		if _, err := s.handleCreate(auth.With(t.Context(), blind), create); !errs.Is(err, errs.Forbidden) {
			t.Errorf("created by phone: %v", err)
		}
	})
}
