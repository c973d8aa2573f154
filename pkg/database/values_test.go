package database_test

import (
	"bytes"
	"database/sql"
	"math"
	"slices"
	"testing"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/errs"
)

// insert adds a row in a Write of its own.
func insert(t *testing.T, db *database.DB, query string, args ...any) (id int64, err error) {
	t.Helper()
	err = db.Write(t.Context(), func(ctx ctxT, tx txT) (err error) {
		id, err = tx.Insert(ctx, query, args...)
		return err
	})
	return id, err
}

func TestTextComesBackAsItWent(t *testing.T) {
	long := string(bytes.Repeat([]byte("长"), 400_000)) // more than MySQL's TEXT holds
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		for name, text := range map[string]string{
			"empty": "", "chinese": "张三", "emoji": "👩‍👩‍👧‍👦 🀄", "quotes": `'"` + "`", "backslash": `a\b\'\%`, "placeholder": "? $1 :x",
			"newlines": "a\r\nb\tc", "spaces": "  a  ", "highest": "\U0010FFFF", "combining": "é", "controls": "\x01\x1f\x7f", "long": long,
		} {
			id, err := insert(t, db, "INSERT INTO item (name, note, raw) VALUES (?, ?, ?)", name, text, []byte(text))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			var note sql.NullString
			var raw []byte
			err = db.Read(t.Context(), func(ctx ctxT, tx txT) error {
				return tx.QueryRow(ctx, "SELECT note, raw FROM item WHERE id = ?", id).Scan(&note, &raw)
			})
			if err != nil || !note.Valid || note.String != text || !bytes.Equal(raw, []byte(text)) {
				t.Errorf("%s: came back as %.40q (valid %v) and %.40q, %v", name, note.String, note.Valid, raw, err)
			}
		}
	})
}

func TestLiteralsMeanTheSame(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		err := db.Read(t.Context(), func(ctx ctxT, tx txT) error {
			got, err := database.One(ctx, tx, database.Scalar[string], `SELECT 'a\n''?' || '-' || "item"."name" FROM (SELECT 'x' AS name) "item"`)
			if want := `a\n'?-x`; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestTextThatCannotBeStoredIsRefused(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		type named string
		bad := "a\x00b"
		for name, arg := range map[string]any{
			"NUL": bad, "not UTF-8": "a\xff", "half a character": "张"[:2], "named type": named(bad), "pointer": &bad,
			"valuer": sql.NullString{String: bad, Valid: true},
		} {
			_, err := insert(t, db, "INSERT INTO item (name) VALUES (?)", arg)
			if errs.KindOf(err) != errs.Invalid || errs.CodeOf(err) != "bad_text" {
				t.Errorf("%s: %v, want Invalid and bad_text", name, err)
			}
		}
		if _, err := insert(t, db, "INSERT INTO item (name, raw) VALUES ('bytes', ?)", []byte(bad+"\xff")); err != nil {
			t.Errorf("bytes may be anything: %v", err)
		}
		for name, arg := range map[string]any{"time": time.Now(), "pointer to time": new(time.Time), "null time of sql": sql.NullTime{Time: time.Now(), Valid: true}} {
			if _, err := insert(t, db, "INSERT INTO item (name, at) VALUES ('t', ?)", arg); err == nil {
				t.Errorf("%s was stored other than in microseconds", name)
			}
		}
		if n := count(t, db, "SELECT COUNT(*) FROM item"); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	})
}

func TestEqualityIsOfBytes(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		names := []string{"abc", "ABC", "abc ", " abc", "äbc", "abc\u0308", "ｱ", "ア", "ß", "ss", "🀄", "🀅", "张", "張"}
		for _, name := range names { // under a unique index
			if _, err := insert(t, db, "INSERT INTO item (name) VALUES (?)", name); err != nil {
				t.Errorf("%q beside the others: %v", name, err)
			}
		}
		for _, name := range names {
			if n := count(t, db, "SELECT COUNT(*) FROM item WHERE name = ?", name); n != 1 {
				t.Errorf("%d rows equal %q, want 1", n, name)
			}
		}
	})
}

