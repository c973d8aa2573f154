package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"exporthub/pkg/errs"
)

// Tx is a running transaction, valid inside the function it was given to. It is for one goroutine
// at a time: close the rows of one query before the next statement.
//
// A failed statement fails the transaction on every engine, as PostgreSQL has it: statements after
// it return ErrFailed, and Write rolls back with the first error whatever its function returns.
type Tx struct {
	db     *DB
	tx     *sql.Tx
	write  bool
	failed error
	after  []func(context.Context)
}

// Dialect returns the engine.
func (tx *Tx) Dialect() Dialect { return tx.db.src.dialect }

// Exec runs a statement and returns how many rows it found (for an UPDATE: matched, whether or not
// a value changed).
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := tx.exec(ctx, query, args)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Insert runs an INSERT of one row into a table whose key is the migrations' {{id}}, and returns
// the new id.
func (tx *Tx) Insert(ctx context.Context, query string, args ...any) (int64, error) {
	if tx.Dialect() == MySQL {
		result, err := tx.exec(ctx, query, args)
		if err != nil {
			return 0, err
		}
		return result.LastInsertId()
	}
	if !tx.write {
		return 0, ErrReadOnly
	}
	var id int64
	err := tx.QueryRow(ctx, strings.TrimRight(query, "; \t\r\n")+" RETURNING id", args...).Scan(&id)
	return id, err
}

var insertHead = regexp.MustCompile(`(?is)^\s*INSERT\s+INTO\s+\S+?\s*\(\s*([a-z_][a-z0-9_]*)`)

// InsertIgnore runs an INSERT INTO table (column, ...) VALUES ... that does nothing where a primary
// key or unique index has the row already; other errors stay errors. It is for rows that must exist
// before a conditional UPDATE of them.
func (tx *Tx) InsertIgnore(ctx context.Context, query string, args ...any) error {
	head := insertHead.FindStringSubmatch(query)
	if head == nil {
		return fmt.Errorf("database: InsertIgnore wants INSERT INTO table (column, ...), got %q", query)
	}
	query = strings.TrimRight(query, "; \t\r\n")
	if tx.Dialect() == MySQL {
		// Not INSERT IGNORE, which also cuts long values and passes over broken foreign keys.
		query += " ON DUPLICATE KEY UPDATE " + head[1] + " = " + head[1]
	} else {
		query += " ON CONFLICT DO NOTHING"
	}
	_, err := tx.exec(ctx, query, args)
	return err
}

// Query runs a query of several rows. The caller closes the rows and asks their Err. See also All.
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	query, args, err := tx.prepare(query, args)
	if err != nil {
		return nil, err
	}
	rows, err := tx.tx.QueryContext(ctx, query, args...)
	return rows, tx.note(ctx, err)
}

// QueryRow runs a query of one row; what goes wrong comes out of Scan. See also One.
func (tx *Tx) QueryRow(ctx context.Context, query string, args ...any) *Row {
	query, args, err := tx.prepare(query, args)
	if err != nil {
		return &Row{err: err}
	}
	return &Row{tx: tx, ctx: ctx, row: tx.tx.QueryRowContext(ctx, query, args...)}
}

// Now returns the database's clock in UTC, in microseconds (SQLite's: milliseconds). Asked twice,
// it has moved.
func (tx *Tx) Now(ctx context.Context) (time.Time, error) {
	var micros int64
	if err := tx.QueryRow(ctx, "SELECT "+tx.NowMicros()).Scan(&micros); err != nil {
		return time.Time{}, err
	}
	return Time(micros), nil
}

// NowMicros is the SQL expression of the database's clock as a BIGINT of microseconds, to be put
// into statements. It is the same for every row of one statement.
func (tx *Tx) NowMicros() string { return tx.Dialect().nowMicros() }

// ForUpdate is the end of a SELECT whose rows stay locked until the transaction ends: " FOR
// UPDATE", or nothing on SQLite, where a Write is alone anyway.
func (tx *Tx) ForUpdate() string {
	if tx.Dialect() == SQLite {
		return ""
	}
	return " FOR UPDATE"
}

// SkipLocked is ForUpdate for rows that nobody else has locked, so that several workers can take
// from one table.
func (tx *Tx) SkipLocked() string {
	if tx.Dialect() == SQLite {
		return ""
	}
	return " FOR UPDATE SKIP LOCKED"
}

// OnConflictSet is the end of an INSERT that overwrites columns of the row that has the same key,
// with the values of the INSERT. The key is the columns of a primary key or unique index,
// comma-separated.
func (tx *Tx) OnConflictSet(key string, columns ...string) string {
	set := make([]string, len(columns))
	for i, c := range columns {
		if tx.Dialect() == MySQL {
			set[i] = c + " = VALUES(" + c + ")"
		} else {
			set[i] = c + " = excluded." + c
		}
	}
	if tx.Dialect() == MySQL {
		return " ON DUPLICATE KEY UPDATE " + strings.Join(set, ", ")
	}
	return " ON CONFLICT (" + key + ") DO UPDATE SET " + strings.Join(set, ", ")
}

