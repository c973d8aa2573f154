package contact

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/page"
	"exporthub/pkg/search"
)

// benchRows is how many records the benchmark searches; BENCH_CONTACTS changes it.
func benchRows(b *testing.B) int {
	b.Helper()
	text := os.Getenv("BENCH_CONTACTS")
	if text == "" {
		return 1_000_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("BENCH_CONTACTS=%s is not a number of rows", text)
	}
	return n
}

// searches are what people type, from a rare name to a character that every phone number has.
var searches = []struct{ name, text string }{
	{"two-rare", "梅骏"}, {"two-common", "产品"}, {"phone-fragment", "13900123"}, {"phone-short", "0123"}, {"one-rare", "骏"}, {"one-common", "1"}, {"none", "没有此人"},
}

// way is one way to answer the first page of a search with its total.
type way struct {
	name string
	find func(ctx context.Context, s *service, text string) (page.Result[Contact], error)
}

func ours(ctx context.Context, s *service, text string) (page.Result[Contact], error) {
	return s.list(ctx, Filter{Search: text}, page.Request{Number: 1, Size: 10})
}

// peer answers as a list without this package's index does: a condition, a count, a page.
func peer(condition string, args int) func(ctx context.Context, s *service, text string) (page.Result[Contact], error) {
	return func(ctx context.Context, s *service, text string) (page.Result[Contact], error) {
		r := page.Result[Contact]{Request: page.Request{Number: 1, Size: 10}}
		all := slices.Repeat([]any{database.Contains(text)}, args)
		q := query{where: search.Where{}.And(condition, all...)}
		err := s.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
			if r.Total, err = q.count(ctx, tx); err != nil {
				return err
			}
			r.Items, err = q.page(ctx, tx, r.Window())
			return err
		})
		return r, err
	}
}

var like = way{"like", peer("(name LIKE ? ESCAPE '!' OR position LIKE ? ESCAPE '!' OR contact LIKE ? ESCAPE '!')", 3)}

// BenchmarkSearch compares the list's search with LIKE over the three fields and, on PostgreSQL,
// with a trigram index. The ways take turns, in one database: each line's median is in ms/op.
func BenchmarkSearch(b *testing.B) {
	rows := benchRows(b)
	b.Run("PostgreSQL", func(b *testing.B) {
		db := openBench(b, dbtest.PostgresURL(b))
		fillBench(b, db, rows)
		b.Log(timed(b, "trigram index", func() {
			execute(b, db, "CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA public")
			// Over an expression, so that the planner takes it for nobody else's LIKE.
			execute(b, db, "CREATE INDEX contacts_trigram ON contacts USING gin ((search_text || '') public.gin_trgm_ops)")
			execute(b, db, "ANALYZE contacts")
		}))
		compare(b, db, way{"ours", ours}, like, way{"trigram", peer("(search_text || '') LIKE ? ESCAPE '!'", 1)})
	})
	b.Run("SQLite", func(b *testing.B) {
		db := openBench(b, dbtest.SQLiteURL(b))
		fillBench(b, db, rows)
		compare(b, db, way{"ours", ours}, like)
	})
	b.Run("MariaDB", func(b *testing.B) {
		db := openBench(b, dbtest.MariaDBURL(b))
		fillBench(b, db, rows)
		compare(b, db, way{"ours", ours}, like)
	})
}

// compare runs every search in every way, in turns, and reports each way's median.
func compare(b *testing.B, db *database.DB, ways ...way) {
	s := &service{Deps: admin.Deps{DB: db, Location: time.UTC, Now: time.Now}}
	for _, c := range searches {
		b.Run(c.name, func(b *testing.B) {
			took := make([][]time.Duration, len(ways))
			totals := make([]page.Result[Contact], len(ways))
			for i, w := range ways { // once for the caches
				var err error
				if totals[i], err = w.find(b.Context(), s, c.text); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				for i, w := range ways {
					began := time.Now()
					if _, err := w.find(b.Context(), s, c.text); err != nil {
						b.Fatal(err)
					}
					took[i] = append(took[i], time.Since(began))
				}
			}
			for i, w := range ways {
				slices.Sort(took[i])
				b.ReportMetric(float64(took[i][len(took[i])/2].Microseconds())/1000, w.name+"-ms")
				if !slices.Equal(ids(totals[i].Items), ids(totals[0].Items)) {
					b.Errorf("%s shows %v, %s %v", w.name, ids(totals[i].Items), ways[0].name, ids(totals[0].Items))
				}
				if !totals[0].Estimated && totals[i].Total != totals[0].Total {
					b.Errorf("%s counts %d, %s %d", w.name, totals[i].Total, ways[0].name, totals[0].Total)
				}
			}
			b.ReportMetric(float64(totals[len(totals)-1].Total), "matches")
		})
	}
}

func timed(b *testing.B, what string, fn func()) string {
	b.Helper()
	began := time.Now()
	fn()
	return fmt.Sprintf("%s: %.1f s", what, time.Since(began).Seconds())
}

