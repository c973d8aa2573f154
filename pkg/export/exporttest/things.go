package exporttest

import (
	"context"
	"embed"
	"io/fs"
	"testing"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/export"
	"exporthub/pkg/job"
)

//go:embed testdata/migrations/*.sql
var migrations embed.FS

// Sources are the migrations that an export engine and the list of Things need.
func Sources(t testing.TB) []fs.FS {
	t.Helper()
	things, err := fs.Sub(migrations, "testdata")
	if err != nil {
		t.Fatal(err)
	}
	return []fs.FS{auth.Migrations, job.Migrations, export.Migrations, things}
}

// ThingFilter is the filter of the test's list.
type ThingFilter struct {
	Name string `json:"name,omitempty" column:"name"`
}

// thing is a row of the list.
type thing struct {
	ID    int64
	Name  string
	Price int64
	Phone string
}

// Things is a list over a table of its own, with a column that needs a permission.
func Things() dataset.Dataset {
	where := func(q dataset.Query[ThingFilter]) (string, []any) {
		text, args := " WHERE id > ?", []any{0}
		if q.Filter.Name != "" {
			text, args = text+" AND name = ?", append(args, q.Filter.Name)
		}
		for i, id := range q.IDs {
			join := ","
			if i == 0 {
				text, join = text+" AND id IN (", ""
			}
			text, args = text+join+"?", append(args, id)
		}
		if len(q.IDs) > 0 {
			text += ")"
		}
		return text, args
	}
	return dataset.Define(dataset.Spec[ThingFilter, thing]{
		Name: "thing", Service: "Exports::Thing", Title: "物品", Permission: "thing.export",
		Fields: []dataset.Field[thing]{
			{Column: dataset.Column{Key: "id", Title: "ID", Type: dataset.Int}, Value: func(r *thing) dataset.Value { return dataset.Number(r.ID) }},
			{Column: dataset.Column{Key: "name", Title: "名称"}, Value: func(r *thing) dataset.Value { return dataset.String(r.Name) }},
			{Column: dataset.Column{Key: "price", Title: "价格", Type: dataset.Money}, Value: func(r *thing) dataset.Value { return dataset.Number(r.Price) }},
			{Column: dataset.Column{Key: "phone", Title: "电话", Permission: "thing.phone"}, Value: func(r *thing) dataset.Value { return dataset.String(r.Phone) }},
		},
		Count: func(ctx context.Context, tx *database.Tx, q dataset.Query[ThingFilter]) (int64, error) {
			text, args := where(q)
			return database.One(ctx, tx, database.Scalar[int64], "SELECT COUNT(*) FROM things"+text, args...)
		},
		Page: func(ctx context.Context, tx *database.Tx, q dataset.Query[ThingFilter], last *thing, limit int, into []thing) ([]thing, error) {
			text, args := where(q)
			if last != nil {
				args[0] = last.ID
			}
			rows, err := database.All(ctx, tx, func(row database.Scanner) (v thing, err error) {
				err = row.Scan(&v.ID, &v.Name, &v.Price, &v.Phone)
				return v, err
			}, "SELECT id, name, price, phone FROM things"+text+" ORDER BY id LIMIT ?", append(args, limit)...)
			return append(into, rows...), err
		},
	})
}
