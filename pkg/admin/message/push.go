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

// receipt is that a person is told of an event.
type receipt struct {
	key      string
	personID int64
}

// pushed is what a page is told when its person's counts change: a new message, or none where
// nothing but the counts is new.
type pushed struct {
	Message       *row `json:"message"`
	UnreadMum     int  `json:"unreadMum"`
	WaitHandleNum int  `json:"waitHandleNum"`
}

// tell tells people of their new messages once they are committed, and others that their counts
// have changed.
func (s *service) tell(tx *database.Tx, fresh map[receipt]bool, others []int64) {
	if len(fresh)+len(others) > 0 {
		tx.AfterCommit(func(ctx context.Context) { s.push(ctx, fresh, others) })
	}
}

// push brings new messages, with the counts as they are now, and to those who have none of them
// their counts alone. It is best effort: a page reads its lists when it opens and when it comes
// back.
func (s *service) push(ctx context.Context, fresh map[receipt]bool, others []int64) {
	people := slices.Clone(others)
	for r := range fresh {
		people = append(people, r.personID)
	}
	slices.Sort(people)
	people = slices.Compact(people)
	var rows []Message
	var counts map[int64]Counts
	err := s.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		if rows, err = messagesOf(ctx, tx, fresh); err != nil {
			return err
		}
		counts, err = countsOfAll(ctx, tx, people)
		return err
	})
	if err != nil {
		s.log().WarnContext(ctx, "messages not pushed", "people", people, "error", err)
		return
	}
	ctx = httpapi.WithLocation(ctx, s.Location)
	publish := func(to int64, message *row) bool {
		c := counts[to]
		data := pushed{Message: message, UnreadMum: c.Unread, WaitHandleNum: c.Awaits}
		err := s.Events.Publish(ctx, admin.PersonChannel(channelPrefix, to), data)
		if err != nil {
			// The bus is away: the others would only wait for the same answer.
			s.log().WarnContext(ctx, "messages not pushed", "people", people, "error", err)
		}
		return err == nil
	}
	for _, m := range rows {
		message := newRow(ctx, m, defaultBusiness)
		if !publish(m.RecipientID, &message) {
			return
		}
		people = slices.DeleteFunc(people, func(id int64) bool { return id == m.RecipientID })
	}
	for _, id := range people {
		if !publish(id, nil) {
			return
		}
	}
}
