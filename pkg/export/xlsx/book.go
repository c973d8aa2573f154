package xlsx

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode/utf16"

	"github.com/xuri/excelize/v2"

	"exporthub/pkg/dataset"
)

// infoName is what the sheet with Sheet.Info is called.
const infoName = "导出信息"

// program is how the file names its maker.
const program = "Exporthub"

// styles are the ids of the cell styles, the same in every workbook of one header style.
type styles struct {
	header, text, integer, money, dateTime, date, label, note int
}

// of is the style of a column's cells.
func (s styles) of(t dataset.Type) int {
	switch t {
	case dataset.Int:
		return s.integer
	case dataset.Money:
		return s.money
	case dataset.DateTime:
		return s.dateTime
	case dataset.Date:
		return s.date
	default:
		return s.text
	}
}

// part is one file of the archive.
type part struct {
	name string
	data bytes.Buffer
}

// capture is an excelize.ZipWriter that keeps the parts in memory: a workbook without rows is a few
// kilobytes.
type capture struct{ parts []*part }

func (c *capture) Create(name string) (io.Writer, error) {
	p := &part{name: name}
	c.parts = append(c.parts, p)
	return &p.data, nil
}

func (c *capture) AddFS(fs.FS) error { return fmt.Errorf("xlsx: no file system can be added") }
func (c *capture) Close() error      { return nil }

// frame is a workbook without rows: everything that is not ours to write.
type frame struct {
	styles styles
	sheets []*part // of the data sheets in their order, then the information sheet if there is one
	parts  []*part // the others, in a fixed order
}

// newFrame makes the frame of a workbook whose data sheets have these names and last rows (nil when
// they are not known yet). Without an info name there is no information sheet; with strings there
// is a place for shared ones.
func newFrame(s dataset.Sheet, names []string, lastRows []int, info string, strings bool) (*frame, error) {
	f := excelize.NewFile()
	defer f.Close()
	if err := f.SetSheetName(f.GetSheetName(0), names[0]); err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := addData(f, name); err != nil {
			return nil, fmt.Errorf("sheet %q: %w", name, err)
		}
	}
	if info != "" {
		if err := addInfo(f, info); err != nil {
			return nil, fmt.Errorf("sheet %q: %w", info, err)
		}
	}
	if strings {
		if err := addStrings(f, names[0]); err != nil {
			return nil, fmt.Errorf("shared strings: %w", err)
		}
	}
	// After the strings: the row that these remove would shorten the first filter's name.
	for i, lastRow := range lastRows {
		if err := addFilter(f, names[i], filterRange(len(s.Columns), lastRow)); err != nil {
			return nil, fmt.Errorf("sheet %q: %w", names[i], err)
		}
	}
	out := &frame{}
	var err error
	if out.styles, err = addStyles(f, s.Header); err != nil {
		return nil, err
	}
	if err := f.SetAppProps(&excelize.AppProperties{Application: program}); err != nil {
		return nil, fmt.Errorf("document properties: %w", err)
	}
	c := &capture{}
	f.ZipWriter = func(io.Writer) excelize.ZipWriter { return c }
	if err := f.Write(io.Discard); err != nil {
		return nil, err
	}
	for _, p := range c.parts {
		if err := p.respell(s.Name); err != nil {
			return nil, err
		}
	}
	return out, out.sort(c.parts, f)
}

// sort tells the sheets from the other parts.
func (f *frame) sort(parts []*part, file *excelize.File) error {
	paths := map[string]*part{}
	for _, p := range parts {
		if strings.HasPrefix(p.name, "xl/worksheets/") {
			paths[p.name] = p
			continue
		}
		f.parts = append(f.parts, p)
	}
	// Sheets get ascending ids in the order they were added, and files named after the ids.
	for i := range file.GetSheetList() {
		p, found := paths[fmt.Sprintf("xl/worksheets/sheet%d.xml", i+1)]
		if !found {
			return fmt.Errorf("the workbook has no part for sheet %d", i+1)
		}
		f.sheets = append(f.sheets, p)
	}
	return nil
}

// addStrings makes a table of shared strings, which stays when the cell that refers to it is gone.
func addStrings(f *excelize.File, sheet string) error {
	if err := f.SetCellStr(sheet, "A1", "-"); err != nil {
		return err
	}
	return f.RemoveRow(sheet, 1)
}

// addFilter makes the hidden name that goes with a sheet's filter; the filter itself stands in the
// sheet. excelize doesn't double an apostrophe in the name, and Excel makes a missing one itself.
func addFilter(f *excelize.File, name, cells string) error {
	if strings.Contains(name, "'") {
		return nil
	}
	return f.AutoFilter(name, cells, nil)
}

