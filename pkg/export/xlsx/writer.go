package xlsx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"exporthub/pkg/dataset"
)

var errClosed = errors.New("xlsx: write after close")

// early are the parts that no row changes: written first, so that the file is known for a workbook
// by its first bytes.
var early = []string{"_rels/.rels", "docProps/app.xml", "docProps/core.xml", "xl/theme/theme1.xml", "xl/styles.xml"}

// stringsPart is where the shared strings stand.
const stringsPart = "xl/sharedStrings.xml"

// writer is a workbook being written. It decides in the caller's goroutine all that depends on the
// order of the rows (shared strings, where a sheet ends) and leaves encoding and compression to the
// pipeline.
type writer struct {
	sheet   dataset.Sheet
	limits  limits
	archive *archive // the caller's while the pipeline waits for nothing
	first   *frame   // heads and styles, from before the first row

	columns []column
	widths  []float64
	header  []byte // the header row of every data sheet
	// headerShared is how many of its cells are shared strings.
	headerShared int64
	names        []string
	lastRows     []int // of the data sheets that are finished

	pipeline *pipeline
	batch    *batch // being filled
	strings  sharedStrings
	row      int    // the last row of the open data sheet
	tail     []byte // what stands behind its rows and filter
	room     room

	report dataset.Report // of what was decided here; the pipeline has the rest
	err    error          // the answer to further calls
	closed bool           // Close has finished the file
}

func newWriter(w io.Writer, s dataset.Sheet, l limits) (dataset.Writer, error) {
	if err := check(&s); err != nil {
		return nil, err
	}
	// Cloned: the caller may use its slices again, and we read them until Close.
	s.Columns = slices.Clone(s.Columns)
	s.Info = slices.Clone(s.Info)
	x := &writer{sheet: s, limits: l, archive: &archive{w: w}, strings: sharedStrings{most: l.shared}}
	if err := x.begin(); err != nil {
		return nil, fmt.Errorf("xlsx: begin: %w", err)
	}
	return x, nil
}

// begin writes all that can stand before the first sheet.
func (x *writer) begin() (err error) {
	// Two data sheets, since the first one's head differs from all others'.
	names := []string{x.sheet.Name, uniqueName(x.sheet.Name, 2, nil)}
	if x.first, err = newFrame(x.sheet, names, nil, x.infoName(names), false); err != nil {
		return err
	}
	for _, name := range early {
		if err := x.addPart(x.first.parts, name); err != nil {
			return err
		}
	}
	x.columns = compile(x.sheet, x.first.styles)
	x.room.row = rowMost(x.columns)
	titles := make([]string, len(x.sheet.Columns))
	x.widths = make([]float64, len(x.sheet.Columns))
	for i, c := range x.sheet.Columns {
		titles[i], x.widths[i] = c.Title, width(c)
	}
	x.header = appendTextRow(nil, &x.strings, 1, titles, func(int) int { return x.first.styles.header })
	x.headerShared = x.strings.used
	x.pipeline = newPipeline(x.archive, x.sheet, x.limits, x.columns)
	x.batch = x.pipeline.next()
	return x.beginSheet()
}

// infoName is the name of the information sheet, or "" when there is nothing to say.
func (x *writer) infoName(names []string) string {
	if len(x.sheet.Info) == 0 {
		return ""
	}
	return uniqueName(infoName, 1, names)
}

// addPart adds one of a frame's parts to the archive.
func (x *writer) addPart(parts []*part, name string) error {
	i := slices.IndexFunc(parts, func(p *part) bool { return p.name == name })
	if i < 0 {
		return fmt.Errorf("the workbook has no part %s", name)
	}
	return x.addFile(name, parts[i].data.Bytes())
}

// addFile adds a whole file to the archive.
func (x *writer) addFile(name string, pieces ...[]byte) error {
	// A batch without rows, so that all of the archive is made by one compressor.
	b := batch{last: true, head: slices.Concat(pieces...)}
	if err := b.encode(nil, x.limits.level); err != nil {
		return err
	}
	if err := x.archive.begin(name); err != nil {
		return err
	}
	if err := x.archive.add(b.packed, b.crc, b.size); err != nil {
		return err
	}
	return x.archive.end()
}

// split returns what stands before and after the rows of a sheet's part, the columns' widths put
// in.
func split(p *part, widths []float64) (head, tail []byte, err error) {
	head, tail, found := bytes.Cut(p.data.Bytes(), []byte("<sheetData></sheetData>"))
	if !found {
		return nil, nil, fmt.Errorf("part %s has no place for rows", p.name)
	}
	head = appendWidths(slices.Clone(head), widths)
	return append(head, "<sheetData>"...), tail, nil
}

// beginSheet opens the next data sheet, with its header. Only the first sheet is the one that is
// selected, so the head of the first differs from all others'.
func (x *writer) beginSheet() error {
	name := uniqueName(x.sheet.Name, len(x.names)+1, x.names)
	x.names = append(x.names, name)
	head, tail, err := split(x.first.sheets[min(len(x.names), 2)-1], x.widths)
	if err != nil {
		return err
	}
	x.tail, x.row = tail, 1
	x.batch.name = fmt.Sprintf("xl/worksheets/sheet%d.xml", len(x.names))
	x.batch.head = append(head, x.header...)
	x.batch.first = 2
	if len(x.names) > 1 { // the first one's were counted when the header was made
		x.strings.used += x.headerShared
	}
	x.room = room{row: x.room.row, used: int64(len(x.batch.head))}
	return nil
}

