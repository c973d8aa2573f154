package export

import (
	"context"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/event"
	"exporthub/pkg/export/record"
	"exporthub/pkg/job"
)

// endedWithin is for how long after its end a job is still replayed to a late subscriber.
const endedWithin = 2 * time.Minute

// The names that may follow /export/.
var (
	personName     = regexp.MustCompile(`^[1-9][0-9]{0,18}$`)
	capabilityName = regexp.MustCompile(`^[1-9][0-9]{0,18}-[0-9a-f]{32}$`)
	jobName        = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
)

// channels decides who may subscribe to which stream of exports.
type channels struct {
	jobs     *job.Store
	people   People
	registry *dataset.Registry
	now      func() time.Time
	log      *slog.Logger
}

// noChannel is the one answer for what is unknown and what is another person's, so that names can't
// be tried out.
func noChannel() error { return errs.New(errs.Forbidden, "不能订阅该频道") }

// resolve decides about one subscription. p is nil for an anonymous session.
func (c *channels) resolve(ctx context.Context, p *auth.Principal, channel string) (auth.Subscription, error) {
	name := strings.TrimPrefix(channel, record.ChannelPrefix)
	switch {
	case capabilityName.MatchString(name):
		return c.resolveCapability(ctx, channel)
	case personName.MatchString(name):
		// The pattern admits nineteen digits, of which some are more than an int64 holds.
		id, err := strconv.ParseInt(name, 10, 64)
		if err != nil || !record.MayReceive(p, id, c.registry) {
			return auth.Subscription{}, noChannel()
		}
		sub := c.personSubscription(id)
		sub.StillAllowed = c.mayReceive(id)
		return sub, nil
	case jobName.MatchString(name):
		return c.resolveJob(ctx, p, name)
	}
	return auth.Subscription{}, noChannel()
}

// resolveCapability lets everybody in who knows the channel, for as long as the channel is valid.
func (c *channels) resolveCapability(ctx context.Context, channel string) (auth.Subscription, error) {
	id, err := c.people.CheckExportChannel(ctx, channel)
	if err != nil {
		return auth.Subscription{}, err
	}
	sub := c.personSubscription(id)
	sub.StillAllowed = func(ctx context.Context, _ *auth.Principal) bool {
		return c.people.ExportChannelAlive(ctx, channel)
	}
	return sub, nil
}

// mayReceive is how long a subscription to a person's exports holds that was opened by the rights
// of the subscriber.
func (c *channels) mayReceive(ownerID int64) func(context.Context, *auth.Principal) bool {
	return func(_ context.Context, p *auth.Principal) bool { return record.MayReceive(p, ownerID, c.registry) }
}

// personSubscription is a subscription to all exports of a person. How long it holds is the
// caller's to say.
func (c *channels) personSubscription(id int64) auth.Subscription {
	return auth.Subscription{
		Stream: record.UserStream(id),
		Latest: func(ctx context.Context) ([]event.Event, error) {
			jobs, err := c.jobs.Recent(ctx, id, endedWithin)
			if err != nil {
				return nil, err
			}
			return c.replay(jobs), nil
		},
	}
}

// resolveJob lets the job's owner, and administrators who see everything, subscribe to one job.
func (c *channels) resolveJob(ctx context.Context, p *auth.Principal, id string) (auth.Subscription, error) {
	if p == nil {
		return auth.Subscription{}, noChannel()
	}
	j, err := c.jobs.Get(ctx, id)
	if errs.Is(err, errs.NotFound) || err == nil && (j.Kind != record.Kind || !record.MayReceive(p, j.OwnerID, c.registry)) {
		return auth.Subscription{}, noChannel()
	}
	if err != nil {
		return auth.Subscription{}, err
	}
	return auth.Subscription{
		Stream:       record.JobStream(id),
		StillAllowed: c.mayReceive(j.OwnerID),
		Latest: func(ctx context.Context) ([]event.Event, error) {
			// Read again: the subscription may be confirmed a while after it was allowed.
			j, err := c.jobs.Get(ctx, id)
			if err != nil {
				return nil, err
			}
			if j.State.Ended() && c.now().Sub(j.FinishedAt) > endedWithin {
				return nil, nil
			}
			return c.replay([]job.Job{j}), nil
		},
	}, nil
}

// replay renders the current state of jobs for a late subscriber. It leaves out a job that can't be
// read, so that the others of that person are replayed all the same.
func (c *channels) replay(jobs []job.Job) []event.Event {
	var events []event.Event
	for _, j := range jobs {
		if j.Kind != record.Kind {
			continue
		}
		e, err := record.Read(j)
		if err != nil {
			c.log.Error("an export's documents can't be read; it is not replayed", "job", j.UUID, "error", err)
			continue
		}
		events = append(events, event.Event{
			Key:   j.UUID,
			Seq:   j.Seq(),
			Final: j.State.Ended(),
			Data:  e.JSON(true),
		})
	}
	return events
}
