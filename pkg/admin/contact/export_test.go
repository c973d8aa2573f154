package contact

import (
	"context"
	"errors"
	"testing"
	"time"

	"exporthub/pkg/dataset"
	"exporthub/pkg/errs"
)

// exports is an admin.Exports whose one export has come as far as outcome says.
type exports struct {
	outcome dataset.Outcome
	err     error
}

func (e exports) Queue(context.Context, dataset.Request) (dataset.Ticket, error) {
	return dataset.Ticket{UUID: "u", Channel: "/export/u"}, nil
}

func (e exports) Wait(context.Context, string) (dataset.Outcome, error) { return e.outcome, e.err }

func (e exports) WaitLink(_, filename string) string { return "https://example.com/" + filename }

// An export that is known to have failed is no success. One that is not ready has the count of
// what matches now, and one that can't be waited for is promised all the same.
func TestTheDocumentedExportSaysWhatIsTrue(t *testing.T) {
	onEach(t, func(t *testing.T, s *service) {
		for _, contact := range []string{"13300000001", "13300000002", "wechat:c"} {
			s.add(t, Contact{Name: "某人", Contact: contact})
		}
		failed := &errs.Error{Kind: errs.Internal, Code: "job_failed", Message: "导出失败:磁盘已满"}
		later := &errs.Error{Kind: errs.Unavailable, Message: "导出失败:存储不可用", RetryAfter: time.Minute}
		finished := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		for name, c := range map[string]struct {
			exports exports
			filter  Filter
			count   int64
			want    error
		}{
			"succeeded":          {exports{outcome: dataset.Outcome{Ended: true, Count: 7, FinishedAt: finished}}, Filter{}, 7, nil},
			"not ready":          {exports{}, Filter{}, 3, nil},
			"not ready, counted": {exports{outcome: dataset.Outcome{Count: 1}}, Filter{}, 3, nil},
			"not ready, search":  {exports{}, Filter{Search: "133"}, 2, nil},
			"can't be waited":    {exports{err: errors.New("lost")}, Filter{}, 3, nil},
			"failed":             {exports{outcome: dataset.Outcome{Ended: true, FinishedAt: finished, Err: failed}}, Filter{}, 0, failed},
			"failed for now":     {exports{outcome: dataset.Outcome{Ended: true, FinishedAt: finished, Err: later}}, Filter{}, 0, later},
		} {
			s.Exports = c.exports
			got, err := s.handleExport(seeing(t.Context()), exportIn{Filter: c.filter})
			if !errors.Is(err, c.want) || got.TotalRecords != c.count || (got.DownloadURL == "") != (c.want != nil) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
		}
	})
}
