package message

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"exporthub/pkg/admin"
	"exporthub/pkg/admin/admintest"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/page"
)

// fill writes n messages of all sorts for everybody.
func (d *desk) fill(n int) {
	d.t.Helper()
	random := rand.New(rand.NewPCG(6, 4))
	d.write(func(ctx context.Context, tx *database.Tx) error {
		for i := range n {
			to := d.people[random.IntN(len(d.people))]
			kind := Type(fmt.Sprint(1 + random.IntN(4)))
			plugin := []string{"export", "import", "invitation"}[random.IntN(3)]
			one := draft{kind: kind, plugin: plugin, awaits: random.IntN(3) == 0, notice: admin.Notice{To: to, Head: "头", Title: fmt.Sprint(i)}}
			if random.IntN(2) == 0 {
				one.senderID = d.people[random.IntN(len(d.people))]
			}
			key := fmt.Sprintf("test:%d", i)
			one.key = key
			if err := insertMessages(ctx, tx, []draft{one}, d.Now()); err != nil {
				return err
			}
			if random.IntN(2) == 0 {
				if _, err := tx.Exec(ctx, "UPDATE messages SET status = 1 WHERE event_key = ?", key); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Every list under every filter, and its export, holds what going through all rows by hand
// finds, and only one's own.
func TestListsAgainstBruteForce(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		d.fill(400)
		all := d.everything()
		in := map[string]func(Message) bool{
			"unread": func(m Message) bool { return !m.Read }, "read": func(m Message) bool { return m.Read },
			"waitHandle": func(m Message) bool { return m.Awaits },
		}
		for _, l := range lists {
			for i, person := range d.people {
				for _, f := range []Filter{{}, {NoticeType: "1"}, {NoticeType: "9"}, {Plugin: "import"}, {Plugin: "%"}, {Plugin: "invitation", NoticeType: "3"}} {
					var want []Message
					for _, m := range all {
						if m.RecipientID == person && in[l.path](m) && (f.NoticeType == "" || string(m.Type) == f.NoticeType) && (f.Plugin == "" || m.Plugin == f.Plugin) {
							want = append(want, m)
						}
					}
					d.records(l, i).Holds(t, f, want)
				}
			}
		}
	})
}

// records is a list as the i-th person has it.
func (d *desk) records(l list, i int) admintest.List[Filter, Message] {
	return admintest.List[Filter, Message]{
		DB: d.DB, Dataset: l.export(), Viewer: dataset.Viewer{UserID: d.people[i]}, ID: func(m Message) int64 { return m.ID },
		Page: func(_ context.Context, f Filter, r page.Request) (page.Result[Message], error) {
			result, _, err := d.list(d.as(i), l, f, r)
			return result, err
		},
		After: func(ctx context.Context, tx *database.Tx, f Filter, last *Message, limit int) ([]Message, error) {
			return newQuery(l, d.people[i], f, nil).after(ctx, tx, last, limit, nil)
		},
	}
}

// The pages of the list and of the export meet without a gap, and ticked rows narrow it to one's
// own of them.
func TestPagesAndTickedRows(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		d.fill(120)
		list := d.records(lists[0], 0)
		own := list.IDs(list.Rows(t, Filter{}).Items)
		list.Pages(t, Filter{}, len(own))
		var everybodys []int64
		for _, m := range d.everything() {
			everybodys = append(everybodys, m.ID)
		}
		if diff := cmp.Diff(own, list.Exported(t, Filter{}, everybodys...)); diff != "" || len(own) < 10 {
			t.Errorf("of everybody's ticked rows (-own +exported):\n%s", diff)
		}
	})
}

func TestReadingAndHandling(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		for id := range int64(3) {
			d.raise(admin.ApprovalAwaited, awaitedInvitations(id))
		}
		d.raise(admin.ExportEnded, admin.Export{UUID: "u", OwnerID: d.people[1], Status: "success"})
		mine := d.everything()[1:] // newest first; the newest is the other's
		for range 2 {              // again changes nothing
			m, c, err := d.change(d.as(0), mine[0].ID, markRead)
			if err != nil || !m.Read || !m.Awaits || c != (Counts{Unread: 2, Awaits: 3}) {
				t.Errorf("read: %+v, %+v, %v", m, c, err)
			}
		}
		for range 2 {
			m, c, err := d.change(d.as(0), mine[1].ID, markHandled)
			if err != nil || m.Read || m.Awaits || c != (Counts{Unread: 2, Awaits: 2}) {
				t.Errorf("handle: %+v, %+v, %v", m, c, err)
			}
		}
		for what, do := range map[string]change{"read": markRead, "handle": markHandled} {
			for _, id := range []int64{mine[2].ID, 999_999} {
				if _, _, err := d.change(d.as(1), id, do); !errs.Is(err, errs.NotFound) {
					t.Errorf("%s another's message: %v, want as unknown", what, err)
				}
			}
			if _, _, err := d.change(t.Context(), mine[2].ID, do); !errs.Is(err, errs.Unauthenticated) {
				t.Errorf("%s by a stranger: %v", what, err)
			}
		}
		for _, want := range []int64{2, 0} {
			n, c, err := d.readAll(d.as(0))
			if err != nil || n != want || c != (Counts{Awaits: 2}) {
				t.Errorf("read all: %d, %+v, %v", n, c, err)
			}
		}
		if _, c, err := d.list(d.as(1), lists[0], Filter{}, page.Request{Number: 1, Size: 20}); err != nil || c.Unread != 1 {
			t.Errorf("another's message was read too: %+v, %v", c, err)
		}
		for _, err := range []error{func() error { _, _, err := d.readAll(t.Context()); return err }(),
			func() error {
				_, _, err := d.list(t.Context(), lists[0], Filter{}, page.Request{Number: 1, Size: 1})
				return err
			}()} {
			if !errs.Is(err, errs.Unauthenticated) {
				t.Errorf("a stranger: %v", err)
			}
		}
	})
}

// Demo rows are written once, for the people there are, and all lists have some.
func TestDemo(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		for range 2 {
			if err := seedDemo(t.Context(), d.DB, 1); err != nil {
				t.Fatal(err)
			}
		}
		all := d.everything()
		read := 0
		for _, m := range all {
			if m.Read {
				read++
			}
		}
		if len(all) != demoMessages || read == 0 || read == len(all) {
			t.Errorf("%d messages, %d read", len(all), read)
		}
	})
}

// Two who raise one event at once leave one message.
func TestRacingRaisers(t *testing.T) {
	onEach(t, func(t *testing.T, d *desk) {
		now := time.Now()
		d.Now = func() time.Time { return now }
		var wait sync.WaitGroup
		for range 6 {
			wait.Go(func() {
				err := d.DB.Write(t.Context(), func(ctx context.Context, tx *database.Tx) error {
					return d.exportEnded(ctx, tx, admin.Export{UUID: "u", OwnerID: d.people[0], Status: "success"})
				})
				if err != nil && !database.IsUnique(err) {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if n, pushes := len(d.everything()), len(d.wire.On(admin.PersonChannel(channelPrefix, d.people[0]))); n != 1 || pushes != 1 {
			t.Errorf("%d messages, %d pushes", n, pushes)
		}
	})
}
