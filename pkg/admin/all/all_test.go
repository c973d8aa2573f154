package all

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"exporthub/pkg/admin"
	"exporthub/pkg/dataset"
	"exporthub/pkg/httpapi"
)

// list is what a test knows of a list that the description can't say.
type list struct {
	dataset string
	names   map[string]string // columns of fields that are named otherwise in the file
	without []string          // fields that are constants or repetitions, and so no columns
}

// lists are all lists that export, by their paths. A new one has to be added.
var lists = map[string]list{
	"/api/admin/invitations": {
		dataset: "invitation",
		names: map[string]string{
			"user.id":              "user_id",
			"user.phone":           "user_phone",
			"user.company_name":    "company_name",
			"user.department":      "department",
			"user.position":        "position",
			"user.area":            "area",
			"recommend_user.id":    "recommend_user_id",
			"recommend_user.phone": "recommend_user_phone",
			"exhibition.id":        "exhibition_id",
			"exhibition.name":      "exhibition_name",
			"decided_by.id":        "decided_by_id",
			"decided_by.name":      "decided_by",
		},
	},
	"/api/admin/exhibitions": {dataset: "exhibition"},
	"/api/contacts":          {dataset: "contact"},
	// The action's name is the label of its column.
	"/api/admin/audit": {dataset: "audit", without: []string{"action_name"}},
}

func init() {
	for path, name := range map[string]string{
		"unread":     "message_unread",
		"read":       "message_read",
		"waitHandle": "message_wait_handle",
	} {
		l := list{
			dataset: name,
			names: map[string]string{
				"message_body.head":         "head",
				"message_body.title":        "title",
				"message_body.content":      "content",
				"message_body.project_name": "project_name",
				"send_staff.name":           "send_staff",
				"send_staff.mobile":         "send_staff_mobile",
				"send_staff.alias":          "send_staff_alias",
				"send_staff.disabled":       "send_staff_disabled",
			},
			// Constants of the surrounding platform, the reader's own id, and repetitions of
			// others.
			without: []string{
				"uniacid", "business_id", "recipient_id", "message_body.notice_time", "send_staff.id", "send_staff.uid",
				"send_staff.uniacid", "send_staff.business_id", "send_staff.user_id", "send_staff.position",
				"send_staff.gender", "send_staff.telephone", "send_staff.email", "send_staff.avatar", "send_staff.status",
				"send_staff.qr_code", "send_staff.address", "send_staff.open_userid", "send_staff.main_department",
				"send_staff.updated_at", "send_staff.created_at", "send_staff.deleted_at", "send_staff.right_type",
				"send_staff.userid", "send_staff.avatar_mediaid",
			},
		}
		lists["/admin/message/"+path] = l
		lists["/business/{business_id}/admin/message/"+path] = l
	}
}

// schema is what the test reads of a described answer.
type schema struct {
	Ref        string            `json:"$ref"`
	Properties map[string]schema `json:"properties"`
	Items      *schema           `json:"items"`
	OneOf      []schema          `json:"oneOf"`
}

// description is the API as it is described, with the parts the test reads.
type description struct {
	Paths map[string]map[string]struct {
		Parameters []struct{ Name string }
		Responses  map[string]struct {
			Content map[string]struct{ Schema schema }
		}
	}
	Components struct{ Schemas map[string]schema }
}

