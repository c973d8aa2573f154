package sweep

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"exporthub/pkg/admin"
	"exporthub/pkg/admin/all"
	"exporthub/pkg/dataset"
	"exporthub/pkg/httpapi"
)

// What a person may not see they may not filter, sort, search, write, count or receive. The test is
// made of the declarations: of the datasets (which columns are hidden from whom, and which filter
// is over which column), of the routes, of the imports and of the channels. What it can't know from
// them is in two tables, secrets and rowsOf; a new hidden column or a route with a new kind of row
// that is in neither fails the test.

// secrets is what stands in a row of each hidden column, by dataset and column. All of them are
// found by secretsMark, of which a mask shows less than half.
var secrets = map[string]string{
	"invitation.user_phone":            "13977770001",
	"invitation.recommend_user_phone":  "13977770002",
	"contact.notes":                    "1397777 备注",
	"message_unread.head":              "13977771001",
	"message_unread.title":             "13977771002",
	"message_unread.content":           "13977771003",
	"message_unread.project_name":      "13977771004",
	"message_read.head":                "13977772001",
	"message_read.title":               "13977772002",
	"message_read.content":             "13977772003",
	"message_read.project_name":        "13977772004",
	"message_wait_handle.head":         "13977771001", // it is unread too
	"message_wait_handle.title":        "13977771002",
	"message_wait_handle.content":      "13977771003",
	"message_wait_handle.project_name": "13977771004",
	"audit.detail":                     "13977773001",
}

const (
	secretsMark = "1397777"
	// What is written into fields, to see where it arrives.
	textMark  = "mark-6d1e"
	phoneMark = "13966660001"
)

// nowhere is a text like a secret that no row holds.
func nowhere(secret string) string { return strings.ReplaceAll(secret, secretsMark, "1390000") }

// hiddenColumns are the columns of all datasets that not everybody sees whole, by dataset.
func hiddenColumns(t *testing.T) (sets map[string]dataset.Dataset, hidden map[string][]dataset.Column) {
	t.Helper()
	sets = map[string]dataset.Dataset{}
	hidden = map[string][]dataset.Column{}
	unplanted := maps.Clone(secrets)
	for _, m := range all.Modules(admin.Deps{}) {
		for _, set := range m.Datasets {
			sets[set.Name] = set
			for _, c := range set.Columns {
				if c.Permission == "" && c.Mask.Permission == "" {
					continue
				}
				hidden[set.Name] = append(hidden[set.Name], c)
				if _, planted := secrets[set.Name+"."+c.Key]; !planted {
					t.Errorf("column %s.%s is hidden from some, and nothing is planted in it: see secrets", set.Name, c.Key)
				}
				delete(unplanted, set.Name+"."+c.Key)
			}
		}
	}
	for name := range unplanted {
		t.Errorf("there is no hidden column %s", name)
	}
	return sets, hidden
}

func TestWhatIsHiddenStaysHidden(t *testing.T) {
	sets, hidden := hiddenColumns(t)
	h := newHider(t, sets, hidden)
	h.plant()

	for _, who := range []*viewer{h.blind, h.sighted} {
		t.Run(who.name, func(t *testing.T) {
			h.t = t
			who.listens()
			texts := h.files(who) // before everything is read and decided
			maps.Copy(texts, h.everything(who))
			maps.Copy(texts, who.received())
			h.check(who, texts)
		})
	}
	for _, c := range []struct {
		name string
		test func()
	}{
		{"filters", h.filters},
		{"columns by name", h.columnsByName},
		{"writes", h.writes},
		{"others' things", h.othersThings},
		{"files of the past", h.filesOfThePast}, // last, since it takes the right away
	} {
		t.Run(c.name, func(t *testing.T) {
			h.t = t
			c.test()
		})
	}
}

// check compares what a viewer received with what they may see. Who has the right receives each
// secret: without that the test would see nothing in the other case either.
func (h *hider) check(who *viewer, texts map[string]string) {
	h.t.Helper()
	if !who.sees {
		for what, text := range texts {
			if at := strings.Index(text, secretsMark); at >= 0 {
				h.t.Errorf("%s tells %q", what, text[max(0, at-80):min(len(text), at+40)])
			}
		}
		return
	}
	for column, secret := range secrets {
		set, _, _ := strings.Cut(column, ".")
		inList, inFile := false, false
		for what, text := range texts {
			inList = inList || strings.HasPrefix(what, "GET ") && strings.Contains(text, secret)
			inFile = inFile || strings.HasPrefix(what, "file of "+set) && strings.Contains(text, secret)
		}
		if !inList || !inFile {
			h.t.Errorf("%s is in a list: %v, in its file: %v; the test would miss it", column, inList, inFile)
		}
	}
	pushed := ""
	for what, text := range texts {
		if strings.HasPrefix(what, "events") {
			pushed += text
		}
	}
	if !strings.Contains(pushed, secretsMark) {
		h.t.Errorf("no event tells a phone to who may read it; the test would miss one:\n%.2000s", pushed)
	}
}

