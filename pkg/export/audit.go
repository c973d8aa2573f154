package export

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"exporthub/pkg/audit"
	"exporthub/pkg/database"
	"exporthub/pkg/export/record"
)

// recordRequest records who asked for which export: the list, the filter in the words of the page,
// the columns and the ticked rows. The job says the same, but only for as long as jobs are kept.
func (a *admission) recordRequest(ctx context.Context, tx *database.Tx, row record.Row, args record.Args) error {
	columns := "默认的列"
	if len(args.Columns) > 0 {
		columns = strings.Join(args.Columns, ",")
	}
	// The parts that have a bound come first: a long filter or selection is what is cut.
	parts := []string{args.Dataset + " " + args.Format, "列: " + columns}
	if set, ok := a.registry.Get(args.Dataset); ok {
		parts = append(parts, "筛选: "+record.DescribeFilter(set, args))
	}
	if len(args.IDs) > 0 {
		ids := make([]string, len(args.IDs))
		for i, id := range args.IDs {
			ids[i] = strconv.FormatInt(id, 10)
		}
		parts = append(parts, "勾选: "+strings.Join(ids, ","))
	}
	if args.RetryOf != "" {
		parts = append(parts, "重试: "+args.RetryOf)
	}
	return audit.Record(ctx, tx, audit.Entry{
		At:      row.CreatedAt,
		ActorID: row.UserID,
		Action:  audit.ExportRequest,
		Subject: row.UUID,
		Detail:  strings.Join(parts, "; "),
	})
}

// recordEnd records what became of an export, in the transaction that ends it. Nobody asks for it
// then, so the actor is whose export it is.
func (l *lifecycle) recordEnd(ctx context.Context, tx *database.Tx, e record.Export) error {
	v := e.Event(false)
	parts := []string{string(v.Status)}
	switch {
	case v.Error != nil:
		parts = append(parts, v.Error.Code)
	case v.Rows != nil:
		parts = append(parts, fmt.Sprintf("%d 行", *v.Rows))
	case v.Count != nil:
		parts = append(parts, fmt.Sprintf("%d 行", *v.Count))
	}
	if f := e.Detail.File; f != nil && v.Error == nil {
		parts = append(parts, fmt.Sprintf("%d 字节", f.Size), "sha256 "+f.SHA256, f.Filename)
	}
	return audit.Record(ctx, tx, audit.Entry{
		At:      l.now(),
		ActorID: e.OwnerID,
		Action:  audit.ExportEnd,
		Subject: e.UUID,
		Detail:  strings.Join(parts, "; "),
	})
}
