package sweep

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"exporthub/pkg/admin"
	"exporthub/pkg/admin/all"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/export"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/testkit"
	"exporthub/test/program"
)

// hider is a running program in which something is hidden from one of two people.
type hider struct {
	*program.Embedded
	t        *testing.T
	db       *database.DB
	people   *auth.Service
	routes   []httpapi.Route
	sets     map[string]dataset.Dataset
	hidden   map[string][]dataset.Column
	prefixes []string // of channels
	blind    *viewer  // holds every permission but those that let one see what is hidden
	sighted  *viewer  // holds all
	setNames map[string]string
	made     int     // texts made so far, which have to differ
	undone   []int64 // planted invitations that wait for a decision
	contacts []int64 // planted contacts
}

// viewer is one of the two.
type viewer struct {
	h        *hider
	name     string
	id       int64
	sees     bool
	who      *auth.Principal
	message  int64 // one of their planted messages
	file     file  // their latest
	receiver *receiver
}

// file is a finished export, as its owner gets it.
type file struct{ uuid, link, text string }

func newHider(t *testing.T, sets map[string]dataset.Dataset, hidden map[string][]dataset.Column) *hider {
	t.Helper()
	a := program.StartEmbedded(t, "DEMO_ROWS=30", "EXPORT_RATE=0", "EXPORT_DAILY_LIMIT=100000")
	secret, err := os.ReadFile(filepath.Join(a.Dir, "data", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	h := &hider{Embedded: a, t: t, routes: declared(t), sets: sets, hidden: hidden, setNames: map[string]string{}}
	dsn := "sqlite:" + filepath.Join(a.Dir, "data", "exporthub.db")
	h.db, h.people = program.Identity(t, dsn, strings.TrimSpace(string(secret)), "development")
	permissions := []auth.Permission{}
	prefixes := map[string]bool{}
	for _, rule := range new(export.Service).Channels() {
		prefixes[rule.Prefix] = true
	}
	for _, m := range all.Modules(admin.Deps{}) {
		permissions = append(permissions, m.Permissions...)
		for _, rule := range m.Channels {
			prefixes[rule.Prefix] = true
		}
	}
	h.prefixes = slices.Sorted(maps.Keys(prefixes))
	// The strongest person who may not see: an administrator. What the other one has comes from
	// permissions alone.
	for _, p := range permissions {
		if !h.hides(p.Name) {
			h.exec("INSERT OR IGNORE INTO role_permissions (role, permission) VALUES (1, ?)", p.Name)
		} else {
			h.exec("DELETE FROM role_permissions WHERE role = 1 AND permission = ?", p.Name)
		}
		h.exec("INSERT OR IGNORE INTO role_permissions (role, permission) VALUES (2, ?)", p.Name)
	}
	h.blind = h.viewer("blind", auth.Administrator)
	h.sighted = h.viewer("sighted", auth.Staff)
	h.sighted.sees = true
	h.knows(h.blind, false)
	h.knows(h.sighted, true)
	return h
}

// hides reports whether something is hidden without a permission.
func (h *hider) hides(permission string) bool {
	for _, columns := range h.hidden {
		for _, c := range columns {
			if c.Permission == permission || c.Mask.Permission == permission {
				return true
			}
		}
	}
	return false
}

func (h *hider) exec(text string, args ...any) {
	h.t.Helper()
	err := h.db.Write(h.t.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, text, args...)
		return err
	})
	if err != nil {
		h.t.Fatalf("%s: %v", text, err)
	}
}

func (h *hider) viewer(name string, role auth.Role) *viewer {
	h.t.Helper()
	who := program.Person(h.t, h.people, name, role)
	return &viewer{h: h, name: name, id: who.UserID, who: who}
}

// token is one of a session of its own, so that what ends a session ends only that.
func (v *viewer) token() string {
	token, err := v.h.people.Renew(v.who)
	if err != nil {
		panic(err) // signing with a key that is there can't fail
	}
	return token.Value
}

// knows waits until the program knows what somebody may see.
func (h *hider) knows(v *viewer, sees bool) {
	h.t.Helper()
	testkit.Eventually(h.t, 10*time.Second, func() bool {
		var me struct {
			Data struct{ Permissions []string }
		}
		h.Do("GET", "/api/user/me", nil, "ACCESS-TOKEN", v.token()).JSON(h.t, &me)
		return slices.ContainsFunc(me.Data.Permissions, h.hides) == sees
	}, "the program to know what %s may see", v.name)
}

// takeFrom takes the permissions from somebody's role that let one see what is hidden.
func (h *hider) takeFrom(v *viewer) {
	h.t.Helper()
	for _, p := range v.who.Permissions() {
		if h.hides(p) {
			h.exec("DELETE FROM role_permissions WHERE role = ? AND permission = ?", int(v.who.Role), p)
		}
	}
	h.knows(v, false)
}

