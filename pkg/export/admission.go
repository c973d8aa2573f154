package export

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/job"
)

// The refusals' codes. C numbers them, so they are listed there too.
const (
	CodeForbidden  = "export_forbidden"
	CodeActive     = "export_active"
	CodeDailyLimit = "export_daily_limit"
	CodeRate       = "export_rate"
)

// payload is what a job needs to run, written once when it is admitted.
type payload struct {
	Dataset  string          `json:"dataset"`
	Service  string          `json:"service"`
	Format   string          `json:"format"`
	Filter   json.RawMessage `json:"filter"`
	Columns  []string        `json:"columns,omitempty"`
	IDs      []int64         `json:"ids,omitempty"`
	Filename string          `json:"filename"`
}

// Bounds of what a request may carry.
const (
	maxIDs      = 10_000
	maxFilename = 100
)

// Queue admits an export for the caller that ctx carries, or says in the documented words why not.
func (s *Service) Queue(ctx context.Context, r dataset.Request) (dataset.Ticket, error) {
	ticket, err := s.queue(ctx, r)
	if err != nil {
		s.o.Observe(errs.CodeOf(err))
		if code := errs.CodeOf(err); code != CodeActive && code != CodeDailyLimit {
			s.tellLeft(ctx)
		}
		return dataset.Ticket{}, err
	}
	s.o.Observe("accepted")
	return ticket, nil
}

func (s *Service) queue(ctx context.Context, r dataset.Request) (dataset.Ticket, error) {
	who := auth.From(ctx)
	if who == nil {
		return dataset.Ticket{}, errs.New(errs.Unauthenticated, "")
	}
	set, ok := s.o.Registry.Get(r.Dataset)
	if !ok {
		return dataset.Ticket{}, errs.Invalidf("dataset", "没有可导出的列表 %s", r.Dataset)
	}
	if !who.Can(set.Permission) {
		return dataset.Ticket{}, &errs.Error{Kind: errs.Forbidden, Code: CodeForbidden, Message: "你没有应用导出的权限"}
	}
	if s.o.Rate != nil {
		if ok, wait := s.o.Rate.Allow(ctx, "export:"+strconv.FormatInt(who.UserID, 10)); !ok {
			return dataset.Ticket{}, &errs.Error{Kind: errs.TooMany, Code: CodeRate, Message: "导出请求过于频繁，请稍后再试", RetryAfter: wait}
		}
	}
	p, err := s.payload(set, r, who)
	if err != nil {
		return dataset.Ticket{}, err
	}
	return s.admit(ctx, who, p)
}

// payload checks a request against its dataset and what the caller may see.
func (s *Service) payload(set dataset.Dataset, r dataset.Request, who *auth.Principal) (payload, error) {
	p := payload{Dataset: set.Name, Service: set.Service, Format: r.Format, Columns: r.Columns, IDs: r.IDs}
	if p.Format == "" {
		p.Format = defaultFormat
	}
	if _, ok := s.formats[p.Format]; !ok {
		return p, errs.Invalidf("format", "不支持的导出格式，可用:%s", strings.Join(s.names, "、"))
	}
	if _, err := set.Pick(r.Columns, who.Can); err != nil {
		return p, err
	}
	if r.IDs != nil && len(r.IDs) == 0 {
		// A page that sends its empty selection does not mean everything.
		return p, errs.Invalidf("ids", "没有勾选任何行;导出全部时请不要传 ids")
	}
	if len(r.IDs) > maxIDs {
		return p, errs.Invalidf("ids", "最多勾选 %d 行，请改用筛选条件", maxIDs)
	}
	var err error
	if p.Filename, err = s.filename(set, r.Filename); err != nil {
		return p, err
	}
	filter := r.Filter
	if filter == nil {
		filter = set.NewFilter()
	}
	if p.Filter, err = json.Marshal(filter); err != nil {
		return p, fmt.Errorf("store filter of %s: %w", set.Name, err)
	}
	return p, nil
}

// filename returns what the file is called, without its extension.
func (s *Service) filename(set dataset.Dataset, wanted string) (string, error) {
	if wanted == "" {
		return set.Title + "_" + s.o.Now().In(s.o.Location).Format("20060102_150405"), nil
	}
	if len([]rune(wanted)) > maxFilename || strings.ContainsAny(wanted, "/\\:*?\"<>|") || strings.HasPrefix(wanted, ".") ||
		slices.ContainsFunc([]rune(wanted), func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return "", errs.Invalidf("filename", `最多 %d 个字，不能以点开头，不能含有 / \ : * ? " < > | 和控制字符`, maxFilename)
	}
	return wanted, nil
}

