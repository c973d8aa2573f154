//go:build verifyfiles

package xlsx

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"exporthub/pkg/dataset"
)

// convert opens a workbook with LibreOffice and returns every sheet as it shows it.
func convert(t *testing.T, file []byte) map[string][][]string {
	t.Helper()
	soffice, err := exec.LookPath("soffice")
	if err != nil {
		soffice = "/Applications/LibreOffice.app/Contents/MacOS/soffice"
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "book.xlsx"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	// Comma, quote, UTF-8, from the first line, cells as shown, every sheet in a file of its own.
	cmd := exec.CommandContext(t.Context(), soffice, "-env:UserInstallation=file://"+filepath.Join(dir, "profile"), "--headless",
		"--convert-to", "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,true,false,false,-1", "--outdir", dir,
		filepath.Join(dir, "book.xlsx"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("LibreOffice: %v\n%s", err, out)
	}
	names, err := filepath.Glob(filepath.Join(dir, "book-*.csv"))
	if err != nil || len(names) == 0 {
		t.Fatalf("LibreOffice made no files (%v)", err)
	}
	sheets := map[string][][]string{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		r := csv.NewReader(bytes.NewReader(data))
		r.FieldsPerRecord = -1
		rows, err := r.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		sheets[strings.TrimSuffix(strings.TrimPrefix(filepath.Base(name), "book-"), ".csv")] = rows
	}
	return sheets
}

// shown is what LibreOffice shows where that is not what excelize reads: dates as dates, and what
// its CSV can't hold.
func shown(name string, c cellCase) string {
	switch {
	case c.kind == "d" && c.format == asDate:
		return c.openpyxl[:len("2006-01-02")]
	case c.kind == "d":
		return strings.Replace(c.openpyxl, "T", " ", 1)
	}
	switch name {
	case "almost an escape": // taken for one: LibreOffice wants no four digits
		return "\x04 _X0041_"
	case "15 digits of money": // a rounding of what it shows, not of what it holds
		return "10000000000000.00"
	}
	// A carriage return alone is a line break here, and encoding/csv reads any as a line feed.
	return strings.ReplaceAll(strings.ReplaceAll(c.excel, "\r\n", "\n"), "\r", "\n")
}

// TestLibreOfficeReadsEveryCell converts the table of cells, with shared strings and without.
func TestLibreOfficeReadsEveryCell(t *testing.T) {
	s, names, row, _ := sheetOfCases()
	for mode, most := range map[string]int{"shared": maxShared, "inline": 0} {
		l := Options{}.limits()
		l.shared = most
		file, _ := write(t, s, l, row)
		rows := convert(t, file)[s.Name]
		if len(rows) != 2 {
			t.Fatalf("%s: %d rows, want the header and one", mode, len(rows))
		}
		for i, name := range names {
			t.Run(mode+"/"+name, func(t *testing.T) {
				if rows[0][i] != name {
					t.Fatalf("header is %q", rows[0][i])
				}
				want := shown(name, cellCases[name])
				if got := rows[1][i]; got != want {
					t.Errorf("LibreOffice shows %.200q, want %.200q", got, want)
				}
			})
		}
	}
}

func TestLibreOfficeReadsEverySheet(t *testing.T) {
	s := sheetOf(dataset.Int, dataset.Text)
	s.Info = []dataset.InfoLine{{Label: "导出人", Text: "测试"}, {Label: "行数", Rows: true}}
	w := 0
	var rows [][]dataset.Value
	for ; w < 25_000; w++ {
		rows = append(rows, []dataset.Value{dataset.Number(int64(w)), dataset.String(fmt.Sprint("第", w, "行"))})
	}
	file, _ := write(t, s, Options{SheetRows: 10_001}.limits(), rows...)
	sheets := convert(t, file)
	n := 0
	for _, name := range []string{"数据", "数据 (2)", "数据 (3)"} {
		if len(sheets[name]) == 0 || strings.Join(sheets[name][0], ",") != "列A,列B" {
			t.Fatalf("sheet %q: %d rows", name, len(sheets[name]))
		}
		for _, row := range sheets[name][1:] {
			if want := fmt.Sprintf("%d,第%d行", n, n); strings.Join(row, ",") != want {
				t.Fatalf("row %q, want %q", row, want)
			}
			n++
		}
	}
	if n != len(rows) {
		t.Errorf("%d rows, want %d", n, len(rows))
	}
	if info := sheets[infoName]; len(info) != 2 || strings.Join(info[1], ",") != "行数,25000" {
		t.Errorf("information sheet %q", info)
	}
}
