package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"exporthub/pkg/errs"
)

// bindSlice fills a slice from any of the forms an array may take.
func (b *binder) bindSlice(raw any, v reflect.Value, s *huma.Schema, path string) bool {
	items, names, ok := b.array(raw, v.Type().Elem(), path)
	if s.MinItems != nil && (isNothing(raw) || onlyCommas(raw)) {
		// A selection of nothing that was taken for none at all would mean everything.
		b.problem(path, fmt.Sprintf(msgMinItems, errs.Number(*s.MinItems)))
		return true
	}
	if !ok {
		return items != nil
	}
	if isNothing(raw) {
		return false
	}
	if s.MaxItems != nil && len(items) > *s.MaxItems {
		// Before the work of reading them.
		b.problem(path, fmt.Sprintf(msgMaxItems, errs.Number(*s.MaxItems)))
		return true
	}
	schema := s.Items
	if schema == nil {
		schema = &huma.Schema{}
	}
	out := reflect.MakeSlice(v.Type(), 0, len(items))
	for i, item := range items {
		name := strconv.Itoa(i)
		if names != nil {
			name = names[i]
		}
		element := reflect.New(v.Type().Elem()).Elem()
		// null and "" inside an array are no elements: closing the gap would shift the others under
		// numbers the caller did not give them.
		if !b.bind(item, element, schema, path+"["+name+"]") {
			b.problem(path+"["+name+"]", msgRequired)
		}
		out = reflect.Append(out, element)
	}
	v.Set(out)
	b.checkItems(s, v, path)
	return true
}

// array returns the elements of raw and, where the caller numbered them, their numbers. When ok is
// false the value is absent (items nil) or a problem was noted.
func (b *binder) array(raw any, element reflect.Type, path string) (items []any, names []string, ok bool) {
	switch r := raw.(type) {
	case []any:
		return r, nil, true
	case list:
		return r, nil, true
	case fields:
		if items, names, ok = r.elements(); !ok {
			b.problem(path, msgArray)
			return []any{}, nil, false
		}
		return items, names, true
	case map[string]any:
		// A single object where an array of objects is due is an array of one, as for scalars.
		if holdsObjects(element) {
			return []any{r}, nil, true
		}
		b.problem(path, msgArray)
		return []any{}, nil, false
	case text:
		return b.splitText(string(r), true, element)
	case string:
		return b.splitText(r, false, element)
	case texts:
		for _, t := range r {
			some, _, _ := b.splitText(t, true, element)
			items = append(items, some...)
		}
		return items, nil, items != nil
	}
	return []any{raw}, nil, true // an array of one
}

// splitText reads JSON text or a comma-separated list. loose says that the text came from a query
// or form, where the parts stay as untyped as the whole.
func (b *binder) splitText(s string, loose bool, element reflect.Type) (items []any, names []string, ok bool) {
	if strings.TrimSpace(s) == "" {
		return nil, nil, false
	}
	if parsed, found := embedded(s); found {
		if l, is := parsed.([]any); is {
			return l, nil, true
		}
		if holdsObjects(element) {
			return []any{parsed}, nil, true
		}
	}
	// Not split: a comma inside text that should have been JSON would only give stranger problems.
	if holdsObjects(element) {
		return []any{s}, nil, true
	}
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		if loose {
			items = append(items, text(part))
		} else {
			items = append(items, part)
		}
	}
	return items, nil, items != nil
}

// onlyCommas reports whether raw is a comma-separated list without any part.
func onlyCommas(raw any) bool {
	all := ""
	switch r := raw.(type) {
	case text:
		all = string(r)
	case string:
		all = r
	case texts:
		all = strings.Join(r, "")
	}
	return strings.Contains(all, ",") && strings.Trim(all, ", \t\r\n") == ""
}