// admit takes the slot and the day's place and stores the job, all or nothing.
func (s *Service) admit(ctx context.Context, who *auth.Principal, p payload) (dataset.Ticket, error) {
	now := s.o.Now()
	day := s.day(now)
	id := uuid.NewString()
	var left, limit int
	err := s.o.DB.Write(ctx, func(ctx context.Context, tx *database.Tx) error {
		limits, err := s.limits(ctx, tx, who)
		if err != nil {
			return err
		}
		limit = limits.Daily
		used, err := takePlaces(ctx, tx, who.UserID, day, limits)
		left = max(limit-used, 0)
		if err != nil {
			return s.retryHint(err, now)
		}
		if err := insertExport(ctx, tx, exportRow{
			UUID: id, UserID: who.UserID, Dataset: p.Dataset, Format: p.Format, QuotaDay: day, CreatedAt: now,
		}); err != nil {
			return err
		}
		_, err = s.jobs.Enqueue(ctx, tx, job.New{
			UUID: id, Kind: KindName, OwnerID: who.UserID, Payload: p, Detail: detail{},
		})
		return err
	})
	if limit > 0 {
		s.tellQuota(ctx, limit, left, now)
	}
	if err != nil {
		return dataset.Ticket{}, err
	}
	return dataset.Ticket{UUID: id, Channel: s.o.People.ExportChannel(who)}, nil
}

// takePlaces takes the person's slot and a place in the day and returns how many of the day are used. When both limits
// hold, the slot's is told.
func takePlaces(ctx context.Context, tx *database.Tx, userID int64, day string, l Limits) (used int, err error) {
	if err := ensureCounters(ctx, tx, userID, day); err != nil {
		return 0, err
	}
	slot, err := takeSlot(ctx, tx, userID, l.Active)
	if err != nil {
		return 0, err
	}
	place := false
	if slot {
		if place, err = takeDay(ctx, tx, userID, day, l.Daily); err != nil {
			return 0, err
		}
	}
	if used, err = usedOn(ctx, tx, userID, day); err != nil {
		return 0, err
	}
	switch {
	case !slot:
		refusal := &errs.Error{Kind: errs.Conflict, Code: CodeActive, Message: "当前用户已经有导出任务排队或执行,请稍后再试"}
		inTheWay, err := activeExport(ctx, tx, userID)
		if err != nil {
			return used, err
		}
		if inTheWay != "" {
			refusal.Location = jobPath + inTheWay
		}
		return used, refusal
	case !place:
		return used, &errs.Error{Kind: errs.Quota, Code: CodeDailyLimit,
			Message: fmt.Sprintf("该用户已经超过当日导出最大次数%d,当前任务不允许执行", l.Daily)}
	}
	return used, nil
}

// activeRetry is when it is worth asking again while one's export is active: nobody knows, so soon.
const activeRetry = 5 * time.Second

// retryHint adds to a limit's refusal when to come back.
func (s *Service) retryHint(err error, now time.Time) error {
	if e := errs.As(err); e != nil {
		switch e.Code {
		case CodeActive:
			e.RetryAfter = activeRetry
		case CodeDailyLimit:
			e.RetryAfter = s.untilMidnight(now)
		}
	}
	return err
}

// day is the calendar day an instant counts in.
func (s *Service) day(t time.Time) string { return t.In(s.o.Location).Format(time.DateOnly) }

// untilMidnight is how long the day of t still lasts.
func (s *Service) untilMidnight(t time.Time) time.Duration {
	y, m, d := t.In(s.o.Location).Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, s.o.Location).Sub(t)
}

// tellLeft puts what is left of the day on an answer that did not get as far as counting. It is a courtesy: a database
// that can't say keeps nobody from their answer.
func (s *Service) tellLeft(ctx context.Context) {
	who := auth.From(ctx)
	if who == nil {
		return
	}
	now := s.o.Now()
	err := s.o.DB.Read(ctx, func(ctx context.Context, tx *database.Tx) error {
		limits, err := s.limits(ctx, tx, who)
		if err != nil {
			return err
		}
		used, err := usedOn(ctx, tx, who.UserID, s.day(now))
		if err != nil {
			return err
		}
		s.tellQuota(ctx, limits.Daily, max(limits.Daily-used, 0), now)
		return nil
	})
	if err != nil {
		s.o.Logger.Debug("what is left of a day was not told", "error", err)
	}
}

// tellQuota puts what is left of the day on the answer, in the fields of the RateLimit header draft.
func (s *Service) tellQuota(ctx context.Context, limit, left int, now time.Time) {
	httpapi.SetHeader(ctx, "RateLimit-Limit", strconv.Itoa(limit))
	httpapi.SetHeader(ctx, "RateLimit-Remaining", strconv.Itoa(left))
	httpapi.SetHeader(ctx, "RateLimit-Reset", strconv.Itoa(int(s.untilMidnight(now).Round(time.Second)/time.Second)))
}
