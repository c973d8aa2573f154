package routes

import (
	"context"
	"encoding/json"
	"net/http"

	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
	"exporthub/pkg/export/record"
	"exporthub/pkg/httpapi"
)

// startIn is a request for an export. Filters have the names and rules of the list's own.
type startIn struct {
	Dataset  string          `json:"dataset" required:"true" maxLength:"64" doc:"列表，见 GET /api/exports/datasets" example:"invitation"`
	Format   string          `json:"format" enum:"xlsx,csv,csv-raw,jsonl" doc:"格式，默认 xlsx" example:"xlsx"`
	Filters  json.RawMessage `json:"filters" doc:"筛选条件:该列表的筛选参数组成的对象;写错的名称会被拒绝" example:"{\"approve_status\":\"rejected\"}"`
	Columns  []string        `json:"columns" doc:"导出的列，按此顺序;不传则为该列表的固定列，jsonl 为全部列" maxItems:"200"`
	IDs      []int64         `json:"ids" doc:"只导出这些行;不传则为全部" minItems:"1" maxItems:"10000"`
	Filename string          `json:"filename" maxLength:"100" doc:"文件名，不含扩展名"`
	// The draft of the header field (draft-ietf-httpapi-idempotency-key-header).
	IdempotencyKey string `json:"-" header:"Idempotency-Key" doc:"同一请求的标识，24 小时内重复发送不会再次导出"`
}

// startRoute describes the request for an export.
func (h *handlers) startRoute() httpapi.Route {
	return httpapi.Handle("POST", record.Collection, httpapi.Native, httpapi.SignedIn, httpapi.Doc{
		Summary: "开始导出", Tag: tag,
		Detail: "任务排队后立即返回 202，Location 指向任务。带 Idempotency-Key 时，相同请求再次发送得到同一任务;" +
			"同一标识用于不同请求返回 422(idempotency_key_reused)，第一次请求仍在处理时返回 409(idempotency_in_progress)。" +
			"已有任务在执行返回 409(export_active，Location 指向它)，当日次数用完返回 429。",
	}, h.handleStart, httpapi.Starting(), httpapi.WithStatus(http.StatusAccepted), httpapi.Answers(401, 403, 409, 413, 415, 422, 429))
}

// handleStart admits an export and answers with its record.
func (h *handlers) handleStart(ctx context.Context, in startIn) (httpapi.Reply[recordOut], error) {
	return h.start(ctx, dataset.Request{
		Dataset:        in.Dataset,
		Format:         in.Format,
		Values:         in.Filters,
		Columns:        in.Columns,
		IDs:            in.IDs,
		Filename:       in.Filename,
		IdempotencyKey: in.IdempotencyKey,
	})
}

func (h *handlers) start(ctx context.Context, r dataset.Request) (httpapi.Reply[recordOut], error) {
	ticket, err := h.deps.Queue(ctx, r)
	if err != nil {
		return httpapi.Reply[recordOut]{}, err
	}
	j, err := record.Visible(ctx, h.deps.Store, ticket.UUID)
	if err != nil {
		return httpapi.Reply[recordOut]{}, err
	}
	out, err := h.view(ctx, j)
	if err != nil {
		return httpapi.Reply[recordOut]{}, err
	}
	httpapi.SetHeader(ctx, "Location", record.Path+ticket.UUID)
	return httpapi.Reply[recordOut]{Data: out}, nil
}

// retryIn is a request for the same export again.
type retryIn struct {
	UUID           string `json:"uuid" maxLength:"64" doc:"任务"`
	IdempotencyKey string `json:"-" header:"Idempotency-Key" doc:"同一请求的标识，24 小时内重复发送不会再次导出"`
}

// retryRoute describes the repetition of an export.
func (h *handlers) retryRoute() httpapi.Route {
	return httpapi.Handle("POST", record.Path+"{uuid}/retry", httpapi.Native, httpapi.SignedIn, httpapi.Doc{
		Summary: "再次导出", Tag: tag,
		Detail: "用相同的筛选条件、列和格式新建一个任务(retry_of 指向原任务)，占用当日一次。原任务尚未结束时返回 409。",
	}, h.handleRetry, httpapi.Starting(), httpapi.WithStatus(http.StatusAccepted), httpapi.Answers(401, 403, 404, 409, 422, 429))
}

// codeNotEnded is the code of a request that has to wait until an export is over.
const codeNotEnded = "export_not_ended"

// handleRetry asks for the rows that match today, as the caller may see them today.
func (h *handlers) handleRetry(ctx context.Context, in retryIn) (httpapi.Reply[recordOut], error) {
	r, err := h.again(ctx, in)
	if err != nil {
		h.deps.ShowLeft(ctx)
		return httpapi.Reply[recordOut]{}, err
	}
	return h.start(ctx, r)
}

// again is the request of an export that has ended.
func (h *handlers) again(ctx context.Context, in retryIn) (dataset.Request, error) {
	j, err := record.Visible(ctx, h.deps.Store, in.UUID)
	if err != nil {
		return dataset.Request{}, err
	}
	e, err := record.Read(j)
	if err != nil {
		return dataset.Request{}, err
	}
	if !j.State.Ended() {
		return dataset.Request{}, &errs.Error{
			Kind:     errs.Conflict,
			Code:     codeNotEnded,
			Message:  "任务尚未结束，请等待完成或先取消",
			Location: record.Path + in.UUID,
		}
	}
	return dataset.Request{
		Dataset:        e.Args.Dataset,
		Format:         e.Args.Format,
		Values:         e.Args.Filter,
		Columns:        e.Args.Columns,
		IDs:            e.Args.IDs,
		RetryOf:        in.UUID,
		IdempotencyKey: in.IdempotencyKey,
	}, nil
}
