package routes

import (
	"context"
	"errors"
	"time"

	"exporthub/pkg/errs"
	"exporthub/pkg/export/record"
	"exporthub/pkg/httpapi"
	"exporthub/pkg/job"
)

// why says in words what keeps a job or ended it.
func (h *handlers) why(ctx context.Context, e record.Export) string {
	switch {
	case e.CancelRequested && !e.State.Ended():
		return "正在取消"
	case e.Lost:
		return "执行任务的进程已退出，" + h.waitsFor(ctx, e.Job)
	case e.Failure != nil && e.State == job.StateQueued:
		return "上次执行没有成功，将自动重试:" + e.Failure.Message
	case e.Failure != nil:
		return e.Failure.Message
	case e.State != job.StateQueued:
		return ""
	case e.Waiting != "":
		return e.Waiting // the kind's own reason
	case e.Attempt > 1:
		return "执行任务的进程已退出，" + h.waitsFor(ctx, e.Job)
	}
	return "正在排队，" + h.waitsFor(ctx, e.Job)
}

// waitsFor is what a job waits for that nothing of its own keeps from running. What no worker can
// mend comes first.
func (h *handlers) waitsFor(ctx context.Context, j job.Job) string {
	workers, err := h.deps.Workers(ctx)
	switch {
	case errors.Is(err, job.ErrQueueReadOnly):
		return "任务队列(Redis)暂时不能写入，恢复后自动执行"
	case err != nil:
		return "任务队列(Redis)暂时无法访问，恢复后自动执行"
	case workers.Alive == 0 && workers.GoneSince.IsZero():
		return "目前没有运行中的执行进程，启动后自动执行"
	case workers.Alive == 0:
		since := workers.GoneSince.In(httpapi.Location(ctx)).Format(time.DateTime)
		return "自 " + since + " 起没有运行中的执行进程，启动后自动执行"
	case j.Lost:
		return "等待其他进程接手"
	}
	return h.turn(ctx, j, workers)
}

// turn is when workers that are alive come to a job.
func (h *handlers) turn(ctx context.Context, j job.Job, workers job.Workers) string {
	ahead, err := h.deps.Store.Ahead(ctx, j)
	busy := workers.Busy >= workers.Slots
	switch {
	case err != nil:
		return "等待执行" // the record is worth more than its place
	case busy && ahead > 0:
		return "所有执行进程都在忙，前面还有 " + errs.Number(ahead) + " 个任务"
	case busy:
		return "所有执行进程都在忙，下一个就是它"
	case ahead > 0:
		return "前面还有 " + errs.Number(ahead) + " 个任务"
	}
	return "即将执行"
}
