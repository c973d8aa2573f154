package httpapi

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"exporthub/pkg/errs"
)

// maxProblems bounds an answer about an array of a hundred thousand wrong values.
const maxProblems = 50

// binder fills typed fields from a tree and notes every problem with its field's name.
type binder struct {
	problems []errs.Field
	more     bool
	// trims says that the values are those of a search: blanks around them come from copying out of
	// a table, and nobody looks for a name that begins with one. What is stored keeps them.
	trims bool
}

func (b *binder) problem(path, reason string) {
	if len(b.problems) == maxProblems {
		b.more = true
		return
	}
	b.problems = append(b.problems, errs.Field{Name: path, Reason: reason})
}

// err returns what was wrong as one error, or nil.
func (b *binder) err() error {
	if len(b.problems) == 0 {
		return nil
	}
	e := &errs.Error{Kind: errs.Invalid, Fields: b.problems}
	if b.more {
		e.Fields = append(e.Fields, errs.Field{Name: "…", Reason: msgMoreProblems})
	}
	return e
}

// bindStruct fills the fields of struct v from the named values. header is nil below the top.
func (b *binder) bindStruct(values map[string]any, header func(string) string, v reflect.Value, prefix string) {
	p, err := planOf(v.Type())
	if err != nil {
		// routes are checked when mounted; only DecodeValues can meet this, and it checks first
		b.problem(prefix, msgFormat)
		return
	}
	for i := range p.fields {
		f := &p.fields[i]
		target := v.FieldByIndex(f.Index)
		if f.header != "" {
			if header == nil {
				continue
			}
			if s := header(f.header); s != "" {
				b.bind(text(cleanUTF8(s)), target, f.schema, f.header)
			} else {
				b.absent(f, target, f.header)
			}
			continue
		}
		name, raw, present := f.find(values)
		path := name
		if prefix != "" {
			path = prefix + "." + name
		}
		if !present || !b.bind(raw, target, f.schema, path) {
			b.absent(f, target, path)
		}
	}
}

// find returns the field's value and the name the caller used for it.
func (f *planField) find(values map[string]any) (name string, raw any, present bool) {
	if raw, present = values[f.name]; present {
		return f.name, raw, true
	}
	for _, alias := range f.aliases {
		if raw, present = values[alias]; present {
			return alias, raw, true
		}
	}
	return f.name, nil, false
}

func (b *binder) absent(f *planField, target reflect.Value, path string) {
	switch {
	case f.def != nil:
		b.bind(f.def, target, f.schema, path)
	case f.required:
		b.problem(path, msgRequired)
	}
}

// bind fills v from raw. It returns false when raw counts as absent, which leaves v alone; a
// problem counts as present.
func (b *binder) bind(raw any, v reflect.Value, s *huma.Schema, path string) bool {
	if why, bad := raw.(refused); bad {
		b.problem(path, string(why))
		return true
	}
	if o, ok := v.Addr().Interface().(optional); ok {
		return b.bindOptional(raw, v, o, s, path)
	}
	if raw == nil {
		return false
	}
	if isNothing(raw) && (v.Kind() != reflect.Slice || v.Type() == rawMessage) && v.Kind() != reflect.Pointer {
		return false
	}
	if v.Kind() == reflect.Pointer {
		target := reflect.New(v.Type().Elem())
		if !b.bind(raw, target.Elem(), s, path) {
			return false
		}
		v.Set(target)
		return true
	}
	switch {
	case v.Type() == rawMessage:
		return b.bindRaw(raw, v, path)
	case reflect.PointerTo(v.Type()).Implements(textUnmarshaler):
		return b.bindScalar(raw, v, s, path)
	}
	switch v.Kind() {
	case reflect.Interface:
		return b.bindAny(raw, v, path)
	case reflect.Slice:
		return b.bindSlice(raw, v, s, path)
	case reflect.Map:
		return b.bindMap(raw, v, s, path)
	case reflect.Struct:
		m, ok := b.object(raw, path)
		if ok {
			b.bindStruct(m, nil, v, path)
		}
		return ok || m != nil
	}
	return b.bindScalar(raw, v, s, path)
}

func (b *binder) bindOptional(raw any, v reflect.Value, o optional, s *huma.Schema, path string) bool {
	if raw == nil {
		o.mark(true)
		return true
	}
	if !b.bind(raw, o.slot(), s, path) {
		return false
	}
	o.mark(false)
	return true
}

// scalar returns the text of one value; ok is false when there is none, absent when that means
// nothing was said.
func (b *binder) scalar(raw any, path string) (s string, ok, absent bool) {
	switch r := raw.(type) {
	case text:
		s = string(r)
		absent = s == ""
	case texts:
		s = r[len(r)-1]
		absent = s == ""
	case string:
		s = r
	case json.Number:
		s = r.String()
	case bool:
		s = strconv.FormatBool(r)
	default: // arrays and objects
		b.problem(path, msgSingle)
		return "", false, false
	}
	if absent {
		return "", false, true
	}
	if strings.Contains(s, invalidRune) || strings.Contains(s, "\x00") {
		b.problem(path, msgCharacters)
		return "", false, false
	}
	return s, true, false
}

