package job

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"exporthub/pkg/backoff"
	"exporthub/pkg/errs"
)

// Rule says what becomes of a job whose attempt ended with an error.
type Rule struct {
	Again   bool   // another attempt may succeed
	Message string // for the person who asked, where the error brings no words of its own
}

// RetryPolicy is a kind's table of when to try again. The zero value is DefaultRules, five failures
// and a doubling delay.
type RetryPolicy struct {
	// MaxFailures is how many failures worth another try end the job; 0 is 5.
	MaxFailures int
	// Backoff is how long to wait after the nth of them; nil is Options.RetryDelay, doubling to 30
	// times that, with jitter.
	Backoff func(n int) time.Duration
	// Codes are rules for errors by their stable code. They come before those for kinds.
	Codes map[string]Rule
	// Kinds are rules for kinds of errors that differ from DefaultRules.
	Kinds map[errs.Kind]Rule
}

// DefaultRules is the job's half of the error map; the other half is httpapi's. Every kind of error
// has a rule.
var DefaultRules = map[errs.Kind]Rule{
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

// The codes of ends that the engine decides itself. No further attempt follows any of them, and a
// kind's table can only change their words.
const (
	CodePanic      = "panic"       // a panic in Spec.Run: the next attempt would panic as well
	CodeWorkerLost = "worker_lost" // the job outlived Options.MaxTakeovers workers
	CodeDamaged    = "damaged_job" // the record can't be decoded
)

// engineRules are the words of the engine's own ends.
var engineRules = map[string]Rule{
	CodePanic:      {false, "执行任务时程序出错，任务已停止；请联系管理员并提供任务编号"},
	CodeWorkerLost: {false, "执行任务的进程多次异常退出，任务已停止；请缩小范围后重新提交，或联系管理员"},
	CodeDamaged:    {false, "任务的参数无法读取，请重新提交"},
}

// rule looks an error up: by its code in the kind's table, in the engine's, then by its kind.
func (p RetryPolicy) rule(code string, kind errs.Kind) Rule {
	own, named := p.Codes[code]
	engines, reserved := engineRules[code]
	switch {
	case named && reserved:
		return Rule{Again: engines.Again, Message: own.Message}
	case named:
		return own
	case reserved:
		return engines
	}
	if r, ok := p.Kinds[kind]; ok {
		return r
	}
	return DefaultRules[kind]
}

// judge decides whether an error is worth another attempt, and how the job fails otherwise.
func (p RetryPolicy) judge(err error) (again bool, f *Failure) {
	kind, code := errs.KindOf(err), errs.CodeOf(err)
	r := p.rule(code, kind)
	f = &Failure{
		Kind:    kind.String(),
		Code:    code,
		Message: r.Message,
	}
	if e := errs.As(err); e != nil && e.Message != "" {
		f.Message = e.Message
	}
	return r.Again, f
}

// engineFailure is one of the engine's own ends.
func (p RetryPolicy) engineFailure(code string) *Failure {
	return &Failure{
		Kind:    errs.Internal.String(),
		Code:    code,
		Message: p.rule(code, errs.Internal).Message,
	}
}

func (p RetryPolicy) maxFailures() int {
	if p.MaxFailures > 0 {
		return p.MaxFailures
	}
	return 5
}

// delay is how long to wait after the nth failure. first is the engine's setting.
func (p RetryPolicy) delay(first time.Duration, n int) time.Duration {
	if p.Backoff != nil {
		return max(p.Backoff(n), 0)
	}
	return retryDelay(first, n)
}

// Table writes the whole policy in Markdown.
func (p RetryPolicy) Table() string {
	var b strings.Builder
	b.WriteString("| error | another attempt | the person reads, unless the error says it better |\n")
	b.WriteString("|---|---|---|\n")
	row := func(name string, r Rule) {
		again := "no"
		if r.Again {
			again = "yes, with back-off"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, again, r.Message)
	}
	for _, k := range errs.Kinds() {
		row(k.String(), p.rule("", k))
	}
	codes := maps.Clone(engineRules)
	maps.Copy(codes, p.Codes)
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		row(code, p.rule(code, errs.Internal))
	}
	return b.String()
}

// retryDelay is first after the first failure, doubling to 30 times that, give or take a fifth, so
// that what failed together does not come back together.
func retryDelay(first time.Duration, n int) time.Duration {
	return backoff.Around(backoff.Doubling(first, 30*first, n), 0.2)
}
