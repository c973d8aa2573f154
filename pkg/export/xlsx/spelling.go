package xlsx

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
)

// xmlHead begins every part, as Office writes it.
const xmlHead = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"

// plainHead is what excelize begins its parts with.
const plainHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// mainSpace is the namespace of SpreadsheetML.
const mainSpace = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"

// respell writes a part of excelize's as Office spells it. Both spellings mean the same to an XML
// parser that knows namespaces. Many readers have none: exceljs looks for cp:coreProperties and
// cp:lastModifiedBy by these very names, and opens no workbook that has others.
func (p *part) respell(title string) error {
	data := p.data.Bytes()
	switch {
	case p.name == "docProps/core.xml":
		data = coreProperties(title)
	case !bytes.HasPrefix(data, []byte(plainHead)):
		return fmt.Errorf("part %s does not begin as expected", p.name)
	default:
		data = append([]byte(xmlHead), data[len(plainHead):]...)
	}
	switch p.name {
	case "xl/styles.xml":
		// The root declares some forty namespaces, of which none is used.
		from := bytes.Index(data, []byte("<styleSheet"))
		to := bytes.IndexByte(data[max(from, 0):], '>')
		if from < 0 || to < 0 {
			return fmt.Errorf("part %s has no root", p.name)
		}
		root := []byte(`<styleSheet xmlns="` + mainSpace + `"`)
		data = append(append(data[:from:from], root...), data[from+to:]...)
	case "xl/_rels/workbook.xml.rels":
		// Targets are relative to the workbook. excelize writes the strings' from the root.
		data = bytes.ReplaceAll(data, []byte(`Target="/xl/`), []byte(`Target="`))
	}
	if strings.HasPrefix(p.name, "xl/w") {
		// Both are xsd:boolean, and some readers compare with one of them. No text can hold these
		// bytes: excelize writes a quotation mark as a reference.
		data = bytes.ReplaceAll(data, []byte(`="true"`), []byte(`="1"`))
		data = bytes.ReplaceAll(data, []byte(`="false"`), []byte(`="0"`))
	}
	p.data = *bytes.NewBuffer(data)
	return nil
}

// coreProperties is docProps/core.xml (ECMA-376 part 2, section 11). It names no time, since the
// same rows have to give the same bytes.
func coreProperties(title string) []byte {
	var b bytes.Buffer
	b.WriteString(xmlHead + `<cp:coreProperties` +
		` xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"` +
		` xmlns:dc="http://purl.org/dc/elements/1.1/"` +
		` xmlns:dcterms="http://purl.org/dc/terms/"` +
		` xmlns:dcmitype="http://purl.org/dc/dcmitype/"` +
		` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><dc:title>`)
	_ = xml.EscapeText(&b, []byte(title)) // a bytes.Buffer takes everything
	b.WriteString(`</dc:title><dc:creator>` + program + `</dc:creator><cp:lastModifiedBy>` + program +
		`</cp:lastModifiedBy></cp:coreProperties>`)
	return b.Bytes()
}
