package xlsx

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/klauspost/compress/flate"

	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
)

// flushBytes is how much row XML is gathered before it is deflated.
const flushBytes = 64 << 10

var errClosed = errors.New("xlsx: write after close")

// early are the parts that no row changes: written first, so that the file is known for a workbook by its first bytes.
var early = []string{"_rels/.rels", "docProps/app.xml", "docProps/core.xml", "xl/theme/theme1.xml", "xl/styles.xml"}

// writer is a workbook being written.
type writer struct {
	sheet   dataset.Sheet
	limits  limits
	out     counter
	archive *zip.Writer
	first   *frame // heads and styles, from before the first row

	columns  []column
	widths   []float64
	header   []byte // the header row of every data sheet
	names    []string
	lastRows []int // of the data sheets that are finished

	entry io.Writer // the open data sheet
	tail  []byte    // what stands behind its rows and filter
	row   int       // the last row in it
	bytes int64     // its XML so far
	buf   []byte    // the part of that not yet deflated

	report dataset.Report
	err    error // the answer to further calls
	closed bool  // Close has finished the file
}

func newWriter(w io.Writer, s dataset.Sheet, l limits) (dataset.Writer, error) {
	if err := check(&s); err != nil {
		return nil, err
	}
	s.Columns = slices.Clone(s.Columns)
	s.Info = slices.Clone(s.Info)
	x := &writer{sheet: s, limits: l, out: counter{w: w}}
	x.archive = zip.NewWriter(&x.out)
	x.archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, l.level)
	})
	if err := x.begin(); err != nil {
		return nil, fmt.Errorf("xlsx: begin: %w", err)
	}
	return x, nil
}

// begin writes all that can stand before the first row.
func (x *writer) begin() (err error) {
	// Two data sheets, since the first one's head differs from all others'.
	names := []string{x.sheet.Name, uniqueName(x.sheet.Name, 2, nil)}
	if x.first, err = newFrame(x.sheet, names, nil, x.infoName(names)); err != nil {
		return err
	}
	for _, name := range early {
		if err := x.addPart(x.first.parts, name); err != nil {
			return err
		}
	}
	x.columns = compile(x.sheet, x.first.styles)
	titles := make([]string, len(x.sheet.Columns))
	x.widths = make([]float64, len(x.sheet.Columns))
	for i, c := range x.sheet.Columns {
		titles[i], x.widths[i] = c.Title, width(c)
	}
	x.header = appendTextRow(nil, 1, titles, func(int) int { return x.first.styles.header })
	return x.beginSheet()
}

func (x *writer) infoName(names []string) string {
	if len(x.sheet.Info) == 0 {
		return ""
	}
	return uniqueName(infoName, 1, names)
}

func (x *writer) addPart(parts []*part, name string) error {
	i := slices.IndexFunc(parts, func(p *part) bool { return p.name == name })
	if i < 0 {
		return fmt.Errorf("the workbook has no part %s", name)
	}
	w, err := x.archive.Create(name)
	if err != nil {
		return err
	}
	_, err = w.Write(parts[i].data.Bytes())
	return err
}

// split returns what stands before and after the rows of a sheet's part, the columns' widths put in.
func split(p *part, widths []float64) (head, tail []byte, err error) {
	head, tail, found := bytes.Cut(p.data.Bytes(), []byte("<sheetData></sheetData>"))
	if !found {
		return nil, nil, fmt.Errorf("part %s has no place for rows", p.name)
	}
	head = appendWidths(slices.Clone(head), widths)
	return append(head, "<sheetData>"...), tail, nil
}

// beginSheet opens the next data sheet, with its header.
func (x *writer) beginSheet() (err error) {
	name := uniqueName(x.sheet.Name, len(x.names)+1, x.names)
	x.names = append(x.names, name)
	head, tail, err := split(x.first.sheets[min(len(x.names), 2)-1], x.widths)
	if err != nil {
		return err
	}
	if x.entry, err = x.archive.Create(fmt.Sprintf("xl/worksheets/sheet%d.xml", len(x.names))); err != nil {
		return err
	}
	x.tail = tail
	x.buf = append(append(x.buf[:0], head...), x.header...)
	x.bytes, x.row = int64(len(x.buf)), 1
	return nil
}

// endSheet closes the open data sheet.
func (x *writer) endSheet() error {
	x.buf = fmt.Appendf(x.buf, `</sheetData><autoFilter ref="%s"/>`, filterRange(len(x.columns), x.row))
	x.buf = append(x.buf, x.tail...)
	x.lastRows = append(x.lastRows, x.row)
	return x.flush()
}