// holdsObjects reports whether values of t are objects, which no comma-separated list can hold.
func holdsObjects(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(textUnmarshaler) {
		return false
	}
	return t.Kind() == reflect.Struct || t.Kind() == reflect.Map
}

// embedded reads text that is a JSON object or array.
func embedded(s string) (any, bool) {
	s = strings.TrimSpace(s)
	if s == "" || s[0] != '[' && s[0] != '{' {
		return nil, false
	}
	v, err := parseJSON([]byte(s))
	return v, err == nil
}

// object returns the named values of raw. When ok is false the value is absent (nil) or a problem
// was noted.
func (b *binder) object(raw any, path string) (m map[string]any, ok bool) {
	switch r := raw.(type) {
	case map[string]any:
		return r, true
	case fields:
		return r, true
	case text:
		return b.objectText(string(r), path)
	case texts:
		return b.objectText(r[len(r)-1], path)
	case string:
		return b.objectText(r, path)
	}
	b.problem(path, msgObject)
	return map[string]any{}, false
}

// objectText reads an object from JSON text, as old pages send nested values in form fields.
func (b *binder) objectText(s, path string) (m map[string]any, ok bool) {
	if strings.TrimSpace(s) == "" {
		return nil, false
	}
	v, _ := embedded(s)
	if m, ok = v.(map[string]any); ok {
		return m, true
	}
	b.problem(path, msgObject)
	return map[string]any{}, false
}

// bindMap fills a map whose values all have one type, such as the filters of a stored export.
func (b *binder) bindMap(raw any, v reflect.Value, s *huma.Schema, path string) bool {
	m, ok := b.object(raw, path)
	if !ok {
		return m != nil
	}
	schema, _ := s.AdditionalProperties.(*huma.Schema)
	if schema == nil {
		schema = &huma.Schema{}
	}
	out := reflect.MakeMapWithSize(v.Type(), len(m))
	// in order, so that problems have the same order every time
	for _, key := range slices.Sorted(maps.Keys(m)) {
		item := m[key]
		if unfit(key, 0) != "" {
			b.problem(path, msgCharacters)
			continue
		}
		element := reflect.New(v.Type().Elem()).Elem()
		if b.bind(item, element, schema, path+"."+key) {
			out.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), element)
		}
	}
	v.Set(out)
	return true
}

// plain returns a tree, or Go values of a caller inside the program, in JSON's own types.
func plain(raw any) any {
	switch r := raw.(type) {
	case text:
		return string(r)
	case texts:
		return r[len(r)-1]
	case list:
		return plain([]any(r))
	case fields:
		if items, _, ok := r.elements(); ok {
			return plain(items)
		}
		return plain(map[string]any(r))
	case []any:
		out := make([]any, len(r))
		for i, item := range r {
			out[i] = plain(item)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(r))
		for name, item := range r {
			out[name] = plain(item)
		}
		return out
	case nil, bool, string, json.Number, refused:
		return r
	}
	// A Go value of our own (a default, a stored filter) takes the way of JSON, so that it is read
	// by the same rules as a caller's.
	b, err := json.Marshal(raw)
	if err != nil {
		return refused(msgFormat)
	}
	v, err := parseJSON(b)
	if err != nil {
		return refused(msgFormat)
	}
	return v
}

// unfit returns why a plain value can't be kept, or "".
func unfit(v any, depth int) string {
	if depth > maxDepth {
		return fmt.Sprintf(msgTooDeep, maxDepth)
	}
	switch v := v.(type) {
	case refused:
		return string(v)
	case string:
		if strings.Contains(v, invalidRune) || strings.Contains(v, "\x00") {
			return msgCharacters
		}
	case []any:
		for _, item := range v {
			if why := unfit(item, depth+1); why != "" {
				return why
			}
		}
	case map[string]any:
		for name, item := range v {
			if unfit(name, depth) != "" {
				return msgCharacters
			}
			if why := unfit(item, depth+1); why != "" {
				return why
			}
		}
	}
	return ""
}
