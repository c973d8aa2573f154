package database

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"

	"exporthub/pkg/errs"
)

// documented is a code that an engine's documentation lists, and what is to be made of it.
type documented struct {
	code, name, want string
}

// readCodes reads a list of testdata/codes, which holds every code of an engine's documentation.
func readCodes(t *testing.T, name string) []documented {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "codes", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []documented
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		fields := strings.Fields(lines.Text())
		if len(fields) != 3 {
			t.Fatalf("%s: line %q has not three fields", name, lines.Text())
		}
		all = append(all, documented{fields[0], fields[1], fields[2]})
	}
	return all
}

// answer is what a request gets for an error of a Write.
type answer struct {
	code  string        // "" is an internal error
	retry time.Duration // Retry-After
	again bool          // Write runs its function once more before it
}

var answers = map[string]answer{
	"-":           {"", 0, false},
	"conflict":    {CodeBusy, time.Second, true},
	"exhausted":   {CodeBusy, time.Second, false},
	"unreachable": {CodeUnavailable, time.Second, true},
	"unknown":     {CodeUnavailable, time.Second, true},
	"unwritable":  {CodeUnwritable, unwritableRetry, false},
	"read-only":   {CodeUnwritable, unwritableRetry, false},
}

// checkAnswer compares what a Write and a Read make of an error with what is wanted.
func checkAnswer(t *testing.T, name, meaning string, err error) {
	t.Helper()
	want, known := answers[meaning]
	if !known {
		t.Fatalf("%s: %q is no meaning", name, meaning)
	}
	got := answer{again: (&DB{}).again(&Tx{failed: err}, err, 1)}
	if e := errs.As(explain(context.Background(), err)); e != nil {
		got.code, got.retry = e.Code, e.RetryAfter
		if e.Kind != errs.Unavailable || e.Message == "" || !errors.Is(e, err) {
			t.Errorf("%s: %#v has another kind, no message or no cause", name, e)
		}
	}
	if got != want {
		t.Errorf("%s: a Write gets %+v, want %+v", name, got, want)
	}
	// A Read asks for a transaction without writes, so there a refusal of one is our mistake.
	if meaning == "read-only" {
		want.code = ""
	}
	code := ""
	if e := errs.As(explainRead(context.Background(), err)); e != nil {
		code = e.Code
	}
	if code != want.code {
		t.Errorf("%s: a Read gets %q, want %q", name, code, want.code)
	}
	if got := isUnknownCommit(err); got != (meaning == "unknown") {
		t.Errorf("%s as the answer to COMMIT: outcome unknown is %v", name, got)
	}
	if IsUnwritable(explain(context.Background(), err)) != (want.retry == unwritableRetry) {
		t.Errorf("%s: IsUnwritable is wrong", name)
	}
}

// isUnknownCommit is what commit asks of an engine's answer.
func isUnknownCommit(err error) bool { return meaningOf(err) == unknown }

func TestEveryCodeOfPostgreSQL(t *testing.T) {
	listed := map[string]bool{}
	for _, d := range readCodes(t, "postgres.txt") {
		listed[d.code], listed[d.code[:2]] = true, true
		checkAnswer(t, d.code+" "+d.name, d.want, &pgconn.PgError{Code: d.code, Message: "text"})
	}
	if len(listed) < 250 {
		t.Errorf("the list has %d codes and classes, the documentation more", len(listed))
	}
	for code := range postgresCodes {
		if !listed[code] {
			t.Errorf("the table's %s is not documented", code)
		}
	}
	for class := range postgresClasses {
		if !listed[class] {
			t.Errorf("the table's class %s is not documented", class)
		}
	}
	checkAnswer(t, "a stale plan", "conflict",
		&pgconn.PgError{Code: "0A000", Message: "cached plan must not change result type"})
	checkAnswer(t, "a code to come", "exhausted", &pgconn.PgError{Code: "53ZZZ"})
	checkAnswer(t, "no code", "-", &pgconn.PgError{Code: "5"})
}

func TestEveryCodeOfMySQLAndMariaDB(t *testing.T) {
	listed := map[uint16]bool{}
	for _, d := range readCodes(t, "mysql.txt") {
		number, err := strconv.ParseUint(d.code, 10, 16)
		if err != nil {
			t.Fatal(err)
		}
		listed[uint16(number)] = true
		checkAnswer(t, d.code+" "+d.name, d.want, &mysql.MySQLError{Number: uint16(number), Message: "text"})
	}
	for number := range mysqlCodes {
		if !listed[number] {
			t.Errorf("the table's %d is not documented", number)
		}
	}
	for text, want := range map[string]string{
		`Got error 28 "No space left on device" from storage engine Aria`:   "unwritable",
		`Got error 28 - 'No space left on device' from storage engine`:      "unwritable",
		`Got error 127 "Incorrect file format" from storage engine Aria`:    "-",
		`Got error 284 "Table is being defragmented" from storage engine X`: "-",
	} {
		checkAnswer(t, text, want, &mysql.MySQLError{Number: 1030, Message: text})
	}
}

func TestEveryCodeOfSQLite(t *testing.T) {
	names := map[string]meaning{
		"-":           faulty,
		"conflict":    conflict,
		"exhausted":   exhausted,
		"unreachable": unreachable,
		"unwritable":  unwritable,
		"read-only":   readOnly,
	}
	listed := map[int]bool{}
	for _, d := range readCodes(t, "sqlite.txt") {
		code, err := strconv.Atoi(d.code)
		if err != nil {
			t.Fatal(err)
		}
		listed[code] = true
		// The driver's error can't be made outside of it; what an error of a meaning becomes is
		// tested with the other engines' codes.
		if got := sqliteMeaning(code); got != names[d.want] {
			t.Errorf("%s %s: meaning %d, want %s", d.code, d.name, got, d.want)
		}
	}
	for code := range sqlitePrimary {
		if !listed[code] {
			t.Errorf("the table's %d is not documented", code)
		}
	}
	for code := range sqliteExtended {
		if !listed[code] {
			t.Errorf("the table's %d is not documented", code)
		}
	}
}
