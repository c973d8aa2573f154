package xlsx

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"exporthub/pkg/dataset"
	"exporthub/pkg/testkit"
)

// TestGolden holds the workbooks to the letter: every part of the archive, as a reader gets it.
func TestGolden(t *testing.T) {
	rules, names, row, _ := sheetOfCases()
	slices.Sort(names) // a map's cases come in any order; the golden file's don't
	cells := map[string]dataset.Value{}
	columns := map[string]dataset.Column{}
	for i, c := range rules.Columns {
		cells[c.Key], columns[c.Key] = row[i], c
	}
	rules.Columns, row = nil, nil
	for _, name := range names {
		if strings.Contains(name, "limit") || strings.HasPrefix(name, "cut") {
			continue // 32,767 characters are nothing to look at
		}
		rules.Columns, row = append(rules.Columns, columns[name]), append(row, cells[name])
	}
	list := benchSheet()
	list.Name = "联系人's"
	list.Header = dataset.HeaderStyle{Fill: "4472C4", Font: "FFFFFF"}
	list.Columns[3].Width = 33
	list.Info = []dataset.InfoLine{{Label: "导出人", Text: "测试 <1>"}, {Label: "行数", Rows: true}}
	var rows [][]dataset.Value
	for i := range 7 {
		rows = append(rows, make([]dataset.Value, 10))
		fillBenchRow(rows[i], i)
	}
	for name, c := range map[string]struct {
		sheet dataset.Sheet
		rows  [][]dataset.Value
	}{
		"rules": {rules, [][]dataset.Value{row}},
		"list":  {list, rows},
		"empty": {sheetOf(dataset.Int), nil},
	} {
		t.Run(name, func(t *testing.T) {
			file, _ := write(t, c.sheet, Options{SheetRows: 5}.limits(), c.rows...)
			all := parts(t, file)
			var text strings.Builder
			for _, part := range slices.Sorted(maps.Keys(all)) {
				if part == "xl/theme/theme1.xml" {
					continue // excelize's, and long
				}
				content := strings.ReplaceAll(strings.ReplaceAll(all[part], "<row ", "\n<row "), "<c r", "\n <c r")
				fmt.Fprintf(&text, "=== %s\n%s\n", part, strings.ReplaceAll(content, "<si>", "\n<si>"))
			}
			testkit.Golden(t, "testdata/"+name+".golden", text.String())
		})
	}
}
