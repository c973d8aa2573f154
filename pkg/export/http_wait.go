package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"exporthub/pkg/httpapi"
)

// waitRoute serves the links of WaitLink.
func (s *Service) waitRoute(address func(r *http.Request) string) httpapi.Route {
	return httpapi.HandleHTTP("GET", mediaPath+"{name}", httpapi.D, httpapi.Public, httpapi.Doc{
		Summary: "下载导出文件(等待生成)", Tag: tag,
		Detail: "链接自带签名(参数 s)。文件还没有生成时等待，最长 10 分钟;仍未完成返回 503，导出失败或取消返回 502 和原因，" +
			"过了保留期返回 410。",
	}, func(w http.ResponseWriter, r *http.Request) error {
		var in fileIn
		if err := httpapi.Decode(r, &in); err != nil {
			return err
		}
		d, err := s.awaitLink(r.Context(), in.Name, in.Signature)
		var ended *noFile
		if errors.As(err, &ended) {
			return writeNoFile(w, ended)
		}
		if err != nil {
			return err
		}
		return s.serveFile(w, r, d, address(r))
	}, httpapi.Takes[fileIn](), httpapi.Gives("application/octet-stream"), httpapi.Answers(206, 302, 304, 400, 403, 404, 410, 416, 502))
}

// writeNoFile answers 502 in the envelope of the systems that hand such links out: what the link stands before has failed.
func writeNoFile(w http.ResponseWriter, e *noFile) error {
	body, err := json.Marshal(struct {
		Code int    `json:"code"`
		Msg  string `json:"msg"`
		Data any    `json:"data"`
	}{http.StatusBadGateway, e.why, nil})
	if err != nil {
		return fmt.Errorf("answer a failed export: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusBadGateway)
	_, _ = w.Write(body) // a client that has gone is told nothing
	return nil
}
