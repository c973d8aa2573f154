package export

import (
	"context"
	"net/http"

	"exporthub/pkg/httpapi"
)

type cancelIn struct {
	UUID string `json:"uuid" maxLength:"64" doc:"任务"`
}

func (s *Service) cancelRoute() httpapi.Route {
	return httpapi.Handle("DELETE", "/api/exports/{uuid}", httpapi.Native, httpapi.SignedIn, httpapi.Doc{
		Summary: "取消导出", Tag: tag,
		Detail: "排队中的任务立即取消，返回 200;正在执行的任务两秒内停止，不留下文件，返回 202。已取消的任务再次取消返回 200;已结束的任务返回 409。",
	}, s.handleCancel)
}

func (s *Service) handleCancel(ctx context.Context, in cancelIn) (httpapi.Reply[jobOut], error) {
	j, err := s.Cancel(ctx, in.UUID)
	if err != nil {
		return httpapi.Reply[jobOut]{}, err
	}
	out := httpapi.Reply[jobOut]{}
	if !j.State.Ended() {
		out.Status = http.StatusAccepted
		httpapi.SetHeader(ctx, "Location", jobPath+j.UUID)
	}
	out.Data, err = s.view(ctx, j)
	return out, err
}
