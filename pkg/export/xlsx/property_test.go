package xlsx

import (
	"bytes"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
	"pgregory.net/rapid"

	"exporthub/pkg/dataset"
)

// plainTypes are types whose values excelize's stream writer writes as ours does, within the spans
// drawn below.
var plainTypes = []dataset.Type{dataset.Int, dataset.Text, dataset.Money, dataset.DateTime, dataset.Date, dataset.Bool, dataset.Code}

// TestAgainstExcelizesStreamWriter writes random rows with both and reads both files cell by cell:
// what excelize writes right we write the same. Where it doesn't (control characters, long numbers,
// old dates) the table of cells says what is right.
func TestAgainstExcelizesStreamWriter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		types := rapid.SliceOfN(rapid.SampledFrom(plainTypes), 1, 8).Draw(rt, "types")
		s := sheetOf(types...)
		for i := range s.Columns {
			if s.Columns[i].Type == dataset.Code {
				s.Columns[i].Labels = map[string]string{"a": "甲", "b": "乙"}
			}
		}
		rows := plainRows(rt, types)
		file, report := write(t, s, Options{}.limits(), rows...)
		if want := (dataset.Report{Rows: int64(len(rows)), Sheets: 1}); report != want {
			rt.Fatalf("report %+v, want %+v", report, want)
		}
		got, want := read(t, file), read(t, streamed(rt, s, rows))
		defer got.Close()
		defer want.Close()
		for r := range len(rows) + 1 {
			for c := range types {
				ref := columnName(c) + strconv.Itoa(r+1)
				if g, w := shownBy(rt, got, s.Name, ref), shownBy(rt, want, s.Name, ref); g != w {
					rt.Fatalf("%s (type %d): ours is read as %q, excelize's as %q", ref, types[c], g, w)
				}
			}
		}
	})
}

// plainRows draws rows of values that excelize writes right.
func plainRows(t *rapid.T, types []dataset.Type) [][]dataset.Value {
	text := rapid.OneOf(rapid.SampledFrom([]string{"市场部", "=1+1", " a ", "第一行\n第二行", "<&>\"'", "13800000001"}),
		rapid.StringMatching(`[ -~一-龥]{0,40}`))
	rows := make([][]dataset.Value, rapid.IntRange(0, 40).Draw(t, "rows"))
	for i := range rows {
		rows[i] = make([]dataset.Value, len(types))
		for j, kind := range types {
			v := &rows[i][j]
			switch kind {
			case dataset.Text:
				*v = dataset.String(text.Draw(t, "text"))
			case dataset.Code:
				*v = dataset.String(rapid.SampledFrom([]string{"a", "b", "other"}).Draw(t, "code"))
			case dataset.Bool:
				*v = dataset.Truth(rapid.Bool().Draw(t, "bool"))
			case dataset.DateTime, dataset.Date: // whole seconds from 1950 to 2100
				*v = dataset.Micros(rapid.Int64Range(-631152000, 4102444800).Draw(t, "time") * 1e6)
			default:
				*v = dataset.Number(rapid.Int64Range(-1e12, 1e12).Draw(t, "number"))
			}
			if rapid.IntRange(0, 7).Draw(t, "null") == 0 {
				*v = dataset.Null
			}
		}
	}
	return rows
}

// streamed writes the rows with excelize's stream writer, as its documentation shows.
func streamed(t *rapid.T, s dataset.Sheet, rows [][]dataset.Value) []byte {
	f := excelize.NewFile()
	defer f.Close()
	must := func(err error) {
		if err != nil {
			t.Fatalf("excelize: %v", err)
		}
	}
	style := func(code string) int {
		id, err := f.NewStyle(&excelize.Style{CustomNumFmt: &code})
		must(err)
		return id
	}
	at, day, money, whole := style("yyyy-mm-dd hh:mm:ss"), style("yyyy-mm-dd"), style("0.00"), style("0")
	must(f.SetSheetName("Sheet1", s.Name))
	w, err := f.NewStreamWriter(s.Name)
	must(err)
	cells := make([]any, len(s.Columns))
	for i, c := range s.Columns {
		cells[i] = c.Title
	}
	must(w.SetRow("A1", cells))
	for r, row := range rows {
		for i, v := range row {
			cells[i] = nil
			if v.Null {
				continue
			}
			switch c := s.Columns[i]; c.Type {
			case dataset.Int:
				cells[i] = excelize.Cell{StyleID: whole, Value: v.Num}
			case dataset.Money:
				cells[i] = excelize.Cell{StyleID: money, Value: float64(v.Num) / 100}
			case dataset.DateTime:
				cells[i] = excelize.Cell{StyleID: at, Value: v.Time().In(s.Location)}
			case dataset.Date:
				local := v.Time().In(s.Location)
				cells[i] = excelize.Cell{StyleID: day, Value: time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC)}
			case dataset.Bool:
				cells[i] = map[bool]string{true: "是", false: "否"}[v.Num != 0]
			case dataset.Code:
				cells[i] = v.Str
				if label, known := c.Labels[v.Str]; known {
					cells[i] = label
				}
			default:
				cells[i] = v.Str
			}
		}
		must(w.SetRow("A"+strconv.Itoa(r+2), cells))
	}
	must(w.Flush())
	var file bytes.Buffer
	must(f.Write(&file))
	return file.Bytes()
}

