package dataset_test

import (
	"context"
	"fmt"

	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
)

// customer is a row as a system's store reads it.
type customer struct {
	ID    int64
	Name  string
	Phone string
}

// customerFilter is what the list takes as query parameters.
type customerFilter struct {
	Name string `json:"name" column:"name"`
}

// A system declares its list once. The list page, the column picker, the permission check and the
// files of every format read this declaration.
func ExampleDefine() {
	stored := []customer{
		{ID: 2, Name: "云帆科技", Phone: "13800000002"},
		{ID: 1, Name: "海川贸易", Phone: "13800000001"},
	}
	customers := dataset.Define(dataset.Spec[customerFilter, customer]{
		Name:       "customer",
		Service:    "Exports::Customer",
		Title:      "客户",
		Permission: "crm.customer.export",
		Fields: []dataset.Field[customer]{
			{
				Column: dataset.Column{Key: "name", Title: "客户名称"},
				Value:  func(c *customer) dataset.Value { return dataset.String(c.Name) },
			},
			{
				Column: dataset.Column{
					Key:   "phone",
					Title: "电话",
					Mask:  dataset.Mask{Permission: "crm.phone.read", Head: 3, Tail: 4},
				},
				Value: func(c *customer) dataset.Value { return dataset.String(c.Phone) },
			},
		},
		Count: func(context.Context, *database.Tx, dataset.Query[customerFilter]) (int64, error) {
			return int64(len(stored)), nil
		},
		// A keyset page: the rows after the one that was read last. A store asks the database.
		Page: func(
			_ context.Context, _ *database.Tx, _ dataset.Query[customerFilter],
			last *customer, limit int, into []customer,
		) ([]customer, error) {
			for _, c := range stored {
				if (last == nil || c.ID < last.ID) && len(into) < limit {
					into = append(into, c)
				}
			}
			return into, nil
		},
	})

	// Somebody who may export customers, and may not see whole phone numbers.
	can := func(permission string) bool { return permission == "crm.customer.export" }
	columns, err := customers.Pick([]string{"name", "phone"}, can)
	if err != nil {
		fmt.Println(err)
		return
	}
	selection := dataset.Selection{Viewer: dataset.Viewer{Can: can}, Filter: customers.NewFilter()}
	for row, err := range customers.Rows(context.Background(), nil, selection, columns) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(row[0].Str, row[1].Str)
	}
	// Output:
	// 云帆科技 138****0002
	// 海川贸易 138****0001
}
