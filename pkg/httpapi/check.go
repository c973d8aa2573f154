package httpapi

import (
	"fmt"
	"math"
	"net/mail"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"exporthub/pkg/errs"
)

// formats are the text formats that are checked.
var formats = map[string]struct {
	ok     func(string) bool
	reason string
}{
	"uuid":  {func(s string) bool { return len(s) == 36 && uuid.Validate(s) == nil }, msgUUID},
	"date":  {func(s string) bool { _, err := time.Parse(time.DateOnly, s); return err == nil }, msgDate},
	"email": {func(s string) bool { a, err := mail.ParseAddress(s); return err == nil && a.Address == s }, msgEmail},
	"uri":   {func(s string) bool { u, err := url.Parse(s); return err == nil && u.IsAbs() }, msgURI},
}

// checkable refuses schemas that promise what is not checked here.
func checkable(s *huma.Schema) error {
	switch {
	case s.MultipleOf != nil, s.MinProperties != nil, s.MaxProperties != nil, len(s.DependentRequired) > 0,
		s.OneOf != nil, s.AnyOf != nil, s.AllOf != nil, s.Not != nil:
		return fmt.Errorf("the schema has a rule that is not checked")
	case s.Type == huma.TypeString && s.Format != "" && s.Format != "password" && formats[s.Format].ok == nil:
		return fmt.Errorf("format %q is not checked", s.Format)
	case s.Items != nil:
		return checkable(s.Items)
	}
	if s.Pattern != "" {
		_, err := pattern(s.Pattern)
		return err
	}
	return nil
}

var patterns sync.Map // text → *regexp.Regexp; as many as there are tags

func pattern(p string) (*regexp.Regexp, error) {
	if re, ok := patterns.Load(p); ok {
		return re.(*regexp.Regexp), nil
	}
	re, err := regexp.Compile(p)
	if err == nil {
		patterns.Store(p, re)
	}
	return re, err
}

func (b *binder) checkText(s *huma.Schema, v, path string) {
	n := utf8.RuneCountInString(v)
	switch {
	case s.MinLength != nil && *s.MinLength == 1 && n == 0:
		b.problem(path, msgRequired)
	case s.MinLength != nil && n < *s.MinLength:
		b.problem(path, fmt.Sprintf(msgMinLength, errs.Number(*s.MinLength)))
	case s.MaxLength != nil && n > *s.MaxLength:
		b.problem(path, fmt.Sprintf(msgMaxLength, errs.Number(*s.MaxLength)))
	case len(s.Enum) > 0:
		b.checkEnum(s, v, path)
	case s.Pattern != "":
		if re, err := pattern(s.Pattern); err != nil || !re.MatchString(v) {
			what := s.PatternDescription
			if what == "" {
				what = " " + s.Pattern + " 的形式"
			}
			b.problem(path, fmt.Sprintf(msgPattern, what))
		}
	case s.Format != "":
		if f, ok := formats[s.Format]; ok && !f.ok(v) {
			b.problem(path, f.reason)
		}
	}
}

func (b *binder) checkNumber(s *huma.Schema, v float64, path string) {
	switch {
	case s.Minimum != nil && v < *s.Minimum:
		b.problem(path, fmt.Sprintf(msgMinimum, bound(*s.Minimum)))
	case s.Maximum != nil && v > *s.Maximum && s.Extensions[Clamps] == nil:
		b.problem(path, fmt.Sprintf(msgMaximum, bound(*s.Maximum)))
	case s.ExclusiveMinimum != nil && v <= *s.ExclusiveMinimum:
		b.problem(path, fmt.Sprintf(msgAbove, bound(*s.ExclusiveMinimum)))
	case s.ExclusiveMaximum != nil && v >= *s.ExclusiveMaximum:
		b.problem(path, fmt.Sprintf(msgBelow, bound(*s.ExclusiveMaximum)))
	case len(s.Enum) > 0:
		b.checkEnum(s, bound(v), path)
	}
}

// bound writes a limit as people do: 1000000, not 1e+06.
func bound(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1e18 {
		return errs.Number(int64(f))
	}
	return fmt.Sprint(f)
}

// checkEnum compares texts: huma holds the choices of an integer field as floats.
func (b *binder) checkEnum(s *huma.Schema, v, path string) {
	choices := make([]string, len(s.Enum))
	for i, e := range s.Enum {
		if f, ok := e.(float64); ok {
			choices[i] = bound(f)
		} else {
			choices[i] = fmt.Sprint(e)
		}
		if choices[i] == v {
			return
		}
	}
	// People know a choice by its label, programs by its value.
	if labels, ok := s.Extensions[Labels].([]string); ok {
		for i, label := range labels {
			choices[i] = label + "（" + choices[i] + "）"
		}
	}
	b.problem(path, fmt.Sprintf(msgEnum, strings.Join(choices, "、")))
}

func (b *binder) checkItems(s *huma.Schema, v reflect.Value, path string) {
	switch {
	case s.MinItems != nil && v.Len() < *s.MinItems:
		b.problem(path, fmt.Sprintf(msgMinItems, errs.Number(*s.MinItems)))
	case s.UniqueItems && v.Type().Elem().Comparable():
		seen := make(map[any]bool, v.Len())
		for i := range v.Len() {
			seen[v.Index(i).Interface()] = true
		}
		if len(seen) < v.Len() {
			b.problem(path, msgUnique)
		}
	}
}
