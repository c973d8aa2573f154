package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"exporthub/pkg/errs"
)

const (
	exportPrefix  = "/export/"
	signatureSize = 16 // bytes, twice as many hex digits
	// channelPeriod is how often a capability changes; the one before it is good as well.
	channelPeriod = 7 * 24 * time.Hour
	// periodOffset makes periods begin on Mondays in UTC, as ISO weeks do: 1970-01-01 was a
	// Thursday.
	periodOffset = 3 * 24 * time.Hour
	// channelSkew is what the clocks of replicas may differ by when a period begins.
	channelSkew = time.Minute
)

// ExportChannel returns the channel on which a person's exports are published, "/export/<user
// id>-<32 hex digits>". Knowing it is enough to subscribe, so only that person gets it. It changes
// every Monday (UTC), stays good for the week after, and ends at once when the person's tokens are
// ended.
func (s *Service) ExportChannel(p *Principal) string {
	return exportPrefix + strconv.FormatInt(p.UserID, 10) + "-" +
		hex.EncodeToString(signChannel(s.channelKeys[0], p.UserID, channelPeriodOf(s.now()), p.Epoch))
}

// CheckExportChannel returns whose exports a channel of ExportChannel carries. One that is
// malformed, forged, too old or of a person who is no longer enabled is Forbidden, each with the
// same text; while the database can't be asked the answer is Unavailable.
func (s *Service) CheckExportChannel(ctx context.Context, channel string) (userID int64, err error) {
	userID, signature, ok := parseExportChannel(channel)
	if !ok {
		return 0, badChannel()
	}
	st, err := s.standings.get(ctx, standingKey{userID: userID})
	if err != nil {
		return 0, unanswered(err)
	}
	if !s.signedBy(st, userID, signature) {
		return 0, badChannel()
	}
	return userID, nil
}

// ExportChannelAlive reports whether a subscription to a channel that was checked may go on. Like
// Alive it asks the database at most once per CacheTTL, and bridges an outage for Options.Grace.
func (s *Service) ExportChannelAlive(ctx context.Context, channel string) bool {
	userID, signature, ok := parseExportChannel(channel)
	if !ok {
		return false
	}
	st, known := s.lastStanding(ctx, standingKey{userID: userID})
	return known && s.signedBy(st, userID, signature)
}

// signedBy reports whether the signature is good for the person now. It takes the same time
// whichever candidate fits.
func (s *Service) signedBy(st standing, userID int64, signature []byte) bool {
	now := s.now()
	// All candidates are computed, whichever fits, and compared in constant time: the time of an
	// answer must not say how far a guess was right.
	good := 0
	for _, period := range []int64{
		channelPeriodOf(now.Add(channelSkew)), channelPeriodOf(now), channelPeriodOf(now.Add(-channelPeriod)),
	} {
		for _, key := range s.channelKeys {
			good |= subtle.ConstantTimeCompare(signature, signChannel(key, userID, period, st.person.epoch))
		}
	}
	return good == 1 && st.good(st.person.epoch)
}

func signChannel(key []byte, userID, period, epoch int64) []byte {
	mac := hmac.New(sha256.New, key)
	// Newlines between the numbers, or 1 and 23 would sign the same bytes as 12 and 3.
	fmt.Fprintf(mac, "export\n%d\n%d\n%d", userID, period, epoch)
	return mac.Sum(nil)[:signatureSize]
}

func channelPeriodOf(t time.Time) int64 {
	return (t.Unix() + int64(periodOffset/time.Second)) / int64(channelPeriod/time.Second)
}

// parseExportChannel takes a channel apart. There is one way to write each: no leading zeros or
// signs, lower case.
func parseExportChannel(channel string) (userID int64, signature []byte, ok bool) {
	rest, ok := strings.CutPrefix(channel, exportPrefix)
	if !ok {
		return 0, nil, false
	}
	id, digits, ok := strings.Cut(rest, "-")
	if !ok || len(digits) != 2*signatureSize || digits != strings.ToLower(digits) {
		return 0, nil, false
	}
	userID, err := strconv.ParseInt(id, 10, 64)
	if err != nil || userID <= 0 || strconv.FormatInt(userID, 10) != id {
		return 0, nil, false
	}
	signature, err = hex.DecodeString(digits)
	return userID, signature, err == nil
}

func badChannel() error {
	return &errs.Error{Kind: errs.Forbidden, Code: "channel_forbidden", Message: "不能订阅该频道"}
}
