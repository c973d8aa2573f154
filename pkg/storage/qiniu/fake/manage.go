package fake

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
)

// manage serves the management of objects: stat, copy, delete and list, as
// https://developer.qiniu.com/kodo/1285/rsapi describes them.
func (s *Server) manage(a *ask) (any, error) {
	// The body is part of what is signed, so it is read before anything else.
	body, err := io.ReadAll(io.LimitReader(a.r.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if denied := s.management(a.r, body); denied != nil {
		return nil, denied
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	objects, exists := s.objects[a.Bucket]
	if !exists {
		return nil, fail(631, "no such bucket")
	}
	// A list names a prefix and no object.
	if a.Op == OpList {
		return list(a, objects)
	}
	o, exists := objects[a.Key]
	if !exists {
		return nil, fail(612, "no such file or directory")
	}
	switch a.Op {
	case OpStat:
		hash := o.Hash
		if a.fault.is(Lie) {
			hash = wrongHash
		}
		return map[string]any{"fsize": o.Size, "hash": hash, "mimeType": o.MimeType, "putTime": o.PutTime.UnixNano() / 100}, nil
	case OpDelete: // of what is not there: 612, see above
		if !a.fault.is(Lose) {
			delete(objects, a.Key)
			s.release(o.file)
		}
	case OpCopy:
		if denied := s.copy(a, o); denied != nil {
			return nil, denied
		}
	}
	return struct{}{}, nil
}

// copy makes a second name for the same bytes. The caller holds the lock.
func (s *Server) copy(a *ask, o Object) *failure {
	bucket, key, _ := strings.Cut(a.to, ":")
	objects, exists := s.objects[bucket]
	if !exists {
		return fail(631, "no such bucket")
	}
	// Kodo replaces only with /force/true, and never an object by itself.
	if _, taken := objects[key]; taken && (!strings.HasSuffix(a.r.URL.Path, "/force/true") || bucket == a.Bucket && key == a.Key) {
		return fail(614, "file exists")
	}
	o.Key, o.PutTime = key, s.o.Now()
	if !a.fault.is(Lose) {
		old := objects[key]
		objects[key] = o
		s.release(old.file)
	}
	return nil
}

// marker is where a list goes on, behind which key. Kodo's is opaque too, so no client may look
// into it.
type marker struct {
	Version int    `json:"c"`
	Key     string `json:"k"`
}

// list answers up to limit objects after the marker, in key order. The marker is empty on the last
// page.
func list(a *ask, objects map[string]Object) (any, error) {
	query := a.r.URL.Query()
	limit := 1000
	if text := query.Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > 1000 {
			return nil, fail(http.StatusBadRequest, "invalid limit")
		}
	}
	var from marker
	if text := query.Get("marker"); text != "" {
		raw, err := base64.URLEncoding.DecodeString(text)
		if err != nil || json.Unmarshal(raw, &from) != nil {
			return nil, fail(640, "invalid marker")
		}
	}
	items, next := []map[string]any{}, ""
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		if key <= from.Key && from.Key != "" || !strings.HasPrefix(key, query.Get("prefix")) {
			continue
		}
		// One more object than fits: only now it is known that there is another page.
		if len(items) == limit {
			text, err := json.Marshal(marker{Key: items[limit-1]["key"].(string)})
			if err != nil {
				return nil, err
			}
			next = base64.URLEncoding.EncodeToString(text)
			break
		}
		o := objects[key]
		items = append(items, map[string]any{
			"key":      key,
			"fsize":    o.Size,
			"hash":     o.Hash,
			"mimeType": o.MimeType,
			"putTime":  o.PutTime.UnixNano() / 100,
		})
	}
	return map[string]any{"items": items, "marker": next}, nil
}

// download serves an object's bytes, of a private bucket to signed links only.
func (s *Server) download(w http.ResponseWriter, a *ask) error {
	if !s.public(a.Bucket) {
		if denied := s.downloadable(a.r); denied != nil {
			return denied
		}
	}
	s.mu.Lock()
	o, found := s.objects[a.Bucket][a.Key]
	s.mu.Unlock()
	if !found {
		return fail(http.StatusNotFound, "Document not found")
	}
	// An object that is replaced while it is read goes on to the end: the file is open.
	f, err := os.Open(o.file)
	if err != nil {
		return err
	}
	defer f.Close()
	h := w.Header()
	// Every answer of Kodo has one; the adapter quotes it in its errors.
	h.Set("X-Reqid", "download")
	h.Set("Content-Type", o.MimeType)
	h.Set("ETag", `"`+o.Hash+`"`)
	if a.fault.is(Lie) {
		h.Set("ETag", `"`+wrongHash+`"`)
	}
	if name := a.r.URL.Query().Get("attname"); name != "" {
		h.Set("Content-Disposition", attachment(name))
	}
	if a.fault.is(Cut) {
		w = &half{w, o.Size / 2}
	}
	http.ServeContent(w, a.r, "", o.PutTime, f)
	return nil
}

// half ends the connection when so many bytes were sent, in the middle of an answer that has
// announced more.
type half struct {
	http.ResponseWriter
	left int64
}

func (h *half) Write(p []byte) (int, error) {
	if h.left < int64(len(p)) {
		_, _ = h.ResponseWriter.Write(p[:h.left])
		// Without it the half would never leave our buffer, and nothing would have been sent.
		_ = http.NewResponseController(h.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	h.left -= int64(len(p))
	return h.ResponseWriter.Write(p)
}