// endSheet closes the open data sheet.
func (x *writer) endSheet() {
	x.batch.tail = fmt.Appendf(nil, `</sheetData><autoFilter ref="%s"/>`, filterRange(len(x.columns), x.row))
	x.batch.tail = append(x.batch.tail, x.tail...)
	x.batch.last = true
	x.lastRows = append(x.lastRows, x.row)
	x.send()
}

// send hands the batch over and takes an empty one for the rows behind it. It waits where all are
// in use, which is how a slow stream slows the caller down.
func (x *writer) send() {
	x.pipeline.send(x.batch)
	x.batch = x.pipeline.next()
	x.batch.first = x.row + 1
}

// Write adds a row. What goes wrong behind it comes out of a later call, at most some batches
// later.
func (x *writer) Write(row []dataset.Value) error {
	if x.err != nil {
		return x.err
	}
	if err := x.write(row); err != nil {
		x.fail(fmt.Errorf("xlsx: %w", err))
	}
	return x.err
}

func (x *writer) write(row []dataset.Value) error {
	if len(row) != len(x.columns) {
		return fmt.Errorf("row %d has %d values, the sheet has %d columns", x.report.Rows+1, len(row), len(x.columns))
	}
	if x.row == x.limits.sheetRows {
		if err := x.nextSheet(); err != nil {
			return err
		}
	}
	text := x.take(row)
	fits, err := x.makeRoom(text)
	if err != nil {
		return err
	}
	// The row begins the next sheet instead. Its cells hold numbers of shared strings, which are
	// the workbook's and stay right there.
	if !fits {
		cells := x.takeBack()
		if err := x.nextSheet(); err != nil {
			return err
		}
		x.batch.cells = append(x.batch.cells, cells...)
		if _, err := x.makeRoom(text); err != nil {
			return err
		}
	}
	x.batch.text += text
	x.batch.rows++
	x.row++
	x.report.Rows++
	if x.batch.isFull() {
		x.send()
		return x.pipeline.err()
	}
	return nil
}

// take puts the row's cells at the end of the batch and returns how many bytes of text they hold.
func (x *writer) take(row []dataset.Value) (text int) {
	for i := range row {
		c := x.columns[i].take(&row[i], &x.strings, &x.report)
		text += len(c.str)
		x.batch.cells = append(x.batch.cells, c)
	}
	return text
}

// nextSheet ends the open data sheet and begins another. A workbook that failed behind us begins
// none.
func (x *writer) nextSheet() error {
	x.endSheet()
	if err := x.pipeline.err(); err != nil {
		return err
	}
	return x.beginSheet()
}

// Close writes what follows the rows and finishes the archive. After an error it returns that
// error. A second Close returns what the first one did.
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
	x.release(errClosed)
	return x.report, nil
}

// Abort gives the file up. When it returns, nothing is written any more and no goroutine is left.
func (x *writer) Abort() {
	if x.err == nil {
		x.fail(errDropped)
	}
}

// finish writes everything behind the rows: the information sheet, the shared strings, and the
// parts that name the sheets.
func (x *writer) finish() error {
	x.endSheet()
	if err := x.pipeline.wait(); err != nil {
		return err
	}
	done := x.pipeline.report
	x.report.Cut += done.Cut
	x.report.Replaced += done.Replaced
	x.report.OutOfSpan += done.OutOfSpan
	// Made anew: only now are the sheets' names and the rows they end with known.
	info := x.infoName(x.names)
	last, err := newFrame(x.sheet, x.names, x.lastRows, info, x.limits.shared > 0)
	if err != nil {
		return err
	}
	if info != "" {
		if err := x.addInfoSheet(last); err != nil {
			return err
		}
	}
	if x.limits.shared > 0 {
		head := fmt.Sprintf(xmlHead+`<sst xmlns="`+mainSpace+`" count="%d" uniqueCount="%d">`,
			x.strings.used, len(x.strings.ids))
		if err := x.addFile(stringsPart, []byte(head), x.strings.elements, []byte("</sst>")); err != nil {
			return err
		}
	}
	for _, p := range last.parts {
		if slices.Contains(early, p.name) || p.name == stringsPart {
			continue
		}
		if err := x.addPart(last.parts, p.name); err != nil {
			return err
		}
	}
	return x.archive.finish()
}

// fail gives the file up: err is the answer to every further call.
func (x *writer) fail(err error) {
	x.pipeline.drop()
	x.release(err)
}

// release makes err the answer to every further call and lets go of everything else.
func (x *writer) release(err error) {
	x.err = err
	x.archive = nil
	x.pipeline = nil
	x.batch = nil
	x.first = nil
	x.columns = nil
	x.strings = sharedStrings{}
}
