package message

import (
	"context"

	"exporthub/pkg/admin"
	"exporthub/pkg/database"
	"exporthub/pkg/httpapi"
)

// channelPrefix begins the channel of each person's messages.
const channelPrefix = "/message/"

// push tells people of their new messages of an event, with the counts as they are now. It is best effort: a page reads
// its lists when it opens and when it comes back.
func (s *service) push(ctx context.Context, key string, people []int64) {
	var rows []Message
	var counts map[int64]Counts
	err := s.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		if rows, err = messagesOf(ctx, tx, key, people); err != nil {
			return err
		}
		counts, err = countsOfAll(ctx, tx, people)
		return err
	})
	if err != nil {
		s.log().WarnContext(ctx, "new messages not pushed", "event", key, "error", err)
		return
	}
	ctx = httpapi.WithLocation(ctx, s.Location)
	for i, m := range rows {
		data := newChangedOut(ctx, m, counts[m.RecipientID], defaultBusiness)
		if err := s.Events.Publish(ctx, admin.PersonChannel(channelPrefix, m.RecipientID), data); err != nil {
			// The bus is away: the others would only wait for the same answer.
			s.log().WarnContext(ctx, "new messages not pushed", "event", key, "left", len(rows)-i, "error", err)
			return
		}
	}
}
