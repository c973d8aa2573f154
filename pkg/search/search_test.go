package search

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"

	gocmp "github.com/google/go-cmp/cmp"

	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

//go:embed testdata/migrations/*.sql
var migrations embed.FS

var things = Index{Table: "things", Order: "created_at"}

func onEach(t *testing.T, fn func(t *testing.T, db *database.DB)) {
	t.Helper()
	dbtest.Each(t, []fs.FS{migrations}, fn)
}

// thing is a row as the test knows it, for going through all of them by hand.
type thing struct {
	id, at              int64
	name, phone, colour string
}

func (v thing) text() string { return Text(v.name, v.phone) }

func write(t *testing.T, db *database.DB, fn func(ctx context.Context, tx *database.Tx) error) {
	t.Helper()
	if err := db.Write(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func add(ctx context.Context, tx *database.Tx, v thing) (int64, error) {
	id, err := tx.Insert(ctx, "INSERT INTO things (name, phone, colour, created_at, "+things.Columns(tx)+
		") VALUES (?, ?, ?, ?, "+things.Values(tx)+")", append([]any{v.name, v.phone, v.colour, v.at}, things.Args(tx, v.text())...)...)
	if err != nil {
		return 0, err
	}
	return id, things.Put(ctx, tx, Change{ID: id, New: v.text()})
}

func change(ctx context.Context, tx *database.Tx, old, v thing) error {
	_, err := tx.Exec(ctx, "UPDATE things SET name = ?, phone = ?, "+things.Set(tx)+" WHERE id = ?",
		append(append([]any{v.name, v.phone}, things.Args(tx, v.text())...), v.id)...)
	if err != nil {
		return err
	}
	return things.Put(ctx, tx, Change{ID: v.id, Old: old.text(), New: v.text()})
}

func remove(ctx context.Context, tx *database.Tx, v thing) error {
	if _, err := tx.Exec(ctx, "DELETE FROM things WHERE id = ?", v.id); err != nil {
		return err
	}
	return things.Put(ctx, tx, Change{ID: v.id, Old: v.text()})
}

func find(t *testing.T, db *database.DB, query string, w Where, limit, offset int) Found {
	t.Helper()
	var found Found
	err := db.Read(t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
		found, err = things.Find(ctx, tx, Parse(query), w, limit, offset)
		return err
	})
	if err != nil {
		t.Fatalf("find %q: %v", query, err)
	}
	return found
}

// byHand goes through all rows, with the rule as it is documented: no index, no SQL, nothing of
// this package but Fold.
func byHand(all []thing, query string, keep func(thing) bool) []int64 {
	wanted := strings.TrimSpace(Fold(query))
	sorted := slices.SortedFunc(slices.Values(all), func(a, b thing) int {
		return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.id, a.id))
	})
	ids := []int64{}
	for _, v := range sorted {
		if (strings.Contains(Fold(v.name), wanted) || strings.Contains(Fold(v.phone), wanted)) && (keep == nil || keep(v)) {
			ids = append(ids, v.id)
		}
	}
	return ids
}

// alphabet is made so that short random texts meet often, and holds what is special to one of the
// engines.
var alphabet = []rune("张三李四产品经理 13800abAB%_!?\\'\"ÄäßΣσςİıＡａ１～　\t🙂𠮷, {}.^$*")

func randomText(r *rand.Rand, most int) string {
	text := make([]rune, r.IntN(most+1))
	for i := range text {
		text[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(text)
}

// What a search finds is what going through all rows finds: after adding, changing and deleting,
// for every query.
func TestFindEqualsBruteForce(t *testing.T) {
	onEach(t, func(t *testing.T, db *database.DB) {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 1))
		var all []thing
		write(t, db, func(ctx context.Context, tx *database.Tx) error {
			all = nil
			for i := range 400 {
				v := thing{at: int64(r.IntN(50)), name: randomText(r, 8), phone: randomText(r, 40), colour: []string{"red", "blue"}[i%2]}
				var err error
				if v.id, err = add(ctx, tx, v); err != nil {
					return err
				}
				all = append(all, v)
			}
			for i := 0; i < len(all); i += 3 {
				v := all[i]
				v.name, v.phone = randomText(r, 8), randomText(r, 40)
				if err := change(ctx, tx, all[i], v); err != nil {
					return err
				}
				all[i] = v
			}
			for _, v := range all[300:] {
				if err := remove(ctx, tx, v); err != nil {
					return err
				}
			}
			all = all[:300]
			return nil
		})
		red := func(v thing) bool { return v.colour == "red" }
		for range 300 {
			query := queryFor(r, all)
			if Parse(query).Empty() {
				continue
			}
			want := byHand(all, query, nil)
			if found := find(t, db, query, Where{}, 1000, 0); !slices.Equal(found.IDs, want) || found.Total != len(want) || found.Estimated {
				t.Fatalf("%q finds %d, total %d:\n%s", query, len(found.IDs), found.Total, gocmp.Diff(want, found.IDs))
			}
			want = byHand(all, query, red)
			if found := find(t, db, query, Where{}.And("colour = ?", "red"), 7, 3); !slices.Equal(found.IDs, cut(want, 7, 3)) || found.Total != len(want) {
				t.Fatalf("%q among the red, a page: %v of %d, want %v of %d", query, found.IDs, found.Total, cut(want, 7, 3), len(want))
			}
			counted(t, db, query, len(byHand(all, query, nil)))
		}
	})
}

