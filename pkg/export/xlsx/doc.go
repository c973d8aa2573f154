// Package xlsx writes datasets as Excel workbooks, row by row, to a stream that is only ever
// appended to.
//
// The workbook around the rows (styles, widths, frozen header, properties, the list of sheets) is
// made by excelize; the rows themselves are encoded here, into one reused buffer, and deflated
// straight into the archive. So there is no temporary file, memory does not grow with the rows, the
// first bytes leave before the first row, and what a cell may hold is decided in one place, by the
// column's type:
//
//   - Text, Code, Bool and URL are text cells and can never become formulas. Characters XML
//     forbids are written in Excel's own _x0001_ form, text that looks like such a form is
//     protected, invalid UTF-8 becomes U+FFFD (Replaced) and text over 32,767 UTF-16 units is cut
//     there, never inside a surrogate pair (Cut).
//   - Int and Money are numbers up to 15 digits, which is all Excel keeps, and exact text beyond.
//   - DateTime and Date are date cells in the sheet's Location, to the second. Before 1900-03-01,
//     where Excel's calendar is wrong, they are text; after the year 9999 the cell is left empty
//     (both OutOfSpan).
//
// After row 1,048,576, and before a sheet's XML would need ZIP64, which WPS can't open, the rows go
// on in a new sheet "name (2)" with the header again. An archive that would pass 4 GB ends in an
// errs.TooLarge error. The same rows give the same bytes: no clock and no map order gets into the
// file.
//
// Use Format with the export engine, or its New directly. A Format is safe for concurrent use; a
// Writer belongs to one goroutine. A Writer holds memory only: one that is dropped without Close
// leaks nothing, and after an error nothing is kept but that error.
package xlsx
