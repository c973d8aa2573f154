package contact

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"exporthub/pkg/auth"
	"exporthub/pkg/errs"
	"exporthub/pkg/httpapi"
)

const (
	// importBytes is the largest body of an import, the limit of all uploads but report files.
	importBytes = 20 << 20
	// lineBytes is the longest line, several times as long as the fields of a record. It is also
	// the size of the reader's buffer, so a longer line can be skipped but not held.
	lineBytes = 64 << 10
)

// activeRetry is when a person with too many imports may try again: an import of the largest body
// takes about as long.
const activeRetry = 10 * time.Second

// notLines is the refusal of a body whose first line is no object.
const notLines = "文件不是 JSON Lines:每行应为一个 JSON 对象，如 {\"name\":\"…\",\"contact\":\"…\"}。CSV、工作簿和 JSON 数组请先转换"

// linesTypes are the content types of JSON Lines, and those that command-line clients send when
// they are not told any: curl --data-binary says x-www-form-urlencoded.
var linesTypes = []string{
	"application/x-ndjson", "application/jsonl", "application/json-lines", "application/json", "text/plain",
	"application/octet-stream", "application/x-www-form-urlencoded",
}

// importRoute is a plain HTTP handler: httpapi's typed handlers read a whole body into memory
// first, and this one may have 20 MiB.
func (s *service) importRoute() httpapi.Route {
	return httpapi.HandleHTTP("POST", "/api/contacts/import", httpapi.CodeMsg, permissionWrite, httpapi.Doc{
		Summary: "批量导入联系记录",
		Tag:     tag,
		Detail: "JSON Lines:每行一个对象，字段与新建相同，另可带 created_at。account_id(没有时算作无账号)与 contact 都相同的是同一条" +
			"记录:没有则新建，有则只修改行中出现的字段。每 200 行一个事务;有误的行不影响其他行，在 errors 中按行号列出。" +
			"重复提交同一内容不会重复创建。空文本等于没有该字段，null 表示清空。没有 created_at 的新记录按行的先后依次创建。" +
			"最多 20 MiB，每行最长 64 KiB;有误的行超过 1,000 行时停止并返回 400;第一行不是对象的文件整个拒绝。" +
			"每人每分钟的导入次数与导出相同。结束或中断后，导入人收到一条消息;没有任何行时不发。",
	}, s.handleImport, httpapi.WithMaxBody(importBytes), httpapi.Takes[importLine](linesTypes...), httpapi.Gives("application/json"))
}

// handleImport streams the body through an importer. It answers 200 with a report when the
// whole body was read, whatever became of single lines.
func (s *service) handleImport(w http.ResponseWriter, r *http.Request) error {
	if err := checkLines(r); err != nil {
		return err
	}
	who := auth.From(r.Context())
	if who == nil {
		return errs.New(errs.Unauthenticated, "")
	}
	done, err := s.begin(r.Context(), who.UserID)
	if err != nil {
		return err
	}
	defer done()
	im := newImporter(s, who.UserID, s.view(r.Context()))
	err = im.read(r.Context(), bufio.NewReaderSize(r.Body, lineBytes))
	if err == nil {
		err = im.finish(r.Context())
	}
	if err != nil {
		// What is no file of JSON Lines was refused before its first line: there is nothing to
		// report.
		if im.report.Total > 0 || errs.KindOf(err) != errs.Invalid {
			im.abort(r.Context(), err)
		}
		return err
	}
	return writeReport(w, im.report)
}

