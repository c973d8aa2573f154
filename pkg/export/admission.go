package export

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"exporthub/pkg/auth"
	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/record"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/job"
)

// The codes of refusals. The paid reports' envelope numbers them and lists them for that.
const (
	CodeForbidden  = record.CodeForbidden
	CodeActive     = "export_active"
	CodeDailyLimit = "export_daily_limit"
	CodeRate       = "export_rate"
)

// Bounds of what a request may carry.
const (
	maxIDs = 10_000
	// maxFilename is in characters. A file system counts 255 bytes, of which a Chinese character
	// takes three, so longer names are cut by the person's own machine at the worst.
	maxFilename = 100
)

// admission decides which requests become exports.
type admission struct {
	db       *database.DB
	rows     *job.Store
	jobs     Jobs
	kind     *job.Definition[record.Args, record.Detail, record.File]
	people   People
	registry *dataset.Registry
	formats  record.Formats
	rate     RateLimiter
	limits   Limits
	wait     time.Duration // for how long a request waits for its export
	location *time.Location
	now      func() time.Time
	log      *slog.Logger
	observe  func(answer string)
}

func newAdmission(o Options, formats record.Formats,
	kind *job.Definition[record.Args, record.Detail, record.File]) *admission {
	return &admission{
		db:       o.DB,
		rows:     job.NewStore(o.DB),
		jobs:     o.Jobs,
		kind:     kind,
		people:   o.People,
		registry: o.Registry,
		formats:  formats,
		rate:     o.Rate,
		limits:   o.Limits,
		wait:     o.Wait,
		location: o.Location,
		now:      o.Now,
		log:      o.Logger,
		observe:  o.Observe,
	}
}

// Queue admits an export for the caller whom ctx carries, or says in the documented words why not.
func (a *admission) Queue(ctx context.Context, r dataset.Request) (dataset.Ticket, error) {
	ticket, repeated, err := a.queue(ctx, r)
	switch {
	case err == nil && repeated:
		a.observe("repeated")
		return ticket, nil
	case err == nil:
		a.observe("accepted")
		return ticket, nil
	}
	code := errs.CodeOf(err)
	a.observe(code)
	// The refusals of the limits counted and have set the headers already.
	if code != CodeActive && code != CodeDailyLimit {
		a.showLeft(ctx)
	}
	return dataset.Ticket{}, err
}

// queue checks in an order that matters: the permission is documented to be refused before anything
// else, and the rate before what costs queries. It reports whether the ticket is that of an earlier
// request, which this one repeats.
func (a *admission) queue(ctx context.Context, r dataset.Request) (ticket dataset.Ticket, repeated bool, err error) {
	who := auth.From(ctx)
	if who == nil {
		return dataset.Ticket{}, false, errs.New(errs.Unauthenticated, "")
	}
	set, ok := a.registry.Get(r.Dataset)
	if !ok {
		return dataset.Ticket{}, false, errs.Invalidf("dataset", "没有可导出的列表 %s", r.Dataset)
	}
	if !who.Can(set.Permission) {
		return dataset.Ticket{}, false, record.Forbidden()
	}
	if a.rate != nil {
		if ok, wait := a.rate.Allow(ctx, "export:"+strconv.FormatInt(who.UserID, 10)); !ok {
			return dataset.Ticket{}, false, &errs.Error{
				Kind:       errs.TooMany,
				Code:       CodeRate,
				Message:    "导出请求过于频繁，请稍后再试",
				RetryAfter: wait,
			}
		}
	}
	args, err := a.args(set, r, who)
	if err != nil {
		return dataset.Ticket{}, false, err
	}
	if r.IdempotencyKey == "" {
		return a.admit(ctx, who, args, r.Repeatable, nil)
	}
	return a.admitOnce(ctx, who, args, r)
}

// under puts the name of what holds them before the names of an error's fields.
func under(name string, err error) error {
	e := errs.As(err)
	if e == nil {
		return err
	}
	if len(e.Fields) == 0 {
		return &errs.Error{
			Kind:   e.Kind,
			Fields: []errs.Field{{Name: name, Reason: "应为对象"}},
			Cause:  err,
		}
	}
	inside := *e
	inside.Fields = slices.Clone(e.Fields)
	for i := range inside.Fields {
		inside.Fields[i].Name = name + "." + inside.Fields[i].Name
	}
	return &inside
}

// args checks a request against its dataset and what the caller may see.
func (a *admission) args(set dataset.Dataset, r dataset.Request, who *auth.Principal) (record.Args, error) {
	args := record.Args{
		Dataset: set.Name,
		Service: set.Service,
		Format:  r.Format,
		Columns: r.Columns,
		IDs:     r.IDs,
		RetryOf: r.RetryOf,
	}
	if args.Format == "" {
		args.Format = record.DefaultFormat
	}
	if _, ok := a.formats.Get(args.Format); !ok {
		return args, errs.Invalidf("format", "不支持的导出格式，可用:%s", strings.Join(a.formats.Names(), "、"))
	}
	if _, err := set.Pick(r.Columns, who.Can); err != nil {
		return args, err
	}
	if r.IDs != nil && len(r.IDs) == 0 {
		// A page that sends its empty selection does not mean everything.
		return args, errs.Invalidf("ids", "没有勾选任何行;导出全部时请不要传 ids")
	}
	if len(r.IDs) > maxIDs {
		return args, errs.Invalidf("ids", "最多勾选 %s 行，请改用筛选条件", errs.Number(maxIDs))
	}
	var err error
	if args.Filename, err = a.filename(set, r.Filename); err != nil {
		return args, err
	}
	filter := r.Filter
	if filter == nil {
		filter = set.NewFilter()
		if err := httpapi.DecodeStrict(r.Values, filter); err != nil {
			return args, under("filters", err)
		}
	}
	if err := set.CheckFilter(filter, who.Can); err != nil {
		return args, err
	}
	if args.Filter, err = json.Marshal(filter); err != nil {
		return args, fmt.Errorf("store filter of %s: %w", set.Name, err)
	}
	return args, nil
}