// AfterCommit registers what is to happen once the transaction is committed (enqueue a task,
// publish an event). The functions of tries that were rolled back never run. They run one after
// another, before Write returns, with a context that outlives the caller's but not
// Options.AfterCommit; they may open transactions, and what they can't do they log. A panic in one
// is logged: the commit has happened. In a Read they run after its end.
func (tx *Tx) AfterCommit(fn func(ctx context.Context)) { tx.after = append(tx.after, fn) }

func (tx *Tx) exec(ctx context.Context, query string, args []any) (sql.Result, error) {
	if !tx.write {
		return nil, ErrReadOnly
	}
	query, args, err := tx.prepare(query, args)
	if err != nil {
		return nil, err
	}
	result, err := tx.tx.ExecContext(ctx, query, args...)
	return result, tx.note(ctx, err)
}

// prepare writes the placeholders of the engine and looks at the arguments.
func (tx *Tx) prepare(query string, args []any) (string, []any, error) {
	if tx.failed != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrFailed, tx.failed)
	}
	for i, arg := range args {
		if err := checkArg(arg); err != nil {
			return "", nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
	}
	if tx.Dialect() == Postgres {
		query = rebind(query)
	}
	return query, args, nil
}

// checkArg refuses what engines would store differently: text that is not UTF-8 or holds NUL
// (PostgreSQL and MySQL refuse it, each in part, SQLite takes all), and times, which are stored
// through Micros.
func checkArg(arg any) error {
	switch v := arg.(type) {
	case nil, int, int64, int32, bool, float64, []byte, NullTime:
		return nil
	case string:
		return checkText(v)
	case time.Time, *time.Time:
		return errors.New("database: a time is stored as Micros(t) or Nullable(t)")
	case driver.Valuer:
		if r := reflect.ValueOf(v); r.Kind() == reflect.Pointer && r.IsNil() {
			return nil // stored as NULL
		}
		value, err := v.Value()
		if err != nil {
			return err
		}
		if _, again := value.(driver.Valuer); again {
			return fmt.Errorf("database: %T has a Valuer as its value", arg)
		}
		return checkArg(value)
	}
	switch v := reflect.ValueOf(arg); {
	case v.Kind() == reflect.String:
		return checkText(v.String())
	case v.Kind() == reflect.Pointer && !v.IsNil():
		return checkArg(v.Elem().Interface())
	}
	return nil
}

func checkText(s string) error {
	if utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 {
		return nil
	}
	return &errs.Error{
		Kind:    errs.Invalid,
		Code:    "bad_text",
		Message: "文字中含有无法保存的字符，请删除后重试",
		Cause:   errors.New("text is not UTF-8 or holds a NUL byte"),
	}
}

// note remembers the error that fails the transaction, and gives it its kind.
func (tx *Tx) note(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if tx.failed == nil && (isStatementError(err) || ctx.Err() != nil) {
		tx.failed = err
	}
	if isConflict(err) {
		return err // Write tries again; only the last try's error is for people
	}
	if !tx.write {
		return explainRead(ctx, err)
	}
	return explain(ctx, err)
}

// Row is the result of QueryRow.
type Row struct {
	tx  *Tx
	ctx context.Context // of the QueryRow call, whose second half Scan is
	row *sql.Row
	err error
}

// Scan copies the row's columns. No row is an error that IsNoRows knows.
func (r *Row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	return r.tx.note(r.ctx, r.row.Scan(dest...))
}

// Scanner is a row to be read: a *Row or a *sql.Rows.
type Scanner interface{ Scan(dest ...any) error }

// One runs a query for one row and reads it with scan. No row is an error that IsNoRows knows.
func One[T any](ctx context.Context, tx *Tx, scan func(Scanner) (T, error), query string, args ...any) (T, error) {
	return scan(tx.QueryRow(ctx, query, args...))
}

// All runs a query and reads every row with scan; no rows are an empty slice, not nil. For bounded
// results only.
func All[T any](ctx context.Context, tx *Tx, scan func(Scanner) (T, error), query string, args ...any) ([]T, error) {
	all, err := Append(ctx, tx, []T{}, scan, query, args...)
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Append is All into a slice that is there already, which it returns with what could be read even
// on an error.
func Append[T any](ctx context.Context, tx *Tx, into []T, scan func(Scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return into, err
	}
	defer rows.Close()
	for n := 1; rows.Next(); n++ {
		v, err := scan(rows)
		if err != nil && ctx.Err() != nil {
			return into, err
		}
		if err != nil {
			return into, &RowError{N: n, Err: err}
		}
		into = append(into, v)
	}
	return into, tx.note(ctx, rows.Err())
}

// RowError is a row of All or Append that its scan could not read: what the database holds is not
// what the program knows. Trying again reads the same.
type RowError struct {
	N   int // from 1
	Err error
}

// Error names the row by its place in the result.
func (e *RowError) Error() string { return fmt.Sprintf("row %d: %v", e.N, e.Err) }

// Unwrap returns the error of the scan.
func (e *RowError) Unwrap() error { return e.Err }

// Scalar reads a row of one column, for One and All.
func Scalar[T any](s Scanner) (T, error) {
	var v T
	err := s.Scan(&v)
	return v, err
}
