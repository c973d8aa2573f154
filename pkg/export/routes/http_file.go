package routes

import (
	"mime"
	"net/http"
	"path"
	"strings"

	"exporthub/pkg/export/delivery"
	"exporthub/pkg/httpapi"
)

// fileIn is a link to a file. The name has to be the one the signature is of.
type fileIn struct {
	Name      string `json:"name" maxLength:"255" doc:"文件名"`
	Signature string `json:"s" required:"true" maxLength:"200" doc:"签名"`
}

// fileRoute describes the links to stored files. It is public: the signature is the credential, so
// that programs without a token of ours can fetch what a person hands to them.
func (h *handlers) fileRoute() httpapi.Route {
	return httpapi.HandleHTTP("GET", delivery.FilePath+"{name}", httpapi.Native, httpapi.Public, httpapi.Doc{
		Summary: "下载导出文件", Tag: tag,
		Detail: "链接自带签名(参数 s)，在保留期内有效，过期返回 410。",
	}, h.handleFile, httpapi.Takes[fileIn](), httpapi.Gives("application/octet-stream"),
		httpapi.Answers(206, 302, 304, 403, 404, 410, 416, 422))
}

// handleFile answers a link to a stored file.
func (h *handlers) handleFile(w http.ResponseWriter, r *http.Request) error {
	var in fileIn
	if err := httpapi.Decode(r, &in); err != nil {
		return err
	}
	f, err := h.deps.Links.Open(r.Context(), in.Name, in.Signature)
	if err != nil {
		return err
	}
	return h.serveFile(w, r, f)
}

// serveFile answers with a file that may be fetched, and records that it was.
func (h *handlers) serveFile(w http.ResponseWriter, r *http.Request, f delivery.File) error {
	ctx := r.Context()
	// Before the first byte: what can't be recorded is not given out.
	if err := h.deps.Links.RecordDownload(ctx, f, h.deps.Address(r)); err != nil {
		return err
	}
	header := w.Header()
	// The link is a credential and its answer personal: no cache on the way keeps either.
	header.Set("Cache-Control", "private, no-store")
	content, err := h.deps.Links.Content(ctx, f)
	if err != nil {
		return err
	}
	if content.Link != "" {
		http.Redirect(w, r, content.Link, http.StatusFound)
		return nil
	}
	defer content.Body.Close()
	header.Set("Content-Type", f.ContentType)
	header.Set("Content-Disposition", contentDisposition(f.Filename, path.Base(f.ObjectKey)))
	// A browser must not take a CSV that begins like HTML for a page of ours.
	header.Set("X-Content-Type-Options", "nosniff")
	// Names, types and lengths are set above; ServeContent adds ranges and conditions.
	http.ServeContent(w, r, "", content.Modified, content.Body)
	return nil
}

// contentDisposition names a download for every browser: a plain name for old ones, the real one in
// filename* (RFC 6266).
func contentDisposition(name, plain string) string {
	encoded := mime.FormatMediaType("attachment", map[string]string{"filename": name})
	// FormatMediaType writes filename* alone for names that are not ASCII, which old clients
	// ignore.
	if encoded == "" || !strings.Contains(encoded, "filename*") {
		return encoded
	}
	return `attachment; filename="` + plain + `"; ` + strings.TrimPrefix(encoded, "attachment; ")
}
