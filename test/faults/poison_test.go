package faults

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"exporthub/test/program"
	"exporthub/test/subscriber"
)

// poison is what no form of ours lets through and a table can hold all the same, by the invitation
// it is given to.
var poison = []string{
	`ALTER TABLE exhibition_users ALTER company_name TYPE TEXT, ALTER department TYPE TEXT`,
	`UPDATE invitations SET created_at = 9223372036854775807 WHERE id = 10`,
	`UPDATE invitations SET created_at = -9223372036854775808 WHERE id = 11`,
	// The year 1, which stands for no time.
	`UPDATE invitations SET created_at = -62135596800000000 WHERE id = 12`,
	`UPDATE invitations SET approve_status = 'no such state' WHERE id = 13`,
	`UPDATE invitations SET approve_description = E'\x01\x02\x1b[31m' || chr(65534) || chr(8238) || '=HYPERLINK("http://example.com")' WHERE id = 14`,
	`UPDATE exhibition_users SET company_name = repeat('长', 100000) WHERE id = (SELECT user_id FROM invitations WHERE id = 15)`,
	`UPDATE exhibition_users SET phone = '_x0041_', company_name = '=1+1', department = E'a\r\nb\tc"d,e;\'</t>', area = chr(128512)
		WHERE id = (SELECT user_id FROM invitations WHERE id = 16)`,
	`UPDATE exhibition_users SET department = repeat('x', 300000) WHERE id = (SELECT user_id FROM invitations WHERE id = 17)`,
	`INSERT INTO exhibitions SELECT (jsonb_populate_record(e, '{"id": -9223372036854775808}')).* FROM exhibitions e LIMIT 1`,
	`UPDATE invitations SET exhibition_id = -9223372036854775808 WHERE id = 18`,
	`UPDATE invitations SET id = 9223372036854775807 WHERE id = 19`,
	`UPDATE invitations SET id = -1 WHERE id = 20`,
}

// rowNamed is a row's number in the message to the person.
var rowNamed = regexp.MustCompile(`第 \d+ 行`)

// TestFaultPoisonedRows: values that can't be are made safe, and every format has every row. A row
// that can't be read at all fails its export, once and honestly, with its number; nothing is left
// of it, and the worker goes on.
func TestFaultPoisonedRows(t *testing.T) {
	t.Parallel()
	const rows = 3000
	f := startFaulty(t, rows)
	f.followSteadily()
	worker := f.worker()
	for _, statement := range poison {
		f.exec(statement)
	}
	for _, format := range []string{"xlsx", "csv", "csv-raw", "jsonl"} {
		uuid := f.queueAs(format)
		f.await(uuid, time.Minute, "to succeed as "+format, func(j faultJob) bool { return j.state == "success" })
		ids := program.RowIDs(t, strings.TrimSuffix(format, "-raw"), f.file(uuid))
		slices.Sort(ids)
		if ids = slices.Compact(ids); len(ids) != rows || ids[0] != -1 || ids[rows-1] != math.MaxInt64 {
			t.Errorf("%s: %d rows from %d to %d, want %d from -1 to the largest", format, len(ids), ids[0], ids[len(ids)-1], rows)
		}
	}
	if res := f.Do("GET", "/api/admin/invitations?per_page=100", nil, "ACCESS-TOKEN", f.person.token); res.Status != 200 {
		t.Errorf("the list: %d %.200s", res.Status, res.Body)
	}

	used := f.count("SELECT SUM(used) FROM export_days")
	f.exec(`ALTER TABLE exhibition_users ALTER phone DROP NOT NULL`)
	const broken = `UPDATE exhibition_users SET phone = `
	f.exec(broken + `NULL WHERE id = (SELECT user_id FROM invitations WHERE id = 1500)`)
	poisoned := map[string]bool{}
	for _, format := range []string{"csv", "xlsx"} {
		uuid := f.queueAs(format)
		poisoned[uuid] = true
		j := f.await(uuid, 2*time.Minute, "to end", func(j faultJob) bool { return subscriber.Over(subscriber.Event{Status: j.state}) })
		if j.state != "failure" || !strings.Contains(j.failure, `"unreadable_row"`) || !rowNamed.MatchString(j.failure) || j.attempt != 1 || j.takeovers != 0 {
			t.Errorf("%s of a row that can't be read: %+v, want a failure that names the row, at once", format, j)
		}
	}
	if n := f.count("SELECT SUM(used) FROM export_days"); n != used {
		t.Errorf("%d places are used, want %d: this was no fault of the person's", n, used)
	}
	if worker.Gone() {
		t.Fatal("the worker ended")
	}
	if !strings.Contains(worker.Logs.String(), "read invitation after row") {
		t.Error("the worker's logs do not say where the export stopped")
	}
	f.await(f.queue("&ids=1,2,3"), time.Minute, "to succeed without the row", func(j faultJob) bool { return j.state == "success" })
	f.exec(broken + `'mended' WHERE phone IS NULL`)
	f.queue()
	f.settled(func(uuid string) string {
		if poisoned[uuid] {
			return "failure"
		}
		return "success"
	})
}

// file fetches the file of an export that succeeded.
func (f *faulty) file(uuid string) []byte {
	f.T.Helper()
	res := f.Do("GET", "/api/exports/"+uuid, nil, "ACCESS-TOKEN", f.person.token)
	var j program.ExportJob
	res.JSON(f.T, &j)
	if j.FileURL == nil {
		f.T.Fatalf("no file: %s", res.Body)
	}
	file := f.Do("GET", program.PathOf(f.T, *j.FileURL), nil)
	if file.Status != 200 {
		f.T.Fatalf("the file: %d %.200s", file.Status, file.Body)
	}
	return file.Body
}
