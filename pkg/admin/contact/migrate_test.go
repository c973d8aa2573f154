package contact

import (
	"context"
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"exporthub/pkg/admin"
	"exporthub/pkg/admin/admintest"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/search"
)

// Rows that were written when only single characters and pairs were tokens are found by
// fragments of a number all the same.
func TestRowsOfTheFirstIndexAreFound(t *testing.T) {
	const first = "migrations/20261121003000_contacts.sql"
	data, err := fs.ReadFile(migrations, first)
	if err != nil {
		t.Fatal(err)
	}
	db := dbtest.Postgres(t, fstest.MapFS{first: {Data: data}})
	text := search.Text("ABC", "经理", "138-00000001")
	short := slices.DeleteFunc(search.Tokens(text), func(token string) bool { return len([]rune(token)) > 2 })
	err = db.Write(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		// the second is of a row with nothing to be found by
		for _, tokens := range [][]string{short, {}} {
			row := text
			if len(tokens) == 0 {
				row = "\n\n"
			}
			if _, err := tx.Exec(ctx, `INSERT INTO contacts (name, position, contact, reply_status, wechat_exchanged, account_id, worker_id,
				notes, created_at, version, search_text, search_tokens) VALUES ('', '', ?, '', FALSE, 1, '', '', 1, 1, ?, ?)`,
				row, row, tokens); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := database.Migrate(t.Context(), db, migrations); err != nil {
		t.Fatal(err)
	}
	got, err := read(t, db, "SELECT t FROM contacts, unnest(search_tokens) AS t ORDER BY t COLLATE \"C\"")
	if err != nil {
		t.Fatal(err)
	}
	if want := search.Tokens(text); !slices.Equal(got, want) {
		t.Errorf("tokens %q, want %q", got, want)
	}
	s := &service{Deps: admin.Deps{DB: db, Location: admintest.Shanghai, Now: time.Now}}
	for query, want := range map[string]int{"138": 1, "8-0": 1, "abc": 1, "0001": 1, "bc1": 0, "c经": 0} {
		if n := s.all(t, Filter{Search: query}).Total; n != want {
			t.Errorf("%q finds %d, want %d", query, n, want)
		}
	}
}

func read(t *testing.T, db *database.DB, text string) (all []string, err error) {
	t.Helper()
	err = db.Read(t.Context(), func(ctx context.Context, tx *database.Tx) (err error) {
		all, err = database.All(ctx, tx, database.Scalar[string], text)
		return err
	})
	return all, err
}