func filterRange(columns, lastRow int) string {
	return fmt.Sprintf("A1:%s%d", columnName(columns-1), lastRow)
}

func addData(f *excelize.File, name string) error {
	if _, err := f.NewSheet(name); err != nil {
		return err
	}
	// The number of rows is not known when the sheet begins: no dimension is better than a wrong
	// one, which some readers believe.
	if err := f.SetSheetDimension(name, ""); err != nil {
		return err
	}
	return f.SetPanes(name, &excelize.Panes{
		Freeze:      true,
		YSplit:      1,
		TopLeftCell: "A2",
		ActivePane:  "bottomLeft",
		Selection:   []excelize.Selection{{SQRef: "A2", ActiveCell: "A2", Pane: "bottomLeft"}},
	})
}

func addInfo(f *excelize.File, name string) error {
	if _, err := f.NewSheet(name); err != nil {
		return err
	}
	return f.SetSheetDimension(name, "")
}

// infoWidths are the widths of the information sheet's columns.
var infoWidths = []float64{18, 80}

// appendWidths appends the <cols> element, which stands right before the rows. It is ours since
// excelize takes quadratic time to set the widths of many columns.
func appendWidths(dst []byte, widths []float64) []byte {
	dst = append(dst, "<cols>"...)
	for i, w := range widths {
		dst = fmt.Appendf(dst, `<col min="%d" max="%[1]d" width="%g" customWidth="1"/>`, i+1, w)
	}
	return append(dst, "</cols>"...)
}

// width is a column's width in characters: as declared, or by type and wide enough for the title.
func width(c dataset.Column) float64 {
	if c.Width > 0 {
		return c.Width
	}
	w := 0.0
	switch c.Type {
	case dataset.DateTime:
		w = 20
	case dataset.Text:
		w = 18
	case dataset.URL:
		w = 40
	case dataset.Money:
		w = 14
	case dataset.Bool:
		w = 8
	default:
		w = 12
	}
	title := 4.0 // the filter's button
	for _, r := range c.Title {
		title++
		if r >= 0x1100 { // an ideograph takes two
			title++
		}
	}
	return min(max(w, title), maxWidth)
}

// bold is the body's font in bold: a font without name and size is up to the reader.
func bold(colour string) *excelize.Font {
	return &excelize.Font{Bold: true, Family: "Calibri", Size: 11, Color: colour}
}

func addStyles(f *excelize.File, h dataset.HeaderStyle) (s styles, err error) {
	format := func(code string) *excelize.Style { return &excelize.Style{CustomNumFmt: &code} }
	const text = 49 // the built-in format "@": a text cell stays text when it is edited
	for _, one := range []struct {
		id    *int
		style *excelize.Style
	}{
		{&s.header, &excelize.Style{
			Font:      bold(cmp.Or(h.Font, "1F2937")),
			Fill:      excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{cmp.Or(h.Fill, "E5E7EB")}},
			Alignment: &excelize.Alignment{Vertical: "center"},
			NumFmt:    text,
		}},
		{&s.text, &excelize.Style{NumFmt: text}},
		{&s.integer, &excelize.Style{NumFmt: 1}}, // 0: no exponents for 12 and more digits
		{&s.money, &excelize.Style{NumFmt: 2}},   // 0.00
		{&s.dateTime, format("yyyy-mm-dd hh:mm:ss")},
		{&s.date, format("yyyy-mm-dd")},
		{&s.label, &excelize.Style{Font: bold("000000"), Alignment: &excelize.Alignment{Vertical: "top"}, NumFmt: text}},
		{&s.note, &excelize.Style{Alignment: &excelize.Alignment{Vertical: "top", WrapText: true}, NumFmt: text}},
	} {
		if *one.id, err = f.NewStyle(one.style); err != nil {
			return s, fmt.Errorf("style: %w", err)
		}
	}
	return s, nil
}

// uniqueName is base, or base (2), (3), ... from n on: the first that no taken name is equal to but
// for case. The base is shortened where the name would pass Excel's 31 units.
func uniqueName(base string, n int, taken []string) string {
	for ; ; n++ {
		name := base
		if n > 1 {
			suffix := fmt.Sprintf(" (%d)", n)
			name = shorten(base, 31-len(suffix)) + suffix
		}
		free := true
		for _, t := range taken {
			free = free && !strings.EqualFold(t, name)
		}
		if free {
			return name
		}
	}
}

// shorten cuts s to at most so many UTF-16 units, between characters, since Excel counts units.
func shorten(s string, units int) string {
	for i, r := range s {
		if units -= utf16.RuneLen(r); units < 0 {
			return s[:i]
		}
	}
	return s
}