func counted(t *testing.T, db *database.DB, query string, want int) {
	t.Helper()
	err := db.Read(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		n, err := things.Count(ctx, tx, Parse(query), Where{})
		if err == nil && n != want {
			t.Errorf("%q counts %d, want %d", query, n, want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// queryFor is a part of a row most of the time, in another case some of the time, and else
// anything.
func queryFor(r *rand.Rand, all []thing) string {
	if r.IntN(5) == 0 {
		return randomText(r, 3)
	}
	v := all[r.IntN(len(all))]
	runes := []rune([]string{v.name, v.phone}[r.IntN(2)])
	if len(runes) == 0 {
		return randomText(r, 2)
	}
	from := r.IntN(len(runes))
	part := string(runes[from : from+1+r.IntN(len(runes)-from)])
	switch r.IntN(4) {
	case 0:
		return strings.ToUpper(part)
	case 1:
		return " " + part + " "
	}
	return part
}

// Where the data is plain, the rule is what SQL's own LIKE does on each engine.
func TestFindEqualsTheEnginesOwnLike(t *testing.T) {
	onEach(t, func(t *testing.T, db *database.DB) {
		r := rand.New(rand.NewPCG(3, 4))
		names, positions := []rune("张王李三四五梅兰"), []string{"产品经理", "Engineer", "前端工程师", "QA 100%", "a_b"}
		write(t, db, func(ctx context.Context, tx *database.Tx) error {
			for i := range 600 {
				name := string([]rune{names[r.IntN(8)], names[r.IntN(8)]}) + positions[r.IntN(5)]
				if _, err := add(ctx, tx, thing{at: int64(i % 97), name: name, phone: fmt.Sprintf("138%08d", r.IntN(1e8)), colour: "red"}); err != nil {
					return err
				}
			}
			return nil
		})
		for _, query := range []string{"张", "张三", "三张", "产品", "经理", "13", "1380", "0000", "5", "engin", "ENGINEER", "%", "_", "a_b", "100%", "!", "没有", "'", "三产品经理"} {
			want := []int64{}
			err := db.Read(t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
				pattern := database.Contains(query)
				want, err = database.All(ctx, tx, database.Scalar[int64], `SELECT id FROM things WHERE LOWER(name) LIKE LOWER(?) ESCAPE '!'
					OR LOWER(phone) LIKE LOWER(?) ESCAPE '!' ORDER BY created_at DESC, id DESC`, pattern, pattern)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if found := find(t, db, query, Where{}, 1000, 0); !slices.Equal(found.IDs, want) {
				t.Errorf("%q finds %d, LIKE %d", query, len(found.IDs), len(want))
			}
		}
	})
}

// More matches than are put in order, spread evenly, only old, and in a table too large to count:
// every way to a page.
func TestManyMatches(t *testing.T) {
	onEach(t, func(t *testing.T, db *database.DB) {
		const rows = 24_000
		var all []thing
		for i := range rows {
			v := thing{id: int64(i + 1), at: int64(i / 3), name: "常见", phone: fmt.Sprint(i), colour: []string{"red", "blue"}[i%2]}
			if i < 11_000 {
				v.name = "常见旧事"
			}
			if i%2000 == 0 {
				v.colour = "rare"
			}
			all = append(all, v)
		}
		fill(t, db, all)
		pages := func(t *testing.T) {
			for _, c := range []struct{ limit, offset int }{{10, 0}, {1000, 0}, {10, 4990}, {10, 10_995}, {10, rows}} {
				for _, query := range []string{"常见", "旧", "旧事", "常见旧事", "1"} {
					want := byHand(all, query, nil)
					if found := find(t, db, query, Where{}, c.limit, c.offset); !slices.Equal(found.IDs, cut(want, c.limit, c.offset)) || !about(found, len(want)) {
						t.Errorf("%q %+v: %d ids, total %d (estimated %t) of %d", query, c, len(found.IDs), found.Total, found.Estimated, len(want))
					}
				}
			}
			want := byHand(all, "旧", func(v thing) bool { return v.colour == "rare" })
			found := find(t, db, "旧", Where{}.And("colour = ?", "rare"), 4, 1)
			if !slices.Equal(found.IDs, cut(want, 4, 1)) || found.Total != len(want) || found.Estimated {
				t.Errorf("few among many: %+v, want %v", found, want)
			}
		}
		t.Run("counted", func(t *testing.T) {
			pages(t)
			if found := find(t, db, "旧", Where{}, 1, 0); found.Total != 11_000 || found.Estimated {
				t.Errorf("a small table's total: %+v", found)
			}
		})
		// One row with a high id is all it takes to be a large table.
		large := thing{id: smallTable + 50_000, at: -1, name: "最旧", phone: "", colour: "red"}
		all = append(all, large)
		fill(t, db, all[rows:])
		t.Run("estimated", func(t *testing.T) {
			pages(t)
			if found := find(t, db, "旧", Where{}, 1, 0); !about(found, 11_001) || !found.Estimated {
				t.Errorf("a large table's total: %+v", found)
			}
			red := Where{}.And("colour = ?", "red")
			want := len(byHand(all, "常", func(v thing) bool { return v.colour == "red" }))
			if found := find(t, db, "常", red, 1, 0); !about(found, want) || !found.Estimated {
				t.Errorf("with a filter: %+v, want about %d", found, want)
			}
			if found := find(t, db, "旧", Where{}, 10, 10_995); found.Total != 11_001 || found.Estimated {
				t.Errorf("the last page: %+v", found)
			}
			if found := find(t, db, "旧", Where{}, 10, 10_500); found.Total < 10_510 || !found.Estimated {
				t.Errorf("a page behind the most that are known: %+v", found)
			}
		})
	})
}

// about reports whether a total is right: exactly, or within a quarter where it is an estimate.
func about(found Found, want int) bool {
	if !found.Estimated {
		return found.Total == want
	}
	return found.Total > fewMatches && found.Total >= want*3/4 && found.Total <= want*5/4
}

// A sample comes past no id twice, and every part of the table has its share of it.
func TestASampleIsSpread(t *testing.T) {
	for _, newest := range []int{smallTable + 1, 1 << 17, 107_590, 1_000_000, 1_048_576, 123_456_789} {
		step, spot := stride(newest), 0
		seen, tenths := map[int]bool{}, [10]int{}
		for range estimateRows {
			spot = (spot + step) % newest
			if seen[spot] {
				t.Errorf("%d: %d comes twice", newest, spot)
			}
			seen[spot] = true
			tenths[spot*10/newest]++
		}
		if slices.Min(tenths[:]) < 95 || slices.Max(tenths[:]) > 105 {
			t.Errorf("%d: spread as %v", newest, tenths)
		}
	}
}

// fill adds rows with their ids in large statements.
func fill(t *testing.T, db *database.DB, all []thing) {
	t.Helper()
	write(t, db, func(ctx context.Context, tx *database.Tx) error {
		for some := range slices.Chunk(all, 500) {
			var args []any
			var changes []Change
			for _, v := range some {
				args = append(append(args, v.id, v.name, v.phone, v.colour, v.at), things.Args(tx, v.text())...)
				changes = append(changes, Change{ID: v.id, New: v.text()})
			}
			row := "(?, ?, ?, ?, ?, " + things.Values(tx) + ")"
			if _, err := tx.Exec(ctx, "INSERT INTO things (id, name, phone, colour, created_at, "+things.Columns(tx)+") VALUES "+
				row+strings.Repeat(", "+row, len(some)-1), args...); err != nil {
				return err
			}
			if err := things.Put(ctx, tx, changes...); err != nil {
				return err
			}
		}
		return nil
	})
}

// The side table holds what the rows say and nothing else, whatever happened to them.
func TestNothingIsLeftBeside(t *testing.T) {
	onEach(t, func(t *testing.T, db *database.DB) {
		write(t, db, func(ctx context.Context, tx *database.Tx) error {
			v := thing{name: "张三三", phone: "13800000001", colour: "red"}
			var err error
			if v.id, err = add(ctx, tx, v); err != nil {
				return err
			}
			changed := v
			changed.name = "李四"
			if err := change(ctx, tx, v, changed); err != nil {
				return err
			}
			return remove(ctx, tx, changed)
		})
		if found := find(t, db, "1", Where{}, 10, 0); found.Total != 0 {
			t.Errorf("a deleted row is found: %+v", found)
		}
		if db.Dialect() == database.Postgres {
			return // all of it stands in the row
		}
		err := db.Read(t.Context(), func(ctx context.Context, tx *database.Tx) error {
			n, err := database.One(ctx, tx, database.Scalar[int], "SELECT COUNT(*) FROM things_search")
			if n != 0 {
				t.Errorf("%d suffixes are left", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestFoldIsStable(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if 0xD800 <= r && r <= 0xDFFF {
			continue
		}
		once := Fold(string(r))
		if n := len([]rune(once)); n != 1 {
			t.Fatalf("%U becomes %d characters", r, n)
		}
		if twice := Fold(once); twice != once {
			t.Errorf("%U becomes %q, and then %q", r, once, twice)
		}
		if strings.ContainsAny(once, "\n\x00\x1f"+string(beyond)) {
			t.Errorf("%U becomes %q, which is kept for other things", r, once)
		}
	}
	for in, want := range map[string]string{
		"ABC": "abc", "ＡＢＣ１２３": "abc123", "　": " ", "a\tb\r\nc": "a b  c", "Straße": "straße", "ΣΑΣ": "σασ", "ςας": "σασ", "张三": "张三", "K": "k",
	} {
		if got := Fold(in); got != want {
			t.Errorf("Fold(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestTokens(t *testing.T) {
	if got, want := Tokens(Text("张三", "A1A")), []string{"1", "1a", "a", "a1", "a1a", "三", "张", "张三"}; !slices.Equal(got, want) {
		t.Errorf("tokens %q, want %q", got, want)
	}
	for query, want := range map[string][]string{
		"1": {"1"}, "13": {"13"}, "138": {"138"}, "1380": {"138", "380"}, "张三丰": {"三丰", "张三"}, "张13": {"13", "张1"},
		"张138三a": {"138", "8三", "三a", "张1"}, "13-80": {"-8", "13", "3-", "80"}, "139-8000": {"-8", "000", "139", "800", "9-"},
	} {
		if got := Parse(query).tokens(); !slices.Equal(got, want) {
			t.Errorf("%q is looked up by %q, want %q", query, got, want)
		}
	}
	if got := Tokens(Text("", "")); len(got) != 0 {
		t.Errorf("tokens of nothing: %q", got)
	}
	long := strings.Repeat("甲", 30)
	if got := suffixes(long); len(got) != suffixRunes || len([]rune(got[len(got)-1])) != suffixRunes {
		t.Errorf("%d suffixes, the longest of %d", len(got), len([]rune(got[len(got)-1])))
	}
}

func TestAnEmptyQueryIsRefused(t *testing.T) {
	for _, text := range []string{"", "  ", "\t\n", "　"} {
		if !Parse(text).Empty() {
			t.Errorf("%q is a query", text)
		}
	}
	db := dbtest.SQLite(t, migrations)
	err := db.Read(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := things.Find(ctx, tx, Parse(" "), Where{}, 10, 0)
		return err
	})
	if err == nil {
		t.Error("an empty query finds something")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"张三", "1380", "138", "张1380", "%_!", "ＡB", "\xff", "𠮷", " a "} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, text, query string) {
		q := Parse(query)
		folded := Text(text)
		if q.Empty() {
			return
		}
		tokens := Tokens(folded)
		held := !slices.ContainsFunc(q.tokens(), func(token string) bool { return !slices.Contains(tokens, token) })
		match := Match(folded, q)
		if match && !held || q.certain() && held != match {
			t.Errorf("%q in %q: match %t, tokens %t", query, text, match, held)
		}
		from, below := q.bounds()
		inRange := slices.ContainsFunc(suffixes(folded), func(s string) bool { return s >= from && s < below })
		if match && !inRange || len(q.runes) <= suffixRunes && inRange != match {
			t.Errorf("%q in %q: match %t, in range %t", query, text, match, inRange)
		}
	})
}
