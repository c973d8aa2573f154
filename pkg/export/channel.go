package export

import (
	"context"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/errs"
	published "exporthub/pkg/event"
	"exporthub/pkg/job"
)

const (
	channelPrefix = "/export/"
	// endedWithin is for how long a late subscriber is still told how a job ended.
	endedWithin = 2 * time.Minute
)

var (
	personName     = regexp.MustCompile(`^[1-9][0-9]{0,18}$`)
	capabilityName = regexp.MustCompile(`^[1-9][0-9]{0,18}-[0-9a-f]{32}$`)
	jobName        = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

// noChannel is the one answer for what is unknown and what is another's, so that names can't be tried out.
func noChannel() error { return errs.New(errs.Forbidden, "不能订阅该频道") }

// Channels are the rules of /export/…: a person's stream by their id or by their capability, a job's stream by its uuid.
func (s *Service) Channels() []auth.ChannelRule {
	return []auth.ChannelRule{{Prefix: channelPrefix, Resolve: s.resolve}}
}

func (s *Service) resolve(ctx context.Context, p *auth.Principal, channel string) (auth.Subscription, error) {
	name := strings.TrimPrefix(channel, channelPrefix)
	switch {
	case capabilityName.MatchString(name):
		return s.resolveCapability(ctx, channel)
	case personName.MatchString(name):
		id, err := strconv.ParseInt(name, 10, 64)
		if err != nil || !mayFollow(p, id) {
			return auth.Subscription{}, noChannel()
		}
		return s.personSubscription(id), nil
	case jobName.MatchString(name):
		return s.resolveJob(ctx, p, name)
	}
	return auth.Subscription{}, noChannel()
}

// mayFollow reports whether the caller may see a person's exports: their own, or anyone's for an administrator.
func mayFollow(p *auth.Principal, ownerID int64) bool {
	return p != nil && (p.UserID == ownerID || p.Role == auth.Administrator)
}

func (s *Service) resolveCapability(ctx context.Context, channel string) (auth.Subscription, error) {
	id, err := s.o.People.CheckExportChannel(ctx, channel)
	if err != nil {
		return auth.Subscription{}, err
	}
	sub := s.personSubscription(id)
	sub.StillAllowed = func(ctx context.Context) bool { return s.o.People.ExportChannelAlive(ctx, channel) }
	return sub, nil
}

func (s *Service) personSubscription(id int64) auth.Subscription {
	return auth.Subscription{Stream: userStream(id), Latest: func(ctx context.Context) ([]published.Event, error) {
		jobs, err := s.store.Recent(ctx, id, endedWithin)
		if err != nil {
			return nil, err
		}
		return replay(jobs), nil
	}}
}

func (s *Service) resolveJob(ctx context.Context, p *auth.Principal, id string) (auth.Subscription, error) {
	if p == nil {
		return auth.Subscription{}, noChannel()
	}
	j, err := s.store.Get(ctx, id)
	if errs.Is(err, errs.NotFound) || err == nil && (j.Kind != KindName || !mayFollow(p, j.OwnerID)) {
		return auth.Subscription{}, noChannel()
	}
	if err != nil {
		return auth.Subscription{}, err
	}
	return auth.Subscription{Stream: jobStream(id), Latest: func(ctx context.Context) ([]published.Event, error) {
		j, err := s.store.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		if j.State.Ended() && s.o.Now().Sub(j.FinishedAt) > endedWithin {
			return nil, nil
		}
		return replay([]job.Job{j}), nil
	}}, nil
}

// replay tells jobs as they stand.
func replay(jobs []job.Job) []published.Event {
	var events []published.Event
	for _, j := range jobs {
		if j.Kind != KindName {
			continue
		}
		e, err := readJob(j)
		if err != nil {
			continue // a row nobody can read has nothing to tell
		}
		events = append(events, published.Event{Key: j.UUID, Seq: j.Seq(), Final: j.State.Ended(), Data: json.RawMessage(e.render(true))})
	}
	return events
}
