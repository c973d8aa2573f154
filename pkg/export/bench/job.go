package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	_ "modernc.org/sqlite" // the plain way opens it by name

	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/export/xlsx"
)

// postgresEnv names the server of the whole jobs, as tests have it.
const postgresEnv = "TESTKIT_POSTGRES_URL"

// columns are those of the table, in the order that scan reads them.
const columns = "id, created_at, status, description, phone, company, department, position, cents, was_read"

// plainJobs are whole exports, from rows in a database to the finished file: the plain way, which
// is one query read with the engine's driver and written with excelize's stream writer, and ours,
// with its snapshot, count and keyset pages.
var plainJobs = []peer{
	{name: "plain-postgres", job: plainPostgres},
	{name: "export-postgres", job: exported},
	{name: "plain-sqlite", job: plainSQLite},
	{name: "export-sqlite", job: exported},
}

// table is the list as a system's migration would make it, with the index that its pages follow.
var table = fstest.MapFS{"migrations/20260101000000_bench.sql": {Data: []byte(`-- +goose Up
CREATE TABLE bench_rows (
	id {{id}},
	created_at BIGINT NOT NULL,
	status VARCHAR(16) NOT NULL,
	description VARCHAR(500) NOT NULL,
	phone VARCHAR(32) NOT NULL,
	company VARCHAR(200) NOT NULL,
	department VARCHAR(200) NOT NULL,
	position VARCHAR(200) NOT NULL,
	cents BIGINT NOT NULL,
	was_read BOOLEAN NOT NULL
){{table}};
CREATE INDEX bench_rows_newest ON bench_rows (created_at, id);

-- +goose Down
DROP TABLE bench_rows;
`)}}

// benchJobs compares whole exports with the plain way, on PostgreSQL and on SQLite.
func benchJobs(ctx context.Context, out io.Writer, counts []int, rounds int) error {
	server := os.Getenv(postgresEnv)
	if server == "" {
		return fmt.Errorf("-job needs a PostgreSQL server in %s: run it under go run ./pkg/testkit/services --", postgresEnv)
	}
	for _, rows := range counts {
		title := fmt.Sprintf("whole job, %d rows", rows)
		err := onPostgres(ctx, server, rows, func(dsn string) error {
			return compare(ctx, out, title+" in PostgreSQL", plainJobs[:2], dsn, rows, rounds)
		})
		if err != nil {
			return err
		}
		dir, err := os.MkdirTemp("", "bench-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		dsn := "sqlite:" + filepath.Join(dir, "bench.db")
		if err := fillTable(ctx, dsn, rows); err != nil {
			return err
		}
		if err := compare(ctx, out, title+" in SQLite", plainJobs[2:], dsn, rows, rounds); err != nil {
			return err
		}
	}
	return nil
}

// onPostgres runs fn with a database of its own that holds the rows, and drops it afterwards.
func onPostgres(ctx context.Context, server string, rows int, fn func(dsn string) error) error {
	admin, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	name := fmt.Sprintf("bench_%d", rand.Uint64())
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return err
	}
	// Also after an interrupt, or the databases would pile up on the server.
	defer admin.Exec(context.WithoutCancel(ctx), "DROP DATABASE "+name)
	u, err := url.Parse(server)
	if err != nil {
		return err
	}
	u.Path = "/" + name
	if err := fillTable(ctx, u.String(), rows); err != nil {
		return err
	}
	own, err := pgx.Connect(ctx, u.String())
	if err != nil {
		return err
	}
	// As autovacuum would have done by the time of an export: index-only scans need it, and without
	// statistics the plans of the first round differ from those of the last.
	_, err = own.Exec(ctx, "VACUUM ANALYZE bench_rows")
	if e := own.Close(ctx); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return fn(u.String())
}

