package csv

import (
	"io"
	"time"

	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
)

// Formats returns csv, csv-raw and jsonl.
func Formats() []dataset.Format {
	// JSON Lines is what imports take, so a file of it holds all that is needed to be imported
	// again.
	lines := format("jsonl", "jsonl", "application/x-ndjson", newJSON)
	lines.Whole = true
	return []dataset.Format{
		format("csv", "csv", "text/csv; charset=utf-8", newForPeople),
		format("csv-raw", "csv", "text/csv; charset=utf-8", newForPrograms),
		lines,
	}
}

// format makes a Format of an encoder. The three share everything else: the buffer, errors and
// limits.
func format(name, extension, contentType string, prepare func(dataset.Sheet) encoder) dataset.Format {
	return dataset.Format{
		Name:        name,
		Extension:   extension,
		ContentType: contentType,
		New: func(w io.Writer, s dataset.Sheet) (dataset.Writer, error) {
			if err := check(&s); err != nil {
				return nil, err
			}
			e := prepare(s)
			return &writer{
				w:       w,
				encoder: e,
				columns: len(s.Columns),
				// Some room beyond flushBytes, since a row is whole before it is flushed.
				buf: e.header(make([]byte, 0, flushBytes+4<<10)),
			}, nil
		},
	}
}

// check reports what of a sheet can't be written, and fills in what may be left out.
func check(s *dataset.Sheet) error {
	if len(s.Columns) == 0 {
		return errs.New(errs.Invalid, "没有要导出的列")
	}
	keys := make(map[string]bool, len(s.Columns))
	for _, c := range s.Columns {
		if c.Type > dataset.URL {
			return errs.Newf(errs.Invalid, "列 %s 的类型未知", c.Key)
		}
		// Two columns of one key would be one in a JSON object, and which of them is the reader's
		// choice.
		if c.Key == "" || keys[c.Key] {
			return errs.Newf(errs.Invalid, "列名 %q 为空或重复", c.Key)
		}
		keys[c.Key] = true
	}
	if s.Location == nil {
		s.Location = time.UTC
	}
	return nil
}

// encoder turns rows into lines.
type encoder interface {
	// header appends what stands before the first row.
	header(dst []byte) []byte
	// row appends the line of a row that has a value for every column.
	row(dst []byte, values []dataset.Value, r *dataset.Report) []byte
}

// rfc3339 is RFC 3339 with what there is of a second's fraction.
const rfc3339 = "2006-01-02T15:04:05.999999Z07:00"

// appendTime appends the time of a DateTime or Date cell. One that four digits can't name is not
// appended and counted.
func appendTime(dst []byte, v dataset.Value, in *time.Location, layout string, r *dataset.Report) ([]byte, bool) {
	local := v.Time().In(in)
	if layout == rfc3339 {
		// Local mean time of a century ago has an offset with seconds, which RFC 3339 can't say.
		if _, offset := local.Zone(); offset%60 != 0 {
			local = local.UTC()
		}
	}
	// RFC 3339 and the other layouts have four digits; AppendFormat would write five.
	if year := local.Year(); year < 0 || year > 9999 {
		r.OutOfSpan++
		return dst, false
	}
	return local.AppendFormat(dst, layout), true
}
