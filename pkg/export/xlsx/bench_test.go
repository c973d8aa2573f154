package xlsx

import (
	"fmt"
	"io"
	"strconv"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"exporthub/pkg/dataset"
)

// benchSheet is a list as the systems have them: ten columns of all types.
func benchSheet() dataset.Sheet {
	s := sheetOf(dataset.Int, dataset.Date, dataset.Code, dataset.Text, dataset.Text, dataset.Text, dataset.Text,
		dataset.DateTime, dataset.Money, dataset.Bool)
	s.Columns[2].Labels = map[string]string{"applying": "待审批", "approved": "已通过"}
	return s
}

func fillBenchRow(row []dataset.Value, i int) {
	us := int64(1_700_000_000_000_000) + int64(i)*61_000_000
	row[0], row[1], row[2] = dataset.Number(int64(i)), dataset.Micros(us), dataset.String([]string{"applying", "approved"}[i&1])
	row[3], row[4] = dataset.String("展会邀请说明"), dataset.String(benchPhones[i%len(benchPhones)])
	row[5], row[6] = dataset.String("示例科技有限公司"), dataset.String("市场部")
	row[7], row[8], row[9] = dataset.Micros(us), dataset.Number(int64(i)*137), dataset.Truth(i%3 == 0)
}

var benchPhones = func() (all [1000]string) {
	for i := range all {
		all[i] = strconv.Itoa(13800000000 + i*7919)
	}
	return all
}()

// BenchmarkWrite writes rows; an iteration is a row. Allocations must not grow with them.
func BenchmarkWrite(b *testing.B) {
	for _, level := range []int{1, 2, 3, 6} {
		b.Run(fmt.Sprintf("level%d", level), func(b *testing.B) {
			out := counter{w: io.Discard}
			w, err := Format(Options{Level: level}).New(&out, benchSheet())
			if err != nil {
				b.Fatal(err)
			}
			row := make([]dataset.Value, 10)
			b.ReportAllocs()
			for n := range b.N { // not b.Loop: closing the file belongs to the cost
				fillBenchRow(row, n)
				if err := w.Write(row); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := w.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(out.n)/float64(b.N), "bytes/row")
		})
	}
}

// BenchmarkExcelize is what the rows cost with excelize's own stream writer, for comparison (up to
// 1,048,576).
func BenchmarkExcelize(b *testing.B) {
	f := excelize.NewFile()
	defer f.Close()
	sw, err := f.NewStreamWriter("Sheet1")
	if err != nil {
		b.Fatal(err)
	}
	row, cells := make([]dataset.Value, 10), make([]any, 10)
	b.ReportAllocs()
	for n := range b.N {
		fillBenchRow(row, n)
		for i, v := range row {
			cells[i] = v.Str
		}
		cells[0], cells[8], cells[9] = row[0].Num, float64(row[8].Num)/100, "是"
		cells[1], cells[7] = row[1].Time().Truncate(24*time.Hour), row[7].Time()
		if err := sw.SetRow("A"+strconv.Itoa(n+1), cells); err != nil {
			b.Fatal(err)
		}
	}
	if err := sw.Flush(); err != nil {
		b.Fatal(err)
	}
	out := counter{w: io.Discard}
	if err := f.Write(&out); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(out.n)/float64(b.N), "bytes/row")
}

func TestNoAllocationPerRow(t *testing.T) {
	w, err := Format(Options{}).New(io.Discard, benchSheet())
	if err != nil {
		t.Fatal(err)
	}
	row := make([]dataset.Value, 10)
	fillBenchRow(row, 1)
	write := func() {
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	for range 1000 { // the buffers have their size then
		write()
	}
	if n := testing.AllocsPerRun(20_000, write); n != 0 {
		t.Errorf("%v allocations a row", n)
	}
}