// plant puts the secrets where they are hidden.
func (h *hider) plant() {
	h.t.Helper()
	token := h.sighted.token()
	for i := range 10 { // the two people decide four each
		res := h.Do("POST", "/api/admin/invitations", map[string]any{
			"exhibition_id":        i + 1,
			"user_phone":           secrets["invitation.user_phone"],
			"recommend_user_phone": secrets["invitation.recommend_user_phone"],
		}, "ACCESS-TOKEN", token)
		h.undone = append(h.undone, idIn(h.t, res))
	}
	for i := range 3 {
		res := h.Do("POST", "/api/contacts", map[string]any{
			"name": "张三", "contact": fmt.Sprintf("1380009900%d", i), "notes": secrets["contact.notes"],
		}, "ACCESS-TOKEN", token)
		h.contacts = append(h.contacts, idIn(h.t, res))
	}
	h.exec(`INSERT INTO audit (at, actor_id, action, subject, detail, address) VALUES (?, 0, 'export.request', 'planted', ?, '')`,
		// Ahead of all that the test itself does, so that it is on the first page.
		time.Now().Add(time.Hour).UnixMicro(), "手机="+secrets["audit.detail"])
	for _, v := range []*viewer{h.blind, h.sighted} {
		for _, m := range []struct {
			set            string
			status, awaits int
		}{{"message_unread", 0, 1}, {"message_read", 1, 0}} {
			text := func(key string) string { return "于 2026 年 " + secrets[m.set+"."+key] + " 来访" }
			h.exec(`INSERT INTO messages (event_key, recipient_id, operate_id, plugin, notice_type, handle_status, status,
				head, title, content, project_name, created_at) VALUES (?, ?, 0, 'invitation', '4', ?, ?, ?, ?, ?, ?, ?)`,
				"planted:"+m.set, v.id, m.awaits, m.status,
				text("head"), text("title"), text("content"), text("project_name"), time.Now().UnixMicro())
		}
		var page struct {
			Data struct{ Data []struct{ ID int64 } }
		}
		h.Do("GET", "/admin/message/read", nil, "ACCESS-TOKEN", v.token()).JSON(h.t, &page)
		v.message = page.Data.Data[0].ID
	}
}

func idIn(t *testing.T, res program.Answer) int64 {
	t.Helper()
	var made struct{ Data struct{ ID int64 } }
	if res.JSON(t, &made); made.Data.ID == 0 {
		t.Fatalf("planted: %d %s", res.Status, res.Body)
	}
	return made.Data.ID
}

// lists are the routes that show the rows of a dataset, or put them into a file.
func (h *hider) lists() (lists []httpapi.Route) {
	for _, r := range h.routes {
		if r.Method == http.MethodGet && r.AlwaysStarts || slices.Contains(r.Starts, "export_format") {
			lists = append(lists, r)
		}
	}
	return lists
}

// setOf is the dataset of a list, learned from an export of it.
func (h *hider) setOf(r httpapi.Route) dataset.Dataset {
	h.t.Helper()
	if h.setNames[r.Path] == "" {
		p := probe{route: r, values: h.values(h.sighted, r)}
		if !r.AlwaysStarts {
			p.query = "export_format=csv"
		}
		f := h.fileOf(h.sighted, h.send(h.sighted, p).Body)
		var record struct{ Dataset string }
		h.Do("GET", "/api/exports/"+f.uuid, nil, "ACCESS-TOKEN", h.sighted.token()).JSON(h.t, &record)
		h.setNames[r.Path] = record.Dataset
	}
	return h.sets[h.setNames[r.Path]]
}

// values is a request that the declaration allows, about rows that are there.
func (h *hider) values(v *viewer, r httpapi.Route) map[string]any {
	h.t.Helper()
	values := base(r)
	for name := range values {
		switch {
		case name == "business_id":
			values[name] = 1
		case name == "uuid":
			values[name] = v.file.uuid
		case name == "name" && strings.Contains(r.Path, "{name}"):
			values[name] = "none.csv"
		case (name == "id" || name == "ids") && strings.HasPrefix(r.Path, "/api/admin/invitations"):
			values[name] = h.undone[0]
		case name == "id" && strings.HasPrefix(r.Path, "/api/contacts"):
			values[name] = h.contacts[0]
		case name == "id" && strings.Contains(r.Path, "/admin/message"):
			values[name] = v.message
		case name == "id" || slices.Contains(r.PathParams(), name):
			h.t.Fatalf("%s is about a %s that the test does not know: plant one", r.Path, name)
		}
	}
	return values
}