func describe(t *testing.T, modules []admin.Module) description {
	t.Helper()
	var routes []httpapi.Route
	for _, m := range modules {
		routes = append(routes, m.Routes...)
	}
	data, err := httpapi.OpenAPI(routes, httpapi.Info{Title: "test", Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	var d description
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d description) resolve(s schema) schema {
	for s.Ref != "" {
		s = d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	}
	return s
}

// row finds the schema of a list's rows: the one array of objects in the answer.
func (d description) row(s schema) (schema, bool) {
	s = d.resolve(s)
	if s.Items != nil {
		if item := d.resolve(*s.Items); len(item.Properties) > 0 {
			return item, true
		}
	}
	for _, inner := range slices.Concat(slices.Collect(maps.Values(s.Properties)), s.OneOf) {
		if found, ok := d.row(inner); ok {
			return found, true
		}
	}
	return schema{}, false
}

// fields are the leaves of a row, with dots between names.
func (d description) fields(s schema, prefix string) (names []string) {
	for name, inner := range d.resolve(s).Properties {
		if inner = d.resolve(inner); len(inner.Properties) > 0 {
			names = append(names, d.fields(inner, prefix+name+".")...)
			continue
		}
		nested := false
		for _, one := range inner.OneOf {
			if some := d.fields(one, prefix+name+"."); len(some) > 0 {
				names, nested = append(names, some...), true
			}
		}
		if !nested {
			names = append(names, prefix+name)
		}
	}
	return names
}

// Whatever a list shows can be chosen for its file.
func TestWhatAListShowsCanBeChosenForItsFile(t *testing.T) {
	modules := Modules(admin.Deps{})
	sets := map[string]dataset.Dataset{}
	for _, m := range modules {
		for _, set := range m.Datasets {
			sets[set.Name] = set
		}
	}
	d := describe(t, modules)
	covered := map[string]bool{}
	for path, methods := range d.Paths {
		get, there := methods["get"]
		if !there || !slices.ContainsFunc(get.Parameters, func(p struct{ Name string }) bool { return p.Name == "export_format" }) {
			continue
		}
		t.Run(path, func(t *testing.T) {
			l, known := lists[path]
			if !known {
				t.Fatal("a list that the test does not know: name its dataset")
			}
			covered[l.dataset] = true
			row, found := d.row(get.Responses["200"].Content["application/json"].Schema)
			if !found {
				t.Fatal("no rows are described")
			}
			set := sets[l.dataset]
			var missing []string
			for _, field := range d.fields(row, "") {
				key := field
				if named := l.names[field]; named != "" {
					key = named
				}
				if !slices.Contains(l.without, field) &&
					!slices.ContainsFunc(set.Columns, func(c dataset.Column) bool { return c.Key == key }) {
					missing = append(missing, field)
				}
			}
			if slices.Sort(missing); len(missing) > 0 {
				t.Errorf("shown, and not to be chosen: %q", missing)
			}
		})
	}
	for name := range sets {
		if !covered[name] {
			t.Errorf("dataset %s has no list here", name)
		}
	}
}

// A file that names no columns has the documented ones, whatever else the list shows. A format that
// is read back by programs has all.
func TestTheColumnsOfAFileThatNamesNone(t *testing.T) {
	all := func(string) bool { return true }
	documented := map[string]string{
		"invitation": "ID 注册时间 审批状态 审批原因 被邀请人手机号 公司名称 部门 职位 地区 邀请人手机号 展会ID 展会名称",
		"contact":    "ID 姓名 岗位 联系方式 回复状态 是否交换微信 Worker ID 备注 联系时间 创建时间",
	}
	for _, m := range Modules(admin.Deps{}) {
		for _, set := range m.Datasets {
			usual, err := set.Pick(nil, all)
			if err != nil {
				t.Fatal(err)
			}
			var titles []string
			for _, c := range usual {
				titles = append(titles, c.Title)
			}
			if want := documented[set.Name]; want != "" {
				if diff := cmp.Diff(want, strings.Join(titles, " ")); diff != "" {
					t.Errorf("%s (-want +got):\n%s", set.Name, diff)
				}
			}
			whole, err := set.PickFor(dataset.Format{Whole: true}, nil, all)
			if err != nil || len(whole) != len(set.Columns) {
				t.Errorf("%s: %d of %d columns for programs, %v", set.Name, len(whole), len(set.Columns), err)
			}
			for _, c := range set.Columns {
				if one, err := set.Pick([]string{c.Key}, all); err != nil || len(one) != 1 {
					t.Errorf("%s can't be chosen: %v", fmt.Sprint(set.Name, ".", c.Key), err)
				}
			}
		}
	}
}
