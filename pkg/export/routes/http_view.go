package routes

import (
	"context"
	"encoding/json"

	"exporthub/pkg/auth"
	"exporthub/pkg/export/record"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/job"
)

// recordOut is an export as API callers see it: the figures of its latest event, and what an event
// has no room for, such as when the file expires and why a job waits. Keys are only ever added.
type recordOut struct {
	UUID       string          `json:"uuid"`
	Status     record.Status   `json:"status"`
	Dataset    string          `json:"dataset"`
	Service    string          `json:"service"`
	Format     string          `json:"format"`
	Channel    string          `json:"channel" doc:"该任务的频道"`
	Progress   int             `json:"progress" doc:"百分比"`
	Attempt    int             `json:"attempt"`
	Count      *int64          `json:"count" doc:"行数"`
	FileSize   *int64          `json:"file_size" doc:"字节"`
	FileURL    *string         `json:"file_url"`
	Cut        int64           `json:"cut" doc:"超过单元格长度上限(32,767 个 UTF-16 单元)而被截断的文字"`
	Replaced   int64           `json:"replaced" doc:"含有无效字节、已替换为 U+FFFD 的文字"`
	OutOfSpan  int64           `json:"out_of_span" doc:"超出可表示范围的日期:XLSX 中早于 1900-03-01 的写成文字，其余留空"`
	Changed    string          `json:"changed,omitempty" doc:"以上三项的文字说明;文件与数据一致时没有"`
	Filename   *string         `json:"filename"`
	Filter     string          `json:"filter" doc:"筛选条件的文字说明"`
	Columns    []string        `json:"columns" doc:"指定的列;没有指定为 null"`
	RetryOf    *string         `json:"retry_of" doc:"再次导出的原任务"`
	SHA256     *string         `json:"sha256" doc:"文件的 SHA-256，十六进制"`
	Expired    bool            `json:"expired" doc:"文件已过保留期"`
	ExpiresAt  *string         `json:"expires_at"`
	Why        string          `json:"why,omitempty" doc:"为什么在等待、失败"`
	Error      *record.Reason  `json:"error"`
	CreatedAt  string          `json:"created_at"`
	StartedAt  *string         `json:"started_at"`
	FinishedAt *string         `json:"finished_at"`
	Event      json.RawMessage `json:"event" doc:"最近一次进度，与频道里的相同"`
}

// view words a job for API callers.
func (h *handlers) view(ctx context.Context, j job.Job) (recordOut, error) {
	e, err := record.Read(j)
	if err != nil {
		return recordOut{}, err
	}
	whole := record.MayReceive(auth.From(ctx), j.OwnerID, h.deps.Registry)
	file, expired := h.offered(&e, whole)
	v := e.Event(false)
	out := recordOut{
		UUID:       j.UUID,
		Status:     shownStatus(j),
		Dataset:    e.Args.Dataset,
		Service:    e.Args.Service,
		Format:     e.Args.Format,
		Channel:    record.JobStream(j.UUID),
		Progress:   j.Progress,
		Attempt:    j.Attempt,
		Count:      v.Count,
		FileSize:   v.FileSize,
		FileURL:    v.FileURL,
		Error:      v.Error,
		Event:      e.JSON(false),
		Cut:        v.Cut,
		Replaced:   v.Replaced,
		OutOfSpan:  v.OutOfSpan,
		Changed:    v.Changed,
		CreatedAt:  httpapi.FormatTime(ctx, httpapi.Native, j.CreatedAt),
		StartedAt:  httpapi.NullTime(ctx, httpapi.Native, j.StartedAt),
		FinishedAt: httpapi.NullTime(ctx, httpapi.Native, j.FinishedAt),
		Why:        h.why(ctx, e),
		Columns:    e.Args.Columns,
	}
	if set, ok := h.deps.Registry.Get(e.Args.Dataset); ok && whole {
		out.Filter = record.DescribeFilter(set, e.Args)
	}
	if e.Args.RetryOf != "" {
		out.RetryOf = &e.Args.RetryOf
	}
	if file != nil {
		out.describe(ctx, file)
	}
	if expired {
		out.Expired = true
		out.Status = record.StatusExpired
		out.Why = "文件已过保留期，请重新导出"
	}
	return out, nil
}

// offered returns the file of an export that succeeded, nil of every other, and whether it has
// expired. The event of e must not offer what can't be fetched any more, nor a link to what this
// caller may not see whole.
func (h *handlers) offered(e *record.Export, whole bool) (file *record.File, expired bool) {
	file = e.Detail.File
	if file == nil || e.State != job.StateSuccess {
		return nil, false
	}
	expired = !h.deps.Now().Before(file.ExpiresAt)
	if expired || !whole {
		gone := *file // a copy: others hold the pointer
		gone.URL = ""
		e.Detail.File = &gone
	}
	return file, expired
}

// describe adds what is known of the file of an export that succeeded.
func (out *recordOut) describe(ctx context.Context, file *record.File) {
	out.Filename = &file.Filename
	out.ExpiresAt = httpapi.NullTime(ctx, httpapi.Native, file.ExpiresAt)
	if file.SHA256 != "" {
		out.SHA256 = &file.SHA256
	}
}

// shownStatus is the status as API callers read it: a job that has lost its worker waits, whatever
// stage it was in.
func shownStatus(j job.Job) record.Status {
	if j.Lost {
		return record.StatusQueued
	}
	return record.StatusOf(j)
}
