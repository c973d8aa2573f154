package xlsx

import (
	"strconv"
	"time"

	"exporthub/pkg/dataset"
)

// maxDigits is how many digits of a number Excel keeps; maxExact is the greatest number of so many.
const (
	maxDigits = 15
	maxExact  = 1e15 - 1
)

// Excel counts days from 1899-12-30, rightly so from 1900-03-01 on. Days here are counted from 1970-01-01.
const (
	epochSerial = 25569
	firstDay    = 61 - epochSerial      // 1900-03-01
	lastDay     = 2958465 - epochSerial // 9999-12-31
	daySeconds  = 24 * 60 * 60
)

// column is a column compiled for writing.
type column struct {
	kind     dataset.Type
	location *time.Location
	ref      string // `<c r="AB`
	text     string // what follows the row number in a text cell: `" s="1" t="inlineStr"><is>`
	number   string // the same in a number cell: `" s="2"><v>`
	yes, no  label
	labels   map[string]label
}

// label is a dictionary's text made ready as a <t> element; empty for an empty text.
type label struct {
	element []byte
	verdict verdict
}

func newLabel(text string) (l label) {
	if text != "" {
		l.element, l.verdict = appendTextElement(nil, text)
	}
	return l
}

// compile makes the columns of a sheet ready for writing.
func compile(s dataset.Sheet, st styles) []column {
	all := make([]column, len(s.Columns))
	for i, c := range s.Columns {
		col := column{
			kind: c.Type, location: s.Location,
			ref:    `<c r="` + columnName(i),
			text:   `" s="` + strconv.Itoa(st.text) + `" t="inlineStr"><is>`,
			number: `" s="` + strconv.Itoa(st.of(c.Type)) + `"><v>`,
		}
		switch c.Type {
		case dataset.Bool:
			col.yes, col.no = newLabel("是"), newLabel("否")
			if c.Labels != nil {
				col.yes, col.no = newLabel(c.Labels["1"]), newLabel(c.Labels["0"])
			}
		case dataset.Code:
			col.labels = make(map[string]label, len(c.Labels))
			for code, text := range c.Labels {
				col.labels[code] = newLabel(text)
			}
		}
		all[i] = col
	}
	return all
}

// columnName is the letters of a column, counted from 0.
func columnName(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return columnName(i/26-1) + string(rune('A'+i%26))
}

// append appends the cell of v in the row with these digits; an empty cell is nothing.
func (c *column) append(dst []byte, digits string, v dataset.Value, r *dataset.Report) []byte {
	if v.Null {
		return dst
	}
	switch c.kind {
	case dataset.Int:
		return c.appendInt(dst, digits, v.Num)
	case dataset.Money:
		return c.appendMoney(dst, digits, v.Num)
	case dataset.DateTime, dataset.Date:
		return c.appendTime(dst, digits, v, r)
	case dataset.Bool:
		if v.Num != 0 {
			return c.appendLabel(dst, digits, c.yes, r)
		}
		return c.appendLabel(dst, digits, c.no, r)
	case dataset.Code:
		if l, known := c.labels[v.Str]; known {
			return c.appendLabel(dst, digits, l, r)
		}
	}
	return c.appendString(dst, digits, v.Str, r)
}

func (c *column) appendString(dst []byte, digits, s string, r *dataset.Report) []byte {
	if s == "" {
		return dst
	}
	dst = append(append(append(dst, c.ref...), digits...), c.text...)
	dst, v := appendTextElement(dst, s)
	tally(r, v)
	return append(dst, "</is></c>"...)
}

func (c *column) appendLabel(dst []byte, digits string, l label, r *dataset.Report) []byte {
	if l.element == nil {
		return dst
	}
	dst = append(append(append(dst, c.ref...), digits...), c.text...)
	tally(r, l.verdict)
	return append(append(dst, l.element...), "</is></c>"...)
}

func tally(r *dataset.Report, v verdict) {
	if v.cut {
		r.Cut++
	}
	if v.replaced {
		r.Replaced++
	}
}

func (c *column) openNumber(dst []byte, digits string, exact bool) []byte {
	dst = append(append(dst, c.ref...), digits...)
	if exact {
		return append(dst, c.number...)
	}
	return append(append(dst, c.text...), "<t>"...)
}

func closeNumber(dst []byte, exact bool) []byte {
	if exact {
		return append(dst, "</v></c>"...)
	}
	return append(dst, "</t></is></c>"...)
}

func isExact(n int64) bool { return -maxExact <= n && n <= maxExact }

func (c *column) appendInt(dst []byte, digits string, n int64) []byte {
	dst = c.openNumber(dst, digits, isExact(n))
	return closeNumber(strconv.AppendInt(dst, n, 10), isExact(n))
}

func (c *column) appendMoney(dst []byte, digits string, cents int64) []byte {
	dst = c.openNumber(dst, digits, isExact(cents))
	return closeNumber(appendCents(dst, cents), isExact(cents))
}

// appendCents appends cents as a decimal with two places.
func appendCents(dst []byte, cents int64) []byte {
	units := uint64(cents)
	if cents < 0 {
		dst = append(dst, '-')
		units = -units // right for the least int64 too
	}
	dst = strconv.AppendUint(dst, units/100, 10)
	return append(dst, '.', byte('0'+units%100/10), byte('0'+units%10))
}

func (c *column) appendTime(dst []byte, digits string, v dataset.Value, r *dataset.Report) []byte {
	local := v.Time().In(c.location)
	_, offset := local.Zone()
	seconds := local.Unix() + int64(offset)
	day := floorDiv(seconds, daySeconds)
	switch {
	case day > lastDay:
		r.OutOfSpan++
		return dst
	case day < firstDay:
		r.OutOfSpan++
		dst = append(append(append(dst, c.ref...), digits...), c.text...)
		layout := time.DateTime
		if c.kind == dataset.Date {
			layout = time.DateOnly
		}
		return append(local.AppendFormat(append(dst, "<t>"...), layout), "</t></is></c>"...)
	}
	dst = append(append(append(dst, c.ref...), digits...), c.number...)
	dst = strconv.AppendInt(dst, day+epochSerial, 10)
	if c.kind == dataset.DateTime {
		dst = appendDayFraction(dst, seconds-day*daySeconds)
	}
	return append(dst, "</v></c>"...)
}

// appendDayFraction appends the part of a day that so many seconds are, to 12 places: more than a float64 keeps beside
// the day, so that every reader rounds to the same second.
func appendDayFraction(dst []byte, seconds int64) []byte {
	if seconds == 0 {
		return dst
	}
	const places = 1_000_000_000_000
	fraction := (seconds*(places/100) + 432) / 864 // seconds*places/86400, rounded
	at := len(dst)
	dst = strconv.AppendInt(dst, places+fraction, 10)
	dst[at] = '.'
	end := len(dst)
	for dst[end-1] == '0' {
		end--
	}
	return dst[:end]
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