func (x *writer) flush() error {
	if _, err := x.entry.Write(x.buf); err != nil {
		return err
	}
	x.buf = x.buf[:0]
	if x.out.n > x.limits.archiveBytes {
		return errs.New(errs.TooLarge, "文件将超过 Excel 能打开的 4 GB,请减少列、缩小筛选范围,或改用 CSV")
	}
	return nil
}

// Write adds a row.
func (x *writer) Write(row []dataset.Value) error {
	if x.err != nil {
		return x.err
	}
	if err := x.write(row); err != nil {
		x.fail(fmt.Errorf("xlsx: row %d: %w", x.report.Rows+1, err))
	}
	return x.err
}

func (x *writer) write(row []dataset.Value) error {
	if len(row) != len(x.columns) {
		return fmt.Errorf("has %d values, the sheet has %d columns", len(row), len(x.columns))
	}
	if x.row == x.limits.sheetRows {
		if err := x.nextSheet(); err != nil {
			return err
		}
	}
	start, before := len(x.buf), x.report
	x.encode(row)
	if x.row > 2 && x.bytes+int64(len(x.buf)-start) > x.limits.sheetBytes {
		x.buf, x.report, x.row = x.buf[:start], before, x.row-1
		if err := x.nextSheet(); err != nil {
			return err
		}
		start = len(x.buf)
		x.encode(row)
	}
	x.bytes += int64(len(x.buf) - start)
	if len(x.buf) >= flushBytes {
		if err := x.flush(); err != nil {
			return err
		}
	}
	x.report.Rows++
	return nil
}

func (x *writer) nextSheet() error {
	if err := x.endSheet(); err != nil {
		return err
	}
	return x.beginSheet()
}

// encode appends the next row to the buffer.
func (x *writer) encode(row []dataset.Value) {
	x.row++
	var scratch [8]byte
	digits := string(strconv.AppendInt(scratch[:0], int64(x.row), 10)) // at most 7 digits: stays on the stack
	x.buf = append(append(append(x.buf, `<row r="`...), digits...), `">`...)
	for i := range x.columns {
		x.buf = x.columns[i].append(x.buf, digits, row[i], &x.report)
	}
	x.buf = append(x.buf, "</row>"...)
}

// Close writes what follows the rows and finishes the archive. After an error it returns that error. A second Close
// returns what the first one did.
func (x *writer) Close() (dataset.Report, error) {
	switch {
	case x.closed:
		return x.report, nil
	case x.err != nil:
		return x.report, x.err
	}
	if err := x.finish(); err != nil {
		x.fail(fmt.Errorf("xlsx: finish: %w", err))
		return x.report, x.err
	}
	x.report.Sheets, x.closed = len(x.names), true
	x.fail(errClosed)
	return x.report, nil
}

func (x *writer) finish() error {
	if err := x.endSheet(); err != nil {
		return err
	}
	info := x.infoName(x.names)
	last, err := newFrame(x.sheet, x.names, x.lastRows, info)
	if err != nil {
		return err
	}
	if info != "" {
		if err := x.addInfoSheet(last); err != nil {
			return err
		}
	}
	for _, p := range last.parts {
		if slices.Contains(early, p.name) {
			continue
		}
		if err := x.addPart(last.parts, p.name); err != nil {
			return err
		}
	}
	return x.archive.Close()
}

func (x *writer) addInfoSheet(f *frame) error {
	p := f.sheets[len(f.sheets)-1]
	head, tail, err := split(p, infoWidths)
	if err != nil {
		return err
	}
	for i, line := range x.sheet.Info {
		head = appendTextRow(head, i+1, []string{line.Label, line.Text}, func(col int) int {
			if col == 0 {
				return f.styles.label
			}
			return f.styles.note
		})
	}
	w, err := x.archive.Create(p.name)
	if err != nil {
		return err
	}
	_, err = w.Write(append(append(head, "</sheetData>"...), tail...))
	return err
}

// appendTextRow appends a row of text cells; style gives each column's style.
func appendTextRow(dst []byte, row int, texts []string, style func(col int) int) []byte {
	dst = append(strconv.AppendInt(append(dst, `<row r="`...), int64(row), 10), `">`...)
	for i, text := range texts {
		dst = append(append(append(dst, `<c r="`...), columnName(i)...), strconv.Itoa(row)...)
		dst = append(strconv.AppendInt(append(dst, `" s="`...), int64(style(i)), 10), '"')
		if text != "" {
			dst = append(dst, ` t="inlineStr"><is>`...)
			dst, _ = appendTextElement(dst, text)
			dst = append(dst, "</is></c>"...)
		} else {
			dst = append(dst, "/>"...)
		}
	}
	return append(dst, "</row>"...)
}

// fail makes err the answer to every further call and lets go of everything else.
func (x *writer) fail(err error) {
	x.err = err
	x.archive, x.entry, x.first, x.columns, x.buf = nil, nil, nil, nil, nil
}

// counter counts the bytes of the file.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
