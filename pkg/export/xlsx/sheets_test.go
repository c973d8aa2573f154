package xlsx

import (
	"archive/zip"
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"

	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
)

func numbers(n int) [][]dataset.Value {
	rows := make([][]dataset.Value, n)
	for i := range rows {
		rows[i] = []dataset.Value{dataset.Number(int64(i + 1))}
	}
	return rows
}

// firstColumns returns the first column of every sheet as openpyxl reads it.
func firstColumns(d dump) map[string][]string {
	all := map[string][]string{}
	for _, s := range d.Sheets {
		all[s.Name] = []string{}
		for _, row := range s.Rows {
			all[s.Name] = append(all[s.Name], row[0].Value)
		}
	}
	return all
}

func TestRowsGoOnInANewSheet(t *testing.T) {
	s := sheetOf(dataset.Int)
	s.Info = []dataset.InfoLine{{Label: "导出人", Text: "测试"}}
	for _, c := range []struct {
		rows int
		want map[string][]string
	}{
		{0, map[string][]string{"数据": {"列A"}}},
		{2, map[string][]string{"数据": {"列A", "1", "2"}}},
		{3, map[string][]string{"数据": {"列A", "1", "2"}, "数据 (2)": {"列A", "3"}}},
		{5, map[string][]string{"数据": {"列A", "1", "2"}, "数据 (2)": {"列A", "3", "4"}, "数据 (3)": {"列A", "5"}}},
	} {
		t.Run(fmt.Sprint(c.rows), func(t *testing.T) {
			file, report := write(t, s, Options{SheetRows: 3}.limits(), numbers(c.rows)...)
			if report.Rows != int64(c.rows) || report.Sheets != len(c.want) {
				t.Errorf("report = %+v", report)
			}
			d := readWithOpenpyxl(t, file)
			sheets := len(c.want)
			c.want[infoName] = []string{"导出人"}
			if diff := cmp.Diff(c.want, firstColumns(d)); diff != "" {
				t.Error(diff)
			}
			if d.Sheets[sheets].Name != infoName {
				t.Errorf("the information sheet stands before the data: %+v", d.Sheets)
			}
			for _, one := range d.Sheets[:sheets] {
				if want := fmt.Sprintf("A1:A%d", len(one.Rows)); one.Filter != want || one.Freeze != "A2" || one.Widths["A"] != 12 {
					t.Errorf("%s: filter %q, frozen at %q, widths %v, want filter %q", one.Name, one.Filter, one.Freeze, one.Widths, want)
				}
				if h := one.Rows[0][0]; !h.Bold || h.Fill != "FFE5E7EB" {
					t.Errorf("%s: header %+v", one.Name, h)
				}
			}
			if book := read(t, file); !cmp.Equal(book.GetSheetList(), sheetNames(d)) {
				t.Errorf("excelize lists %q, openpyxl %q", book.GetSheetList(), sheetNames(d))
			}
		})
	}
}

func sheetNames(d dump) (names []string) {
	for _, s := range d.Sheets {
		names = append(names, s.Name)
	}
	return names
}

