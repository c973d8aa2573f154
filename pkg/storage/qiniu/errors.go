package qiniu

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	sdk "github.com/qiniu/go-sdk/v7/client"

	"exporthub/pkg/errs"
)

// Codes of Kodo beyond HTTP's (https://developer.qiniu.com/kodo/3928/error-responses).
const (
	codeTooManyRequests = 573
	codeCallbackFailed  = 579
	codeNoSuchKey       = 612 // also: no such upload
	codeExists          = 614
	codeNoSuchBucket    = 631
	codeBadMarker       = 640
	codeFrozenAccount   = 419
)

// codeOf is the status of an answer, or 0 for an error that is none: the network's, or the SDK's
// own.
func codeOf(err error) int {
	var info *sdk.ErrorInfo
	if errors.As(err, &info) {
		return info.Code
	}
	return 0
}

// mendable reports whether an answer may be better another time. An error without an answer may:
// the network failed, or what answered was not Kodo.
func mendable(code int) bool {
	switch code {
	case 0, http.StatusRequestTimeout, http.StatusNotAcceptable, http.StatusTooManyRequests, codeTooManyRequests:
		return true
	// 579: the object is stored, and the callback that its policy names failed. We name none.
	case http.StatusNotImplemented, codeCallbackFailed:
		return false
	}
	// From 608 on Kodo's codes are about the object or the bucket, which waiting does not change.
	return code >= 500 && code < 608
}

// mendableData is mendable for requests with data, where a bad request may be one whose data was
// damaged on its way.
func mendableData(code int) bool { return code == http.StatusBadRequest || mendable(code) }

// classify says what kind of failure an error is. Its text is for operators; it holds no secret.
func (c *client) classify(r request, err error) error {
	code := codeOf(err)
	kind, message, advice := meaning(code)
	// Its data was damaged on each of the tries; the next attempt may use another network.
	if code == http.StatusBadRequest && r.mends(code) {
		kind, message = errs.Unavailable, messageUnavailable
	}
	text := c.scrub.text(err)
	if advice != "" {
		text += "; " + advice
	}
	// Bucket and key as Kodo's own tools write them, so that an operator can paste them.
	at := r.bucket
	if r.key != "" {
		at += ":" + r.key
	}
	e := errs.Wrap(kind, message, fmt.Errorf("storage: qiniu: %s %s: %s", r.action, at, text))
	if code == codeNoSuchBucket {
		e.Code = codeBucket
	}
	return e
}

// codeBucket tells a missing bucket from a missing object.
const codeBucket = "no_bucket"

const messageUnavailable = "存储暂时不可用，请稍后再试"

// meaning is what a status says to the person who waits for the file, and to the operator. What is
// not in the list is taken for a failure that passes.
func meaning(code int) (kind errs.Kind, message, advice string) {
	const refused = "存储拒绝了访问，请联系管理员检查存储的密钥、空间和权限"
	switch code {
	case http.StatusUnauthorized:
		return errs.Forbidden, refused, "check QINIU_ACCESS_KEY, QINIU_SECRET_KEY and this machine's clock"
	case http.StatusForbidden:
		return errs.Forbidden, refused, "check that the access key may use the bucket"
	case http.StatusPaymentRequired, codeFrozenAccount:
		return errs.Forbidden, refused, "check the state of the Qiniu account"
	case http.StatusNotFound, codeNoSuchKey:
		return errs.NotFound, "文件不存在", ""
	case codeNoSuchBucket:
		return errs.NotFound, "存储空间不存在，请联系管理员检查存储的空间名称", "check QINIU_BUCKET and QINIU_PRIVATE_BUCKET"
	case codeExists:
		return errs.Conflict, "同名文件已存在", ""
	case http.StatusRequestEntityTooLarge:
		return errs.TooLarge, "文件超过存储允许的大小", ""
	case codeBadMarker:
		return errs.Invalid, "列表位置无效", ""
	case http.StatusBadRequest, http.StatusMethodNotAllowed:
		return errs.Internal, "", "Kodo did not understand the request"
	}
	return errs.Unavailable, messageUnavailable, ""
}

// scrubber turns errors into text that holds no credential, token or signed URL. Errors of the SDK
// and of net/http quote URLs and headers freely, and error texts reach logs and job records.
type scrubber struct{ secrets *regexp.Regexp }

// newScrubber hides both keys, and what follows the access key in a token.
func newScrubber(accessKey, secretKey string) scrubber {
	return scrubber{regexp.MustCompile(regexp.QuoteMeta(accessKey) + `[:%\w=-]*|` + regexp.QuoteMeta(secretKey))}
}

const maxErrorText = 300

func (s scrubber) text(err error) string {
	var info *sdk.ErrorInfo
	var link *url.Error
	text := ""
	switch {
	case errors.As(err, &info):
		text = fmt.Sprintf("status %d: %s", info.Code, info.Err)
		if info.Reqid != "" {
			text += " (request " + info.Reqid + ")"
		}
	case errors.As(err, &link): // its text has the URL, which may be signed
		text = link.Err.Error()
	default:
		text = err.Error()
	}
	text = s.secrets.ReplaceAllString(text, "(secret)")
	// What answers may be a proxy with a page of HTML.
	if len(text) > maxErrorText {
		text = text[:maxErrorText] + "…"
	}
	return strings.ToValidUTF8(strings.Map(printable, text), "")
}

// printable keeps an answer's line breaks out of logs, where they could forge lines.
func printable(r rune) rune {
	if r < ' ' {
		return ' '
	}
	return r
}
