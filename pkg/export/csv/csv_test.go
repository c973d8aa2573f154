package csv

import (
	"bytes"
	stdcsv "encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
)

var update = flag.Bool("update", false, "write the golden files")

var shanghai = time.FixedZone("CST", 8*60*60)

func formatOf(t testing.TB, name string) dataset.Format {
	t.Helper()
	for _, f := range Formats() {
		if f.Name == name {
			return f
		}
	}
	t.Fatalf("no format %s", name)
	return dataset.Format{}
}

func write(t testing.TB, format string, s dataset.Sheet, rows ...[]dataset.Value) (string, dataset.Report) {
	t.Helper()
	var file strings.Builder
	w, err := formatOf(t, format).New(&file, s)
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
	return file.String(), report
}

// allTypes is a sheet with a column of each type, and rows that pass every rule of the formats.
func allTypes() (dataset.Sheet, [][]dataset.Value) {
	s := dataset.Sheet{Name: "联系人", Location: shanghai, Columns: []dataset.Column{
		{Key: "id", Title: "ID", Type: dataset.Int},
		{Key: "name", Title: "名称, 全", Type: dataset.Text},
		{Key: "amount", Title: "=金额", Type: dataset.Money},
		{Key: "created_at", Title: "创建时间", Type: dataset.DateTime},
		{Key: "day", Title: "日期", Type: dataset.Date},
		{Key: "read", Title: "已读", Type: dataset.Bool},
		{Key: "vip", Title: "会员", Type: dataset.Bool, Labels: map[string]string{"1": "Y", "0": "-"}},
		{Key: "status", Title: "状态", Type: dataset.Code, Labels: map[string]string{"applying": "待审批", "odd": "+1", "none": ""}},
		{Key: "url", Title: "链接", Type: dataset.URL},
	}, Info: []dataset.InfoLine{{Label: "导出人", Text: "不写入"}}}
	n, str, yes := dataset.Number, dataset.String, dataset.Truth
	when := dataset.Instant(time.Date(2026, 11, 21, 16, 30, 15, 250_000_000, time.UTC))
	whole := dataset.Instant(time.Date(1960, 2, 29, 4, 0, 0, 0, time.UTC))
	rows := [][]dataset.Value{
		{n(1), str("普通"), n(123456), when, when, yes(true), yes(true), str("applying"), str("https://example.com/?a=1,2")},
		{n(-7), str("=1+1"), n(-5), whole, whole, yes(false), yes(false), str("odd"), str("@example")},
		{n(1 << 53), str(`a "quoted", text`), n(0), when, when, yes(true), yes(false), str("unknown"), str("-x")},
		{n(1<<53 + 1), str("two\r\nlines"), n(99), when, when, yes(true), yes(false), str("none"), str("")},
		{n(math.MinInt64), str("\t=tab"), n(math.MinInt64), when, when, yes(true), yes(false), str("=x"), str("+8613800000001")},
		{n(math.MaxInt64), str("\rcr"), n(math.MaxInt64), when, when, yes(true), yes(false), str(""), str("bad \xff bytes")},
		{n(0), str(" 'kept' \\ \x01\u2028😀"), n(10), when, when, yes(true), yes(false), str("applying"), str("'")},
		{dataset.Null, dataset.Null, dataset.Null, dataset.Null, dataset.Null, dataset.Null, dataset.Null, dataset.Null, dataset.Null},
		{n(5), str(""), n(1), dataset.Instant(time.Time{}), dataset.Micros(math.MaxInt64), yes(true), yes(false), str("applying"), str("u")},
		{n(6), str(""), n(1), dataset.Micros(math.MinInt64), dataset.Instant(time.Date(9999, 12, 31, 15, 59, 59, 0, time.UTC)), yes(true), yes(false), str("applying"), str("u")},
	}
	return s, rows
}

