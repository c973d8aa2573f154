// Package csv writes datasets as lines of text, row by row, in three formats:
//
//   - csv is for people who open it in a spreadsheet: UTF-8 with a byte order mark, the columns'
//     titles as header, labels for codes and booleans, times in the sheet's Location as
//     2006-01-02 15:04:05. A text that begins with = + - @ (full-width ones too), a tab, a carriage
//     return or a line feed, blanks and invisible characters before it not counted, gets an
//     apostrophe, so that no spreadsheet runs it as a formula; numbers, money and times never do.
//   - csv-raw is for programs and keeps every value as it is: no mark, the columns' keys as header,
//     codes as stored, booleans true and false, DateTime in RFC 3339 with the Location's offset, no
//     apostrophes. Don't open it in a spreadsheet.
//   - jsonl is one JSON object a line, keys in the columns' order: integers up to 2^53 are numbers
//     and greater ones strings, money is a string with two places, booleans are booleans, DateTime
//     is RFC 3339, empty is null.
//
// Both CSVs end lines with CRLF and quote by RFC 4180 where a field needs it; fields with a
// semicolon or a tab are quoted too, since spreadsheets split lines there. Date is 2006-01-02 in
// the Location everywhere. Invalid UTF-8 becomes U+FFFD, a byte each (Report.Replaced); times
// before the year 0 or after 9999 are left empty (Report.OutOfSpan).
//
// Rows are encoded into one reused buffer, without an allocation per cell. Formats are safe for
// concurrent use; a Writer belongs to one goroutine and holds memory only, so that one that is
// dropped without Close leaks nothing.
package csv
