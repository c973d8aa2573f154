package admin

import (
	"context"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"exporthub/pkg/auth"
	"exporthub/pkg/dataset"
	"exporthub/pkg/httpapi"
)

// QueuedText answers an accepted export. Old pages show it, so the text is the document's.
const QueuedText = "导出任务已经加入队列,请耐心等待"

// ListOrTicket is the answer of a list that can be exported. It is the page when Ticket is nil, and
// the ticket of the queued export otherwise.
type ListOrTicket[P any] struct {
	Page   P
	Ticket *dataset.Ticket
}

// Chosen returns the one that is sent. httpapi calls it before encoding.
func (l ListOrTicket[P]) Chosen() any {
	if l.Ticket != nil {
		return l.Ticket
	}
	return l.Page
}

// Schema describes both shapes in the API description.
func (ListOrTicket[P]) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		r.Schema(reflect.TypeFor[P](), true, ""), r.Schema(reflect.TypeFor[dataset.Ticket](), true, "Ticket"),
	}}
}

// List answers a list's request: with a page, or, with export_format, by queueing the export of
// everything the same filter matches. list is not called for an export, which has no page, nor for
// a filter by what the caller may not see.
func List[P any](ctx context.Context, exports Exports, set dataset.Dataset, filter any, params httpapi.ExportParams,
	list func() (P, error)) (httpapi.Reply[ListOrTicket[P]], error) {
	var reply httpapi.Reply[ListOrTicket[P]]
	if params.ExportFormat == "" {
		// The engine checks the filters of files itself, at the request and again at the attempt.
		if err := set.CheckFilter(filter, auth.From(ctx).Can); err != nil {
			return reply, err
		}
		var err error
		reply.Data.Page, err = list()
		return reply, err
	}
	// filter is the pointer that the page used: an export can't see other rows than the list.
	ticket, err := exports.Queue(ctx, dataset.Request{
		Dataset: set.Name,
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