func TestGolden(t *testing.T) {
	for _, name := range []string{"csv", "csv-raw", "jsonl"} {
		t.Run(name, func(t *testing.T) {
			s, rows := allTypes()
			got, report := write(t, name, s, rows...)
			if want := (dataset.Report{Rows: int64(len(rows)), Sheets: 1, Replaced: 1, OutOfSpan: 2}); report != want {
				t.Errorf("report = %+v, want %+v", report, want)
			}
			path := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestFieldsThatReadersSplit splits lines as spreadsheets do, at a comma, a semicolon or a tab
// outside of quotes. No cell may move, and none may begin as a formula.
func TestFieldsThatReadersSplit(t *testing.T) {
	for _, text := range []string{
		"先电话;后面谈", "备注;=1+1;", "左\t=1+1", "a,=1", "a\r\n=1", "a\n=1", "\n=1+1", "\r=1", "\t=1", "＝1+1", "＋1", "－1",
		"＠SUM(1)", " =1+1", "\u00A0=1+1", "\u3000=1", "\uFEFF=1", "\u200B=1", "=1+1", "+8613800000001", `";=1;"`, `=1;"a"`,
	} {
		s := dataset.Sheet{Columns: []dataset.Column{{Key: "a", Title: "a"}, {Key: "b", Title: "b"}, {Key: "c", Title: "c"}}}
		for _, format := range []string{"csv", "csv-raw"} {
			file, _ := write(t, format, s, []dataset.Value{dataset.String("x"), dataset.String(text), dataset.String("y")})
			_, row, _ := strings.Cut(file, "\r\n")
			cells := splitAnywhere(strings.TrimSuffix(row, "\r\n"))
			if len(cells) != 3 || cells[0] != "x" || cells[2] != "y" {
				t.Errorf("%s: %q is split into %q", format, text, cells)
				continue
			}
			if format == "csv" && formula.MatchString(cells[1]) {
				t.Errorf("%s: %q is read as the formula %q", format, text, cells[1])
			}
			if got := strings.TrimPrefix(cells[1], "'"); got != text {
				t.Errorf("%s: %q is read as %q", format, text, got)
			}
		}
	}
	for _, harmless := range []string{"a=1", "1+1", "'=1", "  a", "（=1）", "　", "\u00A0", "é-1", "字＝"} {
		file, _ := write(t, "csv", dataset.Sheet{Columns: []dataset.Column{{Key: "a", Title: "a"}}},
			[]dataset.Value{dataset.String(harmless)})
		if _, row, _ := strings.Cut(file, "\r\n"); row != harmless+"\r\n" {
			t.Errorf("%q is written as %q", harmless, row)
		}
	}
}

// splitAnywhere takes a line apart at the separators that LibreOffice and Excel look for by
// default.
func splitAnywhere(line string) []string {
	var cells []string
	var cell strings.Builder
	quoted := false
	for i := 0; i < len(line); i++ {
		switch b := line[i]; {
		case quoted && b == '"' && i+1 < len(line) && line[i+1] == '"':
			cell.WriteByte(b)
			i++
		case b == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(",;\t", b) >= 0:
			cells = append(cells, cell.String())
			cell.Reset()
		default:
			cell.WriteByte(b)
		}
	}
	return append(cells, cell.String())
}

func TestFormats(t *testing.T) {
	var got [][3]string
	for _, f := range Formats() {
		got = append(got, [3]string{f.Name, f.Extension, f.ContentType})
	}
	want := [][3]string{
		{"csv", "csv", "text/csv; charset=utf-8"},
		{"csv-raw", "csv", "text/csv; charset=utf-8"},
		{"jsonl", "jsonl", "application/x-ndjson"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOneEmptyColumnIsStillARow(t *testing.T) {
	s := dataset.Sheet{Columns: []dataset.Column{{Key: "a", Title: "甲"}}}
	for format, want := range map[string]string{
		"csv": mark + "甲\r\n\"\"\r\n\"\"\r\n", "csv-raw": "a\r\n\"\"\r\n\"\"\r\n", "jsonl": "{\"a\":null}\n{\"a\":\"\"}\n",
	} {
		if got, _ := write(t, format, s, []dataset.Value{dataset.Null}, []dataset.Value{dataset.String("")}); got != want {
			t.Errorf("%s: %q, want %q", format, got, want)
		}
	}
}

func TestNoRows(t *testing.T) {
	s := dataset.Sheet{Columns: []dataset.Column{{Key: "a", Title: "甲"}, {Key: "b", Title: "乙"}}}
	for format, want := range map[string]string{"csv": mark + "甲,乙\r\n", "csv-raw": "a,b\r\n", "jsonl": ""} {
		if got, _ := write(t, format, s); got != want {
			t.Errorf("%s: %q, want %q", format, got, want)
		}
	}
}

// TestAnOffsetWithSeconds uses the local mean time that zones had before there was standard time.
func TestAnOffsetWithSeconds(t *testing.T) {
	s := dataset.Sheet{
		Location: time.FixedZone("LMT", 8*60*60+5*60+43),
		Columns:  []dataset.Column{{Key: "at", Title: "at", Type: dataset.DateTime}},
	}
	row := []dataset.Value{dataset.Instant(time.Date(1890, 1, 1, 0, 0, 0, 0, time.UTC))}
	for format, want := range map[string]string{
		"csv": mark + "at\r\n1890-01-01 08:05:43\r\n", "csv-raw": "at\r\n1890-01-01T00:00:00Z\r\n", "jsonl": "{\"at\":\"1890-01-01T00:00:00Z\"}\n",
	} {
		if got, _ := write(t, format, s, row); got != want {
			t.Errorf("%s: %q, want %q", format, got, want)
		}
	}
}

func TestSheetsThatCantBeWrittenAreRefused(t *testing.T) {
	for name, columns := range map[string][]dataset.Column{
		"no columns":   nil,
		"no key":       {{Title: "a"}},
		"a key twice":  {{Key: "a"}, {Key: "b"}, {Key: "a"}},
		"unknown type": {{Key: "a", Type: 99}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, f := range Formats() {
				if w, err := f.New(io.Discard, dataset.Sheet{Columns: columns}); !errs.Is(err, errs.Invalid) || w != nil {
					t.Errorf("%s: New = %v, %v, want an invalid error", f.Name, w, err)
				}
			}
		})
	}
}

func TestARowOfTheWrongLengthEndsTheFile(t *testing.T) {
	s := dataset.Sheet{Columns: []dataset.Column{{Key: "a"}, {Key: "b"}}}
	good := []dataset.Value{dataset.Null, dataset.Null}
	for _, f := range Formats() {
		w, err := f.New(io.Discard, s)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(good); err != nil {
			t.Fatal(err)
		}
		bad := w.Write(good[:1])
		if bad == nil || !strings.Contains(bad.Error(), "row 2") {
			t.Errorf("%s: error %v, want one that names row 2", f.Name, bad)
		}
		checkSticky(t, w, good, bad)
	}
}

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
	if x := w.(*writer); x.buf != nil || x.encoder != nil {
		t.Error("a failed writer keeps its buffer")
	}
}

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

type short struct{}

func (short) Write(p []byte) (int, error) { return len(p) / 2, nil }

func TestAFullDiskEndsTheFile(t *testing.T) {
	full := errs.New(errs.Unavailable, "磁盘空间不足")
	s := dataset.Sheet{Columns: []dataset.Column{{Key: "a", Title: "a"}}}
	long := []dataset.Value{dataset.String(strings.Repeat("a", 1000))}
	for _, f := range Formats() {
		for _, c := range []struct {
			to   io.Writer
			want error
		}{{&failing{room: 100, err: full}, full}, {&failing{room: flushBytes + 4096, err: full}, full}, {short{}, io.ErrShortWrite}} {
			w, err := f.New(c.to, s)
			if err != nil {
				t.Fatal(err)
			}
			for i := 0; i < 500 && err == nil; i++ {
				err = w.Write(long)
			}
			if !errors.Is(err, c.want) {
				t.Fatalf("%s: error %v, want %v", f.Name, err, c.want)
			}
			checkSticky(t, w, long, err)
		}
		// A file that fits in the buffer fails in Close.
		w, err := f.New(&failing{room: 10, err: full}, s)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Write(long); err != nil {
			t.Fatal(err)
		}
		_, err = w.Close()
		if !errs.Is(err, errs.Unavailable) {
			t.Fatalf("%s: close: %v", f.Name, err)
		}
		checkSticky(t, w, long, err)
	}
}

func TestClosedIsClosed(t *testing.T) {
	for _, f := range Formats() {
		var file bytes.Buffer
		w, err := f.New(&file, dataset.Sheet{Columns: []dataset.Column{{Key: "a", Title: "a"}}})
		if err != nil {
			t.Fatal(err)
		}
		first, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		size := file.Len()
		if again, err := w.Close(); err != nil || again != first {
			t.Errorf("%s: second close: %+v, %v", f.Name, again, err)
		}
		if err := w.Write([]dataset.Value{dataset.Null}); err == nil {
			t.Errorf("%s: a closed file takes rows", f.Name)
		}
		if file.Len() != size {
			t.Errorf("%s: a closed file grew", f.Name)
		}
	}
}

// texts draws texts of the pieces that have meaning to a reader.
func texts() *rapid.Generator[string] {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"\"", ",", "\r", "\n", "\r\n", "'", "=", "+", "-", "@", "\t", " ", ";", "＝", "＠", "\u00A0", "\u200B", "\\", "\x00", "\x1f", "\xff", "\uFEFF", "\u2028", "字", "😀"}),
		rapid.String(),
	)
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(piece, 0, 6).Draw(t, "pieces"), "")
	})
}

