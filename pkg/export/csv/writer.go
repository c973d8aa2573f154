package csv

import (
	"errors"
	"fmt"
	"io"

	"exporthub/pkg/dataset"
)

// flushBytes is how much text is gathered before it is written.
const flushBytes = 64 << 10

var (
	errClosed  = errors.New("csv: write after close")
	errAborted = errors.New("csv: the file was given up")
)

// writer is a file being written. It gathers flushBytes before it writes: each write may be a
// system call and a piece of an upload.
type writer struct {
	w       io.Writer
	encoder encoder
	columns int
	buf     []byte
	report  dataset.Report
	err     error // the answer to further calls
	closed  bool  // Close has finished the file
}

// Write adds a row.
func (x *writer) Write(row []dataset.Value) error {
	if x.err != nil {
		return x.err
	}
	if len(row) != x.columns {
		x.fail(fmt.Errorf("csv: row %d: has %d values, the sheet has %d columns", x.report.Rows+1, len(row), x.columns))
		return x.err
	}
	x.buf = x.encoder.row(x.buf, row, &x.report)
	x.report.Rows++
	// After the row, never inside one: what a broken file holds ends with a whole line.
	if len(x.buf) >= flushBytes {
		x.flush()
	}
	return x.err
}

// flush writes what is gathered and keeps the buffer for what comes.
func (x *writer) flush() {
	n, err := x.w.Write(x.buf)
	// An io.Writer must not do this; one that does would leave a gap that nothing reports.
	if err == nil && n < len(x.buf) {
		err = io.ErrShortWrite
	}
	if err != nil {
		x.fail(fmt.Errorf("csv: write: %w", err))
		return
	}
	x.buf = x.buf[:0]
}

// Close writes what is left. After an error it returns that error. A second Close returns what the
// first one did.
func (x *writer) Close() (dataset.Report, error) {
	if x.closed {
		return x.report, nil
	}
	if x.err == nil {
		x.flush()
	}
	if x.err != nil {
		return x.report, x.err
	}
	x.report.Sheets, x.closed = 1, true
	x.fail(errClosed)
	return x.report, nil
}

// Abort gives the file up.
func (x *writer) Abort() {
	if x.err == nil {
		x.fail(errAborted)
	}
}

// fail makes err the answer to every further call and lets go of everything else.
func (x *writer) fail(err error) {
	x.err = err
	x.encoder, x.buf = nil, nil
}
