package xlsx

import "strconv"

// addInfoSheet writes the information sheet, in which the number of rows is filled in.
func (x *writer) addInfoSheet(f *frame) error {
	p := f.sheets[len(f.sheets)-1]
	head, tail, err := split(p, infoWidths)
	if err != nil {
		return err
	}
	for i, line := range x.sheet.Info {
		if line.Rows {
			line.Text = strconv.FormatInt(x.report.Rows, 10)
		}
		head = appendTextRow(head, &x.strings, i+1, []string{line.Label, line.Text}, func(col int) int {
			if col == 0 {
				return f.styles.label
			}
			return f.styles.note
		})
	}
	return x.addFile(p.name, head, []byte("</sheetData>"), tail)
}

// appendTextRow appends a row of text cells, shared where there is room: Numbers shows no others.
// style gives each column's style.
func appendTextRow(dst []byte, t *sharedStrings, row int, texts []string, style func(col int) int) []byte {
	dst = append(strconv.AppendInt(append(dst, `<row r="`...), int64(row), 10), `">`...)
	for i, text := range texts {
		dst = append(append(append(dst, `<c r="`...), columnName(i)...), strconv.Itoa(row)...)
		dst = append(strconv.AppendInt(append(dst, `" s="`...), int64(style(i)), 10), '"')
		if text == "" {
			dst = append(dst, "/>"...)
		} else if s, found := t.label(text); found {
			dst = append(strconv.AppendInt(append(dst, ` t="s"><v>`...), int64(s.id), 10), "</v></c>"...)
		} else {
			dst = append(dst, ` t="inlineStr"><is>`...)
			dst, _ = appendTextElement(dst, text)
			dst = append(dst, "</is></c>"...)
		}
	}
	return append(dst, "</row>"...)
}
