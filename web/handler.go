package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// contentSecurityPolicy allows our own files and nothing else. Inline styles are needed by the
// component library, which positions its pop-ups with them; 'self' in connect-src covers the
// websocket of the same host too.
const contentSecurityPolicy = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; " +
	"form-action 'self'; frame-ancestors 'none'"

// notBuilt is a constant, so that it can be served when there is no file.
const notBuilt = `<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>页面尚未构建</title></head>
<body><h1>页面尚未构建</h1><p>程序里没有打包页面文件。请运行 <code>make web</code>,再重新编译并启动。</p>
<p>The page is not part of this binary yet: run <code>make web</code>, then build and start again.</p></body></html>
`

// handler serves one file system, which does not change while it lives.
type handler struct {
	dist fs.FS
	tags map[string]string // name → strong ETag of the bytes; nil when the page is not built
}

func newHandler(dist fs.FS) http.Handler {
	h := &handler{dist: dist}
	if built(dist) {
		h.tags = fingerprint(dist)
	}
	return h
}

// fingerprint hashes every file once. Embedded files carry no modification time, so without it
// nothing could be revalidated. A file that can't be read gets no tag and fails when it is asked
// for.
func fingerprint(dist fs.FS) map[string]string {
	tags := map[string]string{}
	_ = fs.WalkDir(dist, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil
		}
		if data, err := fs.ReadFile(dist, name); err == nil {
			sum := sha256.Sum256(data)
			tags[name] = `"` + hex.EncodeToString(sum[:12]) + `"`
		}
		return nil
	})
	return tags
}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Content-Security-Policy", contentSecurityPolicy)
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	if h.tags == nil {
		serveNotBuilt(w)
		return
	}
	// Cleaned from the root, so that no number of ".." leaves the folder.
	name := strings.TrimPrefix(path.Clean("/"+r.URL.Path), "/")
	switch {
	case name == "index.html" || isPage(name):
		header.Set("Cache-Control", "no-cache")
		h.serveFile(w, r, "index.html")
	case h.tags[name] == "" || isHidden(name):
		header.Set("Cache-Control", "no-cache")
		http.Error(w, "not found", http.StatusNotFound)
	default:
		header.Set("Cache-Control", cacheControl(name))
		h.serveFile(w, r, name)
	}
}

// serveFile answers with the file, or with its .gz sibling to a client that takes it.
func (h *handler) serveFile(w http.ResponseWriter, r *http.Request, name string) {
	served := name
	if _, ok := h.tags[name+".gz"]; ok {
		w.Header().Add("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Values("Accept-Encoding")) {
			served = name + ".gz"
			w.Header().Set("Content-Encoding", "gzip")
		}
	}
	data, err := fs.ReadFile(h.dist, served)
	if err != nil {
		w.Header().Del("Content-Encoding")
		w.Header().Set("Cache-Control", "no-store")
		code := http.StatusInternalServerError
		if errors.Is(err, fs.ErrNotExist) {
			code = http.StatusNotFound
		}
		http.Error(w, strings.ToLower(http.StatusText(code)), code)
		return
	}
	w.Header().Set("Content-Type", contentType(name))
	// The tag of the bytes that are sent: gzip and plain are different representations (RFC 9110,
	// section 8.8.3.3), and a cache that mixed them would serve gzip as text.
	w.Header().Set("ETag", h.tags[served])
	if served != name {
		// A range of a compressed file is of no use to anybody, and ServeContent would offer one.
		r = r.Clone(r.Context())
		r.Header.Del("Range")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
}

func serveNotBuilt(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(notBuilt)) // a client that has gone has no use for the rest
}

// isPage tells an address of the application from the name of a file.
func isPage(name string) bool {
	return path.Ext(name) == "" && !underAny(name, "assets", "faye")
}

// isHidden names what is embedded for other uses than being asked for: the placeholder, the
// compressed siblings, and the client library, which the server that speaks its protocol hands out.
func isHidden(name string) bool {
	return strings.HasPrefix(path.Base(name), ".") || strings.HasSuffix(name, ".gz") || underAny(name, "faye")
}

func underAny(name string, dirs ...string) bool {
	for _, dir := range dirs {
		if name == dir || strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}

// cacheControl trusts only assets/, where the build puts a hash of the content into every name.
func cacheControl(name string) string {
	if underAny(name, "assets") {
		return "public, max-age=31536000, immutable"
	}
	return "no-cache"
}

// contentType does not depend on the machine's own table of types, which may call a script
// text/plain.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".json", ".map":
		return "application/json"
	case ".woff2":
		return "font/woff2"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// acceptsGzip reads Accept-Encoding as RFC 9110 section 12.5.3 has it: gzip named, or covered by *,
// with a weight above 0.
func acceptsGzip(values []string) bool {
	named, star := -1.0, -1.0
	for _, item := range strings.Split(strings.Join(values, ","), ",") {
		coding, parameters, _ := strings.Cut(item, ";")
		weight := 1.0
		if q, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(parameters)), "q="); ok {
			parsed, err := strconv.ParseFloat(strings.TrimSpace(q), 64)
			if err != nil {
				continue
			}
			weight = parsed
		}
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			named = weight
		case "*":
			star = weight
		}
	}
	// What is named wins over *, also with weight 0.
	if named >= 0 {
		return named > 0
	}
	return star > 0
}
