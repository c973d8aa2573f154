package program

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
)

// RowIDs reads the rows' numbers, the first column, out of an exported file.
func RowIDs(t testing.TB, format string, body []byte) []int64 {
	t.Helper()
	var texts []string
	switch format {
	case "xlsx":
		book, err := excelize.OpenReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer book.Close()
		rows, err := book.GetRows(book.GetSheetName(0))
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows[1:] {
			texts = append(texts, row[0])
		}
	case "csv":
		// Without a byte order mark Excel would take the file for the local 8-bit encoding.
		text := bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
		rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows[1:] {
			texts = append(texts, strings.TrimSpace(row[0]))
		}
	default:
		for line := range strings.Lines(string(body)) {
			var row struct{ ID json.Number }
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatal(err)
			}
			texts = append(texts, row.ID.String())
		}
	}
	ids := make([]int64, len(texts))
	for i, text := range texts {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: row %d begins with %q", format, i+1, text)
		}
		ids[i] = id
	}
	return ids
}
