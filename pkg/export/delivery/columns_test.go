package delivery_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"exporthub/pkg/auth"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/exporttest"
)

const (
	mayExport = "thing.export"
	mayPhone  = "thing.phone"
)

// maskedThings is the list of things whose phones are masked rather than hidden.
func maskedThings() *dataset.Dataset {
	set := exporttest.Things()
	phone := &set.Columns[3]
	phone.Permission, phone.Mask = "", dataset.Mask{Permission: mayPhone, Head: 3, Tail: 4}
	return &set
}

func TestMaskedColumns(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, exporttest.Sources(t)...), exporttest.Options{Work: true, Set: maskedThings()})
	h.Fill(1)
	for role, want := range map[auth.Role]string{auth.Staff: "139****0000", auth.Administrator: "13900000000"} {
		ctx, _ := h.Person(fmt.Sprint("role", role), role)
		_, file := h.Succeeded(ctx, dataset.Request{Dataset: "thing", Format: "csv-raw", Columns: []string{"phone"}})
		if got := string(file); got != "phone\r\n"+want+"\r\n" {
			t.Errorf("role %v gets %q, want %q", role, got, want)
		}
	}
}

// refusedLink is the reason a refused link answers with.
func (h *hub) refusedLink(link string) string {
	h.T.Helper()
	var problem struct{ Detail, Msg string } // the links differ in their envelopes
	if err := json.Unmarshal(h.Fetch("https://hub.example.com"+link, 403), &problem); err != nil {
		h.T.Fatal(err)
	}
	return problem.Detail + problem.Msg
}

// A link hands out what its owner may see at that moment: a column that was taken from them, or
// masked for them, since the file was written ends it, whether the columns were named in the
// request or not. Both kinds of link are alike.
func TestALinkEndsWithItsColumns(t *testing.T) {
	for name, c := range map[string]struct {
		set     *dataset.Dataset
		columns []string
		words   string // of the refusal; empty is none
	}{
		"hidden since, of all columns":  {nil, nil, "没有查看列“电话”的权限"},
		"hidden since, asked for":       {nil, []string{"id", "phone"}, "没有查看列“电话”的权限"},
		"hidden since, not in the file": {nil, []string{"id", "name"}, ""},
		"masked since, of all columns":  {maskedThings(), nil, "没有查看列“电话”完整内容的权限"},
		"masked since, asked for":       {maskedThings(), []string{"phone"}, "没有查看列“电话”完整内容的权限"},
		"masked since, not in the file": {maskedThings(), []string{"name"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, dbtest.SQLite(t, exporttest.Sources(t)...), exporttest.Options{Work: true, Set: c.set})
			h.Fill(2)
			h.StaffMay(mayExport, mayPhone)
			ctx, _ := h.Person("owner", auth.Staff)
			uuid, file := h.Succeeded(ctx, dataset.Request{Dataset: "thing", Format: "csv", Columns: c.columns, Filename: "things"})
			if strings.Contains(string(file), "13900000001") == (c.words == "") {
				t.Fatalf("the file: %q", file)
			}
			direct := h.linkOf(uuid)
			waiting, err := url.Parse(h.Exports.WaitLink(uuid, "things.csv"))
			if err != nil {
				t.Fatal(err)
			}
			h.StaffMay(mayExport)
			for _, link := range []string{direct, waiting.RequestURI()} {
				if c.words == "" {
					h.Fetch("https://hub.example.com"+link, 200)
				} else if got := h.refusedLink(link); !strings.Contains(got, c.words) {
					t.Errorf("%s is refused with %q, want %q", link, got, c.words)
				}
			}
			h.StaffMay(mayExport, mayPhone)
			if again := h.Fetch("https://hub.example.com"+direct, 200); string(again) != string(file) {
				t.Error("with the permission again it is another file")
			}
		})
	}
}

// linkOf is the link of an export that succeeded, without the host.
func (h *hub) linkOf(uuid string) string {
	h.T.Helper()
	events := h.Settled(uuid)
	u, err := url.Parse(*events[len(events)-1].FileURL)
	if err != nil {
		h.T.Fatal(err)
	}
	return u.RequestURI()
}

// What was written masked stays good for a person who sees masks, and does not become whole with a
// permission.
func TestAMaskedFileStaysAsItIs(t *testing.T) {
	h := newHub(t, dbtest.SQLite(t, exporttest.Sources(t)...), exporttest.Options{Work: true, Set: maskedThings()})
	h.Fill(2)
	ctx, _ := h.Person("owner", auth.Staff)
	uuid, file := h.Succeeded(ctx, dataset.Request{Dataset: "thing", Format: "csv-raw", Columns: []string{"phone"}})
	if got := string(file); got != "phone\r\n139****0000\r\n139****0001\r\n" {
		t.Fatalf("the file: %q", got)
	}
	link := "https://hub.example.com" + h.linkOf(uuid)
	for _, permissions := range [][]string{{mayExport, mayPhone}, {mayExport}} {
		h.StaffMay(permissions...)
		if got := h.Fetch(link, 200); string(got) != string(file) {
			t.Errorf("with %v it is %q", permissions, got)
		}
	}
}

// A file of a version that did not note its columns may hold everything: it is good for a person
// who sees everything.
func TestALinkToAFileWithoutItsColumns(t *testing.T) {
	for name, c := range map[string]struct {
		columns []string
		words   string
	}{
		"of all columns": {nil, "没有查看列“电话”完整内容的权限"},
		"with the phone": {[]string{"phone"}, "没有查看列“电话”完整内容的权限"},
		"of the names":   {[]string{"name"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t, dbtest.SQLite(t, exporttest.Sources(t)...), exporttest.Options{Work: true, Set: maskedThings()})
			h.Fill(2)
			h.StaffMay(mayExport, mayPhone)
			ctx, _ := h.Person("owner", auth.Staff)
			uuid, _ := h.Succeeded(ctx, dataset.Request{Dataset: "thing", Format: "csv", Columns: c.columns})
			link := h.linkOf(uuid)
			h.Exec("UPDATE jobs SET detail = json_remove(detail, '$.file.columns') WHERE uuid = ?", uuid)
			if n := h.Count("SELECT COUNT(*) FROM jobs WHERE uuid = ? AND detail LIKE '%masked%'", uuid); n != 0 {
				t.Fatal("the columns are still noted")
			}
			h.Fetch("https://hub.example.com"+link, 200)
			h.StaffMay(mayExport)
			if c.words == "" {
				h.Fetch("https://hub.example.com"+link, 200)
			} else if got := h.refusedLink(link); !strings.Contains(got, c.words) {
				t.Errorf("refused with %q, want %q", got, c.words)
			}
		})
	}
}

// A column somebody may not see is refused at once, by its name, and uses no daily quota.
func TestAColumnNotToBeSeenIsRefused(t *testing.T) {
	h := newHub(t, dbtest.SQLite(t, exporttest.Sources(t)...), exporttest.Options{})
	h.Fill(1)
	ctx, p := h.Person("asker", auth.Staff)
	_, err := h.Exports.Queue(ctx, dataset.Request{Dataset: "thing", Columns: []string{"id", "phone"}})
	e := errs.As(err)
	if e == nil || e.Kind != errs.Invalid || len(e.Fields) != 1 || e.Fields[0].Name != "columns" || e.Fields[0].Reason != "没有列 phone，或没有查看它的权限" {
		t.Errorf("refused with %+v, want columns named with phone", e)
	}
	if n := h.Count("SELECT COUNT(*) FROM exports WHERE user_id = ?", p.UserID); n != 0 {
		t.Errorf("%d exports were accepted", n)
	}
}
