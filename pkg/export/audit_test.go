package export_test

import (
	"testing"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/export"
	"exporthub/pkg/export/exporttest"
)

// Who asked for which export, with filter, columns and ticked rows, and what came of it, is in the
// audit: once each, and nothing of what was refused or repeated.
func TestExportsAreAudited(t *testing.T) {
	exporttest.OnEach(t, func(t *testing.T, db *database.DB) {
		h := exporttest.New(t, db, exporttest.Options{Work: true, Limits: export.Limits{Active: 1, Daily: 2}})
		h.Fill(3)
		ctx, who := h.Person("owner", auth.Staff)
		request := dataset.Request{
			Dataset:        "thing",
			Format:         "csv",
			Filter:         &exporttest.ThingFilter{Name: "物品2"},
			Columns:        []string{"id", "name"},
			IDs:            []int64{1, 2, 3},
			IdempotencyKey: "key",
		}
		uuid, _ := h.Succeeded(ctx, request)
		if ticket, err := h.Exports.Queue(ctx, request); err != nil || ticket.UUID != uuid {
			t.Fatalf("the same request again: %v, %v", ticket, err)
		}
		if _, err := h.Exports.Queue(ctx, dataset.Request{Dataset: "thing", Format: "doc"}); err == nil {
			t.Fatal("an unknown format is taken")
		}
		for _, c := range []struct {
			want  int
			where string
		}{
			{1, "action = 'export.request' AND detail LIKE 'thing csv; 列: id,name; 筛选: %物品2%; 勾选: 1,2,3'"},
			{1, "action = 'export.request'"},
			{1, "action = 'export.end' AND detail LIKE 'success; 1 行; % 字节; sha256 ____%.csv'"},
			{1, "action = 'export.end'"},
		} {
			got := h.Count("SELECT COUNT(*) FROM audit WHERE "+c.where+" AND subject = ? AND actor_id = ?", uuid, who.UserID)
			if got != c.want {
				t.Errorf("%d rows where %s, want %d", got, c.where, c.want)
			}
		}
	})
}