// filename returns what the file is called, without its extension. Names that a file system of the
// person's would refuse are refused here, before the export; the colon is also what separates the
// parts of a signed link.
func (a *admission) filename(set dataset.Dataset, wanted string) (string, error) {
	if wanted == "" {
		return set.Title + "_" + a.now().In(a.location).Format("20060102_150405"), nil
	}
	control := func(r rune) bool { return r < 0x20 || r == 0x7f }
	if len([]rune(wanted)) > maxFilename ||
		strings.ContainsAny(wanted, "/\\:*?\"<>|") ||
		strings.HasPrefix(wanted, ".") ||
		slices.ContainsFunc([]rune(wanted), control) {
		return "", errs.Invalidf("filename",
			`最多 %d 个字，不能以点开头，不能含有 / \ : * ? " < > | 和控制字符`, maxFilename)
	}
	return wanted, nil
}

// admit uses the quotas and stores the job, all or nothing. A request that repeats an earlier one
// gets the earlier one's ticket and uses nothing. also, when set, is part of the transaction that
// stores a new one.
func (a *admission) admit(ctx context.Context, who *auth.Principal, args record.Args, repeatable bool,
	also func(ctx context.Context, tx *database.Tx, uuid string) error) (
	ticket dataset.Ticket, repeated bool, err error) {
	now := a.now()
	row := record.Row{
		UUID:        uuid.NewString(),
		UserID:      who.UserID,
		Dataset:     args.Dataset,
		Format:      args.Format,
		QuotaDay:    record.QuotaDay(now, a.location),
		CreatedAt:   now,
		RequestID:   httpapi.RequestID(ctx),
		Fingerprint: args.Fingerprint(),
	}
	n, err := a.kind.New(who.UserID, args)
	if err != nil {
		return dataset.Ticket{}, false, err
	}
	n.UUID = row.UUID // the row beside the job is stored first
	// Zero: the content alone makes no repetition. An instant would not do in its place, since of
	// two requests the one that came later may be stored first.
	var since time.Time
	if repeatable {
		since = now.Add(-a.wait)
	}
	var done admitted
	err = a.db.Write(ctx, func(ctx context.Context, tx *database.Tx) (err error) {
		done, err = a.store(ctx, tx, who, row, since, n)
		if err != nil || done.first != "" {
			return err
		}
		if err := a.recordRequest(ctx, tx, row, args); err != nil || also == nil {
			return err
		}
		return also(ctx, tx, row.UUID)
	})
	if done.limit > 0 {
		a.setQuotaHeaders(ctx, done.limit, done.left, now)
	}
	if err != nil {
		return dataset.Ticket{}, false, err
	}
	ticket = dataset.Ticket{
		UUID:     row.UUID,
		Channel:  a.people.ExportChannel(who),
		Filename: args.Filename,
	}
	if done.first == "" {
		return ticket, false, nil
	}
	ticket, err = a.firstTicket(ctx, ticket, done.first)
	return ticket, err == nil, err
}

// admitted is what the transaction of an admission has found, with a refusal too.
type admitted struct {
	first string // the uuid of the export that this request repeats; empty when it repeats none
	limit int    // exports of the day; 0 when they could not be read
	left  int    // of them
}

// store is the transaction of an admission: everything of it is stored, or nothing.
func (a *admission) store(ctx context.Context, tx *database.Tx, who *auth.Principal, row record.Row,
	since time.Time, n job.New) (done admitted, err error) {
	if err := lockPerson(ctx, tx, who.UserID, row.QuotaDay); err != nil {
		return done, err
	}
	limits, err := a.limitsOf(ctx, tx, who)
	if err != nil {
		return done, err
	}
	done.limit = limits.Daily
	// After the lock: of two requests that are sent at once the second sees what the first stored.
	if done.first, err = findEarlier(ctx, tx, row, since); err != nil {
		return done, err
	}
	if done.first != "" {
		used, err := usedOn(ctx, tx, who.UserID, row.QuotaDay)
		done.left = max(done.limit-used, 0)
		return done, err
	}
	used, err := useQuotas(ctx, tx, who.UserID, row.QuotaDay, limits)
	done.left = max(done.limit-used, 0) // a limit can be lowered below what was used
	if err != nil {
		return done, a.retryHint(err, row.CreatedAt)
	}
	if err := record.Insert(ctx, tx, row); err != nil {
		return done, err
	}
	_, err = a.jobs.Enqueue(ctx, tx, n)
	return done, err
}

// firstTicket is the ticket of the export that a request repeats. Its file has the name of the
// first request, which the answer may have to put into a link.
func (a *admission) firstTicket(ctx context.Context, ticket dataset.Ticket, uuid string) (dataset.Ticket, error) {
	j, err := a.rows.Get(ctx, uuid)
	if err != nil {
		return dataset.Ticket{}, err
	}
	e, err := record.Read(j)
	if err != nil {
		return dataset.Ticket{}, err
	}
	ticket.UUID = uuid
	ticket.Filename = e.Args.Filename
	return ticket, nil
}
