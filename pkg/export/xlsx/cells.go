package xlsx

import (
	"math"
	"strconv"
	"time"

	"exporthub/pkg/dataset"
)

// maxDigits is how many digits of a number Excel keeps; maxExact is the greatest number of so many.
const (
	maxDigits = 15
	maxExact  = 1e15 - 1
)

// Excel counts days from 1899-12-30, rightly so from 1900-03-01 on. Days here are counted from
// 1970-01-01.
const (
	epochSerial = 25569
	firstDay    = 61 - epochSerial      // 1900-03-01
	lastDay     = 2958465 - epochSerial // 9999-12-31
	daySeconds  = 24 * 60 * 60
)

// column is a column compiled for writing: what its cells are made of stands ready as bytes.
type column struct {
	kind    dataset.Type
	ref     string // `<c r="AB`
	text    string // what follows the row number in a text cell: `" s="1" t="inlineStr"><is>`
	shared  string // the same in a cell of shared text: `" s="1" t="s"><v>`
	number  string // the same in a number cell: `" s="2"><v>`
	yes, no label
	labels  map[string]*label
	sharing sharing
	most    int64 // bytes of XML a cell without text takes at most
}

// label is a text that stands for a value: a dictionary's, or a boolean's.
type label struct {
	text  string
	id    shared
	known bool // id is right
}

// compile makes the columns of a sheet ready for writing: everything of a cell that its value does
// not decide is put together once.
func compile(s dataset.Sheet, st styles) []column {
	all := make([]column, len(s.Columns))
	for i, c := range s.Columns {
		text := `" s="` + strconv.Itoa(st.text)
		col := column{
			kind:   c.Type,
			ref:    `<c r="` + columnName(i),
			text:   text + `" t="inlineStr"><is>`,
			shared: text + `" t="s"><v>`,
			number: `" s="` + strconv.Itoa(st.of(c.Type)) + `"><v>`,
		}
		col.most = int64(len(col.ref) + len(col.text) + len(`1048576<t xml:space="preserve">-92233720368547758.08</t></is></c>`))
		switch c.Type {
		case dataset.Bool:
			col.yes.text, col.no.text = "是", "否"
			if c.Labels != nil {
				col.yes.text, col.no.text = c.Labels["1"], c.Labels["0"]
			}
		case dataset.Code:
			col.labels = make(map[string]*label, len(c.Labels))
			for code, text := range c.Labels {
				col.labels[code] = &label{text: text}
			}
		}
		all[i] = col
	}
	return all
}

// columnName is the letters of a column, counted from 0: A to Z, AA to ZZ, and on to XFD.
func columnName(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return columnName(i/26-1) + string(rune('A'+i%26))
}

// cell is a value ready to be encoded by any goroutine. It holds no pointer but its text, which
// keeps the collector's work small: there are thousands in a batch.
type cell struct {
	str string
	num int64
	op  op
}

// op is how a cell is encoded.
type op uint8

const (
	opEmpty  op = iota
	opText      // str, in the cell
	opShared    // num, in the table of shared strings
	opInt
	opMoney
	opTime
	opDate
)

// take decides how a value is written. It runs in the caller's goroutine, in the order of the rows.
func (c *column) take(v *dataset.Value, t *sharedStrings, r *dataset.Report) cell {
	if v.Null {
		return cell{}
	}
	switch c.kind {
	case dataset.Int:
		return cell{num: v.Num, op: opInt}
	case dataset.Money:
		return cell{num: v.Num, op: opMoney}
	case dataset.DateTime:
		return cell{num: v.Num, op: opTime}
	case dataset.Date:
		return cell{num: v.Num, op: opDate}
	case dataset.Bool:
		if v.Num != 0 {
			return c.yes.take(t, r)
		}
		return c.no.take(t, r)
	case dataset.Code:
		if l, known := c.labels[v.Str]; known {
			return l.take(t, r)
		}
	}
	if v.Str == "" {
		return cell{}
	}
	if s, found := t.find(&c.sharing, v.Str); found {
		tally(r, s.repair)
		return cell{num: int64(s.id), op: opShared}
	}
	return cell{str: v.Str, op: opText}
}