// filters sends each filter of each list what is hidden and what is nowhere. A filter over a hidden
// column is refused alike; any other lets the same rows through.
func (h *hider) filters() {
	for _, r := range h.lists() {
		set := h.setOf(r)
		fields, err := set.FilterFields()
		if err != nil {
			h.t.Fatal(err)
		}
		h.knowsEveryParameter(r, set, fields)
		for _, f := range fields {
			in := r.Inputs()[slices.IndexFunc(r.Inputs(), func(in httpapi.Input) bool { return in.Name == f.Name })]
			for _, c := range h.hidden[set.Name] {
				if in.Schema.Type == huma.TypeString { // others can't hold a text
					h.guess(r, f.Name, secrets[set.Name+"."+c.Key], slices.Contains(f.Columns, c.Key))
				}
			}
		}
	}
}

// knowsEveryParameter fails for a parameter of a list that is none of its filter, its pages or its
// files: a new way to sort or to search has to say which columns it is over.
func (h *hider) knowsEveryParameter(r httpapi.Route, set dataset.Dataset, fields []dataset.FilterField) {
	known := []string{"page", "per_page", "page_size", "count", "limit", "cursor", "export_format", "columns", "ids"}
	for _, f := range fields {
		known = append(known, f.Name)
	}
	for _, in := range r.Inputs() {
		if in.Where != "path" && in.Where != "header" && !slices.Contains(known, in.Name) && in.Name != "business_id" {
			h.t.Errorf("%s takes %s, which the filter of %s does not declare", r.Path, in.Name, set.Name)
		}
	}
}

// guess compares the answers to a filter that matches a secret with those to one that matches
// nothing: for a page, for a file, and for a file by POST.
func (h *hider) guess(r httpapi.Route, name, secret string, over bool) {
	h.t.Helper()
	for _, way := range []string{"page", "file", "file by POST"} {
		if r.AlwaysStarts && way != "file" {
			continue
		}
		var answers []string
		for _, value := range []string{secret, nowhere(secret)} {
			p := probe{route: r, values: h.values(h.blind, r)}
			p.values[name] = value
			if way != "page" && !r.AlwaysStarts {
				p.query = "export_format=csv"
			}
			if way == "file by POST" {
				p.route.Method = http.MethodPost
			}
			res := h.send(h.blind, p)
			got, err := read(r, res)
			if err != nil {
				h.t.Fatalf("%s by %s: %v\n%s", r.Path, name, err, res.Body)
			}
			if over && (got.outcome == meansSuccess || !strings.Contains(string(res.Body), name)) {
				h.t.Errorf("%s %s by %s=%s: %d %s, want a refusal that names it", way, r.Path, name, value, res.Status, res.Body)
			}
			if got.outcome == meansSuccess && way != "page" {
				answers = append(answers, h.fileOf(h.blind, res.Body).text)
				continue
			}
			answers = append(answers, normal(string(res.Body), value))
		}
		if answers[0] != answers[1] {
			h.t.Errorf("%s %s: %s=%s differs from a value that is nowhere:\n%s\n%s", way, r.Path, name, secret, answers[0], answers[1])
		}
		if way == "page" && over {
			h.guessByAPI(h.setOf(r).Name, name, secret)
			p := probe{route: r, values: h.values(h.sighted, r)}
			p.values[name] = secret
			if got, err := read(r, h.send(h.sighted, p)); err != nil || got.outcome != meansSuccess {
				h.t.Errorf("%s by %s with the right: %v %v", r.Path, name, got, err)
			}
		}
	}
}

// guessByAPI is guess for the engine's own way to ask for a file.
func (h *hider) guessByAPI(set, name, secret string) {
	h.t.Helper()
	var answers []string
	for _, value := range []string{secret, nowhere(secret)} {
		res := h.askAPI(h.blind, set, name, value)
		if res.Status != http.StatusUnprocessableEntity || !strings.Contains(string(res.Body), name) {
			h.t.Errorf("a file of %s by %s=%s: %d %s", set, name, value, res.Status, res.Body)
		}
		answers = append(answers, normal(string(res.Body), value))
	}
	if answers[0] != answers[1] {
		h.t.Errorf("%s of %s differs from a value that is nowhere: %q", name, set, answers)
	}
}

// columnsByName asks for each hidden column by its name. One that may not be seen at all is
// answered as one that does not exist.
func (h *hider) columnsByName() {
	for _, r := range h.lists() {
		if len(r.Starts) == 0 {
			continue
		}
		for _, c := range h.hidden[h.setOf(r).Name] {
			if c.Permission == "" {
				continue // it is masked, and in the files
			}
			var answers []string
			for _, key := range []string{c.Key, "nothing"} {
				p := probe{route: r, values: h.values(h.blind, r), query: "export_format=csv&columns=id," + key}
				answers = append(answers, normal(string(h.send(h.blind, p).Body), key))
			}
			if answers[0] != answers[1] {
				h.t.Errorf("%s: column %s differs from one there is none of:\n%s\n%s", r.Path, c.Key, answers[0], answers[1])
			}
		}
	}
}

