package routes

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"exporthub/pkg/database"
	"exporthub/pkg/dataset"
	"exporthub/pkg/export/delivery"
	"exporthub/pkg/export/record"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/job"
)

// tag groups the routes in the description of the API.
const tag = "导出"

// Jobs is what the routes need of the job engine.
type Jobs interface {
	// Wait returns the job once it has moved past a sequence number, or as it is when ctx ends.
	Wait(ctx context.Context, uuid string, sinceSeq uint64) (job.Job, error)
}

// Deps is what the routes are made of.
type Deps struct {
	DB   *database.DB
	Jobs Jobs
	// Workers returns who runs the jobs, for the reason why one waits.
	Workers  func(ctx context.Context) (job.Workers, error)
	Store    *job.Store
	Links    *delivery.Links
	Registry *dataset.Registry
	Formats  record.Formats
	// Queue admits an export for the caller whom ctx carries.
	Queue func(ctx context.Context, r dataset.Request) (dataset.Ticket, error)
	// ShowLeft puts what is left of the caller's day on an answer, for refusals that Queue never
	// saw.
	ShowLeft func(ctx context.Context)
	// Quota returns what the caller whom ctx carries has used of their limits.
	Quota func(ctx context.Context) (record.Quota, error)
	// Cancel ends an export on behalf of the caller whom ctx carries.
	Cancel func(ctx context.Context, uuid string) (job.Job, error)
	// MayStillSee reports an error unless the caller whom ctx carries may see the export by the
	// rights of this moment. The context has those of the request's beginning.
	MayStillSee func(ctx context.Context, uuid string) error
	Visitors    Visitors
	Now         func() time.Time
}

// Visitors says who is behind a request, for the audit of links, which need no login.
type Visitors struct {
	// Actor is the person whose token or cookie the request carries; 0 when there is none that
	// counts.
	Actor func(r *http.Request) int64
	// Address is where the request comes from.
	Address func(r *http.Request) string
}

// handlers answers the routes.
type handlers struct {
	deps Deps
}

// New returns the engine's own endpoints.
func New(d Deps) []httpapi.Route {
	h := &handlers{deps: d}
	return []httpapi.Route{
		h.startRoute(),
		h.historyRoute(),
		h.datasetsRoute(),
		h.limitsRoute(),
		h.recordRoute(),
		h.retryRoute(),
		h.downloadRoute(),
		h.cancelRoute(),
		h.fileRoute(),
		h.waitRoute(),
	}
}

// recordRoute describes the record of an export.
func (h *handlers) recordRoute() httpapi.Route {
	return httpapi.Handle("GET", record.Path+"{uuid}", httpapi.Native, httpapi.SignedIn, httpapi.Doc{
		Summary: "导出任务", Tag: tag,
		Detail: "任务及其最近一次进度。带 Prefer: wait=20 时等到有变化再返回;带 If-None-Match 时没有变化返回 304。" +
			"文件与数据不一致之处(被截断的文字、被替换的无效字符、无法表示的日期)计入 cut、replaced、out_of_span，" +
			"并在 changed 中用文字说明;导出完成的消息里也有这段文字。",
	}, h.handleRecord, httpapi.Answers(304, 401, 404, 422, 429))
}

// recordIn is a request for a record. The headers are conditions that pollers send.
type recordIn struct {
	UUID        string `json:"uuid" maxLength:"64" doc:"任务"`
	Prefer      string `json:"-" header:"Prefer" doc:"wait=秒数:等到有变化"`
	IfNoneMatch string `json:"-" header:"If-None-Match" doc:"上次的 ETag"`
}

// maxWait bounds Prefer: wait. It is below the time after which common proxies give up (30 s).
const maxWait = 25 * time.Second

// handleRecord answers with an export, and waits for a change where the caller prefers that.
func (h *handlers) handleRecord(ctx context.Context, in recordIn) (recordOut, error) {
	j, err := record.Visible(ctx, h.deps.Store, in.UUID)
	if err != nil {
		return recordOut{}, err
	}
	wait := preferredWait(in.Prefer)
	out, err := h.view(ctx, j)
	if err != nil {
		return recordOut{}, err
	}
	// A caller whose tag is not the current one has something new to read already.
	current := in.IfNoneMatch == "" || in.IfNoneMatch == etag(j, out)
	if wait > 0 && !j.State.Ended() && current {
		bound, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		if j, err = h.deps.Jobs.Wait(bound, j.UUID, j.Seq()); err != nil {
			return recordOut{}, err
		}
		if err := h.deps.MayStillSee(ctx, in.UUID); err != nil {
			return recordOut{}, err
		}
		httpapi.SetHeader(ctx, "Preference-Applied", "wait="+strconv.Itoa(int(wait/time.Second)))
		if out, err = h.view(ctx, j); err != nil {
			return recordOut{}, err
		}
	}
	httpapi.SetETag(ctx, etag(j, out))
	return out, nil
}

// etag identifies what is shown of a job: its row, and what the row alone does not say, that its
// file has expired and why it waits.
func etag(j job.Job, shown recordOut) string {
	said := fnv.New32a()
	_, _ = io.WriteString(said, string(shown.Status)+shown.Why) // a hash takes everything
	return fmt.Sprintf(`"%d-%x"`, j.Seq(), said.Sum32())
}

// preferredWait reads Prefer: wait=N (RFC 7240); 0 is none. Values that can't be read are
// ignored, as the RFC wants of preferences.
func preferredWait(header string) time.Duration {
	for _, p := range strings.Split(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if n, err := strconv.Atoi(value); strings.EqualFold(name, "wait") && err == nil && n > 0 {
			// Capped before it is multiplied: a large number of seconds overflows a Duration.
			return min(time.Duration(min(n, 3600))*time.Second, maxWait)
		}
	}
	return 0
}
