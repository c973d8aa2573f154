package bayeux

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// asset is a file of the client library, ready to send.
type asset struct {
	kind     string
	tag      string // without quotes
	raw, zip []byte
	modified time.Time // to the second
}

// assetPaths maps the path after the mount to a file of the npm package. The minified file asks for
// its map under the file's name, so client.js has none.
var assetPaths = map[string]string{
	".js":                      "faye-browser-min.js",
	"/client.js":               "faye-browser-min.js",
	"/faye-browser-min.js":     "faye-browser-min.js",
	"/faye-browser-min.js.map": "faye-browser-min.js.map",
	"/faye-browser.js":         "faye-browser.js",
	"/faye-browser.js.map":     "faye-browser.js.map",
}

func loadAssets(files fs.FS) (map[string]*asset, error) {
	assets := make(map[string]*asset)
	if files == nil {
		return assets, nil
	}
	now := time.Now()
	for path, name := range assetPaths {
		raw, err := fs.ReadFile(files, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("bayeux: client file: %w", err)
		}
		a := &asset{kind: "text/javascript; charset=utf-8", raw: raw}
		if strings.HasSuffix(name, ".map") {
			a.kind = "application/json; charset=utf-8"
		}
		info, err := fs.Stat(files, name)
		if err != nil {
			return nil, fmt.Errorf("bayeux: client file: %w", err)
		}
		// As of files that are part of the program.
		if a.modified = info.ModTime(); a.modified.IsZero() {
			a.modified = now
		}
		a.modified = a.modified.UTC().Truncate(time.Second)
		sum := sha256.Sum256(raw)
		a.tag = hex.EncodeToString(sum[:16])
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // a known level
		if _, err := z.Write(raw); err != nil {
			return nil, fmt.Errorf("bayeux: compress client file: %w", err)
		}
		if err := z.Close(); err != nil {
			return nil, fmt.Errorf("bayeux: compress client file: %w", err)
		}
		a.zip = b.Bytes()
		assets[path] = a
	}
	return assets, nil
}

func (s *Server) serveAsset(w http.ResponseWriter, r *http.Request, rest string) {
	a := s.static[rest]
	if a == nil {
		notFound(w)
		return
	}
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		plain(w, http.StatusMethodNotAllowed, "Method not allowed")
		return
	}
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	body, tag := a.raw, `"`+a.tag+`"`
	zipped := acceptsGzip(r.Header.Get("Accept-Encoding"))
	if zipped { // other bytes, so by the rules of strong tags another tag
		body, tag = a.zip, `"`+a.tag+`-gzip"`
	}
	h.Set("ETag", tag)
	h.Set("Last-Modified", a.modified.Format(http.TimeFormat))
	if a.known(r.Header) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", a.kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if zipped {
		h.Set("Content-Encoding", "gzip")
	}
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // a client that has gone needs no answer
	}
}

// known reports whether the client has the asset already. A tag is more exact than a time.
func (a *asset) known(h http.Header) bool {
	if h.Get("If-None-Match") != "" {
		return matchesTag(h.Get("If-None-Match"), a.tag)
	}
	since, err := http.ParseTime(h.Get("If-Modified-Since"))
	return err == nil && !a.modified.After(since)
}

// matchesTag reports whether the If-None-Match header names the asset in either encoding.
func matchesTag(header, tag string) bool {
	for field := range strings.SplitSeq(header, ",") {
		field = strings.TrimPrefix(strings.TrimSpace(field), "W/")
		if field == "*" || field == `"`+tag+`"` || field == `"`+tag+`-gzip"` {
			return true
		}
	}
	return false
}

func acceptsGzip(header string) bool {
	for field := range strings.SplitSeq(header, ",") {
		coding, params, _ := strings.Cut(field, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		q, found := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		weight, err := strconv.ParseFloat(q, 64)
		return !found || err == nil && weight > 0
	}
	return false
}
