package contact

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"exporthub/pkg/admin"
	"exporthub/pkg/admin/admintest"
	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/database/dbtest"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/csv"
	"exporthub/pkg/httpapi"
)

// One phone is one record, in whatever way it is written.
func TestOnePhoneIsOneRecord(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		spellings := []string{
			`"13800094001"`, `13800094001`, `13800094001.0`, `1.3800094001E10`, `1.3800094001e+10`, `" 13800094001 "`,
			`"\u202a13800094001\u202c"`, `"138\u200b0009\u200d4001"`, `"１３８０００９４００１"`, `"\u3000１３８0009４００１\ufeff"`,
		}
		for i, contact := range spellings {
			got := s.imported(t, fmt.Sprintf(`{"name":"某人%d","contact":%s,"account_id":1}`, i, contact))
			if want := min(i, 1); got.Created != 1-want || got.Updated != want || got.Failed != 0 {
				t.Errorf("%s: %+v", contact, got)
			}
		}
		got := s.imported(t, `{"name":"甲","contact":"１３９００００００００"}`+"\n"+`{"name":"乙","contact":"13900000000"}`)
		if got.Created != 1 || got.Updated != 1 {
			t.Errorf("two spellings in one file: %+v", got)
		}
		all := s.all(t, Filter{})
		if all.Total != 2 || all.Items[0].Contact != "１３９００００００００" || all.Items[1].Contact != "13800094001" {
			t.Errorf("records %+v: want two, as they were entered first", all.Items)
		}
		if _, err := s.create(t.Context(), Contact{Name: "丙", Contact: "１３８０００９４００１", AccountID: 1}); errs.CodeOf(err) != "contact_exists" {
			t.Errorf("created in another spelling: %v", err)
		}
	})
}

// Numbers that a spreadsheet has shortened are refused, on every way in. Text that looks similar
// is not.
func TestScientificContactsAreRefused(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		seen := s.add(t, Contact{Name: "某人", Contact: "13300000000"})
		for contact, fits := range map[string]bool{
			"1.38E+10": false, "1E5": false, "1.38E10": false, " 1.38E+10\u200b": false, "１.38Ｅ+10": false,
			"1.38e+10": true, "E10": true, "12.5E+3x": true, "13E10": true, "1.38E-10": true,
		} {
			ctx := seeing(t.Context())
			_, err := s.handleCreate(ctx, createIn{Name: "新", Contact: contact})
			named(t, "POST "+contact, err, "contact", fits)
			if !fits {
				_, err = s.handleChange(ctx, changeIn{ID: seen.ID, Contact: httpapi.Some(contact)})
				named(t, "PUT "+contact, err, "contact", false)
			}
			got := s.imported(t, fmt.Sprintf(`{"name":"新","contact":%q,"account_id":3}`, contact))
			if fits != (got.Created == 1) || !fits && !strings.Contains(got.Errors[0].Reason, "文本格式") {
				t.Errorf("imported %s: %+v", contact, got)
			}
		}
	})
}

// An empty text of an import is an absent field, for every field; null clears those that can be.
func TestEmptyTextsOfAnImportAreAbsent(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		full := `{"name":"某人","contact":"13300000000","position":"岗","reply_status":"已回复","wechat_exchanged":true,` +
			`"worker_id":"w","notes":"记","contacted_at":"2026-01-02 03:04:05"}`
		s.imported(t, full)
		before := s.all(t, Filter{}).Items[0]
		for _, field := range []string{"name", "position", "reply_status", "wechat_exchanged", "account_id", "worker_id", "notes", "contacted_at", "created_at"} {
			for _, empty := range []string{"", "  ", "\\u200b"} {
				if empty != "" && (field == "wechat_exchanged" || field == "account_id" || strings.HasSuffix(field, "_at")) {
					continue
				}
				got := s.imported(t, fmt.Sprintf(`{"contact":"13300000000","%s":"%s"}`, field, empty))
				if got.Unchanged != 1 {
					t.Errorf("%s %q: %+v", field, empty, got)
				}
			}
		}
		got := s.imported(t, `{"contact":"13300000000","position":null,"reply_status":null,"wechat_exchanged":null,"worker_id":null,"notes":null,"contacted_at":null}`)
		want := before
		want.Position, want.ReplyStatus, want.WechatExchanged, want.WorkerID, want.Notes = "", notReplied, false, "", ""
		want.ContactedAt, want.Version = time.Time{}, 2
		if diff := cmp.Diff(want, s.all(t, Filter{}).Items[0]); diff != "" || got.Updated != 1 {
			t.Errorf("null: %+v (-want +got):\n%s", got, diff)
		}
	})
}

