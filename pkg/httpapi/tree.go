package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"exporthub/pkg/errs"
)

// What a caller may send, so that hostile input costs no more than its length.
const (
	maxDepth = 32   // nested arrays and objects in JSON, brackets in a form key
	maxIndex = 9999 // largest n in k[n]
	// Pairs in a query or form: 10,000 ticked rows and what else a request for their file has.
	maxParams = 10_200
)

// Input before it is typed is a tree of these and of nil, bool, json.Number, string, []any and
// map[string]any, which are JSON's own. The types below come from queries, forms and paths, where
// everything is text and emptiness means absence.
type (
	text   string         // one value
	texts  []string       // a repeated key: the last where one value is due
	list   []any          // k[]: an array even with one element
	fields map[string]any // k[name] or k[0]
	// a key that can't be understood, with the reason; told only when the name is known
	refused string
)

// invalidRune stands for bytes that are not UTF-8. It is a noncharacter, which no honest text
// holds.
const invalidRune = "\uFFFF"

// branch is a form key's values while the form is read.
type branch struct {
	values []string
	listed bool
	kids   map[string]*branch
	bad    string
}

func (b *branch) kid(name string) *branch {
	if b.kids == nil {
		b.kids = map[string]*branch{}
	}
	k := b.kids[name]
	if k == nil {
		k = &branch{}
		b.kids[name] = k
	}
	return k
}

// parseForm reads name=value pairs with nested names into a tree. It fails only on too many pairs;
// a pair that can't be understood becomes a refused value under its name.
func parseForm(raw string) (fields, error) {
	root := &branch{}
	for n := 0; raw != ""; n++ {
		if n >= maxParams {
			return nil, errs.Newf(errs.Invalid, msgTooManyParams, errs.Number(maxParams))
		}
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		key, keyErr := url.QueryUnescape(key)
		value, valueErr := url.QueryUnescape(value)
		if keyErr != nil {
			continue // a name nobody can have declared
		}
		root.add(cleanUTF8(key), cleanUTF8(value), valueErr)
	}
	tree := make(fields, len(root.kids))
	for name, b := range root.kids {
		tree[name] = b.value()
	}
	return tree, nil
}

func (b *branch) add(key, value string, valueErr error) {
	name, path, bad := splitKey(key)
	top := b.kid(name)
	if valueErr != nil {
		bad = msgPercent
	}
	if bad != "" {
		top.bad = bad
		return
	}
	at := top
	for i, part := range path {
		if part != "" {
			at = at.kid(part)
			continue
		}
		if i != len(path)-1 {
			top.bad = msgIndexNeeded
			return
		}
		at.listed = true
	}
	at.values = append(at.values, value)
}

// splitKey splits a[b][0][] into a and its parts b, 0 and "". Brackets that don't pair up belong to
// the name itself.
func splitKey(key string) (name string, path []string, bad string) {
	open := strings.IndexByte(key, '[')
	if open <= 0 || !strings.HasSuffix(key, "]") {
		return key, nil, ""
	}
	name = key[:open]
	for i, part := range strings.Split(key[open+1:len(key)-1], "][") {
		if i >= maxDepth {
			return name, nil, fmt.Sprintf(msgTooDeep, maxDepth)
		}
		if strings.ContainsAny(part, "[]") {
			return key, nil, ""
		}
		if isDigits(part) {
			n, err := strconv.Atoi(part)
			if err != nil || n > maxIndex {
				return name, nil, fmt.Sprintf(msgIndexTooBig, maxIndex)
			}
			part = strconv.Itoa(n)
		}
		path = append(path, part)
	}
	return name, path, ""
}

func (b *branch) value() any {
	switch {
	case b.bad != "":
		return refused(b.bad)
	case b.kids != nil && b.values != nil:
		return refused(msgMixed)
	case b.kids != nil:
		f := make(fields, len(b.kids))
		for name, kid := range b.kids {
			f[name] = kid.value()
		}
		return f
	case b.listed:
		l := make(list, 0, len(b.values))
		for _, v := range b.values {
			if v != "" {
				l = append(l, text(v))
			}
		}
		return l
	case len(b.values) == 1:
		return text(b.values[0])
	default:
		return texts(b.values)
	}
}

// isNothing reports whether v is k[] without any element: absent like every empty parameter, except
// where an array has to hold something.
func isNothing(v any) bool {
	l, is := v.(list)
	return is && len(l) == 0
}

// elements returns the values of k[0], k[1], ... in order of their numbers, closing gaps; ok is
// false when a name is no number.
func (f fields) elements() (l []any, names []string, ok bool) {
	names = make([]string, 0, len(f))
	for name := range f {
		if !isDigits(name) {
			return nil, nil, false
		}
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		l = append(l, f[name])
	}
	return l, names, true
}

func isDigits(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func cleanUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, invalidRune)
}

var errTooDeep = errors.New("nested too deeply")

// parseJSON reads one JSON value with numbers kept as written. Of a repeated key the last value
// counts.
func parseJSON(data []byte) (any, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte(invalidRune))
	}
	data = markLoneSurrogates(data)
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := jsonValue(d, 0)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errors.New("text after the value")
		}
	}
	switch {
	case errors.Is(err, errTooDeep):
		return nil, errs.Newf(errs.Invalid, msgTooDeep, maxDepth)
	case err != nil:
		return nil, errs.Wrap(errs.Invalid, fmt.Sprintf(msgNotJSON, d.InputOffset()), err)
	}
	return v, nil
}

func jsonValue(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return t, nil
	}
	if depth++; depth > maxDepth {
		return nil, errTooDeep
	}
	if delim == '[' {
		l := []any{}
		for d.More() {
			v, err := jsonValue(d, depth)
			if err != nil {
				return nil, err
			}
			l = append(l, v)
		}
		_, err = d.Token()
		return l, err
	}
	m := map[string]any{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		if m[key.(string)], err = jsonValue(d, depth); err != nil {
			return nil, err
		}
	}
	_, err = d.Token()
	return m, err
}
