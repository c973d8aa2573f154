package httpapi

import "exporthub/pkg/errs"

// The one catalogue of what answers say about a caller's input. A reason stands after a field's
// name: "page 应为整数".
const (
	msgRequired     = "不能为空"
	msgInteger      = "应为整数"
	msgNumber       = "应为数字"
	msgBool         = "应为 true 或 false（也可用 1、0、是、否）"
	msgText         = "应为文本"
	msgArray        = "应为数组"
	msgObject       = "应为对象"
	msgSingle       = "只能有一个值"
	msgRange        = "数值超出范围"
	msgFormat       = "格式不正确"
	msgCharacters   = "含有无法使用的字符，请使用 UTF-8 文本"
	msgMoney        = "应为金额，最多两位小数"
	msgTime         = "应为日期或时间，如 2006-01-02、2006-01-02 15:04:05 或 2006-01-02T15:04:05+08:00"
	msgMinimum      = "不能小于 %v"
	msgMaximum      = "不能大于 %v"
	msgAbove        = "必须大于 %v"
	msgBelow        = "必须小于 %v"
	msgMinLength    = "至少 %s 个字符"
	msgMaxLength    = "最多 %s 个字符"
	msgMinItems     = "至少 %s 项"
	msgMaxItems     = "最多 %s 项"
	msgUnique       = "不能有重复的项"
	msgEnum         = "只能是 %s 之一"
	msgPattern      = "应为%s"
	msgUUID         = "应为 UUID"
	msgDate         = "应为日期，如 2006-01-02"
	msgEmail        = "应为电子邮箱地址"
	msgURI          = "应为网址"
	msgTooDeep      = "嵌套过深，最多 %d 层"
	msgIndexTooBig  = "序号过大，最大为 %d"
	msgIndexNeeded  = "请写出序号，如 a[0][b]"
	msgMixed        = "不能既有值又有下级字段"
	msgPercent      = "百分号编码不正确"
	msgNotTaken     = "导出不支持此参数，请检查拼写或去掉它"
	msgMoreProblems = "还有其他字段有误"
)

// What answers say about a request as a whole.
const (
	msgTooManyParams = "参数过多，最多 %s 个"
	msgNotJSON       = "请求体不是有效的 JSON（第 %d 个字节附近）"
	msgNotObject     = "请求体应为 JSON 对象"
	msgBodyTooLarge  = "请求体过大，最多 %s"
	msgBodyCut       = "请求体没有收完，请重试"
	msgContentType   = "不支持的内容类型 %s，请使用 application/json 或 application/x-www-form-urlencoded"
	msgNoContentType = "无法识别请求体，请用 Content-Type 注明 application/json 或 application/x-www-form-urlencoded"
	msgEncoding      = "不支持压缩的请求体（Content-Encoding: %s）"
	msgPrefetch      = "预取请求不会启动任务"
	msgLineTooLong   = "请求地址过长，最多 %s；请改用 POST，把参数放在请求体中"
	msgNoRoute       = "没有这个接口"
	msgNoMethod      = "此接口不支持 %s 方法"
)

// kindText is shown when the error itself says nothing that may be shown.
var kindText = [...]string{
	errs.Internal:        "系统出错，请稍后重试；如仍有问题，请提供请求编号",
	errs.Invalid:         "参数错误",
	errs.Unauthenticated: "登录已失效，请重新登录",
	errs.Forbidden:       "你没有此操作的权限",
	errs.NotFound:        "没有找到相应的数据",
	errs.Conflict:        "当前状态不允许此操作",
	errs.Quota:           "已达到使用上限，请稍后再试",
	errs.TooMany:         "请求过于频繁，请稍后再试",
	errs.TooLarge:        "提交的内容过大",
	errs.Gone:            "内容已过期",
	errs.Unavailable:     "服务暂时不可用，请稍后重试",
	errs.Unsupported:     "不支持的内容类型",
}