func execute(b *testing.B, db *database.DB, text string, args ...any) {
	b.Helper()
	err := db.Write(b.Context(), func(ctx context.Context, tx *database.Tx) error {
		_, err := tx.Exec(ctx, text, args...)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

// The engines make the rows themselves, from the number of each: a table of invented people in
// the order of time. What searching needs is made from the finished text by SQL that does what
// Tokens and suffixes do. The LIMIT keeps a planner from working a row's texts out anew for
// every use of them.
const (
	benchNumbers = `WITH RECURSIVE d AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM d WHERE n < 9),
		numbers AS (SELECT a.n + 10 * b.n + 100 * c.n + 1000 * e.n + 10000 * f.n + 100000 * g.n + 1 AS n
			FROM d a, d b, d c, d e, d f, d g) `
	benchSelect = `SELECT n,
			substr('赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜', n * 7 %% 32 + 1, 1) ||
			CASE WHEN n %% 4999 = 0 THEN '梅骏' ELSE substr('子文明佳雨晨思宇欣然嘉怡浩轩梦琪天乐一诺', n * 13 %% 20 + 1, 1)
				|| substr('伟芳娜敏静丽强磊军洋勇艳杰娟涛', n * 11 %% 15 + 1, 1) END AS name,
			CASE n %% 5 WHEN 0 THEN '产品经理' WHEN 1 THEN '前端工程师' WHEN 2 THEN '测试工程师' WHEN 3 THEN '数据分析师' ELSE '销售主管' END AS position,
			'139' || substr(%s, 2, 8) AS contact
		FROM numbers WHERE n <= ? LIMIT 1000000`
)

// benchTokens are the characters and pairs of the three fields, and the threes of the one of
// digits. The last pair of a field is its last character once more, and beyond its end there is
// nothing.
func benchTokens() []string {
	var all []string
	for field, length := range map[string]int{"name": 3, "position": 5, "contact": 11} {
		for i := 1; i <= length; i++ {
			all = append(all, fmt.Sprintf("substr(%s, %d, 1)", field, i), fmt.Sprintf("substr(%s, %d, 2)", field, i))
			if field == "contact" && i+2 <= length {
				all = append(all, fmt.Sprintf("substr(contact, %d, 3)", i))
			}
		}
	}
	return all
}

// openBench opens a database for statements that take minutes.
func openBench(b *testing.B, dsn string) *database.DB {
	b.Helper()
	db, err := database.Open(b.Context(), dsn, database.Options{
		WriteTimeout: time.Hour, StatementTimeout: time.Hour, IdleWrite: time.Hour, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if err := database.Migrate(b.Context(), db, auth.Migrations, migrations); err != nil {
		b.Fatal(err)
	}
	return db
}

func fillBench(b *testing.B, db *database.DB, rows int) {
	b.Helper()
	if rows > 1_000_000 {
		b.Fatalf("%d rows: at most a million", rows)
	}
	b.Log(timed(b, "rows", func() {
		padded := map[database.Dialect]string{
			database.Postgres: "(100000000 + n)::TEXT", database.SQLite: "CAST(100000000 + n AS TEXT)", database.MySQL: "CAST(100000000 + n AS CHAR)",
		}[db.Dialect()]
		made := fmt.Sprintf(benchSelect, padded)
		columns := "search_text"
		line := map[database.Dialect]string{database.Postgres: "chr(10)", database.SQLite: "char(10)", database.MySQL: "CHAR(10)"}[db.Dialect()]
		values := fmt.Sprintf("lower(name || %[1]s || position || %[1]s || contact)", line)
		if db.Dialect() == database.Postgres {
			columns += ", search_tokens"
			values += ", array_remove(ARRAY[" + strings.Join(benchTokens(), ", ") + "], '')"
			execute(b, db, "DROP INDEX contacts_by_token")
		}
		execute(b, db, `INSERT INTO contacts (id, name, position, contact, reply_status, wechat_exchanged, account_id, worker_id,
			notes, created_at, version, `+columns+`) `+benchNumbers+`SELECT n, name, position, contact, '未回复', FALSE, 1, '', '',
			1700000000000000 + n * 1000000.0, 1, `+values+` FROM (`+made+`) AS made`, rows)
	}))
	b.Log(timed(b, "index", func() {
		if db.Dialect() == database.Postgres {
			execute(b, db, "CREATE INDEX contacts_by_token ON contacts USING gin (search_tokens) WITH (gin_pending_list_limit = 512)")
			execute(b, db, "ANALYZE contacts")
			return
		}
		for _, field := range []string{"name", "position", "contact"} {
			verb, length := "INSERT OR IGNORE", "length"
			if db.Dialect() == database.MySQL {
				verb, length = "INSERT IGNORE", "char_length"
			}
			execute(b, db, verb+` INTO contacts_search (suffix, id) WITH RECURSIVE p AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM p WHERE i < 11)
				SELECT substr(`+field+`, i, 24) AS s, id FROM contacts, p WHERE i <= `+length+`(`+field+`) ORDER BY s, id`)
		}
		execute(b, db, "ANALYZE "+map[database.Dialect]string{database.SQLite: "contacts", database.MySQL: "TABLE contacts"}[db.Dialect()])
	}))
}
