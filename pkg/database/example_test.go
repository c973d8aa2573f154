package database_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing/fstest"

	"exporthub/pkg/database"
)

// quotas is the migration of a package, which is embedded in programs.
var quotas = fstest.MapFS{"migrations/20260101000000_quotas.sql": {Data: []byte(`-- +goose Up
CREATE TABLE quotas (id {{id}}, user_id BIGINT NOT NULL UNIQUE, active INTEGER NOT NULL){{table}};

-- +goose Down
DROP TABLE quotas;
`)}}

// A limit is kept by a conditional update of a row that exists, never by a SELECT before the
// UPDATE: two transactions that read the same count would both go on.
func ExampleDB_Write() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	dsn := "sqlite:" + filepath.Join(dir, "app.db")
	db, err := database.Open(ctx, dsn, database.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	if err := database.Migrate(ctx, db, quotas); err != nil {
		fmt.Println(err)
		return
	}

	errFull := errors.New("two exports are running")
	start := func(user int64) error {
		return db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
			const row = "INSERT INTO quotas (user_id, active) VALUES (?, 0)"
			if err := tx.InsertIgnore(ctx, row, user); err != nil {
				return err
			}
			const take = "UPDATE quotas SET active = active + 1 WHERE user_id = ? AND active < 2"
			n, err := tx.Exec(ctx, take, user)
			if err != nil || n == 0 {
				return cmp.Or(err, errFull)
			}
			tx.AfterCommit(func(context.Context) { fmt.Println("committed") })
			return nil
		})
	}
	for range 3 {
		fmt.Println(start(7))
	}
	// Output:
	// committed
	// <nil>
	// committed
	// <nil>
	// two exports are running
}