type tester interface {
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

// formula is the guard of csv in another notation than the writer's.
var formula = regexp.MustCompile(`^[\p{Z}\p{Cf}\p{Cc}]*[=+\-@\t\r\n＝＋－＠]`)

// checkTexts writes texts as two columns in every format and reads them back with the readers of
// the standard library.
func checkTexts(t tester, tb testing.TB, all []string) {
	s := dataset.Sheet{Columns: []dataset.Column{{Key: "a", Title: "a"}, {Key: `"b`, Title: `"b`}}}
	var rows [][]dataset.Value
	for _, text := range all {
		rows = append(rows, []dataset.Value{dataset.String(text), dataset.String(text)})
	}
	for _, format := range []string{"csv", "csv-raw"} {
		file, _ := write(tb, format, s, rows...)
		file, marked := strings.CutPrefix(file, mark)
		if marked != (format == "csv") {
			t.Errorf("%s: byte order mark: %v", format, marked)
		}
		got, err := stdcsv.NewReader(strings.NewReader(file)).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v in %q", format, err, file)
		}
		if len(got) != len(rows)+1 {
			t.Fatalf("%s: %d lines, want %d", format, len(got), len(rows)+1)
		}
		for i, text := range all {
			want := strings.ReplaceAll(string([]rune(text)), "\r\n", "\n") // the reader's doing
			if marked && formula.MatchString(text) {
				want = strings.ReplaceAll("'"+string([]rune(text)), "\r\n", "\n")
			}
			if line := got[i+1]; line[0] != want || line[1] != want {
				t.Errorf("%s: %q is read as %q, want %q", format, text, line, want)
			}
		}
	}
	file, _ := write(tb, "jsonl", s, rows...)
	decode := json.NewDecoder(strings.NewReader(file))
	for _, text := range all {
		var got map[string]string
		if err := decode.Decode(&got); err != nil {
			t.Fatalf("jsonl: %v in %q", err, file)
		}
		if want := string([]rune(text)); got["a"] != want || got[`"b`] != want {
			t.Errorf("jsonl: %q is read as %q", text, got)
		}
	}
	if strings.Count(file, "\n") != len(all) {
		t.Errorf("jsonl: %q is not a line for each row", file)
	}
}

func TestAnyTextSurvives(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		checkTexts(rt, t, rapid.SliceOfN(texts(), 0, 8).Draw(rt, "texts"))
	})
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"=1+1", "\u00A0＝1", "a;b", "\r\n", `""`, "a\xffb", "\x00", ",", "'", "\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkTexts(t, t, []string{s}) })
}