func (b *binder) bindScalar(raw any, v reflect.Value, s *huma.Schema, path string) (present bool) {
	str, ok, absent := b.scalar(raw, path)
	if !ok {
		return !absent
	}
	if u, is := v.Addr().Interface().(encoding.TextUnmarshaler); is {
		str = strings.TrimSpace(str)
		if str == "" {
			return false
		}
		if err := u.UnmarshalText([]byte(str)); err != nil {
			b.problem(path, reasonOf(err))
			return true
		}
		b.checkText(s, str, path)
		return true
	}
	if v.Kind() == reflect.String {
		if _, is := raw.(bool); is { // a number may be a phone's; true is nobody's name
			b.problem(path, msgText)
			return true
		}
		if n, is := raw.(json.Number); is {
			str = integralDigits(n.String())
		}
		if b.trims {
			if str = strings.TrimSpace(str); str == "" {
				return false // a filter of blanks is an empty one
			}
		}
		v.SetString(str)
		b.checkText(s, str, path)
		return true
	}
	if str = strings.TrimSpace(str); str == "" {
		return false
	}
	b.bindNumber(str, v, s, path)
	return true
}

// bindNumber fills a boolean or a number from its text.
func (b *binder) bindNumber(str string, v reflect.Value, s *huma.Schema, path string) {
	if v.Kind() == reflect.Bool {
		switch strings.ToLower(str) {
		case "true", "1", "是":
			v.SetBool(true)
		case "false", "0", "否":
			v.SetBool(false)
		default:
			b.problem(path, msgBool)
		}
		return
	}
	whole := str
	if before, after, ok := strings.Cut(str, "."); ok && after != "" && strings.Trim(after, "0") == "" {
		whole = before // 5.0 is how some languages write 5
	}
	switch {
	case v.CanInt():
		n, err := strconv.ParseInt(whole, 10, v.Type().Bits())
		if b.numberProblem(err, path, msgInteger) {
			return
		}
		v.SetInt(n)
		b.checkNumber(s, float64(n), path)
	case v.CanUint():
		n, err := strconv.ParseUint(whole, 10, v.Type().Bits())
		if err != nil && strings.HasPrefix(whole, "-") && isDigits(whole[1:]) {
			err = strconv.ErrRange
		}
		if b.numberProblem(err, path, msgInteger) {
			return
		}
		v.SetUint(n)
		b.checkNumber(s, float64(n), path)
	case v.CanFloat():
		n, err := strconv.ParseFloat(str, v.Type().Bits())
		if err == nil && (math.IsNaN(n) || math.IsInf(n, 0) || strings.ContainsAny(str, "xX_pP")) {
			err = strconv.ErrSyntax
		}
		if b.numberProblem(err, path, msgNumber) {
			return
		}
		v.SetFloat(n)
		b.checkNumber(s, n, path)
	default:
		b.problem(path, msgFormat)
	}
}

func (b *binder) numberProblem(err error, path, reason string) bool {
	switch {
	case err == nil:
		return false
	case errors.Is(err, strconv.ErrRange):
		b.problem(path, msgRange)
	default:
		b.problem(path, reason)
	}
	return true
}

func reasonOf(err error) string {
	var r Reason
	if errors.As(err, &r) {
		return string(r)
	}
	return msgFormat
}

// bindRaw keeps the value as JSON; text that holds an object or array is taken as such.
func (b *binder) bindRaw(raw any, v reflect.Value, path string) bool {
	p, ok := b.plainValue(raw, path)
	if !ok || p == nil {
		return !ok
	}
	if s, is := p.(string); is {
		if parsed, found := embedded(s); found {
			p = parsed
		}
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		b.problem(path, msgFormat)
		return true
	}
	v.SetBytes(bytes.TrimRight(buf.Bytes(), "\n"))
	return true
}

func (b *binder) bindAny(raw any, v reflect.Value, path string) bool {
	p, ok := b.plainValue(raw, path)
	if ok && p != nil {
		v.Set(reflect.ValueOf(p))
	}
	return !ok || p != nil
}

// plainValue returns raw in JSON's own types, with numbers as json.Number. ok is false after a
// problem; nil is absent.
func (b *binder) plainValue(raw any, path string) (v any, ok bool) {
	if t, is := raw.(text); is && t == "" {
		return nil, true
	}
	v = plain(raw)
	if why := unfit(v, 0); why != "" {
		b.problem(path, why)
		return nil, false
	}
	return v, true
}