// fillTable makes the table and its rows, through the package that programs use: it knows the types
// of each engine.
func fillTable(ctx context.Context, dsn string, rows int) error {
	db, err := database.Open(ctx, dsn, database.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := database.Migrate(ctx, db, table); err != nil {
		return err
	}
	// Statements below the engines' limit of placeholders, transactions of some seconds.
	const inOne, inWrite = 500, 20_000
	for from := 0; from < rows; from += inWrite {
		err := db.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
			for at := from; at < min(from+inWrite, rows); at += inOne {
				if err := insert(ctx, tx, at, min(at+inOne, rows)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// insert writes rows in one statement. The id is left out: the engine numbers them in the same
// order.
func insert(ctx context.Context, tx *database.Tx, from, until int) error {
	var v row
	args := make([]any, 0, 9*(until-from))
	for i := from; i < until; i++ {
		v.fill(i)
		args = append(args, database.Micros(v.At), v.Status, v.Description, v.Phone, v.Company, v.Department, v.Position, v.Cents, v.Read)
	}
	places := strings.TrimSuffix(strings.Repeat("(?,?,?,?,?,?,?,?,?),", until-from), ",")
	_, err := tx.Exec(ctx, "INSERT INTO bench_rows ("+strings.TrimPrefix(columns, "id, ")+") VALUES "+places, args...)
	return err
}

// scan reads a row of a query for columns, for our way and for the plain one: both pay the same for
// it.
func (v *row) scan(s database.Scanner) error {
	var micros int64
	err := s.Scan(&v.ID, &micros, &v.Status, &v.Description, &v.Phone, &v.Company, &v.Department, &v.Position, &v.Cents, &v.Read)
	v.At = database.Time(micros)
	return err
}

// cursor is the rows of a query, from database/sql or from pgx.
type cursor interface {
	database.Scanner
	Next() bool
	Err() error
}

// eachOf calls fn with every row, which is reused. The caller closes the query.
func eachOf(rows cursor, fn func(v *row) error) error {
	var v row
	for rows.Next() {
		if err := v.scan(rows); err != nil {
			return err
		}
		if err := fn(&v); err != nil {
			return err
		}
	}
	return rows.Err()
}

// plainQuery reads everything at once, as a program without keyset pages would.
const plainQuery = "SELECT " + columns + " FROM bench_rows ORDER BY created_at DESC, id DESC"

// plainPostgres uses pgx itself and not database/sql: the peer gets the quickest driver there is.
func plainPostgres(ctx context.Context, dsn string, out io.Writer) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return streamWriter(0)(out, func(fn func(v *row) error) error {
		rows, err := conn.Query(ctx, plainQuery)
		if err != nil {
			return err
		}
		defer rows.Close()
		return eachOf(rows, fn)
	})
}

// plainSQLite uses the driver that we use, through database/sql, which it has no way around.
func plainSQLite(ctx context.Context, dsn string, out io.Writer) error {
	db, err := sql.Open("sqlite", strings.TrimPrefix(dsn, "sqlite:"))
	if err != nil {
		return err
	}
	defer db.Close()
	return streamWriter(0)(out, func(fn func(v *row) error) error {
		rows, err := db.QueryContext(ctx, plainQuery)
		if err != nil {
			return err
		}
		defer rows.Close()
		return eachOf(rows, fn)
	})
}

// exported is our way: a dataset in a snapshot, counted and read in pages. It is what a worker does
// for a job, but for the job's row, its events and the upload.
func exported(ctx context.Context, dsn string, out io.Writer) error {
	db, err := database.Open(ctx, dsn, database.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	set := list()
	s := sheet()
	var w dataset.Writer
	err = db.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		if s.Rows, err = set.Count(ctx, tx, dataset.Selection{}); err != nil {
			return err
		}
		if w, err = xlsx.Format(xlsx.Options{}).New(out, s); err != nil {
			return err
		}
		for values, err := range set.Rows(ctx, tx, dataset.Selection{}, set.Columns) {
			if err != nil {
				return err
			}
			if err := w.Write(values); err != nil {
				return err
			}
		}
		return nil
	})
	// Outside the transaction, which should not stay open while the file is finished.
	if w != nil {
		defer w.Abort()
	}
	if err != nil {
		return err
	}
	_, err = w.Close()
	return err
}

// noFilter is the filter of a list that has none.
type noFilter struct{}

// list is the rows as a system declares them.
func list() dataset.Dataset {
	spec := dataset.Spec[noFilter, row]{
		Name:       "bench",
		Service:    "Exports::Bench",
		Title:      "数据",
		Permission: "bench.export",
		Count: func(ctx context.Context, tx *database.Tx, _ dataset.Query[noFilter]) (int64, error) {
			return database.One(ctx, tx, database.Scalar[int64], "SELECT COUNT(*) FROM bench_rows")
		},
		Page: func(ctx context.Context, tx *database.Tx, _ dataset.Query[noFilter], last *row, limit int, into []row) ([]row, error) {
			// The condition on created_at alone lets every engine seek in the index; a row value
			// comparison is not used so by all.
			where, args := "", []any{}
			if last != nil {
				at := database.Micros(last.At)
				where, args = " WHERE created_at <= ? AND (created_at < ? OR id < ?)", append(args, at, at, last.ID)
			}
			rows, err := tx.Query(ctx, "SELECT "+columns+" FROM bench_rows"+where+" ORDER BY created_at DESC, id DESC LIMIT ?", append(args, limit)...)
			if err != nil {
				return into, err
			}
			defer rows.Close()
			err = eachOf(rows, func(v *row) error {
				into = append(into, *v)
				return nil
			})
			return into, err
		},
	}
	read := []func(v *row) dataset.Value{
		func(v *row) dataset.Value { return dataset.Number(v.ID) },
		func(v *row) dataset.Value { return dataset.Instant(v.At) },
		func(v *row) dataset.Value { return dataset.String(v.Status) },
		func(v *row) dataset.Value { return dataset.String(v.Description) },
		func(v *row) dataset.Value { return dataset.String(v.Phone) },
		func(v *row) dataset.Value { return dataset.String(v.Company) },
		func(v *row) dataset.Value { return dataset.String(v.Department) },
		func(v *row) dataset.Value { return dataset.String(v.Position) },
		func(v *row) dataset.Value { return dataset.Number(v.Cents) },
		func(v *row) dataset.Value { return dataset.Truth(v.Read) },
	}
	for i, c := range sheet().Columns {
		spec.Fields = append(spec.Fields, dataset.Field[row]{Column: c, Value: read[i]})
	}
	return dataset.Define(spec)
}
