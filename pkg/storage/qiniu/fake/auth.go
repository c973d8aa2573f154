package fake

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// failure is an answer that is no success.
type failure struct {
	status int
	text   string
}

func (f *failure) Error() string { return fmt.Sprintf("%d %s", f.status, f.text) }

func fail(status int, format string, args ...any) *failure {
	return &failure{status, fmt.Sprintf(format, args...)}
}

func (s *Server) sign(data string) string {
	h := hmac.New(sha1.New, []byte(s.o.SecretKey))
	io.WriteString(h, data)
	return base64.URLEncoding.EncodeToString(h.Sum(nil))
}

// signed checks "access key:signature" of data.
func (s *Server) signed(token, data string) *failure {
	key, signature, found := strings.Cut(token, ":")
	if !found || key != s.o.AccessKey || !hmac.Equal([]byte(signature), []byte(s.sign(data))) {
		return fail(http.StatusUnauthorized, "bad token")
	}
	return nil
}

// policy is what an upload token permits.
type policy struct {
	Scope      string `json:"scope"`
	Deadline   int64  `json:"deadline"`
	Prefixal   int    `json:"isPrefixalScope"`
	InsertOnly int    `json:"insertOnly"`
	SizeLimit  *int64 `json:"fsizeLimit"`
	SizeMin    int64  `json:"fsizeMin"`
}

// upToken checks an upload token, and that it is for this object.
func (s *Server) upToken(token, bucket, key string) (policy, *failure) {
	var p policy
	i := strings.LastIndexByte(token, ':')
	if i < 0 {
		return p, fail(http.StatusUnauthorized, "bad token")
	}
	if f := s.signed(token[:i], token[i+1:]); f != nil {
		return p, f
	}
	text, err := base64.URLEncoding.DecodeString(token[i+1:])
	if err != nil || json.Unmarshal(text, &p) != nil {
		return p, fail(http.StatusUnauthorized, "bad token: put policy is not JSON")
	}
	if s.o.Now().Unix() >= p.Deadline {
		return p, fail(http.StatusUnauthorized, "expired token")
	}
	name, scoped, hasKey := strings.Cut(p.Scope, ":")
	if bucket == "" {
		bucket = name
	}
	switch _, exists := s.objects[bucket]; {
	case name != bucket:
		return p, fail(http.StatusForbidden, "bucket doesn't match with scope")
	case !exists:
		return p, fail(631, "no such bucket")
	case hasKey && p.Prefixal == 0 && key != scoped, hasKey && p.Prefixal != 0 && !strings.HasPrefix(key, scoped):
		return p, fail(http.StatusForbidden, "key doesn't match with scope")
	}
	if !hasKey { // a token for the whole bucket replaces nothing
		p.InsertOnly = 1
	}
	p.Scope = name
	return p, nil
}

// permits checks what is known only once the bytes are there.
func (s *Server) permits(p policy, o Object) *failure {
	if p.SizeLimit != nil && o.Size > *p.SizeLimit {
		return fail(http.StatusRequestEntityTooLarge, "exceed FsizeLimit")
	}
	if o.Size < p.SizeMin {
		return fail(http.StatusForbidden, "less than FsizeMin")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, exists := s.objects[p.Scope][o.Key]; exists && p.InsertOnly != 0 && old.Hash != o.Hash {
		return fail(614, "file exists")
	}
	return nil
}

// skew is how far the client's clock may be off.
const skew = 15 * time.Minute

// management checks the signature of a request to manage objects.
func (s *Server) management(r *http.Request, body []byte) *failure {
	token, found := strings.CutPrefix(r.Header.Get("Authorization"), "Qiniu ")
	if !found {
		return fail(http.StatusUnauthorized, "bad token")
	}
	data := r.Method + " " + r.URL.Path
	if r.URL.RawQuery != "" {
		data += "?" + r.URL.RawQuery
	}
	data += "\nHost: " + r.Host + "\n"
	kind := r.Header.Get("Content-Type")
	if kind != "" {
		data += "Content-Type: " + kind + "\n"
	}
	var own []string
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Qiniu-") && len(name) > len("X-Qiniu-") {
			own = append(own, name+": "+r.Header.Get(name)+"\n")
		}
	}
	slices.Sort(own)
	data += strings.Join(own, "") + "\n"
	if kind != "" && kind != "application/octet-stream" {
		data += string(body)
	}
	if f := s.signed(token, data); f != nil {
		return f
	}
	if date := r.Header.Get("X-Qiniu-Date"); date != "" {
		at, err := time.Parse("20060102T150405Z", date)
		if off := s.o.Now().Sub(at); err != nil || off > skew || off < -skew {
			return fail(http.StatusForbidden, "request time is too skewed")
		}
	}
	return nil
}

// downloadable checks a private link: its signature is over the URL as it was sent.
func (s *Server) downloadable(r *http.Request) *failure {
	link, token, found := strings.Cut("http://"+r.Host+r.RequestURI, "&token=")
	if !found || strings.Contains(token, "&") {
		return fail(http.StatusUnauthorized, "download token not specified")
	}
	if f := s.signed(token, link); f != nil {
		return f
	}
	i := strings.LastIndex(link, "e=")
	deadline, err := strconv.ParseInt(link[i+len("e="):], 10, 64)
	if i < 1 || !strings.ContainsRune("?&", rune(link[i-1])) || err != nil {
		return fail(http.StatusUnauthorized, "bad deadline")
	}
	if s.o.Now().Unix() >= deadline {
		return fail(http.StatusUnauthorized, "token out of date")
	}
	return nil
}
