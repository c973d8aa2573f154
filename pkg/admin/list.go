package admin

import (
	"context"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"exporthub/pkg/dataset"
	"exporthub/pkg/httpapi"
)

// QueuedText is what an accepted export is answered with.
const QueuedText = "导出任务已经加入队列,请耐心等待"

// ListOrTicket is the data of a list that can be exported: the page, or the ticket of the queued
// export.
type ListOrTicket[P any] struct {
	Page   P
	Ticket *dataset.Ticket
}

// Chosen returns whichever it is.
func (l ListOrTicket[P]) Chosen() any {
	if l.Ticket != nil {
		return l.Ticket
	}
	return l.Page
}

// Schema describes both.
func (ListOrTicket[P]) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		r.Schema(reflect.TypeFor[P](), true, ""), r.Schema(reflect.TypeFor[dataset.Ticket](), true, "Ticket"),
	}}
}

// List answers a list's request: with its page, or, when export_format is there, by queueing the
// export of everything that the same filter matches.
func List[P any](ctx context.Context, exports Exports, name string, filter any, params httpapi.ExportParams,
	list func() (P, error)) (httpapi.Reply[ListOrTicket[P]], error) {
	var reply httpapi.Reply[ListOrTicket[P]]
	if params.ExportFormat == "" {
		var err error
		reply.Data.Page, err = list()
		return reply, err
	}
	ticket, err := exports.Queue(ctx, dataset.Request{
		Dataset: name,
		Format:  params.ExportFormat,
		Filter:  filter,
		Columns: params.Columns,
		IDs:     params.IDs,
	})
	if err != nil {
		return reply, err
	}
	reply.Msg, reply.Data.Ticket = QueuedText, &ticket
	return reply, nil
}
