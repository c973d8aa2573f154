package csv

import (
	stdcsv "encoding/csv"
	"io"
	"strconv"
	"testing"
	"time"

	"exporthub/pkg/dataset"
)

func benchSheet() (dataset.Sheet, []dataset.Value) {
	s := dataset.Sheet{Location: shanghai}
	row := make([]dataset.Value, 0, 10)
	add := func(t dataset.Type, v dataset.Value) {
		key := string(rune('a' + len(row)))
		s.Columns = append(s.Columns, dataset.Column{Key: key, Title: key, Type: t})
		row = append(row, v)
	}
	when := dataset.Instant(time.Date(2026, 11, 21, 16, 30, 15, 0, time.UTC))
	add(dataset.Int, dataset.Number(123456))
	add(dataset.Date, when)
	add(dataset.Code, dataset.String("applying"))
	add(dataset.Text, dataset.String("展会邀请说明"))
	add(dataset.Text, dataset.String("13800000001"))
	add(dataset.Text, dataset.String("示例科技有限公司"))
	add(dataset.Text, dataset.String("市场部"))
	add(dataset.DateTime, when)
	add(dataset.Money, dataset.Number(123456))
	add(dataset.Bool, dataset.Truth(true))
	return s, row
}

// BenchmarkWrite writes rows; an iteration is a row. There is no allocation per cell.
func BenchmarkWrite(b *testing.B) {
	for _, f := range Formats() {
		b.Run(f.Name, func(b *testing.B) {
			s, row := benchSheet()
			w, err := f.New(io.Discard, s)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := w.Write(row); err != nil {
					b.Fatal(err)
				}
			}
			if _, err := w.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkEncodingCSV is what the rows cost with the standard library, for comparison.
func BenchmarkEncodingCSV(b *testing.B) {
	_, row := benchSheet()
	w := stdcsv.NewWriter(io.Discard)
	record := make([]string, len(row))
	b.ReportAllocs()
	for b.Loop() {
		for i, v := range row {
			record[i] = v.Str
		}
		record[0] = strconv.FormatInt(row[0].Num, 10)
		record[1] = row[1].Time().In(shanghai).Format(time.DateOnly)
		record[7] = row[7].Time().In(shanghai).Format(time.DateTime)
		record[8] = strconv.FormatInt(row[8].Num/100, 10) + "." + strconv.FormatInt(row[8].Num%100, 10)
		record[9] = "是"
		if err := w.Write(record); err != nil {
			b.Fatal(err)
		}
	}
	w.Flush()
}

func TestNoAllocationPerRow(t *testing.T) {
	for _, f := range Formats() {
		s, row := benchSheet()
		w, err := f.New(io.Discard, s)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(5000, func() {
			if err := w.Write(row); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations a row", f.Name, n)
		}
	}
}
