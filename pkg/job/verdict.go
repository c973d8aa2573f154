package job

import (
	"math/rand/v2"
	"time"

	"exporthub/pkg/errs"
)

// verdict is the job's half of the error map: for each kind of error, whether another attempt may mend it, and what
// the person is told when the error brings no words of its own. The other half is httpapi's.
type verdict struct {
	again   bool
	message string
}

var verdicts = map[errs.Kind]verdict{
	errs.Internal:        {true, "系统内部错误，请稍后再试；若多次出现，请联系管理员"},
	errs.Invalid:         {false, "任务的参数有误，请检查后重新提交"},
	errs.Unauthenticated: {false, "登录已失效，请重新登录后再试"},
	errs.Forbidden:       {false, "没有执行该任务的权限，请联系管理员"},
	errs.NotFound:        {false, "任务需要的数据已不存在，请刷新后重新提交"},
	errs.Conflict:        {false, "数据的当前状态不允许执行该任务，请刷新后重新提交"},
	errs.Quota:           {false, "额度已经用完，请稍后再试"},
	errs.TooMany:         {true, "请求过于频繁，请稍后再试"},
	errs.TooLarge:        {false, "数据量超过上限，请缩小范围后重新提交"},
	errs.Gone:            {false, "任务需要的数据已过期，请重新提交"},
	errs.Unavailable:     {true, "依赖的服务暂时不可用，请稍后再试"},
	errs.Unsupported:     {false, "不支持该格式，请换一种格式后重新提交"},
}

// judge looks an error up in the table.
func judge(err error) (again bool, f *Failure) {
	kind := errs.KindOf(err)
	v := verdicts[kind]
	f = &Failure{Kind: kind.String(), Code: errs.CodeOf(err), Message: v.message}
	if e := errs.As(err); e != nil && e.Message != "" {
		f.Message = e.Message
	}
	return v.again, f
}

// panicked is what a panic in a Run becomes: the next attempt would panic as well.
func panicked() *Failure {
	return &Failure{Kind: errs.Internal.String(), Code: "panic",
		Message: "执行任务时程序出错，任务已停止；请联系管理员并提供任务编号"}
}

// workerLost ends a job that too many workers did not survive.
func workerLost() *Failure {
	return &Failure{Kind: errs.Internal.String(), Code: "worker_lost",
		Message: "执行任务的进程多次异常退出，任务已停止；请缩小范围后重新提交，或联系管理员"}
}

// uploadFailed ends a job whose worker was lost between upload_failure and failure.
func uploadFailed() *Failure {
	return &Failure{Kind: errs.Unavailable.String(), Code: "upload_failed", Message: "文件上传失败，请稍后重新提交"}
}

// defaultBackoff is 2 s doubling to 1 min after the nth transient failure, give or take a fifth, so that what failed
// together does not come back together.
func defaultBackoff(n int) time.Duration {
	d := min(2*time.Second<<min(max(n-1, 0), 5), time.Minute)
	return d - d/5 + rand.N(2*d/5+1)
}
