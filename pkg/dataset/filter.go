package dataset

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"exporthub/pkg/errs"
)

// FilterField is a field of a filter, by its JSON name, and the columns by whose values it lets
// rows through.
type FilterField struct {
	Name    string
	Columns []string
}

// filterTag is the struct tag of a filter's field that names its columns: `column:"name,contact"`.
const filterTag = "column"

// FilterFields returns the fields of the dataset's filter. A field that does not say which columns
// it is over is an error, and so is one that names a column there is none of: a filter by a column
// that somebody may not see gives away what is in it, so every filter has to say what it looks at.
func (d Dataset) FilterFields() ([]FilterField, error) {
	t := reflect.TypeOf(d.NewFilter())
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("the filter is a %s, want a pointer to a struct", t)
	}
	var fields []FilterField
	// Embedded structs come before their fields, which are visible too and stand for them.
	for _, f := range reflect.VisibleFields(t.Elem()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && f.Type.Kind() == reflect.Struct && name == "" || !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		keys := strings.Split(f.Tag.Get(filterTag), ",")
		for _, key := range keys {
			if !slices.ContainsFunc(d.Columns, func(c Column) bool { return c.Key == key }) {
				return nil, fmt.Errorf("filter field %q: its %s tag names %q, want the keys of the columns it is over",
					name, filterTag, key)
			}
		}
		fields = append(fields, FilterField{Name: name, Columns: keys})
	}
	return fields, nil
}

// CheckFilter refuses a filter by a column that the viewer may not see, or only masked: the number
// of rows it lets through would tell what is hidden, digit by digit. The answer is the same whether
// anything matches or not.
func (d Dataset) CheckFilter(filter any, can func(permission string) bool) error {
	if filter == nil {
		return nil
	}
	data, err := json.Marshal(filter)
	if err != nil {
		return fmt.Errorf("filter of %s: %w", d.Name, err)
	}
	var set map[string]any
	if err := json.Unmarshal(data, &set); err != nil {
		return fmt.Errorf("filter of %s: %w", d.Name, err)
	}
	fields, err := d.FilterFields()
	if err != nil {
		return fmt.Errorf("dataset %s: %w", d.Name, err)
	}
	view := d.View(can)
	var refused []errs.Field
	for _, f := range fields {
		// An empty parameter is an absent one.
		if value, named := set[f.Name]; !named || value == nil || value == "" {
			continue
		}
		hidden := func(key string) bool { return !view.Sees(key) || view[key].Masked }
		if slices.ContainsFunc(f.Columns, hidden) {
			refused = append(refused, errs.Field{Name: f.Name, Reason: "没有查看该列完整内容的权限，不能按它筛选"})
		}
	}
	if len(refused) > 0 {
		return &errs.Error{Kind: errs.Invalid, Fields: refused}
	}
	return nil
}