func TestLikeFindsWhatWasTyped(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		all := []string{"100% sure", "100 sure", "a_b", "axb", "wow!", "wow", `back\slash`, "backslash", "张三", "李四", "Case", "[set]", "x*y?"}
		for _, name := range all {
			if _, err := insert(t, db, "INSERT INTO item (name) VALUES (?)", name); err != nil {
				t.Fatal(err)
			}
		}
		find := func(pattern string) []string {
			var names []string
			err := db.Read(t.Context(), func(ctx ctxT, tx txT) (err error) {
				names, err = database.All(ctx, tx, database.Scalar[string], "SELECT name FROM item WHERE name LIKE ? ESCAPE '!' ORDER BY id", pattern)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return names
		}
		for typed, want := range map[string][]string{
			"%": {"100% sure"}, "0%": {"100% sure"}, "_": {"a_b"}, "!": {"wow!"}, `\`: {`back\slash`}, "三": {"张三"}, "张三": {"张三"},
			"case": {}, "Case": {"Case"}, "[": {"[set]"}, "*y?": {"x*y?"}, "'": {}, "": all,
		} {
			if got := find(database.Contains(typed)); !slices.Equal(got, want) {
				t.Errorf("Contains(%q) finds %q, want %q", typed, got, want)
			}
		}
		if got := find(database.Prefix("100%")); !slices.Equal(got, all[:1]) {
			t.Errorf("Prefix finds %q", got)
		}
		if got := find(database.Prefix("sure")); len(got) != 0 {
			t.Errorf("Prefix finds %q in the middle", got)
		}
	})
}

func TestNumbersBooleansAndNull(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		at := time.Date(2026, 11, 21, 23, 59, 59, 123456000, time.FixedZone("", 8*3600))
		old := time.Date(1900, 1, 1, 0, 0, 0, 1000, time.UTC)
		for i, c := range []struct {
			amount int64
			done   bool
			at     database.NullTime
		}{
			{math.MaxInt64, true, database.Nullable(at)},
			{math.MinInt64, false, database.Nullable(time.Time{})},
			{1<<53 + 1, true, database.NullablePtr(&old)},
			{0, false, database.NullablePtr(nil)},
		} {
			id, err := insert(t, db, "INSERT INTO item (name, amount, done, at) VALUES (?, ?, ?, ?)", string(rune('a'+i)), c.amount, c.done, c.at)
			if err != nil {
				t.Fatal(err)
			}
			var amount int64
			var done bool
			var got database.NullTime
			var note *string
			err = db.Read(t.Context(), func(ctx ctxT, tx txT) error {
				return tx.QueryRow(ctx, "SELECT amount, done, at, note FROM item WHERE id = ? AND done = ?", id, c.done).Scan(&amount, &done, &got, &note)
			})
			if err != nil || amount != c.amount || done != c.done || got.Valid != c.at.Valid || !got.Time.Equal(c.at.Time) || note != nil {
				t.Errorf("stored %+v, got %d, %v, %+v, %v; %v", c, amount, done, got, note, err)
			}
			if got.Valid && got.Time.Location() != time.UTC {
				t.Errorf("the time is in %s, want UTC", got.Time.Location())
			}
		}
		if n := count(t, db, "SELECT COUNT(*) FROM item WHERE done = TRUE AND at IS NOT NULL"); n != 2 {
			t.Errorf("%d rows are done and have a time, want 2", n)
		}
		if _, err := insert(t, db, "INSERT INTO item (name, note) VALUES ('', '')"); err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, "SELECT COUNT(*) FROM item WHERE note IS NOT NULL AND note = '' AND name = ''"); n != 1 {
			t.Errorf("%d rows have an empty note, want 1: empty is not NULL", n)
		}
	})
}

func TestNullTimeRefusesWhatIsNoTime(t *testing.T) {
	var n database.NullTime
	if err := n.Scan("yesterday"); err == nil {
		t.Errorf("Scan of text gave %+v", n)
	}
	if p := (database.NullTime{}).Ptr(); p != nil {
		t.Errorf("Ptr of NULL = %v", p)
	}
	at := time.UnixMicro(5)
	if p := database.Nullable(at).Ptr(); p == nil || !p.Equal(at) {
		t.Errorf("Ptr = %v, want %v", p, at)
	}
}

func TestInsertReturnsTheKey(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		first, err := insert(t, db, "INSERT INTO item (name) VALUES (?);\n", "a")
		if err != nil {
			t.Fatal(err)
		}
		second, err := insert(t, db, "INSERT INTO item (name) VALUES (?)", "b")
		if err != nil || second <= first {
			t.Errorf("keys %d, %d, %v", first, second, err)
		}
		execute(t, db, "DELETE FROM item WHERE id = ?", second)
		third, err := insert(t, db, "INSERT INTO item (name) VALUES (?)", "c")
		if err != nil || third <= second {
			t.Errorf("the key %d of a deleted row was given again: %d, %v", second, third, err)
		}
		if n := count(t, db, "SELECT COUNT(*) FROM item WHERE name = 'c' AND id = ?", third); n != 1 {
			t.Errorf("the row with the returned key is not the row")
		}
	})
}

func TestInsertIgnoreAndOnConflictSet(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		err := db.Write(t.Context(), func(ctx ctxT, tx txT) error {
			for range 2 {
				if err := tx.InsertIgnore(ctx, "INSERT INTO item (name, amount) VALUES (?, ?), (?, ?)", "a", 1, "b", 2); err != nil {
					return err
				}
			}
			_, err := tx.Exec(ctx, "INSERT INTO item (name, amount, note) VALUES ('a', 10, 'x')"+tx.OnConflictSet("name", "amount", "note"))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, "SELECT SUM(amount) * 10 + COUNT(*) FROM item"); n != 122 {
			t.Errorf("sum and count are %d, want 12 and 2", n)
		}
		for name, query := range map[string]string{
			"NOT NULL":    "INSERT INTO item (name) VALUES (NULL)",
			"foreign key": "INSERT INTO child (item_id) VALUES (99)",
			"no columns":  "INSERT INTO counter VALUES (1, 2)",
			"no insert":   "DELETE FROM item",
		} {
			err := db.Write(t.Context(), func(ctx ctxT, tx txT) error { return tx.InsertIgnore(ctx, query) })
			if err == nil {
				t.Errorf("%s: ignored too", name)
			}
		}
	})
}

func TestExecCountsRowsFound(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		execute(t, db, "INSERT INTO item (name, amount) VALUES ('a', 1), ('b', 1), ('c', 2)")
		if n := execute(t, db, "UPDATE item SET amount = 1 WHERE amount = 1"); n != 2 {
			t.Errorf("an UPDATE to the same value found %d rows, want 2", n)
		}
		if n := execute(t, db, "DELETE FROM item WHERE name IN "+database.In(3), "a", "c", "x"); n != 2 {
			t.Errorf("DELETE found %d rows, want 2", n)
		}
	})
}

func TestClockOfTheDatabase(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		// The servers run on this machine, so their clock is ours; SQLite's has milliseconds.
		before := time.Now().Truncate(time.Millisecond)
		err := db.Write(t.Context(), func(ctx ctxT, tx txT) error {
			now, err := tx.Now(ctx)
			if err != nil {
				return err
			}
			if after := time.Now().Add(time.Millisecond); now.Before(before) || now.After(after) || now.Location() != time.UTC {
				t.Errorf("Now = %v, want between %v and %v in UTC", now, before, after)
			}
			_, err = tx.Exec(ctx, "INSERT INTO item (name, at) VALUES ('a', "+tx.NowMicros()+" + ?)", int64(time.Hour/time.Microsecond))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Read(t.Context(), func(ctx ctxT, tx txT) error {
			n, err := database.One(ctx, tx, database.Scalar[int64], "SELECT COUNT(*) FROM item WHERE at > "+tx.NowMicros()+" AND at - 3600000001 < "+tx.NowMicros())
			if n != 1 {
				t.Errorf("the row an hour ahead is not found by the clock")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestLockedRowsAreSkipped(t *testing.T) {
	dbtest.Each(t, schema, func(t *testing.T, db *database.DB) {
		execute(t, db, "INSERT INTO counter (owner, used) VALUES (1, 0), (2, 0)")
		take := func(ctx ctxT, tx txT) (int64, error) {
			return database.One(ctx, tx, database.Scalar[int64], "SELECT owner FROM counter ORDER BY owner LIMIT 1"+tx.SkipLocked())
		}
		err := db.Write(t.Context(), func(ctx ctxT, tx txT) error {
			if _, err := database.One(ctx, tx, database.Scalar[int64], "SELECT used FROM counter WHERE owner = 1"+tx.ForUpdate()); err != nil {
				return err
			}
			if db.Dialect() == database.SQLite {
				return nil // a second writer would wait for this one
			}
			return db.Write(t.Context(), func(ctx ctxT, tx txT) error {
				owner, err := take(ctx, tx)
				if owner != 2 {
					t.Errorf("took row %d, want the one that is not locked", owner)
				}
				return err
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