// writing is a request with one field set, whose other texts no row has yet.
func (h *hider) writing(v *viewer, r httpapi.Route, name, text string) probe {
	h.t.Helper()
	values := h.values(v, r)
	h.made++
	for _, in := range r.Inputs() {
		if _, sent := values[in.Name]; !sent || in.Where != "body" || in.Schema == nil || in.Schema.Type != huma.TypeString {
			continue
		}
		values[in.Name] = fmt.Sprintf("made-%d", h.made)
		if strings.Contains(in.Name, "phone") {
			values[in.Name] = fmt.Sprintf("1395555%04d", h.made)
		}
	}
	values[name] = text
	if r.Out == nil && len(r.Accepts) > 0 { // an import: one line
		line, err := json.Marshal(values)
		if err != nil {
			h.t.Fatal(err)
		}
		return probe{route: r, values: map[string]any{}, body: line, kind: r.Accepts[0]}
	}
	return probe{route: r, values: values}
}

func (h *hider) send(v *viewer, p probe) program.Answer {
	h.t.Helper()
	p.token = v.token()
	req, err := p.request(h.URL)
	if err != nil {
		h.t.Fatal(err)
	}
	res, err := http.DefaultTransport.RoundTrip(req) // follows no redirect
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return program.Answer{Status: res.StatusCode, Header: res.Header, Body: body}
}

var uuidIn = regexp.MustCompile(`"uuid":"([0-9a-f-]{36})"`)

// fileOf waits for the export that an answer has accepted and fetches its file.
func (h *hider) fileOf(v *viewer, answer []byte) file {
	h.t.Helper()
	found := uuidIn.FindSubmatch(answer)
	if found == nil {
		h.t.Fatalf("not accepted: %s", answer)
	}
	j := (&program.App{T: h.t, URL: h.URL}).Finished(v.token(), string(found[1]))
	if j.FileURL == nil {
		h.t.Fatalf("ended without a file: %+v", j)
	}
	f := file{uuid: j.UUID, link: program.PathOf(h.t, *j.FileURL)}
	res := h.Do("GET", f.link, nil)
	if res.Status != http.StatusOK {
		h.t.Fatalf("the file answers %d %s", res.Status, res.Body)
	}
	f.text = textOf(h.t, res.Body)
	v.file = f
	return f
}

// textOf is what a file says: of a workbook, all of its parts.
func textOf(t *testing.T, body []byte) string {
	t.Helper()
	if !bytes.HasPrefix(body, []byte("PK")) {
		return string(body)
	}
	book, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, part := range book.File {
		r, err := part.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&text, r); err != nil {
			t.Fatal(err)
		}
		_ = r.Close()
	}
	return text.String()
}

// file exports a dataset with these columns, or with all that the viewer may see.
func (h *hider) file(v *viewer, set, format string, columns ...string) file {
	h.t.Helper()
	for _, r := range h.lists() {
		if len(r.Starts) > 0 && h.setOf(r).Name == set {
			return h.fileBy(v, r, format, columns...)
		}
	}
	h.t.Fatalf("no list exports %s", set)
	return file{}
}

func (h *hider) fileBy(v *viewer, r httpapi.Route, format string, columns ...string) file {
	h.t.Helper()
	if len(columns) == 0 {
		for _, c := range h.setOf(r).Visible(v.who.Can) {
			columns = append(columns, c.Key)
		}
	}
	query := "export_format=" + format + "&columns=" + strings.Join(columns, ",")
	return h.fileOf(v, h.send(v, probe{route: r, values: h.values(v, r), query: query}).Body)
}

// askAPI asks for a file by the engine's own API.
func (h *hider) askAPI(v *viewer, set, name, value string) program.Answer {
	h.t.Helper()
	body := map[string]any{"dataset": set, "format": "csv", "filters": map[string]string{name: value}}
	return h.Do("POST", "/api/exports", body, "ACCESS-TOKEN", v.token())
}

// byAPI is the file of an export by the engine's own API.
func (h *hider) byAPI(v *viewer, set, name, value string) file {
	h.t.Helper()
	return h.fileOf(v, h.askAPI(v, set, name, value).Body)
}

// files is every list as a file of every format, in all columns that the viewer may see.
func (h *hider) files(v *viewer) map[string]string {
	h.t.Helper()
	texts := map[string]string{}
	for _, r := range h.lists() {
		set := h.setOf(r).Name
		if r.AlwaysStarts {
			texts["file of "+set+" by "+r.Path] = h.fileOf(v, h.send(v, probe{route: r, values: h.values(v, r)}).Body).text
			continue
		}
		for _, in := range r.Inputs() {
			if in.Name != "export_format" {
				continue
			}
			for _, format := range in.Schema.Enum {
				texts[fmt.Sprintf("file of %s as %s by %s", set, format, r.Path)] = h.fileBy(v, r, fmt.Sprint(format)).text
			}
		}
	}
	return texts
}

var answerIDs = regexp.MustCompile(`"(request_id|uuid|at|created_at|id|line)":("[^"]*"|[0-9]+)`)

// normal is an answer without what differs between two requests, and without what was sent.
func normal(body, sent string) string {
	return strings.ReplaceAll(answerIDs.ReplaceAllString(body, ""), sent, "…")
}
