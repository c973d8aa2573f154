package xlsx

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
)

func TestFormat(t *testing.T) {
	f := Format(Options{})
	if f.Name != "xlsx" || f.Extension != "xlsx" || f.ContentType != ContentType || f.New == nil {
		t.Errorf("format %+v", f)
	}
	for _, c := range []struct {
		in   Options
		want limits
	}{
		{Options{Workers: 1}, limits{0, 1, maxShared, 1048576, zip32, zip32}},
		{Options{Level: 9, SheetRows: 5, Workers: 7}, limits{9, 7, maxShared, 5, zip32, zip32}},
		{Options{Level: 10, SheetRows: 1 << 30, Workers: 1000}, limits{0, 16, maxShared, 1048576, zip32, zip32}},
		{Options{Level: -2, SheetRows: 1, Workers: 2}, limits{0, 2, maxShared, 2, zip32, zip32}},
	} {
		if got := c.in.limits(); got != c.want {
			t.Errorf("%+v: limits %+v, want %+v", c.in, got, c.want)
		}
	}
}

func TestSheetsExcelCantHoldAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*dataset.Sheet){
		"no name":           func(s *dataset.Sheet) { s.Name = "" },
		"forbidden name":    func(s *dataset.Sheet) { s.Name = "a/b" },
		"no columns":        func(s *dataset.Sheet) { s.Columns = nil },
		"too many columns":  func(s *dataset.Sheet) { s.Columns = make([]dataset.Column, 16385) },
		"unknown type":      func(s *dataset.Sheet) { s.Columns[0].Type = 200 },
		"negative width":    func(s *dataset.Sheet) { s.Columns[0].Width = -1 },
		"width over 255":    func(s *dataset.Sheet) { s.Columns[0].Width = 256 },
		"width not finite":  func(s *dataset.Sheet) { s.Columns[0].Width = math.NaN() },
		"fill with #":       func(s *dataset.Sheet) { s.Header.Fill = "#4472C4" },
		"font is no colour": func(s *dataset.Sheet) { s.Header.Font = "white!" },
	} {
		t.Run(name, func(t *testing.T) {
			s := sheetOf(dataset.Text)
			spoil(&s)
			var file bytes.Buffer
			w, err := Format(Options{}).New(&file, s)
			if !errs.Is(err, errs.Invalid) || w != nil {
				t.Errorf("New = %v, %v, want an invalid error", w, err)
			}
			if file.Len() != 0 {
				t.Errorf("%d bytes were written", file.Len())
			}
		})
	}
}

func TestTheMostColumns(t *testing.T) {
	types := make([]dataset.Type, maxColumns)
	row := make([]dataset.Value, maxColumns)
	row[maxColumns-1] = dataset.String("last")
	file, _ := write(t, sheetOf(types...), Options{}.limits(), row)
	if got := raw(t, read(t, file), "数据", "XFD2"); got != "last" {
		t.Errorf("XFD2 = %q", got)
	}
}

func TestARowOfTheWrongLengthEndsTheFile(t *testing.T) {
	for _, row := range [][]dataset.Value{nil, {dataset.Null}, {dataset.Null, dataset.Null, dataset.Null}} {
		w, err := Format(Options{}).New(io.Discard, sheetOf(dataset.Text, dataset.Text))
		if err != nil {
			t.Fatal(err)
		}
		good := []dataset.Value{dataset.Null, dataset.Null}
		if err := w.Write(good); err != nil {
			t.Fatal(err)
		}
		bad := w.Write(row)
		if bad == nil || !strings.Contains(bad.Error(), "row 2") {
			t.Errorf("a row of %d values: error %v, want one that names row 2", len(row), bad)
		}
		checkSticky(t, w, good, bad)
	}
}

// checkSticky holds a failed writer to its error, and to keeping nothing else.
func checkSticky(t *testing.T, w dataset.Writer, row []dataset.Value, want error) {
	t.Helper()
	if err := w.Write(row); err != want {
		t.Errorf("a write after the error: %v, want %v", err, want)
	}
	for range 2 {
		if _, err := w.Close(); err != want {
			t.Errorf("close after the error: %v, want %v", err, want)
		}
	}
	if x := w.(*writer); x.archive != nil || x.pipeline != nil || x.batch != nil || x.first != nil || x.columns != nil {
		t.Error("a failed writer keeps its buffers")
	}
}

// failing fails once so many bytes have been written.
type failing struct {
	room int
	err  error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, f.err
	}
	return len(p), nil
}

func TestAFullDiskEndsTheFileWhereverItIs(t *testing.T) {
	full := errs.New(errs.Unavailable, "磁盘空间不足")
	s := sheetOf(dataset.Text)
	whole, _ := write(t, s, Options{}.limits(), []dataset.Value{dataset.String("a")})
	for room := 0; room < len(whole); room += 97 {
		w, err := Format(Options{}).New(&failing{room: room, err: full}, s)
		if err == nil {
			if err = w.Write([]dataset.Value{dataset.String("a")}); err == nil {
				_, err = w.Close()
			}
			checkSticky(t, w, []dataset.Value{dataset.Null}, err)
		}
		if !errors.Is(err, full) || !errs.Is(err, errs.Unavailable) {
			t.Fatalf("with room for %d of %d bytes the error is %v", room, len(whole), err)
		}
	}
}

func TestClosedIsClosed(t *testing.T) {
	var file bytes.Buffer
	w, err := Format(Options{}).New(&file, sheetOf(dataset.Int))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write([]dataset.Value{dataset.Number(7)}); err != nil {
		t.Fatal(err)
	}
	report, err := w.Close()
	if want := (dataset.Report{Rows: 1, Sheets: 1}); err != nil || report != want {
		t.Fatalf("close: %+v, %v", report, err)
	}
	size := file.Len()
	if again, err := w.Close(); err != nil || again != report {
		t.Errorf("second close: %+v, %v", again, err)
	}
	if err := w.Write([]dataset.Value{dataset.Number(8)}); err == nil {
		t.Error("a closed file takes rows")
	}
	if file.Len() != size {
		t.Error("a closed file grew")
	}
}

// TestTheCallersRowIsNotKept reuses one slice for all rows, as datasets do.
func TestTheCallersRowIsNotKept(t *testing.T) {
	var file bytes.Buffer
	w, err := Format(Options{}).New(&file, sheetOf(dataset.Int))
	if err != nil {
		t.Fatal(err)
	}
	row := make([]dataset.Value, 1)
	for i := range 3 {
		row[0] = dataset.Number(int64(i))
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	book := read(t, file.Bytes())
	for i, ref := range []string{"A2", "A3", "A4"} {
		if got := raw(t, book, "数据", ref); got != string(rune('0'+i)) {
			t.Errorf("%s = %q", ref, got)
		}
	}
}
