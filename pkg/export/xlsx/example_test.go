package xlsx_test

import (
	"bytes"
	"fmt"
	"time"

	"github.com/xuri/excelize/v2"

	"exporthub/pkg/dataset"
	"exporthub/pkg/export/xlsx"
)

// A workbook is written to any io.Writer, row by row. Here it is read back with another library.
func ExampleFormat() {
	var file bytes.Buffer
	w, err := xlsx.Format(xlsx.Options{}).New(&file, dataset.Sheet{
		Name: "客户",
		Columns: []dataset.Column{
			{Key: "name", Title: "客户名称"},
			{Key: "paid", Title: "已付", Type: dataset.Money},
			{Key: "created_at", Title: "创建时间", Type: dataset.DateTime},
		},
		Location: time.FixedZone("CST", 8*60*60),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// Does nothing after Close; before it, it leaves no goroutine behind.
	defer w.Abort()

	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	err = w.Write([]dataset.Value{
		dataset.String("=1+1"), // text, never a formula
		dataset.Number(1250),   // cents
		dataset.Instant(noon),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	report, err := w.Close()
	if err != nil {
		fmt.Println(err)
		return
	}

	book, err := excelize.OpenReader(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer book.Close()
	rows, err := book.GetRows("客户")
	fmt.Println(report.Rows, rows, err)
	// Output: 1 [[客户名称 已付 创建时间] [=1+1 12.50 2026-11-30 20:00:00]] <nil>
}
