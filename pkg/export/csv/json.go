package csv

import (
	"strconv"
	"time"
	"unicode/utf8"

	"exporthub/pkg/dataset"
)

// maxNumber is the greatest integer that every JSON reader keeps.
const maxNumber = 1 << 53

// objects writes a JSON object a line (https://jsonlines.org). It does not use encoding/json, which
// would box every value of a row.
type objects struct {
	columns  []member
	location *time.Location
}

// member is a column: its name stands ready with everything around it.
type member struct {
	kind   dataset.Type
	name   string // {"key": or ,"key":
	layout string
}

func newJSON(s dataset.Sheet) encoder {
	o := &objects{location: s.Location, columns: make([]member, len(s.Columns))}
	for i, c := range s.Columns {
		// The brace or comma before the name is part of it, so that a row has no case for its
		// first.
		name, _ := appendJSONString([]byte{"{,"[min(i, 1)]}, c.Key)
		o.columns[i] = member{kind: c.Type, name: string(name) + ":", layout: rfc3339}
		if c.Type == dataset.Date {
			o.columns[i].layout = time.DateOnly
		}
	}
	return o
}

func (o *objects) header(dst []byte) []byte { return dst }

func (o *objects) row(dst []byte, values []dataset.Value, r *dataset.Report) []byte {
	for i := range o.columns {
		dst = append(dst, o.columns[i].name...)
		dst = o.value(dst, &o.columns[i], values[i], r)
	}
	return append(dst, '}', '\n')
}

func (o *objects) value(dst []byte, m *member, v dataset.Value, r *dataset.Report) []byte {
	if v.Null {
		return append(dst, "null"...)
	}
	switch m.kind {
	case dataset.Int:
		// JavaScript reads numbers as float64 and would round an id in silence.
		if v.Num < -maxNumber || v.Num > maxNumber {
			return append(strconv.AppendInt(append(dst, '"'), v.Num, 10), '"')
		}
		return strconv.AppendInt(dst, v.Num, 10)
	case dataset.Money: // a string: a reader that takes 0.10 for a float can't add it up
		return append(dataset.AppendCents(append(dst, '"'), v.Num), '"')
	case dataset.DateTime, dataset.Date:
		dst, known := appendTime(append(dst, '"'), v, o.location, m.layout, r)
		if !known {
			return append(dst[:len(dst)-1], "null"...)
		}
		return append(dst, '"')
	case dataset.Bool:
		return strconv.AppendBool(dst, v.Num != 0)
	}
	dst, replaced := appendJSONString(dst, v.Str)
	if replaced {
		r.Replaced++
	}
	return dst
}

// appendJSONString appends s as a JSON string and reports whether it had invalid bytes. Only what
// JSON demands is escaped: the file is UTF-8, and not for a page's source.
func appendJSONString(dst []byte, s string) (_ []byte, replaced bool) {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		b := s[i]
		if b >= utf8.RuneSelf {
			c, size := utf8.DecodeRuneInString(s[i:])
			if c == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[from:i]...), "\uFFFD"...)
				from, replaced = i+1, true
			}
			i += size
			continue
		}
		if b < 0x20 || b == '"' || b == '\\' {
			dst = append(dst, s[from:i]...)
			from = i + 1
			switch b {
			case '"', '\\':
				dst = append(dst, '\\', b)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
			}
		}
		i++
	}
	return append(append(dst, s[from:]...), '"'), replaced
}
