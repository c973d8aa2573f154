package routes

import (
	"context"
	"net/http"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/record"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/job"
)

// historyIn is which of the caller's exports are wanted.
type historyIn struct {
	Status  []record.Status `json:"status" enum:"active,queued,starting,start,writing_file,before_upload,uploading,upload_failure,success,expired,failure,cancelled" labels:"尚未结束,排队等待中,准备开始,开始导出,正在写入文件,准备上传,正在上传文件,上传文件失败,导出完成,文件已过期,导出失败,已取消" maxItems:"12" doc:"状态，可多个;active 为尚未结束"`
	Dataset string          `json:"dataset" maxLength:"64" doc:"列表" example:"invitation"`
	From    *httpapi.Bound  `json:"from" doc:"提交时间从此起"`
	Until   *httpapi.Bound  `json:"until" doc:"提交时间到此止;只有日期时包含整天"`
	Cursor  string          `json:"cursor" maxLength:"200" doc:"上一页答案中的 next"`
	Limit   int             `json:"limit" minimum:"1" maximum:"100" default:"20" doc:"每页的数量，最多 100"`
}

// historyOut is a page of a history.
type historyOut struct {
	Items []recordOut `json:"items" doc:"新的在前"`
	Next  *string     `json:"next" doc:"下一页的 cursor;没有下一页为 null"`
}

// historyRoute describes the list of the caller's exports.
func (h *handlers) historyRoute() httpapi.Route {
	return httpapi.Handle("GET", record.Collection, httpapi.Native, httpapi.SignedIn, httpapi.Doc{
		Summary: "我的导出", Tag: tag,
		Detail: "自己的导出任务，新的在前，可按状态、列表和提交时间筛选。",
	}, h.handleHistory, httpapi.Answers(401, 422))
}

// handleHistory answers with a page of the caller's exports. Those of others are an administrator's
// business, under /api/admin.
func (h *handlers) handleHistory(ctx context.Context, in historyIn) (historyOut, error) {
	after, err := record.ParseCursor(in.Cursor)
	if err != nil {
		return historyOut{}, err
	}
	q := record.HistoryQuery{
		UserID:   auth.From(ctx).UserID,
		Dataset:  in.Dataset,
		Statuses: in.Status,
		After:    after,
		Limit:    in.Limit,
		Now:      h.deps.Now(),
	}
	if in.From != nil {
		q.From = in.From.From(httpapi.Location(ctx))
	}
	if in.Until != nil {
		q.Until = in.Until.Until(httpapi.Location(ctx))
	}
	jobs, next, err := record.History(ctx, h.deps.DB, q)
	if err != nil {
		return historyOut{}, err
	}
	out := historyOut{Items: make([]recordOut, 0, len(jobs))}
	for _, j := range jobs {
		item, err := h.view(ctx, j)
		if err != nil {
			// One row that can't be read must not hide the others.
			item = h.damaged(ctx, j)
		}
		out.Items = append(out.Items, item)
	}
	if cursor := next.String(); cursor != "" {
		out.Next = &cursor
	}
	return out, nil
}

// damaged is what can be said of a job whose documents can't be read: what its columns hold.
func (h *handlers) damaged(ctx context.Context, j job.Job) recordOut {
	reason := "任务的数据无法读取，请重新导出"
	return recordOut{
		UUID:       j.UUID,
		Status:     shownStatus(j),
		Channel:    record.JobStream(j.UUID),
		Progress:   j.Progress,
		Attempt:    j.Attempt,
		Why:        reason,
		Error:      &record.Reason{Code: record.CodeUnreadable, Message: reason},
		CreatedAt:  httpapi.FormatTime(ctx, httpapi.Native, j.CreatedAt),
		StartedAt:  httpapi.NullTime(ctx, httpapi.Native, j.StartedAt),
		FinishedAt: httpapi.NullTime(ctx, httpapi.Native, j.FinishedAt),
	}
}

// downloadIn is a request for the file of an export.
type downloadIn struct {
	UUID string `json:"uuid" maxLength:"64" doc:"任务"`
}

// downloadRoute describes the way from a record to its file.
func (h *handlers) downloadRoute() httpapi.Route {
	return httpapi.Handle("GET", record.Path+"{uuid}/file", httpapi.Native, httpapi.SignedIn, httpapi.Doc{
		Summary: "下载任务的文件", Tag: tag,
		Detail: "302 到 file_url。尚未完成或没有文件返回 409，过期返回 410。",
	}, h.handleDownload, httpapi.WithStatus(http.StatusFound), httpapi.Answers(401, 404, 409, 410))
}

// fileRetry is when to ask again for a file that is not there yet.
const fileRetry = 2 * time.Second

// codeNoFile is the code of an export that has no file, and will have none.
const codeNoFile = "export_without_file"

// handleDownload sends the caller to the link, which checks their rights and records the fetch.
func (h *handlers) handleDownload(ctx context.Context, in downloadIn) (httpapi.Reply[struct{}], error) {
	none := httpapi.Reply[struct{}]{NoData: true}
	j, err := record.Visible(ctx, h.deps.Store, in.UUID)
	if err != nil {
		return none, err
	}
	out, err := h.view(ctx, j)
	switch {
	case err != nil:
		return none, err
	case out.Status == record.StatusExpired:
		return none, errs.New(errs.Gone, out.Why)
	case out.FileURL != nil:
		httpapi.SetHeader(ctx, "Location", *out.FileURL)
		return none, nil
	case !j.State.Ended():
		return none, &errs.Error{
			Kind:       errs.Conflict,
			Code:       codeNotEnded,
			Message:    "文件尚未生成，请等待任务完成",
			Location:   record.Path + in.UUID,
			RetryAfter: fileRetry,
		}
	}
	return none, &errs.Error{
		Kind:    errs.Conflict,
		Code:    codeNoFile,
		Message: "任务没有生成文件:" + out.Why,
	}
}