// writes sends every field of every route and import that changes something a mark. What who may
// not see a column sends arrives in none; a field with the name of one tells nothing of it.
func (h *hider) writes() {
	for _, who := range []*viewer{h.blind, h.sighted} {
		for _, r := range h.routes {
			if r.Method == http.MethodGet || r.Method == http.MethodDelete || r.Permission == httpapi.Public {
				continue
			}
			for _, in := range r.Inputs() {
				if in.Where == "body" && in.Schema != nil && in.Schema.Type == huma.TypeString {
					h.mark(who, r, in)
				}
			}
		}
		arrived := map[string]bool{}
		for name, columns := range h.hidden {
			for _, c := range columns {
				if c.Mask.Of != nil {
					continue // it mentions what others hold, and is written by the system
				}
				text := h.file(h.sighted, name, "csv-raw", c.Key).text
				there := strings.Contains(text, textMark) || strings.Contains(text, phoneMark)
				if there && !who.sees {
					h.t.Errorf("%s.%s was written by who may not see it", name, c.Key)
				}
				arrived[name+"."+c.Key] = there
			}
		}
		if who.sees && (!arrived["contact.notes"] || !arrived["invitation.user_phone"]) {
			h.t.Errorf("nothing arrives with the right either: %v", arrived)
		}
	}
}

// mark sends one field of a route a mark, and where it is named as a hidden column, for who may not
// see that, also a secret and what is nowhere: the answers are the same.
func (h *hider) mark(who *viewer, r httpapi.Route, in httpapi.Input) {
	text := textMark
	if strings.Contains(in.Name, "phone") {
		text = phoneMark
	}
	res := h.send(who, h.writing(who, r, in.Name, text))
	if r.AlwaysStarts && uuidIn.Match(res.Body) {
		h.fileOf(who, res.Body) // it is over before the next one is asked for
	}
	if who.sees {
		return
	}
	for name, columns := range h.hidden {
		for _, c := range columns {
			if c.Key != in.Name {
				continue
			}
			secret := secrets[name+"."+c.Key]
			one := h.send(who, h.writing(who, r, in.Name, secret))
			other := h.send(who, h.writing(who, r, in.Name, nowhere(secret)))
			a, b := normal(string(one.Body), secret), normal(string(other.Body), nowhere(secret))
			if a != b || one.Status != other.Status {
				h.t.Errorf("%s %s: %s differs from a value that is nowhere:\n%s\n%s", r.Method, r.Path, in.Name, a, b)
			}
		}
	}
}

// othersThings opens, as an administrator who may not see everything, what is somebody else's who
// may: their record, their streams.
func (h *hider) othersThings() {
	f := h.byAPI(h.sighted, "invitation", "user_phone", secrets["invitation.user_phone"])
	if !strings.Contains(f.text, secretsMark) {
		h.t.Fatalf("the file holds no secret: %.300s", f.text)
	}
	for _, r := range h.routes {
		if !slices.Contains(r.PathParams(), "uuid") || r.Method != http.MethodGet {
			continue
		}
		res := h.send(h.blind, probe{route: r, values: with(r, "uuid", f.uuid)})
		if text := string(res.Body) + res.Header.Get("Location"); strings.Contains(text, "?s=") || strings.Contains(text, secretsMark) {
			h.t.Errorf("%s tells of another's file: %s", r.Path, text)
		}
	}
	for _, prefix := range h.prefixes {
		channel := fmt.Sprintf("%s%d", prefix, h.sighted.id)
		// What an approval says of a row is its number.
		if h.blind.follows(channel) && prefix != "/approval/" {
			h.t.Errorf("who may not see everything follows %s", channel)
		}
		if !h.sighted.follows(channel) {
			h.t.Errorf("a person does not follow their own %s", channel)
		}
	}
}

// filesOfThePast takes the right away: what was written with it is not handed out any more.
func (h *hider) filesOfThePast() {
	var links []string
	for name, columns := range h.hidden {
		for _, c := range columns {
			links = append(links, h.file(h.sighted, name, "csv", c.Key).link)
		}
	}
	for _, link := range links {
		if res := h.Do("GET", link, nil); res.Status != http.StatusOK {
			h.t.Fatalf("%s answers %d with the right", link, res.Status)
		}
	}
	h.takeFrom(h.sighted)
	for _, link := range links {
		if res := h.Do("GET", link, nil); res.Status != http.StatusForbidden {
			h.t.Errorf("%s answers %d without it, want 403", link, res.Status)
		}
	}
}