// Excel goes by the hidden name, others by the filter: both are all rows of their sheet.
func TestAFilterAndItsNameAreOneRange(t *testing.T) {
	s := sheetOf(dataset.Int, dataset.Text)
	rows := make([][]dataset.Value, 5)
	for i := range rows {
		rows[i] = []dataset.Value{dataset.Number(int64(i + 1)), dataset.String("同一段文字")}
	}
	file, _ := write(t, s, Options{SheetRows: 4}.limits(), rows...)
	d := readWithOpenpyxl(t, file)
	got := map[string]string{}
	for _, name := range read(t, file).GetDefinedName() {
		if name.Name == "_xlnm._FilterDatabase" {
			got[name.Scope] = name.RefersTo
		}
	}
	want := map[string]string{"数据": "数据!$A$1:$B$4", "数据 (2)": "'数据 (2)'!$A$1:$B$3"}
	for name, cells := range got {
		got[name] = strings.ReplaceAll(cells, "'数据'!", "数据!")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if a, b := d.Sheets[0].Filter, d.Sheets[1].Filter; a != "A1:B4" || b != "A1:B3" {
		t.Errorf("the filters are %s and %s", a, b)
	}
}

func TestASheetEndsBeforeItsXMLIsTooLong(t *testing.T) {
	l := Options{}.limits()
	l.sheetBytes = 3000
	s := sheetOf(dataset.Text)
	var rows [][]dataset.Value
	for range 5 {
		rows = append(rows, []dataset.Value{dataset.String(strings.Repeat("a", 1000) + "\xff")})
	}
	file, report := write(t, s, l, rows...)
	if want := (dataset.Report{Rows: 5, Sheets: 3, Replaced: 5}); report != want {
		t.Errorf("report = %+v, want %+v", report, want)
	}
	for _, one := range readWithOpenpyxl(t, file).Sheets {
		if one.Rows[0][0].Value != "列A" || len(one.Rows) > 3 {
			t.Errorf("%s has %d rows and the header %q", one.Name, len(one.Rows), one.Rows[0][0].Value)
		}
	}
	// A row that no sheet has room for gets one of its own rather than none.
	l.sheetBytes = 10
	if _, report := write(t, s, l, rows...); report.Rows != 5 || report.Sheets != 5 {
		t.Errorf("report = %+v, want a sheet for each row", report)
	}
}

func TestAnArchiveThatIsTooLongIsRefused(t *testing.T) {
	l := Options{}.limits()
	l.archiveBytes = 1000
	w, err := newWriter(io.Discard, sheetOf(dataset.Int), l)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		err = w.Write([]dataset.Value{dataset.Number(1)})
	}
	if !errs.Is(err, errs.TooLarge) {
		t.Errorf("error = %v, want too_large", err)
	}
}

// TestAnArchiveThatWouldBeTooLongIsRefusedEarly knows how many rows are to come.
func TestAnArchiveThatWouldBeTooLongIsRefusedEarly(t *testing.T) {
	const rows = 400_000
	for name, c := range map[string]struct {
		told    int64
		refused bool
	}{
		"told of too many":  {rows, true},
		"told of less":      {rows / 20, false},
		"told of no number": {0, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := Options{}.limits()
			l.archiveBytes = 1 << 20
			s := benchSheet()
			s.Rows = c.told
			w, err := newWriter(io.Discard, s, l)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Abort()
			row := make([]dataset.Value, 10)
			n := 0
			for ; n < rows/20 && err == nil; n++ {
				fillBenchRow(row, n)
				err = w.Write(row)
			}
			if err == nil {
				_, err = w.Close()
			}
			if c.refused != errs.Is(err, errs.TooLarge) || !c.refused && err != nil {
				t.Errorf("after %d rows: %v", n, err)
			}
		})
	}
}

func TestSheetNames(t *testing.T) {
	long := strings.Repeat("名", 27) + "😀😀"
	for _, c := range []struct {
		base string
		n    int
		used []string
		want string
	}{
		{"邀请", 1, nil, "邀请"},
		{"邀请", 2, []string{"邀请"}, "邀请 (2)"},
		{"Data", 2, []string{"Data", "DATA (2)"}, "Data (3)"},
		{long, 1, nil, long},
		{long, 2, []string{long}, strings.Repeat("名", 27) + " (2)"},
		{long, 10, []string{long}, strings.Repeat("名", 26) + " (10)"},
		{infoName, 1, []string{infoName}, infoName + " (2)"},
	} {
		got := uniqueName(c.base, c.n, c.used)
		if got != c.want {
			t.Errorf("uniqueName(%q, %d, %q) = %q, want %q", c.base, c.n, c.used, got, c.want)
		}
		if err := dataset.CheckSheetName(got); err != nil {
			t.Error(err)
		}
	}
}

func TestInformationSheet(t *testing.T) {
	s := sheetOf(dataset.Text)
	s.Name = infoName // both can't have it
	s.Info = []dataset.InfoLine{{Label: "筛选", Text: "=1 <_x0041_>\x01\n二"}, {Label: "", Text: "无"}, {Label: "空"}}
	file, _ := write(t, s, Options{}.limits())
	book := read(t, file)
	if got, want := book.GetSheetList(), []string{infoName, infoName + " (2)"}; !cmp.Equal(got, want) {
		t.Fatalf("sheets %q, want %q", got, want)
	}
	rows, err := book.GetRows(infoName + " (2)")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{{"筛选", "=1 <_x0041_>\x01\n二"}, {"", "无"}, {"空"}}, rows); diff != "" {
		t.Error(diff)
	}
	if d := readWithOpenpyxl(t, file); d.Sheets[1].Rows[0][1].Type != "s" || !d.Sheets[1].Rows[0][0].Bold {
		t.Errorf("information sheet: %+v", d.Sheets[1].Rows[0])
	}
}

