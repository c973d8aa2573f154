package xlsx

import (
	"io"
	"math"
	"runtime"
	"time"

	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
)

// ContentType is the media type of a workbook.
const ContentType = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

// Excel's own limits.
const (
	maxRows    = 1 << 20
	maxColumns = 1 << 14
	maxWidth   = 255 // of a column, in characters
)

// Options tune how workbooks are written. The zero value is right for the engine.
type Options struct {
	// Level is the deflate level of a general compressor, 1 (fastest) to 9 (smallest). 0 is the
	// compressor of this package, which knows what rows are made of: faster than 1 and smaller than
	// 6.
	Level int
	// SheetRows is how many rows a sheet takes, its header included, before a new one is begun. 0
	// is Excel's limit, 1,048,576, which is also the most; the least is 2.
	SheetRows int
	// Workers is how many goroutines encode and compress at once; 0 is one for each processor, the
	// most is 16. The file does not depend on it.
	Workers int
}

// limits are what Options and the file format allow; tests lower them, since no test can write 4
// GB.
type limits struct {
	level        int
	workers      int
	shared       int // how many shared strings
	sheetRows    int
	sheetBytes   int64 // of one sheet's XML
	archiveBytes int64 // of the whole file
}

// zip32 leaves room below 4 GB for what follows the last check: the end of a sheet, the small
// parts, the directory.
const zip32 = math.MaxUint32 - 64<<20

// limits fills in what is left out and brings what is out of range into it. Options are of the
// program's own making, so a mistake in them is no reason to fail an export.
func (o Options) limits() limits {
	l := limits{level: o.Level, sheetRows: o.SheetRows, shared: maxShared, sheetBytes: zip32, archiveBytes: zip32}
	if l.level < 0 || l.level > 9 {
		l.level = 0
	}
	l.workers = o.Workers
	if l.workers < 1 {
		l.workers = runtime.GOMAXPROCS(0)
	}
	l.workers = min(l.workers, maxWorkers)
	if l.sheetRows == 0 {
		l.sheetRows = maxRows
	}
	l.sheetRows = min(max(l.sheetRows, 2), maxRows)
	return l
}

// Format is the workbook format, named xlsx.
func Format(o Options) dataset.Format {
	return dataset.Format{
		Name:        "xlsx",
		Extension:   "xlsx",
		ContentType: ContentType,
		New: func(w io.Writer, s dataset.Sheet) (dataset.Writer, error) {
			return newWriter(w, s, o.limits())
		},
	}
}

// check reports what of a sheet a workbook can't hold, and fills in what may be left out.
func check(s *dataset.Sheet) error {
	if err := dataset.CheckSheetName(s.Name); err != nil {
		return errs.Wrap(errs.Invalid, "工作表名称不被 Excel 接受", err)
	}
	if len(s.Columns) == 0 || len(s.Columns) > maxColumns {
		return errs.Newf(errs.Invalid, "工作表有 %d 列，应为 1 至 %d 列", len(s.Columns), maxColumns)
	}
	for _, c := range s.Columns {
		if c.Type > dataset.URL {
			return errs.Newf(errs.Invalid, "列 %s 的类型未知", c.Key)
		}
		if !(c.Width >= 0 && c.Width <= maxWidth) {
			return errs.Newf(errs.Invalid, "列 %s 的宽度应为 0 至 %d", c.Key, maxWidth)
		}
	}
	// They go into XML as they are.
	for _, colour := range []string{s.Header.Fill, s.Header.Font} {
		if !isColour(colour) {
			return errs.Newf(errs.Invalid, "表头颜色 %q 应为 RRGGBB", colour)
		}
	}
	if s.Location == nil {
		s.Location = time.UTC
	}
	return nil
}

// isColour reports whether s is RRGGBB or empty.
func isColour(s string) bool {
	for i := range len(s) {
		if !isHex(s[i]) {
			return false
		}
	}
	return len(s) == 6 || s == ""
}

// isHex takes both cases: colours are written in either.
func isHex(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'f' || 'A' <= b && b <= 'F'
}
