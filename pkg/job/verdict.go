package job

import (
	"fmt"
	"strings"
	"time"

	"exporthub/pkg/backoff"
	"exporthub/pkg/errs"
)

// verdict is one row of the job's half of the error map; the other half is httpapi's.
type verdict struct {
	again   bool   // another attempt may mend it
	ours    bool   // no fault of the person's: what the job took from a limit is given back when it fails for good
	message string // what the person is told when the error brings no words of its own
}

// verdicts says for each kind of error what becomes of a job that meets it.
var verdicts = map[errs.Kind]verdict{
	errs.Internal:        {true, true, "系统内部错误，请稍后再试；若多次出现，请联系管理员"},
	errs.Invalid:         {false, false, "任务的参数有误，请检查后重新提交"},
	errs.Unauthenticated: {false, false, "登录已失效，请重新登录后再试"},
	errs.Forbidden:       {false, false, "没有执行该任务的权限，请联系管理员"},
	errs.NotFound:        {false, false, "任务需要的数据已不存在，请刷新后重新提交"},
	errs.Conflict:        {false, false, "数据的当前状态不允许执行该任务，请刷新后重新提交"},
	errs.Quota:           {false, false, "额度已经用完，请稍后再试"},
	errs.TooMany:         {true, false, "请求过于频繁，请稍后再试"},
	errs.TooLarge:        {false, false, "数据量超过上限，请缩小范围后重新提交"},
	errs.Gone:            {false, false, "任务需要的数据已过期，请重新提交"},
	errs.Unavailable:     {true, true, "依赖的服务暂时不可用，请稍后再试"},
	errs.Unsupported:     {false, false, "不支持该格式，请换一种格式后重新提交"},
}

// The ends that codes name. No further attempt follows any of them.
const (
	codePanic        = "panic"         // a panic in a Run: the next attempt would panic as well
	codeWorkerLost   = "worker_lost"   // too many workers did not survive the job
	codeUploadFailed = "upload_failed" // its worker was lost between upload_failure and failure
	// CodeUnreadable is the code of an Internal error over a stored row that can't be read: the next attempt would read the
	// same.
	CodeUnreadable = "unreadable_row"
)

// endVerdicts is the rest of the table: ends that no error's kind decides.
var endVerdicts = map[string]verdict{
	codePanic:        {false, true, "执行任务时程序出错，任务已停止；请联系管理员并提供任务编号"},
	codeWorkerLost:   {false, true, "执行任务的进程多次异常退出，任务已停止；请缩小范围后重新提交，或联系管理员"},
	codeUploadFailed: {false, true, "文件上传失败，请稍后重新提交"},
	CodeUnreadable:   {false, true, "数据中有无法读取的记录，任务已停止；请联系管理员并提供任务编号"},
}

// judge looks an error up in the table.
func judge(err error) (again bool, f *Failure) {
	kind := errs.KindOf(err)
	v := verdicts[kind]
	if errs.CodeOf(err) == CodeUnreadable {
		v = endVerdicts[CodeUnreadable]
	}
	f = &Failure{Kind: kind.String(), Code: errs.CodeOf(err), Message: v.message}
	if e := errs.As(err); e != nil && e.Message != "" {
		f.Message = e.Message
	}
	return v.again, f
}

// Ours reports whether the job failed for a reason that is ours, and not the person's: then what it took from a limit is
// given back.
func (f *Failure) Ours() bool {
	if f == nil {
		return false
	}
	if v, ok := endVerdicts[f.Code]; ok {
		return v.ours
	}
	for kind, v := range verdicts {
		if kind.String() == f.Kind {
			return v.ours
		}
	}
	return false
}

func endFailure(kind errs.Kind, code string) *Failure {
	return &Failure{Kind: kind.String(), Code: code, Message: endVerdicts[code].message}
}

func panicked() *Failure     { return endFailure(errs.Internal, codePanic) }
func workerLost() *Failure   { return endFailure(errs.Internal, codeWorkerLost) }
func uploadFailed() *Failure { return endFailure(errs.Unavailable, codeUploadFailed) }

// Verdicts writes the whole table in Markdown.
func Verdicts() string {
	var b strings.Builder
	b.WriteString("| error | another attempt | place in the day | the person is told, unless the error says it better |\n|---|---|---|---|\n")
	row := func(name string, v verdict) {
		again, place := "no", "kept"
		if v.again {
			again = "yes, with back-off"
		}
		if v.ours {
			place = "given back"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, again, place, v.message)
	}
	for _, k := range errs.Kinds() {
		row(k.String(), verdicts[k])
	}
	for _, code := range []string{codePanic, codeWorkerLost, codeUploadFailed, CodeUnreadable} {
		row(code, endVerdicts[code])
	}
	return b.String()
}

// retryDelay is first after the first transient failure, doubling to 30 times that, give or take a fifth, so that what
// failed together does not come back together.
func retryDelay(first time.Duration, n int) time.Duration {
	return backoff.Around(backoff.Doubling(first, 30*first, n), 0.2)
}