// take is a label's cell. Its number is looked up once and kept, since a label stands in every
// other row.
func (l *label) take(t *sharedStrings, r *dataset.Report) cell {
	switch {
	case l.text == "":
		return cell{}
	case l.known:
		t.used++
	default:
		if l.id, l.known = t.label(l.text); !l.known {
			return cell{str: l.text, op: opText}
		}
	}
	tally(r, l.id.repair)
	return cell{num: int64(l.id.id), op: opShared}
}

// append appends a cell of the row with these digits; an empty cell is nothing.
func (c *column) append(dst, digits []byte, v *cell, z *zone, r *dataset.Report) []byte {
	switch v.op {
	case opShared:
		dst = append(append(append(dst, c.ref...), digits...), c.shared...)
		return append(strconv.AppendInt(dst, v.num, 10), "</v></c>"...)
	case opText:
		dst = append(append(append(dst, c.ref...), digits...), c.text...)
		dst, found := appendTextElement(dst, v.str)
		tally(r, found)
		return append(dst, "</is></c>"...)
	case opInt:
		dst = c.openNumber(dst, digits, isExact(v.num))
		return closeNumber(strconv.AppendInt(dst, v.num, 10), isExact(v.num))
	case opMoney:
		dst = c.openNumber(dst, digits, isExact(v.num))
		return closeNumber(dataset.AppendCents(dst, v.num), isExact(v.num))
	case opTime, opDate:
		return c.appendTime(dst, digits, v, z, r)
	}
	return dst
}

// openNumber begins a number cell, or a text cell where Excel would round the number.
func (c *column) openNumber(dst, digits []byte, exact bool) []byte {
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

// zone computes local times. It remembers the span in which its last answer holds: looking that up
// costs more than all else of a time's cell. It is for one goroutine.
type zone struct {
	location    *time.Location
	from, until int64 // seconds since 1970, until excluded
	offset      int64 // seconds east of UTC between them
}

func (z *zone) local(unix int64) int64 {
	if unix < z.from || unix >= z.until {
		at := time.Unix(unix, 0).In(z.location)
		_, offset := at.Zone()
		z.offset = int64(offset)
		z.from, z.until = math.MinInt64, math.MaxInt64
		start, end := at.ZoneBounds()
		if !start.IsZero() {
			z.from = start.Unix()
		}
		if !end.IsZero() {
			z.until = end.Unix()
		}
	}
	return unix + z.offset
}

// appendTime appends a date cell: days since 1899-12-30, with the part of a day behind the point.
func (c *column) appendTime(dst, digits []byte, v *cell, z *zone, r *dataset.Report) []byte {
	seconds := z.local(floorDiv(v.num, 1_000_000))
	day := floorDiv(seconds, daySeconds)
	switch {
	// Excel knows no year after 9999, and no text would sort with the dates: empty.
	case day > lastDay:
		r.OutOfSpan++
		return dst
	// Excel takes 1900 for a leap year, so every day before March has the wrong number there.
	case day < firstDay:
		r.OutOfSpan++
		dst = append(append(append(dst, c.ref...), digits...), c.text...)
		layout := time.DateTime
		if v.op == opDate {
			layout = time.DateOnly
		}
		return append(time.Unix(seconds, 0).UTC().AppendFormat(append(dst, "<t>"...), layout), "</t></is></c>"...)
	}
	dst = append(append(append(dst, c.ref...), digits...), c.number...)
	dst = strconv.AppendInt(dst, day+epochSerial, 10)
	if v.op == opTime {
		dst = appendDayFraction(dst, seconds-day*daySeconds)
	}
	return append(dst, "</v></c>"...)
}

// appendDayFraction appends the part of a day that so many seconds are, to 12 places: more than a
// float64 keeps beside the day, so that every reader rounds to the same second.
func appendDayFraction(dst []byte, seconds int64) []byte {
	if seconds == 0 { // midnight is a whole number
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

// floorDiv rounds down, also for times before 1970.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