// shownBy is a cell as it is shown, with its number format.
func shownBy(t *rapid.T, f *excelize.File, sheet, ref string) string {
	v, err := f.GetCellValue(sheet, ref)
	if err != nil {
		t.Fatalf("%s: %v", ref, err)
	}
	return v
}

// FuzzRows holds that what the row encoder wrote is read back equal, whatever the rows: by a reader
// that is not ours.
func FuzzRows(f *testing.F) {
	f.Add("=1+1", "_x0041_", int64(1), int64(-1), uint8(3))
	f.Add("市场部", "a\xffb", int64(1)<<60, int64(1_700_000_000_000_000), uint8(200))
	f.Add(" \r\n", "", int64(-999999999999999), int64(-62135596800000000), uint8(0))
	types := []dataset.Type{dataset.Text, dataset.Int, dataset.Money, dataset.DateTime, dataset.Date, dataset.Bool, dataset.Text, dataset.URL}
	f.Fuzz(func(t *testing.T, a, b string, n, at int64, repeat uint8) {
		row := []dataset.Value{
			dataset.String(a), dataset.Number(n), dataset.Number(n), dataset.Micros(at), dataset.Micros(at), dataset.Truth(n > 0),
			dataset.String(b), dataset.String(a + b),
		}
		other := []dataset.Value{
			dataset.String(b), dataset.Number(^n), dataset.Null, dataset.Null, dataset.Micros(^at), dataset.Null,
			dataset.String(a), dataset.Null,
		}
		rows := [][]dataset.Value{row, other}
		for range repeat % 64 { // beyond the compressor's window, and still soon read back
			rows = append(rows, row, other)
		}
		file, report := write(t, sheetOf(types...), Options{}.limits(), rows...)
		if report.Rows != int64(len(rows)) {
			t.Fatalf("report %+v, want %d rows", report, len(rows))
		}
		general, _ := write(t, sheetOf(types...), Options{Level: 1}.limits(), rows...)
		want, got := parts(t, general), parts(t, file)
		if want["xl/worksheets/sheet1.xml"] != got["xl/worksheets/sheet1.xml"] {
			t.Fatal("the compressors' sheets differ")
		}
		book := read(t, file)
		for r, row := range [][]dataset.Value{rows[len(rows)-2], rows[len(rows)-1]} {
			for _, c := range []int{0, 6, 7} {
				want := ""
				if !row[c].Null {
					want, _ = expected(row[c].Str)
				}
				if v := raw(t, book, "数据", fmt.Sprint(columnName(c), len(rows)+r)); v != want {
					t.Errorf("row %d column %d is read as %q, want %q", r, c, v, want)
				}
			}
			for c := 1; c < 6; c++ {
				want, got := numberText(types[c], row[c]), raw(t, book, "数据", fmt.Sprint(columnName(c), len(rows)+r))
				if got != want && !sameDay(t, got, want, row[c]) {
					t.Errorf("row %d column %d: %+v is read as %q, want %q", r, c, row[c], got, want)
				}
			}
		}
	})
}

// dateCell stands for a real date cell, whose number is compared as a date.
const dateCell = "a date cell"

// numberText is what a value that is no text is read as, by the rules and not by the encoder:
// numbers to the digit.
func numberText(kind dataset.Type, v dataset.Value) string {
	switch local := v.Time().In(shanghai); {
	case v.Null:
		return ""
	case kind == dataset.Int:
		return strconv.FormatInt(v.Num, 10)
	case kind == dataset.Money:
		cents := big.NewInt(v.Num)
		return new(big.Rat).SetFrac(cents, big.NewInt(100)).FloatString(2)
	case kind == dataset.Bool:
		return map[bool]string{true: "是", false: "否"}[v.Num != 0]
	case v.Num == time.Time{}.UnixMicro() || local.Year() > 9999 || local.Year() < 0:
		return ""
	case local.Before(time.Date(1900, 3, 1, 0, 0, 0, 0, shanghai)) && kind == dataset.Date:
		return local.Format(time.DateOnly)
	case local.Before(time.Date(1900, 3, 1, 0, 0, 0, 0, shanghai)):
		return local.Format(time.DateTime)
	case kind == dataset.Date:
		return dateCell + local.Format(time.DateOnly)
	default:
		return dateCell + local.Format(time.DateTime)
	}
}

// sameDay reports whether a number is the date that is wanted, by another's arithmetic.
func sameDay(t *testing.T, got, want string, v dataset.Value) bool {
	t.Helper()
	want, wanted := strings.CutPrefix(want, dateCell)
	serial, err := strconv.ParseFloat(got, 64)
	if !wanted || err != nil {
		return false
	}
	at, err := excelize.ExcelDateToTime(serial, false)
	if err != nil {
		t.Fatalf("%v of %+v: %v", serial, v, err)
	}
	return strings.HasPrefix(at.Round(time.Second).Format(time.DateTime), want)
}
