package message

import (
	"context"
	"slices"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
	"exporthub/pkg/httpapi"
)

// channelPrefix begins the channel of each person's messages.
const channelPrefix = "/message/"

// receipt identifies a message: one event for one person.
type receipt struct {
	key      string
	personID int64
}

// pushed is the data on a person's channel. Message is null when only the counts changed.
type pushed struct {
	Message       *row `json:"message"`
	UnreadMum     int  `json:"unreadMum"`
	WaitHandleNum int  `json:"waitHandleNum"`
}

// pushAfterCommit pushes new messages once they are committed, and their counts alone to the
// others. Before the commit a page would read lists that do not hold the message yet.
func (s *service) pushAfterCommit(tx *database.Tx, fresh map[receipt]bool, others []int64) {
	if len(fresh)+len(others) > 0 {
		tx.AfterCommit(func(ctx context.Context) { s.push(ctx, fresh, others) })
	}
}

// concerned returns everybody once: who got a message, and whose counts have changed.
func concerned(fresh map[receipt]bool, others []int64) []int64 {
	people := slices.Clone(others)
	for r := range fresh {
		people = append(people, r.personID)
	}
	slices.Sort(people)
	return slices.Compact(people)
}

// push publishes new messages with their recipients' counts, and the counts alone to the others.
// Messages and counts are read in one snapshot, so that a badge never contradicts the list. It is
// best effort: pages read their lists when they open and when they reconnect.
func (s *service) push(ctx context.Context, fresh map[receipt]bool, others []int64) {
	people := concerned(fresh, others)
	var rows []Message
	var counts map[int64]Counts
	var mayReadPhones []int64
	err := s.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		if rows, err = messagesOf(ctx, tx, fresh); err != nil {
			return err
		}
		if counts, err = countsOfAll(ctx, tx, people); err != nil {
			return err
		}
		// A push has no request whose caller could be asked.
		mayReadPhones, err = holders(ctx, tx, phonesNeed)
		return err
	})
	if err != nil {
		s.log().WarnContext(ctx, "messages not pushed", "people", people, "error", err)
		return
	}
	// Rows are rendered outside any request here, so the zone of their times comes from the
	// settings.
	ctx = httpapi.WithLocation(ctx, s.Location)
	publish := func(to int64, message *row) bool {
		c := counts[to]
		data := pushed{Message: message, UnreadMum: c.Unread, WaitHandleNum: c.Awaits}
		err := s.Events.Publish(ctx, admin.PersonChannel(channelPrefix, to), data)
		if err != nil {
			// The bus is unreachable: the other pushes would only wait for the same error.
			s.log().WarnContext(ctx, "messages not pushed", "people", people, "error", err)
		}
		return err == nil
	}
	whole := view(func(permission string) bool { return permission == phonesNeed })
	masked := view(nil)
	for _, m := range rows {
		seen := masked
		if slices.Contains(mayReadPhones, m.RecipientID) {
			seen = whole
		}
		message := newRow(ctx, seen, m, defaultBusiness)
		if !publish(m.RecipientID, &message) {
			return
		}
		// Those who got a message got their counts with it.
		people = slices.DeleteFunc(people, func(id int64) bool { return id == m.RecipientID })
	}
	for _, id := range people {
		if !publish(id, nil) {
			return
		}
	}
}