// What is exported as JSON Lines and imported again changes nothing, and makes the same records
// elsewhere.
func TestAnExportImportedAgainIsTheIdentity(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		if err := seedDemo(t.Context(), s.DB, 150); err != nil {
			t.Fatal(err)
		}
		s.add(t, Contact{Name: "无账号", Contact: "１３７００００００００", Notes: "=1+1"})
		before := s.all(t, Filter{}).Items
		file := s.fileOf(t)
		got := s.imported(t, file)
		if got.Unchanged != len(before) || got.Total != len(before) {
			t.Errorf("imported again: %+v", got)
		}
		if diff := cmp.Diff(before, s.all(t, Filter{}).Items); diff != "" {
			t.Errorf("after it (-want +got):\n%s", diff)
		}
		for _, v := range before {
			if err := s.remove(t.Context(), v.ID, nil); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.imported(t, file); got.Created != len(before) {
			t.Errorf("imported elsewhere: %+v", got)
		}
		after := s.all(t, Filter{}).Items
		for i := range after {
			after[i].ID = before[i].ID
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Errorf("elsewhere (-want +got):\n%s", diff)
		}
	})
}

// fileOf is an export of all records that names no columns, as JSON Lines.
func (s *service) fileOf(t *testing.T) string {
	t.Helper()
	formats := csv.Formats()
	format := formats[slices.IndexFunc(formats, func(f dataset.Format) bool { return f.Name == "jsonl" })]
	set := s.dataset()
	columns, err := set.PickFor(format, nil, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	var file strings.Builder
	w, err := format.New(&file, dataset.Sheet{Name: "x", Columns: columns, Location: admintest.Shanghai})
	if err != nil {
		t.Fatal(err)
	}
	err = s.DB.Read(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		for row, err := range set.Rows(ctx, tx, dataset.Selection{}, columns) {
			if err != nil {
				return err
			}
			if err := w.Write(row); err != nil {
				return err
			}
		}
		_, err := w.Close()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return file.String()
}

// before is the migrations without the one that adds keys.
func before(t *testing.T) fs.FS {
	t.Helper()
	old := fstest.MapFS{}
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.Contains(name, "contacts_keys") {
			continue
		}
		data, err := fs.ReadFile(migrations, name)
		if err != nil {
			t.Fatal(err)
		}
		old[name] = &fstest.MapFile{Data: data}
	}
	return old
}

// Records of a database without keys get theirs and keep what they show; those that would
// collide keep the old key, are listed, and are found by it.
func TestOldRecordsGetKeys(t *testing.T) {
	dbtest.Each(t, []fs.FS{before(t)}, func(t *testing.T, db *database.DB) {
		if err := database.Migrate(t.Context(), db, before(t)); err != nil {
			t.Fatal(err)
		}
		old := []string{"13800000001", wide("13800000001"), "\u202a13800000002", "138\u200b00000002", "微信张三\u200b", "微信张三", "wechat:a"}
		for i, contact := range old {
			s := &service{Deps: admin.Deps{DB: db}}
			insertOld(t, s, i+1, contact)
		}
		if err := database.Migrate(t.Context(), db, auth.Migrations, migrations); err != nil {
			t.Fatal(err)
		}
		s := &service{Deps: admin.Deps{DB: db, Events: &admintest.Events{}, Location: admintest.Shanghai, Now: time.Now}}
		for range 2 { // a second start finds nothing to do
			if err := fillKeys(t.Context(), db); err != nil {
				t.Fatal(err)
			}
		}
		keys := map[string]string{}
		for _, v := range s.all(t, Filter{}).Items {
			keys[v.Contact] = v.Key
		}
		want := map[string]string{
			old[0]: "13800000001", old[1]: "", old[2]: "13800000002", old[3]: "", old[4]: "", old[5]: "微信张三", old[6]: "wechat:a",
		}
		if diff := cmp.Diff(want, keys); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
		lines, err := collisions(t.Context(), db)
		if err != nil || len(lines) != 3 || !strings.Contains(lines[0], "contact 2 of account 1") || !strings.Contains(lines[0], "contact 1 ") {
			t.Errorf("listed %q, %v", lines, err)
		}
		for i, contact := range old {
			got := s.imported(t, fmt.Sprintf(`{"contact":%q,"account_id":1,"position":"改"}`, contact))
			if got.Updated+got.Unchanged != 1 || i < 2 && got.Updated != 1 {
				t.Errorf("import for %q: %+v", contact, got)
			}
		}
		if n := s.all(t, Filter{}).Total; n != len(old) {
			t.Errorf("%d records, want %d", n, len(old))
		}
	})
}

// wide is a number in full-width digits.
func wide(number string) string {
	return strings.Map(func(r rune) rune { return r - '0' + '０' }, number)
}

// insertOld adds a record as the release before did.
func insertOld(t *testing.T, s *service, id int, contact string) {
	t.Helper()
	err := s.DB.Write(t.Context(), func(ctx context.Context, tx *database.Tx) error {
		v := Contact{Name: "某人", Contact: contact, ReplyStatus: notReplied, AccountID: 1, CreatedAt: time.Unix(int64(id), 0), Version: 1}
		columns := strings.TrimSuffix(strings.TrimSpace(written), ", contact_key")
		args := insertArgs(tx, v)
		args = slices.Delete(args, 11, 12)
		row := "(" + strings.Repeat("?, ", 11) + index.Values(tx) + ")"
		_, err := tx.Exec(ctx, "INSERT INTO contacts ("+columns+", "+index.Columns(tx)+") VALUES "+row, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
