package xlsx

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"exporthub/pkg/dataset"
)

const (
	asText  = "@"
	asTime  = "yyyy-mm-dd hh:mm:ss"
	asDate  = "yyyy-mm-dd"
	asMoney = "0.00"
	asInt   = "0"
)

func at(y int, m time.Month, d, h, min, s, ns int, loc *time.Location) dataset.Value {
	return dataset.Instant(time.Date(y, m, d, h, min, s, ns, loc))
}

type cellCase struct {
	column          dataset.Column
	value           dataset.Value
	excel, openpyxl string
	// what openpyxl reads in a shared string, where that differs: it drops x005F_ there, wherever
	// it stands
	shared       string
	kind, format string
	report       dataset.Report
}

// cellCases is the table of what each kind of value becomes: excel is the value excelize reads
// (raw), openpyxl what openpyxl reads, or the same when empty; kind is openpyxl's data type.
var cellCases = map[string]cellCase{
	"text":                     {value: dataset.String("展会 Expo"), excel: "展会 Expo", kind: "s", format: asText},
	"phone stays text":         {value: dataset.String("013800000001"), excel: "013800000001", kind: "s", format: asText},
	"formula stays text":       {value: dataset.String("=1+1"), excel: "=1+1", kind: "s", format: asText},
	"plus stays text":          {value: dataset.String("+8613800000001"), excel: "+8613800000001", kind: "s", format: asText},
	"minus stays text":         {value: dataset.String("-1+2"), excel: "-1+2", kind: "s", format: asText},
	"id card stays text":       {value: dataset.String("11010119900307123X"), excel: "11010119900307123X", kind: "s", format: asText},
	"order number stays text":  {value: dataset.String("202611210000000000000001"), excel: "202611210000000000000001", kind: "s", format: asText},
	"exponent stays text":      {value: dataset.String("12E5"), excel: "12E5", kind: "s", format: asText},
	"line break last":          {value: dataset.String("a\n"), excel: "a\n", kind: "s", format: asText},
	"space alone":              {value: dataset.String(" "), excel: " ", kind: "s", format: asText},
	"at and minus stay text":   {value: dataset.String("@-1"), excel: "@-1", kind: "s", format: asText},
	"tab first":                {value: dataset.String("\t=1"), excel: "\t=1", kind: "s", format: asText},
	"carriage return":          {value: dataset.String("\r=1\r\n"), excel: "\r=1\r\n", kind: "s", format: asText},
	"markup":                   {value: dataset.String(`<a b="c">&amp;]]>`), excel: `<a b="c">&amp;]]>`, kind: "s", format: asText},
	"spaces are kept":          {value: dataset.String("  a\n b "), excel: "  a\n b ", kind: "s", format: asText},
	"control character":        {value: dataset.String("a\x01\x00b"), excel: "a\x01\x00b", openpyxl: "a_x0001__x0000_b", kind: "s", format: asText},
	"noncharacters":            {value: dataset.String("\uFFFE\uFFFF"), excel: "\uFFFE\uFFFF", openpyxl: "_xFFFE__xFFFF_", kind: "s", format: asText},
	"looks like an escape":     {value: dataset.String("_x0041_"), excel: "_x0041_", openpyxl: "_x005F_x0041_", shared: "_x0041_", kind: "s", format: asText},
	"overlapping escapes":      {value: dataset.String("_x0041_x0042_"), excel: "_x0041_x0042_", openpyxl: "_x005F_x0041_x005F_x0042_", shared: "_x0041_x0042_", kind: "s", format: asText},
	"an escaped escape":        {value: dataset.String("_x005F_x0041_"), excel: "_x005F_x0041_", openpyxl: "_x005F_x005F_x005F_x0041_", shared: "_x0041_", kind: "s", format: asText},
	"escape ended by ours":     {value: dataset.String("_x0041\x01"), excel: "_x0041\x01", openpyxl: "_x005F_x0041_x0001_", shared: "_x0041_x0001_", kind: "s", format: asText},
	"almost an escape":         {value: dataset.String("_x004_ _X0041_"), excel: "_x004_ _X0041_", kind: "s", format: asText},
	"invalid bytes":            {value: dataset.String("a\xff\xfeb"), excel: "a\uFFFD\uFFFDb", kind: "s", format: asText, report: dataset.Report{Replaced: 1}},
	"a real U+FFFD":            {value: dataset.String("a\uFFFDb"), excel: "a\uFFFDb", kind: "s", format: asText},
	"exactly the limit":        {value: dataset.String(strings.Repeat("字", 32767)), excel: strings.Repeat("字", 32767), kind: "s", format: asText},
	"over the limit":           {value: dataset.String(strings.Repeat("a", 32768)), excel: strings.Repeat("a", 32767), kind: "s", format: asText, report: dataset.Report{Cut: 1}},
	"cut before a pair":        {value: dataset.String(strings.Repeat("a", 32766) + "😀b"), excel: strings.Repeat("a", 32766), kind: "s", format: asText, report: dataset.Report{Cut: 1}},
	"pair at the limit":        {value: dataset.String(strings.Repeat("a", 32765) + "😀b"), excel: strings.Repeat("a", 32765) + "😀", kind: "s", format: asText, report: dataset.Report{Cut: 1}},
	"cut after a space":        {value: dataset.String(strings.Repeat("a", 32766) + " b"), excel: strings.Repeat("a", 32766) + " ", kind: "s", format: asText, report: dataset.Report{Cut: 1}},
	"empty text":               {value: dataset.String("")},
	"null text":                {value: dataset.Null},
	"url":                      {column: dataset.Column{Type: dataset.URL}, value: dataset.String("https://example.com/a?b=1&c=2"), excel: "https://example.com/a?b=1&c=2", kind: "s", format: asText},
	"int":                      {column: dataset.Column{Type: dataset.Int}, value: dataset.Number(-42), excel: "-42", kind: "n", format: asInt},
	"zero":                     {column: dataset.Column{Type: dataset.Int}, value: dataset.Number(0), excel: "0", kind: "n", format: asInt},
	"15 digits":                {column: dataset.Column{Type: dataset.Int}, value: dataset.Number(999999999999999), excel: "999999999999999", kind: "n", format: asInt},
	"16 digits":                {column: dataset.Column{Type: dataset.Int}, value: dataset.Number(1000000000000001), excel: "1000000000000001", kind: "s", format: asText},
	"-16 digits":               {column: dataset.Column{Type: dataset.Int}, value: dataset.Number(-1000000000000001), excel: "-1000000000000001", kind: "s", format: asText},
	"least int":                {column: dataset.Column{Type: dataset.Int}, value: dataset.Number(math.MinInt64), excel: "-9223372036854775808", kind: "s", format: asText},
	"null int":                 {column: dataset.Column{Type: dataset.Int}, value: dataset.Null},
	"money":                    {column: dataset.Column{Type: dataset.Money}, value: dataset.Number(123456), excel: "1234.56", kind: "n", format: asMoney},
	"ten cents":                {column: dataset.Column{Type: dataset.Money}, value: dataset.Number(10), excel: "0.10", openpyxl: "0.1", kind: "n", format: asMoney},
	"minus a cent":             {column: dataset.Column{Type: dataset.Money}, value: dataset.Number(-1), excel: "-0.01", kind: "n", format: asMoney},
	"15 digits of money":       {column: dataset.Column{Type: dataset.Money}, value: dataset.Number(999999999999999), excel: "9999999999999.99", kind: "n", format: asMoney},
	"16 digits of money":       {column: dataset.Column{Type: dataset.Money}, value: dataset.Number(1234567890123456), excel: "12345678901234.56", kind: "s", format: asText},
	"least money":              {column: dataset.Column{Type: dataset.Money}, value: dataset.Number(math.MinInt64), excel: "-92233720368547758.08", kind: "s", format: asText},
	"null money":               {column: dataset.Column{Type: dataset.Money}, value: dataset.Null},
	"time in the zone":         {column: dataset.Column{Type: dataset.DateTime}, value: at(2026, 11, 21, 16, 30, 15, 0, time.UTC), excel: "46348.021006944444", openpyxl: "2026-11-22T00:30:15", kind: "d", format: asTime},
	"last second of a day":     {column: dataset.Column{Type: dataset.DateTime}, value: at(2026, 11, 21, 23, 59, 59, 999_999_000, shanghai), excel: "46347.999988425926", openpyxl: "2026-11-21T23:59:59", kind: "d", format: asTime},
	"midnight":                 {column: dataset.Column{Type: dataset.DateTime}, value: at(2026, 11, 21, 0, 0, 0, 0, shanghai), excel: "46347", openpyxl: "2026-11-21T00:00:00", kind: "d", format: asTime},
	"before 1970":              {column: dataset.Column{Type: dataset.DateTime}, value: at(1960, 2, 29, 12, 0, 0, 500, shanghai), excel: "21975.5", openpyxl: "1960-02-29T12:00:00", kind: "d", format: asTime},
	"last second before":       {column: dataset.Column{Type: dataset.DateTime}, value: at(1900, 2, 28, 23, 59, 59, 999_999_000, shanghai), excel: "1900-02-28 23:59:59", kind: "s", format: asText, report: dataset.Report{OutOfSpan: 1}},
	"first date cell":          {column: dataset.Column{Type: dataset.DateTime}, value: at(1900, 3, 1, 0, 0, 0, 0, shanghai), excel: "61", openpyxl: "1900-03-01T00:00:00", kind: "d", format: asTime},
	"before the calendar":      {column: dataset.Column{Type: dataset.DateTime}, value: at(1900, 2, 28, 23, 59, 59, 0, shanghai), excel: "1900-02-28 23:59:59", kind: "s", format: asText, report: dataset.Report{OutOfSpan: 1}},
	"last date cell":           {column: dataset.Column{Type: dataset.DateTime}, value: at(9999, 12, 31, 23, 59, 59, 0, shanghai), excel: "2958465.999988425926", openpyxl: "9999-12-31T23:59:59", kind: "d", format: asTime},
	"after the calendar":       {column: dataset.Column{Type: dataset.DateTime}, value: at(10000, 1, 1, 0, 0, 0, 0, shanghai), report: dataset.Report{OutOfSpan: 1}},
	"far after the calendar":   {column: dataset.Column{Type: dataset.DateTime}, value: dataset.Micros(math.MaxInt64), report: dataset.Report{OutOfSpan: 1}},
	"zero time":                {column: dataset.Column{Type: dataset.DateTime}, value: dataset.Instant(time.Time{})},
	"zero time in micros":      {column: dataset.Column{Type: dataset.DateTime}, value: dataset.Micros(time.Time{}.UnixMicro())},
	"date is the zone's day":   {column: dataset.Column{Type: dataset.Date}, value: at(2026, 11, 21, 16, 30, 15, 0, time.UTC), excel: "46348", openpyxl: "2026-11-22T00:00:00", kind: "d", format: asDate},
	"date before the calendar": {column: dataset.Column{Type: dataset.Date}, value: at(1899, 12, 31, 0, 0, 0, 0, shanghai), excel: "1899-12-31", kind: "s", format: asText, report: dataset.Report{OutOfSpan: 1}},
	"date after the calendar":  {column: dataset.Column{Type: dataset.Date}, value: at(12000, 1, 1, 0, 0, 0, 0, shanghai), report: dataset.Report{OutOfSpan: 1}},
	"null date":                {column: dataset.Column{Type: dataset.Date}, value: dataset.Null},
	"true":                     {column: dataset.Column{Type: dataset.Bool}, value: dataset.Truth(true), excel: "是", kind: "s", format: asText},
	"false":                    {column: dataset.Column{Type: dataset.Bool}, value: dataset.Truth(false), excel: "否", kind: "s", format: asText},
	"own true":                 {column: dataset.Column{Type: dataset.Bool, Labels: map[string]string{"1": "已读", "0": ""}}, value: dataset.Truth(true), excel: "已读", kind: "s", format: asText},
	"own empty false":          {column: dataset.Column{Type: dataset.Bool, Labels: map[string]string{"1": "已读", "0": ""}}, value: dataset.Truth(false)},
	"null boolean":             {column: dataset.Column{Type: dataset.Bool}, value: dataset.Null},
	"code":                     {column: dataset.Column{Type: dataset.Code, Labels: map[string]string{"applying": "待审批"}}, value: dataset.String("applying"), excel: "待审批", kind: "s", format: asText},
	"unknown code":             {column: dataset.Column{Type: dataset.Code, Labels: map[string]string{"applying": "待审批"}}, value: dataset.String("=lost"), excel: "=lost", kind: "s", format: asText},
	"label like a formula":     {column: dataset.Column{Type: dataset.Code, Labels: map[string]string{"x": "=1\xff"}}, value: dataset.String("x"), excel: "=1\uFFFD", kind: "s", format: asText, report: dataset.Report{Replaced: 1}},
	"null code":                {column: dataset.Column{Type: dataset.Code}, value: dataset.Null},
}

