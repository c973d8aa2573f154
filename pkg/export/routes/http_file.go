package routes

import (
	"encoding/base64"
	"io"
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

// serveFile answers with a file that may be fetched, and records that it was: once for each fetch
// that is answered with bytes or with a redirect to them. A HEAD, a file the client has already
// (304) and a range that is not in the file (416) are no fetch.
func (h *handlers) serveFile(w http.ResponseWriter, r *http.Request, f delivery.File) error {
	content, err := h.deps.Links.Content(r.Context(), f)
	if err != nil {
		return err
	}
	// The link is a credential and its answer personal: no cache on the way keeps either.
	w.Header().Set("Cache-Control", "private, no-store")
	if content.Link != "" {
		return h.redirect(w, r, f, content.Link)
	}
	defer content.Body.Close()
	if err := dropRange(r.Header, content.Body); err != nil {
		return err
	}
	header := w.Header()
	before := header.Clone()
	header.Set("Content-Type", f.ContentType)
	header.Set("Content-Disposition", contentDisposition(f.Filename, path.Base(f.ObjectKey)))
	if len(f.SHA256) > 0 {
		sum := base64.StdEncoding.EncodeToString(f.SHA256)
		header.Set("Repr-Digest", "sha-256=:"+sum+":") // RFC 9530
		// RFC 3230, which it replaces, for older clients.
		header.Set("Digest", "SHA-256="+sum)
	}
	// A browser must not take a CSV that begins like HTML for a page of ours.
	header.Set("X-Content-Type-Options", "nosniff")
	recording := &recordingWriter{
		ResponseWriter: w,
		record: func(status int) error {
			if r.Method != http.MethodGet {
				return nil
			}
			return h.record(r, f, status == http.StatusPartialContent)
		},
	}
	// Names, types and lengths are set above; ServeContent adds ranges and conditions.
	http.ServeContent(recording, r, "", content.Modified, content.Body)
	if recording.err != nil {
		// Nothing was sent. The answer is the refusal, without what was to describe the file.
		clear(header)
		for name, values := range before {
			header[name] = values
		}
	}
	return recording.err
}

// redirect answers with the store's own link, which serves ranges and conditions itself.
func (h *handlers) redirect(w http.ResponseWriter, r *http.Request, f delivery.File, link string) error {
	if r.Method == http.MethodGet {
		// The client sends its headers to the store too, so a range here is a range there.
		if err := h.record(r, f, r.Header.Get("Range") != ""); err != nil {
			return err
		}
	}
	http.Redirect(w, r, link, http.StatusFound)
	return nil
}

// record records a download by the person who is known from the request, if there is one.
func (h *handlers) record(r *http.Request, f delivery.File, partial bool) error {
	return h.deps.Links.Record(r.Context(), delivery.Fetch{
		File:    f,
		Actor:   h.deps.Visitors.Actor(r),
		Address: h.deps.Visitors.Address(r),
		Partial: partial,
	})
}

// dropRange removes a Range that must not be answered with one. RFC 9110, section 14.2, has a
// server ignore a range unit that it does not know, where net/http answers 416. An empty file has
// no range at all: net/http answers bytes=-5 with a 206 of "bytes 0--1/0".
func dropRange(header http.Header, body io.Seeker) error {
	value := header.Get("Range")
	if value == "" {
		return nil
	}
	unit, ranges, _ := strings.Cut(value, "=")
	if !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		header.Del("Range")
		return nil
	}
	size, err := body.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if size == 0 {
		header.Del("Range")
		return nil
	}
	// Range units are case-insensitive (section 14.1); net/http knows one spelling.
	header.Set("Range", "bytes="+ranges)
	return nil
}

// recordingWriter records a download when its status is known and before anything is sent. When
// that fails it sends nothing and keeps the error.
type recordingWriter struct {
	http.ResponseWriter
	record func(status int) error
	err    error
	wrote  bool
}

// WriteHeader sends the status, after the download was recorded if there are bytes to come.
func (w *recordingWriter) WriteHeader(status int) {
	if w.wrote {
		return
	}
	w.wrote = true
	if status == http.StatusOK || status == http.StatusPartialContent {
		if w.err = w.record(status); w.err != nil {
			return
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write sends bytes of the file.
func (w *recordingWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.err != nil {
		return 0, w.err
	}
	return w.ResponseWriter.Write(b)
}

// ReadFrom lets the connection take the file from the disk without a copy through this process
// (sendfile), which it only does for a writer that has this method.
func (w *recordingWriter) ReadFrom(src io.Reader) (int64, error) {
	w.WriteHeader(http.StatusOK)
	if w.err != nil {
		return 0, w.err
	}
	return io.Copy(w.ResponseWriter, src)
}

// Unwrap is for http.ResponseController.
func (w *recordingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

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
