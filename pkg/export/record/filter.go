package record

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"exporthub/pkg/auth"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
)

// decodeFilter reads a stored filter back into the dataset's own type.
func decodeFilter(set dataset.Dataset, stored json.RawMessage) (any, error) {
	// A pointer to the type that the dataset's queries expect, which only the dataset knows.
	filter := set.NewFilter()
	if err := json.Unmarshal(stored, filter); err != nil {
		return nil, fmt.Errorf("filter of %s: %w", set.Name, err)
	}
	return filter, nil
}

// Selection is what the export reads, as its owner may see it now.
func (a Args) Selection(set dataset.Dataset, owner *auth.Principal) (dataset.Selection, error) {
	filter, err := decodeFilter(set, a.Filter)
	if err != nil {
		return dataset.Selection{}, err
	}
	return dataset.Selection{
		Viewer: dataset.Viewer{
			UserID: owner.UserID,
			Can:    owner.Can,
		},
		Filter:  filter,
		Columns: a.Columns,
		IDs:     a.IDs,
	}, nil
}

// DescribeFilter says what a file was narrowed by, in the words of the page: the filter's fields by
// what their doc tags call them, codes by the labels of the column of the same name.
func DescribeFilter(set dataset.Dataset, a Args) string {
	var values map[string]any
	if err := json.Unmarshal(a.Filter, &values); err != nil {
		return ""
	}
	titles := map[string]string{}
	filterTitles(reflect.TypeOf(set.NewFilter()).Elem(), titles)
	var parts []string
	for name, value := range values {
		// An empty parameter is an absent one, here as in requests.
		if value == nil || value == "" {
			continue
		}
		text := fmt.Sprint(value)
		for _, c := range set.Columns {
			if label := c.Labels[text]; c.Key == name && label != "" {
				text = label
			}
		}
		parts = append(parts, cmp.Or(titles[name], name)+"="+text)
	}
	// Maps have no order, and the same filter has to read the same in every file.
	slices.Sort(parts)
	if n := len(a.IDs); n > 0 {
		parts = append(parts, "勾选的 "+errs.Number(n)+" 行")
	}
	if len(parts) == 0 {
		return "全部"
	}
	return strings.Join(parts, "; ")
}

// filterTitles collects what the fields of a filter are called: the first words of their doc tags.
func filterTitles(t reflect.Type, into map[string]string) {
	if t.Kind() != reflect.Struct {
		return
	}
	for i := range t.NumField() {
		f := t.Field(i)
		// Filters share fields by embedding, which JSON flattens too.
		if f.Anonymous {
			filterTitles(f.Type, into)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		into[name] = FilterTitle(f.Tag.Get("doc"))
	}
}

// FilterTitle is what a filter's field is called: a doc tag begins with a name and may go on to
// explain.
func FilterTitle(doc string) string {
	if end := strings.IndexAny(doc, ":：(（,，;；。"); end > 0 {
		return doc[:end]
	}
	return doc
}
