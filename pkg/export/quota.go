package export

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/record"
	"exporthub/pkg/httpapi"
)

// useQuotas uses one of the person's active exports and one of the day's, and returns how many of
// the day are used. If both limits are exceeded, the concurrency limit is reported. The caller's
// transaction has to hold the person's lock (lockPerson) and to fail with the error, which takes
// back what was used.
func useQuotas(ctx context.Context, tx *database.Tx, userID int64, day string, l Limits) (used int, err error) {
	active, err := useActive(ctx, tx, userID, l.Active)
	if err != nil {
		return 0, err
	}
	daily := false
	if active {
		if daily, err = useDaily(ctx, tx, userID, day, l.Daily); err != nil {
			return 0, err
		}
	}
	if used, err = usedOn(ctx, tx, userID, day); err != nil {
		return 0, err
	}
	switch {
	case !active:
		refusal := &errs.Error{
			Kind:    errs.Conflict,
			Code:    CodeActive,
			Message: "当前用户已经有导出任务排队或执行,请稍后再试",
		}
		inTheWay, err := activeExport(ctx, tx, userID)
		if err != nil {
			return used, err
		}
		// There is none when the limit is 0, which is how an administrator forbids exports.
		if inTheWay != "" {
			refusal.Location = record.Path + inTheWay
		}
		return used, refusal
	case !daily:
		return used, &errs.Error{
			Kind:    errs.Quota,
			Code:    CodeDailyLimit,
			Message: fmt.Sprintf("该用户已经超过当日导出最大次数%d,当前任务不允许执行", l.Daily),
		}
	}
	return used, nil
}

// activeRetry is when it is worth asking again while one's export is active. When that export will
// end is unknown, so it is short.
const activeRetry = 5 * time.Second

// retryHint adds to a limit's refusal when to come back.
func (a *admission) retryHint(err error, now time.Time) error {
	if e := errs.As(err); e != nil {
		switch e.Code {
		case CodeActive:
			e.RetryAfter = activeRetry
		case CodeDailyLimit:
			e.RetryAfter = a.untilMidnight(now)
		}
	}
	return err
}

// longestDay is more than any calendar day lasts. A zone that moves across the date line repeats
// one.
const longestDay = 50 * time.Hour

// untilMidnight is how long the day of t still lasts, to the second, and more than 0.
//
// It searches for the first second of another day instead of asking time.Date for the next
// midnight: where the clocks change at midnight there is none, or there are two, and time.Date
// then answers with an instant of the same day, which may be before t (Havana, Santiago,
// Asuncion).
func (a *admission) untilMidnight(t time.Time) time.Duration {
	day := record.QuotaDay(t, a.location)
	second := t.Truncate(time.Second)
	n := sort.Search(int(longestDay/time.Second), func(n int) bool {
		return record.QuotaDay(second.Add(time.Duration(n)*time.Second), a.location) > day
	})
	return second.Add(time.Duration(n) * time.Second).Sub(t)
}

// showLeft puts what is left of the day on an answer that was refused before it was counted. It
// is a courtesy: a database that can't be asked must not change the answer.
func (a *admission) showLeft(ctx context.Context) {
	who := auth.From(ctx)
	if who == nil {
		return
	}
	now := a.now()
	err := a.db.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		limits, err := a.limitsOf(ctx, tx, who)
		if err != nil {
			return err
		}
		used, err := usedOn(ctx, tx, who.UserID, record.QuotaDay(now, a.location))
		if err != nil {
			return err
		}
		a.setQuotaHeaders(ctx, limits.Daily, max(limits.Daily-used, 0), now)
		return nil
	})
	if err != nil {
		a.log.Debug("what is left of a day could not be read", "error", err)
	}
}

// quota returns what the caller has used of their limits.
func (a *admission) quota(ctx context.Context) (record.Quota, error) {
	who := auth.From(ctx)
	now := a.now()
	q := record.Quota{ResetsAt: now.Add(a.untilMidnight(now)).Truncate(time.Second)}
	err := a.db.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		limits, err := a.limitsOf(ctx, tx, who)
		if err != nil {
			return err
		}
		q.MaxActive = limits.Active
		q.MaxDaily = limits.Daily
		if q.Used, err = usedOn(ctx, tx, who.UserID, record.QuotaDay(now, a.location)); err != nil {
			return err
		}
		q.Active, err = activeOf(ctx, tx, who.UserID)
		return err
	})
	return q, err
}

// setQuotaHeaders puts what is left of the day on the answer, in the fields of the RateLimit header
// draft (draft-ietf-httpapi-ratelimit-headers). Reset is in seconds.
func (a *admission) setQuotaHeaders(ctx context.Context, limit, left int, now time.Time) {
	reset := a.untilMidnight(now).Round(time.Second) / time.Second
	httpapi.SetHeader(ctx, "RateLimit-Limit", strconv.Itoa(limit))
	httpapi.SetHeader(ctx, "RateLimit-Remaining", strconv.Itoa(left))
	httpapi.SetHeader(ctx, "RateLimit-Reset", strconv.Itoa(int(reset)))
}
