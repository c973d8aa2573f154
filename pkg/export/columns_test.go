package export_test

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
)

const (
	mayExport = "thing.export"
	mayPhone  = "thing.phone"
)

// maskedThings is the list of things whose phones are masked rather than hidden.
func maskedThings() *dataset.Dataset {
	set := things()
	phone := &set.Columns[3]
	phone.Permission, phone.Mask = "", dataset.Mask{Permission: mayPhone, Head: 3, Tail: 4}
	return &set
}

func TestMaskedColumns(t *testing.T) {
	h := newHub(t, dbtest.Postgres(t, sources(t)...), hubOptions{work: true, set: maskedThings()})
	h.fill(1)
	for role, want := range map[auth.Role]string{auth.Staff: "139****0000", auth.Administrator: "13900000000"} {
		ctx, _ := h.person(fmt.Sprint("role", role), role)
		_, file := h.succeeded(ctx, dataset.Request{Dataset: "thing", Format: "csv-raw", Columns: []string{"phone"}})
		if got := string(file); got != "phone\r\n"+want+"\r\n" {
			t.Errorf("role %v gets %q, want %q", role, got, want)
		}
	}
}

// refusedLink is what the opener of a link is told.
func (h *hub) refusedLink(link string) string {
	h.t.Helper()
	var problem struct{ Detail, Msg string } // the links differ in their envelopes
	if err := json.Unmarshal(h.fetch("https://hub.example.com"+link, 403), &problem); err != nil {
		h.t.Fatal(err)
	}
	return problem.Detail + problem.Msg
}

// A link hands out what its owner may see at that moment: a column that was taken from them, or masked for them, since
// the file was written ends it, whether the columns were named in the request or not. Both kinds of link are alike.
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
			h := newHub(t, dbtest.SQLite(t, sources(t)...), hubOptions{work: true, set: c.set})
			h.fill(2)
			h.staffMay(mayExport, mayPhone)
			ctx, _ := h.person("owner", auth.Staff)
			uuid, file := h.succeeded(ctx, dataset.Request{Dataset: "thing", Format: "csv", Columns: c.columns, Filename: "things"})
			if strings.Contains(string(file), "13900000001") == (c.words == "") {
				t.Fatalf("the file: %q", file)
			}
			direct := h.linkOf(uuid)
			waiting, err := url.Parse(h.exports.WaitLink(uuid, "things.csv"))
			if err != nil {
				t.Fatal(err)
			}
			h.staffMay(mayExport)
			for _, link := range []string{direct, waiting.RequestURI()} {
				if c.words == "" {
					h.fetch("https://hub.example.com"+link, 200)
				} else if got := h.refusedLink(link); !strings.Contains(got, c.words) {
					t.Errorf("%s is refused with %q, want %q", link, got, c.words)
				}
			}
			h.staffMay(mayExport, mayPhone)
			if again := h.fetch("https://hub.example.com"+direct, 200); string(again) != string(file) {
				t.Error("with the permission again it is another file")
			}
		})
	}
}

// linkOf is the link of an export that succeeded, without the host.
func (h *hub) linkOf(uuid string) string {
	h.t.Helper()
	events := h.settled(uuid)
	u, err := url.Parse(*events[len(events)-1].FileURL)
	if err != nil {
		h.t.Fatal(err)
	}
	return u.RequestURI()
}

// What was written masked stays good for whoever sees masks, and does not become whole with a permission.
func TestAMaskedFileStaysAsItIs(t *testing.T) {
	h := newHub(t, dbtest.SQLite(t, sources(t)...), hubOptions{work: true, set: maskedThings()})
	h.fill(2)
	ctx, _ := h.person("owner", auth.Staff)
	uuid, file := h.succeeded(ctx, dataset.Request{Dataset: "thing", Format: "csv-raw", Columns: []string{"phone"}})
	if got := string(file); got != "phone\r\n139****0000\r\n139****0001\r\n" {
		t.Fatalf("the file: %q", got)
	}
	link := "https://hub.example.com" + h.linkOf(uuid)
	for _, permissions := range [][]string{{mayExport, mayPhone}, {mayExport}} {
		h.staffMay(permissions...)
		if got := h.fetch(link, 200); string(got) != string(file) {
			t.Errorf("with %v it is %q", permissions, got)
		}
	}
}

// A file of a version that did not note its columns may hold everything: it is good for whoever sees everything.
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
			h := newHub(t, dbtest.SQLite(t, sources(t)...), hubOptions{work: true, set: maskedThings()})
			h.fill(2)
			h.staffMay(mayExport, mayPhone)
			ctx, _ := h.person("owner", auth.Staff)
			uuid, _ := h.succeeded(ctx, dataset.Request{Dataset: "thing", Format: "csv", Columns: c.columns})
			link := h.linkOf(uuid)
			h.exec("UPDATE jobs SET detail = json_remove(detail, '$.file.columns') WHERE uuid = ?", uuid)
			if n := h.count("SELECT COUNT(*) FROM jobs WHERE uuid = ? AND detail LIKE '%masked%'", uuid); n != 0 {
				t.Fatal("the columns are still noted")
			}
			h.fetch("https://hub.example.com"+link, 200)
			h.staffMay(mayExport)
			if c.words == "" {
				h.fetch("https://hub.example.com"+link, 200)
			} else if got := h.refusedLink(link); !strings.Contains(got, c.words) {
				t.Errorf("refused with %q, want %q", got, c.words)
			}
		})
	}
}

// A column somebody may not see is refused at once, by its name, and takes no place in the day.
func TestAColumnNotToBeSeenIsRefused(t *testing.T) {
	h := newHub(t, dbtest.SQLite(t, sources(t)...), hubOptions{})
	h.fill(1)
	ctx, p := h.person("asker", auth.Staff)
	_, err := h.exports.Queue(ctx, dataset.Request{Dataset: "thing", Columns: []string{"id", "phone"}})
	e := errs.As(err)
	if e == nil || e.Kind != errs.Invalid || len(e.Fields) != 1 || e.Fields[0].Name != "columns" || e.Fields[0].Reason != "没有列 phone，或没有查看它的权限" {
		t.Errorf("refused with %+v, want columns named with phone", e)
	}
	if n := h.count("SELECT COUNT(*) FROM exports WHERE user_id = ?", p.UserID); n != 0 {
		t.Errorf("%d exports were accepted", n)
	}
}
