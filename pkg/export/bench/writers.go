package main

import (
	"archive/zip"
	"compress/flate"
	"fmt"
	"io"
	"strconv"

	"github.com/xuri/excelize/v2"

	"exporthub/pkg/dataset"
	"exporthub/pkg/export/csv"
	"exporthub/pkg/export/xlsx"
)

// each calls fn with every generated row, which is reused, until fn fails.
func each(rows int, fn func(v *row) error) error {
	var v row
	for i := range rows {
		v.fill(i)
		if err := fn(&v); err != nil {
			return err
		}
	}
	return nil
}

// source is rows to be written: generated ones, or a database's. It calls fn once a row, in order.
type source func(fn func(v *row) error) error

func generated(rows int) source {
	return func(fn func(v *row) error) error { return each(rows, fn) }
}

// nowhere reads the rows only. It shows how much of each measurement is not the writer's.
func nowhere(_ io.Writer, from source) error {
	return from(func(*row) error { return nil })
}

// ours is this program's writer, called as the export engine calls it.
func ours(o xlsx.Options) func(w io.Writer, from source) error {
	return func(w io.Writer, from source) error { return writeDataset(xlsx.Format(o), w, from) }
}

func oursCSV(w io.Writer, from source) error { return writeDataset(csv.Formats()[0], w, from) }

// writeDataset writes rows with a Format. The slice of values is reused, as the engine does it.
func writeDataset(f dataset.Format, out io.Writer, from source) error {
	w, err := f.New(out, sheet())
	if err != nil {
		return err
	}
	defer w.Abort()
	values := make([]dataset.Value, len(titles))
	if err := from(func(v *row) error {
		v.values(values)
		return w.Write(values)
	}); err != nil {
		return err
	}
	_, err = w.Close()
	return err
}

// streamWriter is excelize's stream writer as its documentation shows it: a new sheet where one is
// full, a styled header, a frozen row, and the book written at the end.
func streamWriter(level int) func(w io.Writer, from source) error {
	return func(w io.Writer, from source) error {
		f := excelize.NewFile()
		defer f.Close()
		if level > 0 {
			f.ZipWriter = func(w io.Writer) excelize.ZipWriter { return leveled(w, level) }
		}
		b := &book{file: f}
		if err := b.addStyles(); err != nil {
			return err
		}
		if err := from(b.add); err != nil {
			return err
		}
		if b.stream != nil {
			if err := b.stream.Flush(); err != nil {
				return err
			}
		}
		return f.Write(w)
	}
}

// leveled is a ZIP writer of another deflate level than the default: what excelize costs when its
// archive is compressed as quickly as ours.
func leveled(w io.Writer, level int) *zip.Writer {
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, level) })
	return z
}

// book is a workbook of excelize being written.
type book struct {
	file                *excelize.File
	stream              *excelize.StreamWriter
	header, date, money int
	sheets, rows        int
	cells               []any
}

// addStyles makes the styles that our own workbooks have, so that both files look alike.
func (b *book) addStyles() (err error) {
	if b.header, err = b.file.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}}); err != nil {
		return err
	}
	format := "yyyy-mm-dd hh:mm:ss"
	if b.date, err = b.file.NewStyle(&excelize.Style{CustomNumFmt: &format}); err != nil {
		return err
	}
	b.money, err = b.file.NewStyle(&excelize.Style{NumFmt: 2})
	return err
}

// sheetRows is Excel's limit; excelize refuses the row behind it.
const sheetRows = 1 << 20

// nextSheet begins a sheet with its header. The stream before it has to be flushed first.
func (b *book) nextSheet() (err error) {
	if b.stream != nil {
		if err := b.stream.Flush(); err != nil {
			return err
		}
	}
	b.sheets++
	name := fmt.Sprint("Sheet", b.sheets)
	if _, err = b.file.NewSheet(name); err != nil {
		return err
	}
	if b.stream, err = b.file.NewStreamWriter(name); err != nil {
		return err
	}
	if err = b.stream.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return err
	}
	head := make([]any, len(titles))
	for i, title := range titles {
		head[i] = excelize.Cell{StyleID: b.header, Value: title}
	}
	b.rows = 1
	return b.stream.SetRow("A1", head)
}

// add writes a row in the way that excelize's documentation recommends for many: values without a
// style as they are, styled ones as Cell.
func (b *book) add(v *row) error {
	if b.stream == nil || b.rows == sheetRows {
		if err := b.nextSheet(); err != nil {
			return err
		}
	}
	read := "否"
	if v.Read {
		read = "是"
	}
	b.rows++
	b.cells = append(b.cells[:0], v.ID, excelize.Cell{StyleID: b.date, Value: v.At}, labels[v.Status], v.Description, v.Phone,
		v.Company, v.Department, v.Position, excelize.Cell{StyleID: b.money, Value: float64(v.Cents) / 100}, read)
	return b.stream.SetRow("A"+strconv.Itoa(b.rows), b.cells)
}