// begin counts an import against its person's limits: how many a minute on all replicas, as for
// exports, and how many at once in this process. done ends it.
func (s *service) begin(ctx context.Context, person int64) (done func(), err error) {
	if s.ImportRate != nil {
		if ok, wait := s.ImportRate.Allow(ctx, "import:"+strconv.FormatInt(person, 10)); !ok {
			return nil, &errs.Error{
				Kind:       errs.TooMany,
				Code:       "import_rate",
				Message:    "导入请求过于频繁，请稍后再试",
				RetryAfter: wait,
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running[person] >= importsAtOnce {
		return nil, &errs.Error{
			Kind:       errs.TooMany,
			Code:       "import_active",
			Message:    "您有多个导入正在进行，请等它们结束后再试",
			RetryAfter: activeRetry,
		}
	}
	if s.running == nil {
		s.running = map[int64]int{}
	}
	s.running[person]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.running[person]--; s.running[person] == 0 {
			delete(s.running, person)
		}
	}, nil
}

// read takes a body line by line and holds at most one chunk of it in memory. The last chunk is
// left for finish, which stores it together with the message about the import.
func (im *importer) read(ctx context.Context, body *bufio.Reader) error {
	for number := 1; ; number++ {
		text, err := readLine(body)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && errs.As(err) == nil {
			return aborted(err, number-1)
		}
		if err == nil && len(text) == 0 {
			continue
		}
		// A table or an array is refused once, by its first line, not once a line.
		if im.report.Total == 0 && (err != nil || text[0] != '{') {
			return errs.New(errs.Invalid, notLines)
		}
		im.report.Total++
		var line importLine
		if err == nil {
			err = im.decode(text, number, &line)
		}
		switch {
		case err == nil:
			err = im.take(ctx, line)
		case errs.Is(err, errs.Invalid):
			im.report.fail(number, err)
			err = nil
		}
		if err != nil {
			return err
		}
		if im.report.Failed > maxBadLines {
			// What is collected is good: it goes in, as the answer says.
			if err := im.store(ctx, nil); err != nil {
				return err
			}
			return im.tooManyBad(number)
		}
	}
}

// tooManyBad ends an import with too many bad lines. The first of them is in the text, since an
// error carries no report.
func (im *importer) tooManyBad(number int) error {
	first := im.report.Errors[0]
	reason := first.Reason
	if first.Field != "" {
		reason = first.Field + " " + reason
	}
	return errs.Newf(errs.Invalid, "有误的行超过 %s 行，在第 %d 行停止导入;第 %d 行:%s。之前的正确行已导入，可以修正后重复提交",
		errs.Number(maxBadLines), number, first.Line, reason)
}

// decode reads one line. Its errors are about the line: the general message of a decoder would say
// that the whole body is not JSON.
func (im *importer) decode(text []byte, number int, line *importLine) error {
	line.number = number
	err := httpapi.DecodeValues(text, line)
	if e := errs.As(err); e != nil && len(e.Fields) == 0 {
		switch trimmed := bytes.TrimSpace(text); {
		case !json.Valid(trimmed):
			return errs.Wrap(errs.Invalid, fmt.Sprintf("第 %d 行不是有效的 JSON", number), err)
		case trimmed[0] != '{':
			return errs.Wrap(errs.Invalid, fmt.Sprintf("第 %d 行应为 JSON 对象", number), err)
		}
	}
	line.settle()
	return cmp.Or(err, checkContact(line.Contact), line.Details.check(im.s.Location, im.view),
		checkTime("created_at", line.CreatedAt, im.s.Location))
}

// checkLines refuses bodies that can't be JSON Lines, before the first byte of them is read.
func checkLines(r *http.Request) error {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return errs.Newf(errs.Unsupported, "不支持压缩的请求体(Content-Encoding: %s)", e)
	}
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if c := params["charset"]; c != "" && !strings.EqualFold(c, "utf-8") && !strings.EqualFold(c, "utf8") {
		return errs.Newf(errs.Unsupported, "不支持的字符集 %s，请使用 UTF-8", c)
	}
	for _, known := range linesTypes {
		if kind == "" || kind == known {
			return nil
		}
	}
	return errs.Newf(errs.Unsupported, "不支持的内容类型 %s，请使用 application/x-ndjson:每行一个 JSON 对象", kind)
}

// readLine returns the next line without the white space around it. A line that is too long is
// skipped and returned as an *errs.Error; the end is io.EOF. The bytes are valid until the next
// call, since they are the reader's buffer.
func readLine(r *bufio.Reader) ([]byte, error) {
	text, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		return nil, errs.Newf(errs.Invalid, "一行最长 %s", httpapi.SizeText(lineBytes))
	case errors.Is(err, io.EOF) && len(text) > 0:
		err = nil // the last line may come without a line feed
	case err != nil:
		return nil, err
	}
	return bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff"))), err
}

// aborted is the error of a body that did not arrive whole. lines is the number of lines received
// before it. They are stored, except for the last chunk.
func aborted(err error, lines int) error {
	// A body over the limit and a lost connection need different advice: resending the same body
	// helps only with the latter.
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return errs.Wrap(errs.TooLarge, fmt.Sprintf("请求体过大，最多 %s;请分批导入，已收到的 %s 行可以重复提交",
			httpapi.SizeText(tooLarge.Limit), errs.Number(lines)), err)
	}
	return errs.Wrap(errs.Invalid, fmt.Sprintf("请求体没有收完，只收到 %s 行，请重新提交;重复的行不会重复创建", errs.Number(lines)), err)
}

// writeReport writes the report in this system's envelope. The route is a plain handler because it
// streams its body, so the envelope is written by hand here.
func writeReport(w http.ResponseWriter, report importReport) error {
	body, err := json.Marshal(struct {
		Code int          `json:"code"`
		Msg  string       `json:"msg"`
		Data importReport `json:"data"`
	}{http.StatusOK, "success", report})
	if err != nil {
		return fmt.Errorf("answer an import: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // the client may be gone; the import is stored and the message is written
	return nil
}
