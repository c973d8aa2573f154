package xlsx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"exporthub/pkg/dataset"
)

const nodeDir = "testdata/node"

// installReaders brings the npm packages where they are missing.
var installReaders = sync.OnceValue(func() error {
	if _, err := exec.LookPath("node"); err != nil {
		return errors.New("this test needs Node.js: install node and npm")
	}
	if _, err := os.Stat(filepath.Join(nodeDir, "node_modules", "exceljs", "package.json")); err == nil {
		return nil
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = nodeDir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return nil
})

// jsBook is a workbook as exceljs reads it.
type jsBook struct {
	Creator, Title  string
	Whole, Streamed []jsSheet
}

type jsSheet struct {
	Name string
	Rows [][]string
}

func readWithExceljs(t testing.TB, file []byte, columns int) jsBook {
	t.Helper()
	if err := installReaders(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "book.xlsx")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	script, err := filepath.Abs(filepath.Join(nodeDir, "exceljs.js"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("node", script, path, fmt.Sprint(columns))
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("exceljs can't read the workbook: %v\n%s", err, complaint.String())
	}
	var b jsBook
	if err := json.Unmarshal(out, &b); err != nil {
		t.Fatalf("exceljs: %v in %.200s", err, out)
	}
	return b
}

// TestExceljs opens workbooks with a reader that compares the names of elements with Office's
// spelling: whole and streamed, with shared strings and without, over several sheets.
func TestExceljs(t *testing.T) {
	s := sheetOf(dataset.Text, dataset.Int, dataset.Money, dataset.DateTime, dataset.Bool)
	s.Name = `数据 "1" & 'a' <b>`
	s.Info = []dataset.InfoLine{{Label: "行数", Rows: true}}
	var rows [][]dataset.Value
	want := [][]string{{"列A", "列B", "列C", "列D", "列E"}}
	for i := range 7 {
		rows = append(rows, []dataset.Value{
			dataset.String(fmt.Sprintf("=1+%d <&> 云帆", i)),
			dataset.Number(int64(i)),
			dataset.Number(1250),
			dataset.Micros(1_764_504_000_000_000), // 2025-11-30 12:00 UTC
			dataset.Truth(i%2 == 0),
		})
		read := "否"
		if i%2 == 0 {
			read = "是"
		}
		// Cells of dates hold local time, here eight hours before UTC.
		want = append(want, []string{
			fmt.Sprintf("=1+%d <&> 云帆", i), fmt.Sprint(i), "12.5", "2025-11-30T20:00:00.000Z", read,
		})
	}
	for name, l := range map[string]limits{
		"shared": Options{}.limits(),
		"mixed":  func() limits { l := Options{}.limits(); l.shared = 6; return l }(),
	} {
		t.Run(name, func(t *testing.T) {
			l.sheetRows = 5 // four rows and a header
			file, _ := write(t, s, l, rows...)
			b := readWithExceljs(t, file, len(s.Columns))
			if b.Creator != program || b.Title != s.Name {
				t.Errorf("made by %q, titled %q", b.Creator, b.Title)
			}
			first := append([][]string{want[0]}, want[1:5]...)
			second := append([][]string{want[0]}, want[5:]...)
			info := [][]string{{"行数", "7", "", "", ""}}
			for how, sheets := range map[string][]jsSheet{"whole": b.Whole, "streamed": b.Streamed} {
				if len(sheets) != 3 {
					t.Fatalf("%s: %d sheets, want 3", how, len(sheets))
				}
				for i, rows := range [][][]string{first, second, info} {
					if !reflect.DeepEqual(sheets[i].Rows, rows) {
						t.Errorf("%s, sheet %q:\n%v, want\n%v", how, sheets[i].Name, sheets[i].Rows, rows)
					}
				}
			}
			if b.Whole[0].Name != s.Name || b.Whole[1].Name != s.Name+" (2)" || b.Whole[2].Name != infoName {
				t.Errorf("sheets are called %q, %q, %q", b.Whole[0].Name, b.Whole[1].Name, b.Whole[2].Name)
			}
		})
	}
}

// TestExceljsReadsEveryRule reads the cells of every rule of this package, whole: the streaming
// reader does not decode _x0001_, and breaks a character that lies across two of its chunks.
func TestExceljsReadsEveryRule(t *testing.T) {
	s, names, row, _ := sheetOfCases()
	file, _ := write(t, s, Options{}.limits(), row)
	b := readWithExceljs(t, file, len(s.Columns))
	if len(b.Whole) != 1 || len(b.Whole[0].Rows) != 2 {
		t.Fatalf("exceljs reads %d sheets", len(b.Whole))
	}
	for i, name := range names {
		got, c := b.Whole[0].Rows[1][i], cellCases[name]
		if c.kind == "s" && got != c.excel || (got == "") != (c.excel == "") {
			t.Errorf("%s: exceljs reads %.60q, excelize %.60q", name, got, c.excel)
		}
	}
}
