package csv

import (
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"exporthub/pkg/dataset"
)

// mark is what tells a spreadsheet that the file is UTF-8.
const mark = "\xEF\xBB\xBF"

// lines writes CSV for people or for programs. What differs between the two is decided once for
// each column, so that a cell only looks at its column.
type lines struct {
	columns  []column
	location *time.Location
	raw      bool
}

// column is a column compiled for writing.
type column struct {
	kind    dataset.Type
	title   string
	layout  string // of times
	yes, no string
	labels  map[string]string
}

func newForPeople(s dataset.Sheet) encoder   { return newLines(s, false) }
func newForPrograms(s dataset.Sheet) encoder { return newLines(s, true) }

func newLines(s dataset.Sheet, raw bool) *lines {
	l := &lines{location: s.Location, raw: raw, columns: make([]column, len(s.Columns))}
	for i, c := range s.Columns {
		col := column{kind: c.Type, title: c.Title, layout: time.DateTime, yes: "是", no: "否", labels: c.Labels}
		// A label may be empty on purpose: then the cell is.
		if c.Labels != nil {
			col.yes, col.no = c.Labels["1"], c.Labels["0"]
		}
		if raw {
			// Programs get what the database has: keys, codes and instants.
			col.title, col.layout = c.Key, rfc3339
			col.yes, col.no = "true", "false"
			col.labels = nil
		}
		if c.Type == dataset.Date {
			col.layout = time.DateOnly
		}
		l.columns[i] = col
	}
	return l
}

func (l *lines) header(dst []byte) []byte {
	if !l.raw {
		dst = append(dst, mark...)
	}
	// The report counts rows' texts; a title is ours.
	var uncounted dataset.Report
	for i, c := range l.columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = l.text(dst, c.title, &uncounted)
	}
	return append(dst, '\r', '\n')
}

func (l *lines) row(dst []byte, values []dataset.Value, r *dataset.Report) []byte {
	start := len(dst)
	for i := range l.columns {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = l.cell(dst, &l.columns[i], values[i], r)
	}
	if len(dst) == start {
		// An empty line is no row to most readers.
		dst = append(dst, '"', '"')
	}
	return append(dst, '\r', '\n')
}

func (l *lines) cell(dst []byte, c *column, v dataset.Value, r *dataset.Report) []byte {
	if v.Null {
		return dst
	}
	switch c.kind {
	case dataset.Int:
		return strconv.AppendInt(dst, v.Num, 10)
	case dataset.Money:
		return dataset.AppendCents(dst, v.Num)
	case dataset.DateTime, dataset.Date:
		dst, _ = appendTime(dst, v, l.location, c.layout, r)
		return dst
	case dataset.Bool:
		if v.Num != 0 {
			return l.text(dst, c.yes, r)
		}
		return l.text(dst, c.no, r)
	case dataset.Code:
		// An unknown code is shown as it is: a label that is missing must not lose a value.
		if label, known := c.labels[v.Str]; known {
			return l.text(dst, label, r)
		}
	}
	return l.text(dst, v.Str, r)
}

// text appends a field, with an apostrophe where a spreadsheet would run it and in quotes where it
// needs them.
func (l *lines) text(dst []byte, s string, r *dataset.Report) []byte {
	if s == "" {
		return dst
	}
	quoted := needsQuotes(s)
	if quoted {
		dst = append(dst, '"')
	}
	// Inside the quotes: a reader takes the quotes away before it looks for a formula.
	if !l.raw && isFormula(s) {
		dst = append(dst, '\'')
	}
	from, replaced := 0, false
	for i := 0; i < len(s); {
		switch b := s[i]; {
		case b == '"':
			dst = append(append(dst, s[from:i]...), '"') // and itself with what follows
			from = i
		case b >= utf8.RuneSelf:
			c, size := utf8.DecodeRuneInString(s[i:])
			if c == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[from:i]...), "\uFFFD"...)
				from, replaced = i+1, true
			}
			i += size
			continue
		}
		i++
	}
	dst = append(dst, s[from:]...)
	if replaced {
		r.Replaced++
	}
	if quoted {
		dst = append(dst, '"')
	}
	return dst
}

// needsQuotes reports whether a field has to stand in quotes: by RFC 4180, section 2, rules 6 and
// 7, or because spreadsheets split lines at a semicolon or a tab as well. Such a field would shift
// the row's other cells, and what stands behind it would be a field without its apostrophe.
func needsQuotes(s string) bool {
	for i := range len(s) {
		switch s[i] {
		case '"', ',', ';', '\t', '\r', '\n':
			return true
		}
	}
	return false
}

// isFormula reports whether a spreadsheet may run a text: it begins with one of OWASP's characters
// (https://owasp.org/www-community/attacks/CSV_Injection), full-width forms and line feed included.
// Blanks and invisible characters before it do not count, since spreadsheets trim them.
func isFormula(s string) bool {
	// Nearly every text begins with a letter or a digit.
	if b := s[0]; b < utf8.RuneSelf && (b|0x20 >= 'a' && b|0x20 <= 'z' || b >= '0' && b <= '9') {
		return false
	}
	for _, r := range s {
		switch r {
		case '=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠':
			return true
		}
		if !unicode.IsSpace(r) && !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r) {
			return false
		}
	}
	return false
}
