package fake

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

// uploadTTL is how long Kodo keeps an unfinished upload.
const uploadTTL = 7 * 24 * time.Hour

// upload serves the interface for parts, v2
// (https://developer.qiniu.com/kodo/6364/multipartupload-interface). Every request needs a token
// for the key, also the one that aborts.
func (s *Server) upload(a *ask) (any, error) {
	token, found := strings.CutPrefix(a.r.Header.Get("Authorization"), "UpToken ")
	p, denied := s.upToken(token, a.Bucket, a.Key)
	if !found {
		denied = fail(http.StatusUnauthorized, "bad token")
	}
	if denied != nil {
		_, _ = io.Copy(io.Discard, a.r.Body)
		return nil, denied
	}
	if a.Op == OpInit {
		return s.begin(a), nil
	}
	s.mu.Lock()
	u, found := s.uploads[a.id]
	// An id is good for its own object only.
	found = found && u.Bucket == a.Bucket && u.Key == a.Key
	s.mu.Unlock()
	if !found {
		_, _ = io.Copy(io.Discard, a.r.Body)
		return nil, fail(612, "no such uploadId")
	}
	switch a.Op {
	case OpPart:
		return s.part(a)
	case OpParts:
		return s.listParts(a), nil
	case OpComplete:
		return s.complete(a, p)
	}
	if !a.fault.is(Lose) {
		s.end(a.id)
	}
	return struct{}{}, nil
}

// begin makes an upload. With Lose the client gets an id that leads nowhere.
func (s *Server) begin(a *ask) any {
	u := &Upload{ID: rand.Text(), Bucket: a.Bucket, Key: a.Key, Parts: map[int]Part{}}
	if !a.fault.is(Lose) {
		s.mu.Lock()
		s.uploads[u.ID] = u
		s.mu.Unlock()
	}
	return map[string]any{"uploadId": u.ID, "expireAt": s.o.Now().Add(uploadTTL).Unix()}
}

// part takes one part. A part that comes again replaces the first, which is how a client repeats
// one whose answer was lost.
func (s *Server) part(a *ask) (any, error) {
	if a.Part > 10_000 {
		return nil, fail(http.StatusBadRequest, "partNumber is out of range")
	}
	if a.r.ContentLength < 0 {
		return nil, fail(http.StatusLengthRequired, "Content-Length is required")
	}
	in, err := s.receive(a.r.Body, a.fault.is(Damage))
	if err != nil {
		return nil, err
	}
	if given := a.r.Header.Get("Content-Md5"); given != "" && !strings.EqualFold(given, in.md5) {
		os.Remove(in.file)
		return nil, fail(http.StatusNotAcceptable, "md5 check failed")
	}
	p := Part{Size: in.size, Etag: hashOf(in.sums), MD5: in.md5, file: in.file, sums: in.sums}
	// Looked up again: the upload may have been aborted while the part came in.
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, found := s.uploads[a.id]; found && !a.fault.is(Lose) {
		if old, again := u.Parts[a.Part]; again {
			os.Remove(old.file)
		}
		u.Parts[a.Part] = p
	} else {
		os.Remove(in.file)
	}
	if a.fault.is(Lie) {
		return map[string]string{"etag": wrongHash, "md5": strings.Repeat("0", 32)}, nil
	}
	return map[string]string{"etag": p.Etag, "md5": p.MD5}, nil
}

// listParts answers all parts at once. Kodo pages them by 1,000, which no test reaches.
func (s *Server) listParts(a *ask) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []map[string]any{}
	u := s.uploads[a.id]
	for _, n := range slices.Sorted(maps.Keys(u.Parts)) {
		all = append(all, map[string]any{
			"partNumber": n,
			"size":       u.Parts[n].Size,
			"etag":       u.Parts[n].Etag,
			"putTime":    s.o.Now().Unix(),
		})
	}
	return map[string]any{"uploadId": u.ID, "expireAt": s.o.Now().Add(uploadTTL).Unix(), "partNumberMarker": 0, "parts": all}
}

// completion is the body of the request that ends an upload. Kodo takes more fields, such as custom
// variables, which the adapter does not send.
type completion struct {
	Parts []struct {
		PartNumber int    `json:"partNumber"`
		Etag       string `json:"etag"`
	} `json:"parts"`
	MimeType string `json:"mimeType"`
}

// complete makes an object of the parts that are named, in their order; parts that are not named
// are dropped. The upload stays when it is refused, so that it can be tried again.
func (s *Server) complete(a *ask, p policy) (any, error) {
	var c completion
	if err := json.NewDecoder(a.r.Body).Decode(&c); err != nil || len(c.Parts) == 0 {
		return nil, fail(http.StatusBadRequest, "invalid parts")
	}
	s.mu.Lock()
	have := maps.Clone(s.uploads[a.id].Parts)
	s.mu.Unlock()
	// Kodo's rules: known parts with their ETags, in rising order, and all but the last of 1 MiB at
	// least.
	var chosen []Part
	for i, one := range c.Parts {
		part, found := have[one.PartNumber]
		if !found || part.Etag != one.Etag || i > 0 && one.PartNumber <= c.Parts[i-1].PartNumber {
			return nil, fail(http.StatusBadRequest, "invalid part %d", one.PartNumber)
		}
		if i < len(c.Parts)-1 && part.Size < 1<<20 {
			return nil, fail(http.StatusBadRequest, "part %d is too small", one.PartNumber)
		}
		chosen = append(chosen, part)
	}
	o := Object{Key: a.Key, MimeType: c.MimeType}
	var err error
	if o.file, o.Size, err = s.join(chosen); err != nil {
		return nil, err
	}
	o.Hash = hashOfParts(chosen)
	got, err := s.keep(a, p, o)
	if err == nil {
		s.end(a.id)
	}
	return got, err
}

// hashOfParts is that of the whole where all parts but the last are of 4 MiB, and one that shows
// the parts otherwise. Kodo does not document the second kind; all that is used of it is that its
// first byte is neither of hashOf's.
func hashOfParts(parts []Part) string {
	var sums [][]byte
	whole := true
	var each [][]byte
	for i, p := range parts {
		sums = append(sums, p.sums...)
		each = append(each, sumOf(p.sums))
		whole = whole && (p.Size == blockBytes || i == len(parts)-1 && p.Size < blockBytes)
	}
	if whole {
		return hashOf(sums)
	}
	return base64.URLEncoding.EncodeToString(append([]byte{0x9e}, sumOf(each)...))
}

// join writes parts to one file. They are copied: the upload may still be completed in another way.
func (s *Server) join(parts []Part) (name string, size int64, err error) {
	f, err := s.newFile()
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	for _, p := range parts {
		in, err := os.Open(p.file)
		if err != nil {
			return "", 0, err
		}
		n, err := io.Copy(f, in)
		in.Close()
		if err != nil || n != p.Size {
			return "", 0, fmt.Errorf("join: %d of %d bytes: %w", n, p.Size, err)
		}
		size += n
	}
	return f.Name(), size, nil
}

// end removes an upload and its parts.
func (s *Server) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, found := s.uploads[id]; found {
		for _, p := range u.Parts {
			os.Remove(p.file)
		}
		delete(s.uploads, id)
	}
}

// attachment is the header that makes a browser save a file, with names beyond ASCII encoded.
func attachment(name string) string {
	return mime.FormatMediaType("attachment", map[string]string{"filename": name})
}
