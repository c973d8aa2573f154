package xlsx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"exporthub/pkg/dataset"
	"exporthub/pkg/testkit"
)

// gate is a file whose writes wait until it is opened.
type gate struct {
	open   chan struct{}
	writes atomic.Int64
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.writes.Add(1)
	return len(p), nil
}

// TestAbortEndsEverything gives files up in all states: nothing runs and nothing is written after
// it.
func TestAbortEndsEverything(t *testing.T) {
	for name, rows := range map[string]int{"before any row": 0, "in the first batch": 10, "in the midst": 10_000} {
		t.Run(name, func(t *testing.T) {
			running := goleak.IgnoreCurrent()
			g := &gate{open: make(chan struct{})}
			close(g.open)
			w, err := Format(Options{Workers: 4}).New(g, benchSheet())
			if err != nil {
				t.Fatal(err)
			}
			row := make([]dataset.Value, 10)
			for i := range rows {
				fillBenchRow(row, i)
				if err := w.Write(row); err != nil {
					t.Fatal(err)
				}
			}
			w.Abort()
			written := g.writes.Load()
			w.Abort()
			if err := w.Write(row); !errors.Is(err, errDropped) {
				t.Errorf("a write after it: %v", err)
			}
			if _, err := w.Close(); !errors.Is(err, errDropped) {
				t.Errorf("close after it: %v", err)
			}
			goleak.VerifyNone(t, running)
			if n := g.writes.Load(); n != written {
				t.Errorf("%d writes after it", n-written)
			}
		})
	}
}

// TestAFileThatStallsHoldsTheCallerUp bounds what is under way: a caller ahead of the file waits.
func TestAFileThatStallsHoldsTheCallerUp(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	var taken atomic.Int64
	done := make(chan error, 1)
	out := &late{to: g}
	w, err := Format(Options{Workers: 2}).New(out, benchSheet())
	if err != nil {
		t.Fatal(err)
	}
	out.stalls.Store(true)
	const rows = 50_000
	go func() {
		row := make([]dataset.Value, 10)
		for i := range rows {
			fillBenchRow(row, i)
			if err := w.Write(row); err != nil {
				done <- err
				return
			}
			taken.Add(1)
		}
		_, err := w.Close()
		done <- err
	}()
	const most = 3*(batchCells/10+1) + 1 // of three batches: two under way, one being filled
	testkit.Eventually(t, 30*time.Second, func() bool { return taken.Load() > most-batchCells/10 }, "the caller to be ahead")
	if n := taken.Load(); n > most {
		t.Errorf("%d rows were taken while the file stalls, want at most %d", n, most)
	}
	close(g.open)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := taken.Load(); n != rows {
		t.Errorf("%d rows were taken in the end", n)
	}
}

// late lets through what comes before it stalls.
type late struct {
	stalls atomic.Bool
	to     io.Writer
}

func (l *late) Write(p []byte) (int, error) {
	if l.stalls.Load() {
		return l.to.Write(p)
	}
	return len(p), nil
}

// TestEveryTextOfAPlainListIsShared, header and information too: Numbers shows no others.
func TestEveryTextOfAPlainListIsShared(t *testing.T) {
	s := benchSheet()
	s.Info = []dataset.InfoLine{{Label: "导出人", Text: "测试"}}
	row := make([]dataset.Value, 10)
	fillBenchRow(row, 1)
	file, _ := write(t, s, Options{SheetRows: 3}.limits(), row, row, row, row)
	all := parts(t, file)
	cells := 0
	for name, text := range all {
		if strings.HasPrefix(name, "xl/worksheets/") {
			cells += strings.Count(text, ` t="s"`)
			if strings.Contains(text, "inlineStr") {
				t.Errorf("%s has a text of its own", name)
			}
		}
	}
	if want := fmt.Sprintf(`<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" count="%d"`, cells); !strings.Contains(all[stringsPart], want) {
		t.Errorf("%d cells refer to the table, which says %.200s", cells, all[stringsPart])
	}
}

// TestSharedStringsAreBounded writes more texts than the table takes: the rest stands where it is,
// and all is read back.
func TestSharedStringsAreBounded(t *testing.T) {
	l := Options{}.limits()
	l.shared = 100
	var rows [][]dataset.Value
	want := map[string]bool{}
	for i := range 5000 {
		few, some, once := fmt.Sprint("少", i%7), fmt.Sprint("多", i%300), fmt.Sprint("独", i)
		rows = append(rows, []dataset.Value{dataset.String(few), dataset.String(some), dataset.String(once)})
		want[few] = true
	}
	file, _ := write(t, sheetOf(dataset.Text, dataset.Text, dataset.Text), l, rows...)
	table := parts(t, file)[stringsPart]
	if n := strings.Count(table, "<si>"); n != 100 || !strings.Contains(table, `uniqueCount="100"`) {
		t.Errorf("the table has %d texts, want 100: %.200s", n, table)
	}
	for text := range want {
		if !strings.Contains(table, ">"+text+"<") {
			t.Errorf("%s, which comes often, is not shared", text)
		}
	}
	all, err := read(t, file).GetRows("数据")
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		for j, v := range row {
			if got := all[i+1][j]; got != v.Str {
				t.Fatalf("row %d: %q, want %q", i, got, v.Str)
			}
		}
	}
}

// TestTextsThatComeOnceAreGivenUp keeps a column of numbers out of the table after its trial.
func TestTextsThatComeOnceAreGivenUp(t *testing.T) {
	table := sharedStrings{most: maxShared}
	var c sharing
	for i := range 10 * trial {
		table.find(&c, fmt.Sprint("138", i))
	}
	if !c.off || len(table.ids) > trial {
		t.Errorf("after %d texts that come once the table has %d, given up: %v", 10*trial, len(table.ids), c.off)
	}
	if _, found := table.find(&c, "1380"); found {
		t.Error("a column that was given up still looks texts up")
	}
}

// TestWorkbookWithoutSharedStrings has no part for them.
func TestWorkbookWithoutSharedStrings(t *testing.T) {
	l := Options{}.limits()
	l.shared = 0
	file, _ := write(t, sheetOf(dataset.Int), l, numbers(3)...)
	all := parts(t, file)
	if _, found := all[stringsPart]; found {
		t.Error("there is a table of no strings")
	}
	for _, name := range []string{"[Content_Types].xml", "xl/_rels/workbook.xml.rels"} {
		if bytes.Contains([]byte(all[name]), []byte("sharedStrings")) {
			t.Errorf("%s tells of a part that is not there", name)
		}
	}
}

// TestAPanicIsAnError: what a goroutine of the pipeline stumbles over fails the file and nothing
// else.
func TestAPanicIsAnError(t *testing.T) {
	for _, level := range []int{0, 1} {
		l := Options{Workers: 2}.limits()
		l.level = level
		var file bytes.Buffer
		p := newPipeline(&archive{w: &file}, benchSheet(), l, make([]column, 3))
		for n := range 4 {
			b := p.next()
			switch b.first = 10*n + 2; n {
			case 0:
				b.name = "sheet.xml"
			case 1:
				b.rows = 10
			}
			p.send(b) // the second claims rows that it does not have
		}
		if err := p.wait(); err == nil || !strings.Contains(err.Error(), "rows 12 to 21") {
			t.Errorf("level %d: %v, want an error that names the rows", level, err)
		}
		if p.report.Rows != 0 {
			t.Errorf("level %d: %d rows were written", level, p.report.Rows)
		}
	}
}
