package routes

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"exporthub/pkg/export/delivery"
	"exporthub/pkg/httpapi"
)

// waitRoute serves the links that wait for their file.
func (h *handlers) waitRoute() httpapi.Route {
	return httpapi.HandleHTTP("GET", delivery.WaitPath+"{name}", httpapi.CodeMsg, httpapi.Public, httpapi.Doc{
		Summary: "下载导出文件(等待生成)", Tag: tag,
		Detail: "链接自带签名(参数 s)。文件还没有生成时等待，最长 10 分钟;仍未完成返回 503，导出失败或取消返回 502 和原因，" +
			"过了保留期返回 410。",
	}, h.handleWait, httpapi.Takes[fileIn](), httpapi.Gives("application/octet-stream"),
		httpapi.Answers(206, 302, 304, 400, 403, 404, 410, 416, 502))
}

// handleWait answers a link that waits for its file.
func (h *handlers) handleWait(w http.ResponseWriter, r *http.Request) error {
	var in fileIn
	if err := httpapi.Decode(r, &in); err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		return h.headWait(w, r, in)
	}
	f, err := h.deps.Links.Await(r.Context(), in.Name, in.Signature)
	var ended *delivery.EndedError
	if errors.As(err, &ended) {
		return writeEnded(w, ended)
	}
	if err != nil {
		return err
	}
	return h.serveFile(w, r, f)
}

// headWait answers a HEAD without waiting: clients that ask for the headers first give up long
// before a file that takes minutes. While the file is not there it answers what a GET will begin
// with, but for the length, which is not known (RFC 9110, section 9.3.2, allows that).
func (h *handlers) headWait(w http.ResponseWriter, r *http.Request, in fileIn) error {
	f, ready, err := h.deps.Links.Peek(r.Context(), in.Name, in.Signature)
	var ended *delivery.EndedError
	if errors.As(err, &ended) {
		return writeEnded(w, ended)
	}
	if err != nil {
		return err
	}
	if ready {
		return h.serveFile(w, r, f)
	}
	header := w.Header()
	header.Set("Cache-Control", "private, no-store")
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Disposition", contentDisposition(in.Name, in.Name))
	w.WriteHeader(http.StatusOK)
	return nil
}

// writeEnded answers 502 in the envelope of the contacts system, which gives such links out: what
// the link stands in front of has failed. No kind of error maps to 502, so it is written here.
func writeEnded(w http.ResponseWriter, e *delivery.EndedError) error {
	body, err := json.Marshal(struct {
		Code int    `json:"code"`
		Msg  string `json:"msg"`
		Data any    `json:"data"`
	}{
		Code: http.StatusBadGateway,
		Msg:  e.Why,
	})
	if err != nil {
		return fmt.Errorf("answer a failed export: %w", err)
	}
	header := w.Header()
	header.Set("Content-Type", "application/json; charset=utf-8")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusBadGateway)
	_, _ = w.Write(body) // the client may have gone
	return nil
}
