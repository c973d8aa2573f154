package documents

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"exporthub/pkg/testkit"
	"exporthub/test/program"
)

// shape writes JSON with each value replaced by its type, keys in the order they stand in: what a
// page that was written against the documented examples relies on.
func shape(t *testing.T, text []byte) string {
	t.Helper()
	var out strings.Builder
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	shapeValue(t, d, &out, "")
	return out.String() + "\n"
}

func shapeValue(t *testing.T, d *json.Decoder, out *strings.Builder, indent string) {
	t.Helper()
	tok, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	switch v := tok.(type) {
	case json.Delim:
		if v == '[' {
			shapeArray(t, d, out, indent)
			return
		}
		out.WriteString("{\n")
		for d.More() {
			key, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			out.WriteString(indent + "  " + key.(string) + ": ")
			shapeValue(t, d, out, indent+"  ")
			out.WriteString("\n")
		}
		_, _ = d.Token()
		out.WriteString(indent + "}")
	case json.Number:
		out.WriteString("number")
	case bool:
		out.WriteString("bool")
	case nil:
		out.WriteString("null")
	case string:
		out.WriteString(shapeText(v))
	}
}

// shapeArray writes each different element once.
func shapeArray(t *testing.T, d *json.Decoder, out *strings.Builder, indent string) {
	t.Helper()
	seen := map[string]bool{}
	var kinds []string
	for d.More() {
		var element strings.Builder
		shapeValue(t, d, &element, indent)
		if !seen[element.String()] {
			seen[element.String()] = true
			kinds = append(kinds, element.String())
		}
	}
	_, _ = d.Token()
	out.WriteString("[" + strings.Join(kinds, " | ") + "]")
}

var (
	timeA = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d$`)
	uuids = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	phone = regexp.MustCompile(`^1\d{10}$`)
	// literal are texts that are part of the contract; every other one is invented.
	literal = regexp.MustCompile(`^(success|failure|成功|standard_error|errors/.*|applying|approved|rejected|导出任务.*|当前用户.*|该用户.*|你没有.*)$`)
)

func shapeText(s string) string {
	switch {
	case literal.MatchString(s):
		return `"` + s + `"`
	case timeA.MatchString(s):
		return "time"
	case uuids.MatchString(s):
		return "uuid"
	case phone.MatchString(s):
		return "phone"
	}
	return "text"
}

// The examples of the invitations document, replayed with invented values: the golden files are the
// documents' keys, types and literal texts, with what the product adds behind them.
func TestReplayOfTheInvitationsDocument(t *testing.T) {
	a := start(t, "DEMO_ROWS=13", "EXPORT_DAILY_LIMIT=1")
	admin, reader := a.Login("admin"), a.Login("13800000003")
	get := func(path, token string) program.Answer { return a.Do("GET", path, nil, "ACCESS-TOKEN", token) }

	list := get("/api/admin/invitations", admin)
	testkit.Golden(t, "testdata/replay/list.txt", shape(t, list.Body))

	// A fresh invitation has no reason and its people may have nothing but a phone: keys stay,
	// values are null.
	created := a.Do("POST", "/api/admin/invitations", map[string]any{
		"exhibition_id": 1, "user_phone": "13900000001", "recommend_user_phone": "13900000002",
	}, "ACCESS-TOKEN", admin)
	testkit.Golden(t, "testdata/replay/created.txt", shape(t, created.Body))

	testkit.Golden(t, "testdata/replay/export_forbidden.txt", shape(t, get("/api/admin/invitations?export_format=xlsx", reader).Body))
	queued := get("/api/admin/invitations?export_format=xlsx", admin)
	testkit.Golden(t, "testdata/replay/export_queued.txt", shape(t, queued.Body))
	var ticket struct{ Data struct{ UUID string } }
	queued.JSON(t, &ticket)
	a.Finished(admin, ticket.Data.UUID)
	daily := get("/api/admin/invitations?export_format=xlsx", admin)
	testkit.Golden(t, "testdata/replay/export_daily_limit.txt", shape(t, daily.Body))
	if daily.Header.Get("Retry-After") == "" || daily.Header.Get("RateLimit-Remaining") != "0" {
		t.Errorf("the daily limit's headers: %v", daily.Header)
	}
	testkit.Golden(t, "testdata/replay/bad_input.txt", shape(t, get("/api/admin/invitations?page=x&approve_status=maybe", admin).Body))
	testkit.Golden(t, "testdata/replay/no_token.txt", shape(t, get("/api/admin/invitations", "").Body))

	for what, res := range map[string]program.Answer{"list": list, "export": queued, "daily limit": daily} {
		if res.Status != 200 {
			t.Errorf("%s: status %d, want 200 as old pages expect", what, res.Status)
		}
	}
	if res := get("/api/admin/invitations", ""); res.Status != 401 {
		t.Errorf("no token: %d, want 401", res.Status)
	}
	empty := get("/api/admin/invitations?page=&per_page=&approve_status=&export_format=&exhibition_id=", admin)
	if !bytes.Contains(empty.Body, []byte(`"total_count":14`)) {
		t.Errorf("empty parameters are absent ones: %.200s", empty.Body)
	}
}

// The access and staff documents' answers around logging in.
func TestReplayOfLoggingIn(t *testing.T) {
	a := start(t, "DEMO_ROWS=1")
	for name, c := range map[string]struct {
		method, path string
		body         any
		want         string
	}{
		"login":       {"POST", "/api/user/login", map[string]string{"phoneNumber": "13800000001", "password": "123456"}, `{"status":0,"msg":"登陆成功"}`},
		"logout":      {"POST", "/api/user/logout", nil, `{"status":0,"msg":"登出成功"}`},
		"wrong login": {"POST", "/api/user/login", map[string]string{"phoneNumber": "13800000001", "password": "654321"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			token := a.Login("13800000002")
			res := a.Do(c.method, c.path, c.body, "Authorization", token)
			var got, want any
			res.JSON(t, &got)
			if c.want == "" {
				var failed struct {
					Status int
					Msg    string
				}
				res.JSON(t, &failed)
				if res.Status != 200 || failed.Status != 1 || failed.Msg == "" {
					t.Errorf("answered %d %s", res.Status, res.Body)
				}
				return
			}
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			if res.Status != 200 || shape(t, res.Body) == "" || string(mustJSON(t, got)) != string(mustJSON(t, want)) {
				t.Errorf("answered %d %s, want %s", res.Status, res.Body, c.want)
			}
		})
	}
	token := a.Do("POST", "/api/access/token", map[string]string{"account": "admin", "password": "123456"})
	testkit.Golden(t, "testdata/replay/token.txt", shape(t, token.Body))
	me := a.Do("GET", "/api/user/me", nil, "Authorization", "Bearer "+a.Login("admin"))
	testkit.Golden(t, "testdata/replay/me.txt", shape(t, me.Body))
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