func TestLook(t *testing.T) {
	s := sheetOf(dataset.Text, dataset.Int)
	s.Name = "联系人's"
	s.Header = dataset.HeaderStyle{Fill: "4472C4", Font: "FFFFFF"}
	s.Columns[0].Width = 33
	file, _ := write(t, s, Options{}.limits(), []dataset.Value{dataset.String("a"), dataset.Number(1)})
	d := readWithOpenpyxl(t, file)
	header := d.Sheets[0].Rows[0][1]
	if header.Fill != "FF4472C4" || header.Font != "FFFFFFFF" || !header.Bold {
		t.Errorf("header %+v", header)
	}
	if d.Sheets[0].Widths["A"] != 33 || d.Sheets[0].Filter != "A1:B2" {
		t.Errorf("widths %v, filter %q", d.Sheets[0].Widths, d.Sheets[0].Filter)
	}
	if d.Title != s.Name || d.Creator != program {
		t.Errorf("properties %q %q", d.Title, d.Creator)
	}
	if body := d.Sheets[0].Rows[1][0]; body.Bold || body.Fill != "" {
		t.Errorf("body %+v", body)
	}
}

func TestTheSameRowsGiveTheSameBytes(t *testing.T) {
	s := sheetOf(dataset.Int)
	s.Info = []dataset.InfoLine{{Label: "a", Text: "b"}}
	first, _ := write(t, s, Options{SheetRows: 4}.limits(), numbers(20)...)
	for range 5 {
		again, _ := write(t, s, Options{SheetRows: 4}.limits(), numbers(20)...)
		if !bytes.Equal(first, again) {
			t.Fatal("two runs gave different bytes")
		}
	}
}

// TestARealSheetIsFull passes Excel's own limit of rows.
func TestARealSheetIsFull(t *testing.T) {
	var file bytes.Buffer
	w, err := Format(Options{Level: 1}).New(&file, sheetOf(dataset.Int))
	if err != nil {
		t.Fatal(err)
	}
	const rows = maxRows + 10
	for i := range rows {
		if err := w.Write([]dataset.Value{dataset.Number(int64(i))}); err != nil {
			t.Fatal(err)
		}
	}
	report, err := w.Close()
	if want := (dataset.Report{Rows: rows, Sheets: 2}); err != nil || report != want {
		t.Fatalf("report %+v, %v, want %+v", report, err, want)
	}
	archive, err := zip.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if count, last := countRows(t, archive, "xl/worksheets/sheet1.xml"); count != maxRows || !strings.Contains(last, `<c r="A1048576" s="3"><v>1048574</v>`) {
		t.Errorf("first sheet: %d rows, the last %s", count, last)
	}
	if count, last := countRows(t, archive, "xl/worksheets/sheet2.xml"); count != 12 || !strings.Contains(last, `<c r="A12" s="3"><v>1048585</v>`) {
		t.Errorf("second sheet: %d rows, the last %s", count, last)
	}
	openWhole(t, file.Bytes(), rows)
}

// openWhole reads a workbook of rows that are numbered from 0 on, as excelize opens it.
func openWhole(t *testing.T, file []byte, rows int) {
	t.Helper()
	book := read(t, file)
	next := 0
	for _, sheet := range book.GetSheetList() {
		all, err := book.Rows(sheet)
		if err != nil {
			t.Fatal(err)
		}
		for header := true; all.Next(); header = false {
			cells, err := all.Columns(excelize.Options{RawCellValue: true})
			if err != nil {
				t.Fatal(err)
			}
			if want := strconv.Itoa(next); !header && (len(cells) != 1 || cells[0] != want) {
				t.Fatalf("%s: row %q, want %s", sheet, cells, want)
			}
			if !header {
				next++
			}
		}
		if err := all.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if next != rows {
		t.Errorf("excelize reads %d rows, want %d", next, rows)
	}
}

func countRows(t *testing.T, archive *zip.Reader, name string) (count int, last string) {
	t.Helper()
	f, err := archive.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	scan := bufio.NewScanner(f)
	scan.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.Index(data, []byte("</row>")); i >= 0 {
			return i + len("</row>"), data[:i], nil
		}
		if atEOF {
			return len(data), nil, nil
		}
		return 0, nil, nil
	})
	for scan.Scan() {
		count, last = count+1, scan.Text()
	}
	if err := scan.Err(); err != nil {
		t.Fatal(err)
	}
	return count, last
}
