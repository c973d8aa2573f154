package fake

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	blockBytes = 4 << 20
	uploadTTL  = 7 * 24 * time.Hour
)

// bytesIn is what was received.
type bytesIn struct {
	file string
	size int64
	md5  string
	crc  uint32
	sums [][]byte // SHA-1 of each 4 MiB
}

// receive writes a body to a new file. With damage set, the last byte is another.
func (s *Server) receive(r io.Reader, damage bool) (in bytesIn, err error) {
	f, err := s.newFile()
	if err != nil {
		return in, err
	}
	in.file = f.Name()
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(in.file)
		}
	}()
	sum, crc := md5.New(), crc32.NewIEEE()
	for {
		h := sha1.New()
		n, err := io.Copy(io.MultiWriter(f, sum, crc, h), io.LimitReader(r, blockBytes))
		in.size += n
		if err != nil {
			return in, err
		}
		if n > 0 || in.sums == nil {
			in.sums = append(in.sums, h.Sum(nil))
		}
		if n < blockBytes {
			break
		}
	}
	in.md5, in.crc = hex.EncodeToString(sum.Sum(nil)), crc.Sum32()
	if damage && in.size > 0 {
		if _, err := f.WriteAt([]byte("?"), in.size-1); err != nil {
			return in, err
		}
		in.sums[len(in.sums)-1] = sha1.New().Sum(nil)
	}
	return in, nil
}

// hashOf is Kodo's hash of blocks of 4 MiB.
func hashOf(sums [][]byte) string {
	if len(sums) == 1 {
		return base64.URLEncoding.EncodeToString(append([]byte{0x16}, sums[0]...))
	}
	return base64.URLEncoding.EncodeToString(append([]byte{0x96}, sumOf(sums)...))
}

func sumOf(sums [][]byte) []byte {
	h := sha1.New()
	for _, one := range sums {
		h.Write(one)
	}
	return h.Sum(nil)
}

const wrongHash = "FlieFlieFlieFlieFlieFlieFlie" // of nothing

// form receives POST /: the object's name is a field, so a fault of it is known only when the
// fields before the file are.
func (s *Server) form(w http.ResponseWriter, a *ask) {
	reader, err := a.r.MultipartReader()
	if err != nil {
		s.serve(w, a, func(w http.ResponseWriter) { finish(w, nil, fail(http.StatusBadRequest, "invalid multipart format")) })
		return
	}
	fields := map[string]string{}
	var file *multipart.Part
	for file == nil {
		part, err := reader.NextPart()
		if err != nil {
			break
		}
		if part.FormName() == "file" {
			file = part
			continue
		}
		text, _ := io.ReadAll(io.LimitReader(part, 64<<10))
		fields[part.FormName()] = string(text)
	}
	a.Key = fields["key"]
	a.fault = s.fault(a.Request)
	s.serve(w, a, func(w http.ResponseWriter) {
		got, err := s.takeForm(a, reader, file, fields)
		finish(w, got, err)
	})
}

func (s *Server) takeForm(a *ask, rest *multipart.Reader, file *multipart.Part, fields map[string]string) (any, error) {
	p, denied := s.upToken(fields["token"], "", a.Key)
	if denied != nil {
		_, _ = io.Copy(io.Discard, a.r.Body)
		return nil, denied
	}
	a.Bucket = p.Scope
	if file == nil || file.FileName() == "" {
		return nil, fail(http.StatusBadRequest, "file is not specified in multipart")
	}
	in, err := s.receive(file, a.fault.is(Damage))
	if err != nil {
		return nil, err
	}
	if _, err := rest.NextPart(); err != io.EOF {
		os.Remove(in.file)
		return nil, fail(http.StatusBadRequest, "the form does not end after its file")
	}
	if text, given := fields["crc32"]; given && text != strconv.FormatUint(uint64(in.crc), 10) {
		os.Remove(in.file)
		return nil, fail(http.StatusNotAcceptable, "crc32 check failed")
	}
	kind := file.Header.Get("Content-Type")
	return s.keep(a, p, Object{Key: a.Key, Size: in.size, Hash: hashOf(in.sums), MimeType: kind, file: in.file})
}

// keep makes an object of what a token has brought, and answers the upload.
func (s *Server) keep(a *ask, p policy, o Object) (any, error) {
	if o.MimeType == "" {
		o.MimeType = "application/octet-stream"
	}
	if denied := s.permits(p, o); denied != nil {
		os.Remove(o.file)
		return nil, denied
	}
	if a.fault.is(Lose) {
		os.Remove(o.file)
	} else {
		s.store(p.Scope, o)
	}
	hash := o.Hash
	if a.fault.is(Lie) {
		hash = wrongHash
	}
	return map[string]string{"key": o.Key, "hash": hash}, nil
}

// upload serves the interface for parts.
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

func (s *Server) begin(a *ask) any {
	u := &Upload{ID: rand.Text(), Bucket: a.Bucket, Key: a.Key, Parts: map[int]Part{}}
	if !a.fault.is(Lose) {
		s.mu.Lock()
		s.uploads[u.ID] = u
		s.mu.Unlock()
	}
	return map[string]any{"uploadId": u.ID, "expireAt": s.o.Now().Add(uploadTTL).Unix()}
}

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

// completion is the body of the request that ends an upload.
type completion struct {
	Parts []struct {
		PartNumber int    `json:"partNumber"`
		Etag       string `json:"etag"`
	} `json:"parts"`
	MimeType string `json:"mimeType"`
}

func (s *Server) complete(a *ask, p policy) (any, error) {
	var c completion
	if err := json.NewDecoder(a.r.Body).Decode(&c); err != nil || len(c.Parts) == 0 {
		return nil, fail(http.StatusBadRequest, "invalid parts")
	}
	s.mu.Lock()
	have := maps.Clone(s.uploads[a.id].Parts)
	s.mu.Unlock()
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
// the parts otherwise.
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

// join writes parts to one file.
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

// end forgets an upload and its parts.
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

func attachment(name string) string {
	return mime.FormatMediaType("attachment", map[string]string{"filename": name})
}
