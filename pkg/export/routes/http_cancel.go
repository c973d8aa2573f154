package routes

import (
	"context"
	"net/http"

	"exporthub/pkg/export/record"
	"exporthub/pkg/httpapi"
)

// cancelIn is a request to end an export.
type cancelIn struct {
	UUID string `json:"uuid" maxLength:"64" doc:"任务"`
}

// cancelRoute describes the cancellation. DELETE ends the job; the record stays and can be read.
func (h *handlers) cancelRoute() httpapi.Route {
	return httpapi.Handle("DELETE", record.Path+"{uuid}", httpapi.Native, httpapi.SignedIn, httpapi.Doc{
		Summary: "取消导出", Tag: tag,
		Detail: "排队中的任务立即取消，返回 200;正在执行的任务2 秒内停止，不留下文件，返回 202。已取消的任务再次取消返回 200;已结束的任务返回 409。",
	}, h.handleCancel)
}

// handleCancel answers 200 when the job has ended, and 202 with the place to ask again when its
// worker has still to stop.
func (h *handlers) handleCancel(ctx context.Context, in cancelIn) (httpapi.Reply[recordOut], error) {
	j, err := h.deps.Cancel(ctx, in.UUID)
	if err != nil {
		return httpapi.Reply[recordOut]{}, err
	}
	out := httpapi.Reply[recordOut]{}
	if !j.State.Ended() {
		out.Status = http.StatusAccepted
		httpapi.SetHeader(ctx, "Location", record.Path+j.UUID)
	}
	out.Data, err = h.view(ctx, j)
	return out, err
}
