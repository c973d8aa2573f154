package dataset

import (
	"io"
	"time"
)

// Column is one column as the page, the permission check and the formats see it.
type Column struct {
	Key        string // stable name, as in columns=
	Title      string // header, in the page's language
	Type       Type   // how values are written
	Permission string // who may see it; empty means everyone who may export the dataset
	// Extra columns are in a file only when they are asked for by name, or when the format is
	// Whole. They let everything that a list shows be chosen for its file, while the columns of a
	// file that names none stay the documented ones.
	Extra bool
	// from whom the middle of its texts is hidden; the zero Mask hides nothing
	Mask   Mask
	Masked bool    // this viewer's texts are hidden; set by Visible and Pick
	Width  float64 // in characters; 0 lets the format choose by type
	// Code: label by code. Bool: labels of "1" and "0", 是 and 否 when nil
	Labels map[string]string
}

// Sheet is what a Writer needs to know before the first row.
type Sheet struct {
	Name     string         // sheet name
	Columns  []Column       // in the order of every row's values
	Location *time.Location // time zone of shown times
	Header   HeaderStyle
	// who, when, which filter; xlsx puts it on a sheet after the data, csv leaves it out
	Info []InfoLine
	// how many rows will come, if that is known: a file that would be too long is refused early
	Rows int64
}

// HeaderStyle is how a workbook's header row looks. Colours are RRGGBB; empty means the format's
// default.
type HeaderStyle struct {
	Fill string
	Font string
}

// InfoLine is one line of the information sheet.
type InfoLine struct {
	Label, Text string
	// the text is the number of rows that were written, known when the file is finished
	Rows bool
}

// Writer writes one file to the stream it was made for. Rows arrive in order and are not kept: the
// caller reuses the slice. After an error every further call returns it; it may be an earlier
// row's, since rows can be written behind the caller. Close finishes the file; a file whose Close
// did not return nil is no file. Memory does not grow with the number of rows.
//
// Abort gives up a file that is not wanted any more: when it returns, nothing is written to the
// stream and nothing of the Writer runs. After Close, an error or another Abort it does nothing;
// call it deferred.
type Writer interface {
	Write(row []Value) error
	Close() (Report, error)
	Abort()
}

// Report is what a finished file says of itself.
type Report struct {
	Rows      int64 // data rows written, without headers
	Sheets    int
	Cut       int64 // texts shortened to what a cell can hold
	Replaced  int64 // texts in which invalid bytes were replaced
	OutOfSpan int64 // dates no cell can hold, written as text or left empty
}

// Format is a kind of file.
type Format struct {
	Name        string // as in export_format: xlsx, csv, csv-raw, jsonl
	Extension   string // without the dot
	ContentType string
	// Whole formats hold every visible column when none are named, the Extra ones too: programs
	// read them back, and an import of what was exported must lose nothing.
	Whole bool
	// New starts a file on w. An error names what in the sheet the format can't hold.
	New func(w io.Writer, s Sheet) (Writer, error)
}
