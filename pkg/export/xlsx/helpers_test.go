package xlsx

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"exporthub/pkg/dataset"
)

// shanghai is fixed, so that tests need no zone files.
var shanghai = time.FixedZone("CST", 8*60*60)

// write makes a workbook of the rows under the limits.
func write(t testing.TB, s dataset.Sheet, l limits, rows ...[]dataset.Value) ([]byte, dataset.Report) {
	t.Helper()
	var file bytes.Buffer
	w, err := newWriter(&file, s, l)
	if err != nil {
		t.Fatalf("new: %v", err)
	}
	for i, row := range rows {
		if err := w.Write(row); err != nil {
			t.Fatalf("row %d: %v", i, err)
		}
	}
	report, err := w.Close()
	if err != nil {
		t.Fatalf("close: %v", err)
	}
	return file.Bytes(), report
}

// sheetOf is a sheet with one column of each type.
func sheetOf(types ...dataset.Type) dataset.Sheet {
	s := dataset.Sheet{Name: "数据", Location: shanghai}
	for i, typ := range types {
		s.Columns = append(s.Columns, dataset.Column{Key: columnName(i), Title: "列" + columnName(i), Type: typ})
	}
	return s
}

func read(t testing.TB, file []byte) *excelize.File {
	t.Helper()
	f, err := excelize.OpenReader(bytes.NewReader(file))
	if err != nil {
		t.Fatalf("excelize can't read the workbook: %v", err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// raw is a cell's value as excelize reads it, without its number format.
func raw(t testing.TB, f *excelize.File, sheet, ref string) string {
	t.Helper()
	v, err := f.GetCellValue(sheet, ref, excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatalf("%s!%s: %v", sheet, ref, err)
	}
	return v
}

// dump is a workbook as openpyxl reads it.
type dump struct {
	Title, Creator string
	Sheets         []dumpSheet
}

type dumpSheet struct {
	Name, Freeze, Filter string
	Widths               map[string]float64
	Rows                 [][]dumpCell
}

type dumpCell struct {
	Ref, Type, Value, Format, Fill, Font string
	Bold                                 bool
}

func readWithOpenpyxl(t testing.TB, file []byte) dump {
	t.Helper()
	const python = "/usr/bin/python3"
	if out, err := exec.Command(python, "-c", "import openpyxl").CombinedOutput(); err != nil {
		t.Fatalf("workbooks are proven with openpyxl, which is missing: install the package python3-openpyxl (%v: %s)", err, out)
	}
	path := filepath.Join(t.TempDir(), "book.xlsx")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "testdata/dump.py", path)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openpyxl can't read the workbook: %v\n%s", err, complaint.String())
	}
	var d dump
	if err := json.Unmarshal(out, &d); err != nil {
		t.Fatalf("dump: %v", err)
	}
	return d
}

// counter counts the bytes of a file.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
