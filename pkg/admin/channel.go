package admin

import (
	"context"
	"regexp"
	"strconv"
	"strings"

	"exporthub/pkg/auth"
	"exporthub/pkg/errs"
)

var personName = regexp.MustCompile(`^[1-9][0-9]{0,18}$`)

// PersonChannel is the name of a person's channel under a prefix such as "/message/", and of the
// stream that feeds it.
func PersonChannel(prefix string, personID int64) string {
	return prefix + strconv.FormatInt(personID, 10)
}

// PersonChannels is the rule of channels that belong to one person each: <prefix><user id> is
// followed by that person, and by administrators. Everybody else is told the same, whether there
// is such a person or not.
func PersonChannels(prefix string) auth.ChannelRule {
	return auth.ChannelRule{
		Prefix: prefix,
		Resolve: func(_ context.Context, p *auth.Principal, channel string) (auth.Subscription, error) {
			name := strings.TrimPrefix(channel, prefix)
			id, err := strconv.ParseInt(name, 10, 64)
			if err != nil || !personName.MatchString(name) || p == nil || p.UserID != id && p.Role != auth.Administrator {
				return auth.Subscription{}, errs.New(errs.Forbidden, "不能订阅该频道")
			}
			return auth.Subscription{Stream: PersonChannel(prefix, id)}, nil
		},
	}
}