// sheetOfCases has every case as one column of one row.
func sheetOfCases() (s dataset.Sheet, names []string, row []dataset.Value, want dataset.Report) {
	s = dataset.Sheet{Name: "数据", Location: shanghai}
	for name, c := range cellCases {
		c.column.Key, c.column.Title = name, name
		s.Columns = append(s.Columns, c.column)
		names, row = append(names, name), append(row, c.value)
		want.Cut += c.report.Cut
		want.Replaced += c.report.Replaced
		want.OutOfSpan += c.report.OutOfSpan
	}
	want.Rows, want.Sheets = 1, 1
	return s, names, row, want
}

// TestCells writes every case as one column of one row, with shared strings and without, and reads
// the workbook with two readers that are not ours.
func TestCells(t *testing.T) {
	s, names, row, want := sheetOfCases()
	for _, mode := range []struct {
		name   string
		shared int
		text   []excelize.CellType
	}{
		{"shared", maxShared, []excelize.CellType{excelize.CellTypeSharedString, excelize.CellTypeInlineString}},
		{"inline", 0, []excelize.CellType{excelize.CellTypeInlineString}},
	} {
		l := Options{}.limits()
		l.shared = mode.shared
		file, report := write(t, s, l, row)
		if report != want {
			t.Errorf("%s: report = %+v, want %+v", mode.name, report, want)
		}
		book, cells := read(t, file), readWithOpenpyxl(t, file).Sheets[0].Rows
		for i, name := range names {
			t.Run(mode.name+"/"+name, func(t *testing.T) {
				c, ref := cellCases[name], columnName(i)+"2"
				if title := raw(t, book, s.Name, columnName(i)+"1"); title != name {
					t.Fatalf("header is %q", title)
				}
				if got := raw(t, book, s.Name, ref); got != c.excel {
					t.Errorf("excelize reads %.200q, want %.200q", got, c.excel)
				}
				if formula, err := book.GetCellFormula(s.Name, ref); err != nil || formula != "" {
					t.Errorf("formula %q, %v", formula, err)
				}
				want := []excelize.CellType{excelize.CellTypeUnset}
				if c.kind == "s" {
					want = mode.text
				}
				if got, err := book.GetCellType(s.Name, ref); err != nil || !slices.Contains(want, got) {
					t.Errorf("excelize sees cell type %v (%v), want one of %v", got, err, want)
				}
				python := c.openpyxl
				if mode.shared > 0 && c.shared != "" {
					python = c.shared
				}
				checkOpenpyxl(t, cells[1][i], c.kind, c.format, c.excel, python)
			})
		}
	}
}

func checkOpenpyxl(t *testing.T, got dumpCell, kind, format, excel, openpyxl string) {
	t.Helper()
	if openpyxl == "" {
		openpyxl = excel
	}
	if got.Value != openpyxl {
		t.Errorf("openpyxl reads %.200q, want %.200q", got.Value, openpyxl)
	}
	if kind == "" {
		return // an empty cell is no cell
	}
	if got.Type != kind || !strings.EqualFold(got.Format, format) {
		t.Errorf("openpyxl sees type %q format %q, want %q %q", got.Type, got.Format, kind, format)
	}
}
